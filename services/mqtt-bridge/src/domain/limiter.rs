use std::collections::HashMap;

use events::Timestamp;

const SECOND_MICROS: i64 = 1_000_000;
/// Devices told apart at a time; beyond that, the others share one allowance.
const DEVICES: usize = 10_000;

/// Keeps one device's rubbish from filling the dead-letter queue: so many rejects a second are kept, then one sample,
/// the rest is only counted.
#[derive(Debug)]
pub struct RejectLimiter {
    per_second: u32,
    devices: HashMap<String, Window>,
    others: Window,
}

/// What to do with a reject.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    Keep,
    /// Keep it as the sample of its second; `suppressed` of its device were not kept since the one before.
    Sample {
        suppressed: u64,
    },
    Count,
}

/// The second a device is in.
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    second: i64,
    seen: u32,
    suppressed: u64,
}

impl RejectLimiter {
    pub fn new(per_second: u32) -> Self {
        Self { per_second, devices: HashMap::new(), others: Window::default() }
    }

    /// Decides on one reject of `device` (its id, or the topic where the id is unknown).
    pub fn decide(&mut self, device: &str, now: Timestamp) -> Decision {
        let second = now.as_micros().div_euclid(SECOND_MICROS);
        if !self.devices.contains_key(device) {
            if self.devices.len() >= DEVICES {
                self.devices.retain(|_, window| window.second >= second);
            }
            if self.devices.len() >= DEVICES {
                return self.others.decide(second, self.per_second);
            }
            self.devices.insert(device.to_owned(), Window::default());
        }
        match self.devices.get_mut(device) {
            Some(window) => window.decide(second, self.per_second),
            None => Decision::Keep,
        }
    }
}

impl Window {
    fn decide(&mut self, second: i64, per_second: u32) -> Decision {
        if self.second != second {
            (self.second, self.seen) = (second, 0);
        }
        self.seen = self.seen.saturating_add(1);
        match self.seen.checked_sub(per_second) {
            None | Some(0) => Decision::Keep,
            Some(1) => Decision::Sample { suppressed: std::mem::take(&mut self.suppressed) },
            Some(_) => {
                self.suppressed += 1;
                Decision::Count
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_millis(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_769_847_330_000 + millis)
    }

    #[test]
    fn ten_a_second_are_kept_then_one_sample_then_they_are_counted() {
        let mut limiter = RejectLimiter::new(10);
        let decisions: Vec<Decision> = (0..30).map(|n| limiter.decide("noisy", at_millis(n))).collect();
        assert!(decisions[..10].iter().all(|decision| *decision == Decision::Keep));
        assert_eq!(decisions[10], Decision::Sample { suppressed: 0 });
        assert!(decisions[11..].iter().all(|decision| *decision == Decision::Count));
        let next: Vec<Decision> = (0..11).map(|n| limiter.decide("noisy", at_millis(1_000 + n))).collect();
        assert_eq!((next[0], next[10]), (Decision::Keep, Decision::Sample { suppressed: 19 }));
    }

    #[test]
    fn one_noisy_device_takes_nothing_from_the_others() {
        let mut limiter = RejectLimiter::new(10);
        (0..1_000).for_each(|_| {
            limiter.decide("noisy", at_millis(0));
        });
        assert_eq!(limiter.decide("quiet", at_millis(0)), Decision::Keep);
    }

    #[test]
    fn devices_without_number_share_one_allowance_and_bounded_memory() {
        let mut limiter = RejectLimiter::new(10);
        let kept = (0..50_000).filter(|n| limiter.decide(&format!("device-{n}"), at_millis(0)) == Decision::Keep).count();
        assert_eq!(kept, DEVICES + 10);
        assert_eq!(limiter.devices.len(), DEVICES);
        assert_eq!(limiter.decide("device-49999", at_millis(1_000)), Decision::Keep, "the next second forgets the last one's");
        assert_eq!(limiter.devices.len(), 1);
    }

    #[test]
    fn a_limit_of_zero_keeps_only_samples() {
        let mut limiter = RejectLimiter::new(0);
        let decisions: Vec<Decision> = (0..3).map(|_| limiter.decide("d", at_millis(0))).collect();
        assert_eq!(decisions, [Decision::Sample { suppressed: 0 }, Decision::Count, Decision::Count]);
    }
}
