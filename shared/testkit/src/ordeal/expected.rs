//! Which alerts follow from readings: the built-in rule of temperature-alert, said once more and as plainly as can be.

use std::collections::BTreeMap;

use events::Timestamp;

use super::Message;

/// The built-in rule: above this a reading fires …
const ABOVE: f64 = 28.0;
/// … and at or below this it resolves.
const CLEAR: f64 = 27.0;

/// A stretch above the threshold: one alert, one notification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excursion {
    pub device: String,
    /// When its first reading was measured: the alert's `started_at`, the notification's `opened_at`.
    pub started_at: Timestamp,
    /// A later reading was back to normal.
    pub ended: bool,
}

#[derive(Default)]
struct Device {
    highest: Option<(Timestamp, i64)>,
    /// Place in the result of the excursion that goes on.
    open: Option<usize>,
}

/// The excursions of readings in the order in which each device published them. A repeat, and what was measured before
/// something that came earlier, changes nothing.
pub fn excursions(published: &[Message]) -> Vec<Excursion> {
    let (mut devices, mut found) = (BTreeMap::<&str, Device>::new(), Vec::<Excursion>::new());
    for message in published {
        let device = devices.entry(&message.device).or_default();
        let place = (message.measured_at, message.sequence);
        if device.highest.is_some_and(|highest| place <= highest) {
            continue;
        }
        device.highest = Some(place);
        match device.open {
            None if message.value > ABOVE => {
                device.open = Some(found.len());
                found.push(Excursion { device: message.device.clone(), started_at: message.measured_at, ended: false });
            }
            Some(open) if message.value <= CLEAR => {
                found[open].ended = true;
                device.open = None;
            }
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_770_000_000_000 + millis)
    }

    /// Sequence, time and value of one device's messages.
    fn of(messages: &[(i64, i64, f64)]) -> Vec<(Timestamp, bool)> {
        let message = |&(sequence, millis, value)| Message { device: "a".into(), sequence, measured_at: at(millis), value };
        let messages: Vec<Message> = messages.iter().map(message).collect();
        excursions(&messages).into_iter().map(|excursion| (excursion.started_at, excursion.ended)).collect()
    }

    #[test]
    fn an_excursion_begins_above_the_threshold_and_ends_at_the_one_that_clears() {
        assert_eq!(
            of(&[(1, 0, 28.0), (2, 10, 28.1), (3, 20, 30.0), (4, 30, 27.5), (5, 40, 27.0), (6, 50, 29.0)]),
            [(at(10), true), (at(50), false)]
        );
    }

    #[test]
    fn a_repeat_and_a_late_reading_change_nothing() {
        assert_eq!(of(&[(1, 0, 30.0), (2, 10, 20.0), (1, 0, 30.0), (2, 10, 20.0)]), [(at(0), true)]);
        assert_eq!(of(&[(2, 10, 20.0), (1, 0, 30.0)]), []);
        assert_eq!(of(&[(1, 100, 30.0), (2, 50, 20.0)]), [(at(100), false)]);
    }
}
