//! A sensor that hangs: one value for hours while its group moves further than it ever held still through before.

use serde::{Deserialize, Serialize};

/// So long it is only learned how far the group moves while the sensor holds still: some show whole degrees, and a motion
/// sensor holds still all night.
const LEARN_MICROS: i64 = 2 * 86_400_000_000;
const FURTHER: f64 = 2.0;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stuck {
    known_since: Option<i64>,
    hold: Option<Hold>,
    /// The furthest the group moved during a hold that ended.
    furthest: f64,
    hangs: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Hold {
    value: f64,
    since: i64,
    low: f64,
    high: f64,
}

impl Stuck {
    /// One slot's extremes, and the median of the others' means. True when it begins or ends to hang.
    pub fn take(&mut self, end_micros: i64, (min, max): (f64, f64), peers: f64, after_micros: i64) -> bool {
        let known_since = *self.known_since.get_or_insert(end_micros);
        let still = min.to_bits() == max.to_bits();
        match &mut self.hold {
            Some(hold) if still && hold.value.to_bits() == min.to_bits() => {
                hold.low = hold.low.min(peers);
                hold.high = hold.high.max(peers);
            }
            hold => {
                // How far it went while it hung is not usual.
                if let Some(ended) = hold.filter(|_| !self.hangs) {
                    self.furthest = self.furthest.max(ended.high - ended.low);
                }
                *hold = still.then_some(Hold { value: min, since: end_micros, low: peers, high: peers });
            }
        }
        let learned = end_micros - known_since >= LEARN_MICROS;
        let hangs = self.hold.is_some_and(|hold| {
            let moved = hold.high - hold.low;
            learned && end_micros - hold.since >= after_micros && moved > FURTHER * self.furthest && moved > 1e-6 * hold.value.abs()
        });
        std::mem::replace(&mut self.hangs, hangs) != hangs
    }

    pub fn is_stuck(&self) -> bool {
        self.hangs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOT: i64 = 900_000_000;
    const AFTER: i64 = 6 * 3_600_000_000;

    fn peers(i: i64) -> f64 {
        20.0 + 3.0 * (i as f64 / 96.0 * std::f64::consts::TAU).sin()
    }

    /// The slots in which it began or ended to hang.
    fn changes(slots: i64, extremes: impl Fn(i64) -> (f64, f64)) -> Vec<i64> {
        let mut stuck = Stuck::default();
        (0..slots).filter(|i| stuck.take(i * SLOT, extremes(*i), peers(*i), AFTER)).collect()
    }

    #[test]
    fn a_sensor_that_holds_one_value_while_its_group_moves_hangs_and_heals_when_it_moves() {
        let moving = |i: i64| (peers(i) - 0.1, peers(i) + 0.1);
        let changes = changes(600, |i| if (300..400).contains(&i) { (21.5, 21.5) } else { moving(i) });
        let [began, ended] = changes[..] else { panic!("{changes:?}") };
        assert!((324..330).contains(&began) && ended == 400, "{changes:?}");
    }

    #[test]
    fn a_coarse_sensor_and_one_that_rests_every_night_do_not_hang() {
        assert_eq!(changes(2_000, |i| (peers(i).round(), peers(i).round())), [0_i64; 0]);
        assert_eq!(changes(2_000, |i| if i % 96 < 40 { (0.0, 1.0) } else { (0.0, 0.0) }), [0_i64; 0]);
    }

    #[test]
    fn a_sensor_that_never_moved_hangs_once_that_is_known() {
        assert_eq!(changes(400, |_| (21.5, 21.5)), [192]);
    }
}
