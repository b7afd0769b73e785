use std::collections::HashSet;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use events::DeviceKey;

use crate::domain::{Outcome, Reason, Reject};

const MINUTE: Duration = Duration::from_mins(1);

/// How many devices are let in that were not there before.
#[derive(Clone, Copy, Debug)]
pub struct DeviceLimits {
    /// 0: no limit.
    pub new_per_minute: u32,
    /// Devices remembered at least; twice as many at most.
    pub known: usize,
    /// After a start nobody is known: for so long everybody is let in.
    pub learn_for: Duration,
}

/// Keeps a flood of made-up devices from those behind: a device that is known goes on whatever others do.
///
/// Devices are remembered in two generations: whoever is heard of moves to the younger one, and when that is full, the
/// older one is forgotten. So those heard of last stay known, in bounded memory.
#[derive(Debug)]
pub struct DeviceLimiter {
    limits: DeviceLimits,
    learns_until: Option<Instant>,
    younger: HashSet<u64>,
    older: HashSet<u64>,
    /// With keys of this process: nobody can make up ids that pass for a known one.
    hasher: RandomState,
    minute: Option<Instant>,
    new_in_minute: u32,
}

impl DeviceLimiter {
    pub fn new(limits: DeviceLimits) -> Self {
        Self {
            limits,
            learns_until: None,
            younger: HashSet::new(),
            older: HashSet::new(),
            hasher: RandomState::new(),
            minute: None,
            new_in_minute: 0,
        }
    }

    /// Refuses what is of a device that is new in a minute that has seen enough new ones.
    pub fn admit(&mut self, outcome: Outcome, now: Instant) -> Result<Outcome, Reject> {
        if self.limits.new_per_minute == 0 {
            return Ok(outcome);
        }
        let refused = match &outcome {
            Outcome::Readings(readings) => {
                let mut last = None;
                let devices = readings.iter().map(|reading| (reading.tenant.as_str(), reading.device_id.as_str()));
                // Nearly always all of a message are of one device.
                devices.filter(|device| last.replace(*device) != Some(*device)).find(|device| !self.admits(*device, now))
            }
            Outcome::Status(status) => {
                Some((status.tenant.as_str(), status.device_id.as_str())).filter(|device| !self.admits(*device, now))
            }
            Outcome::State(state) => Some((state.tenant.as_str(), state.device_id.as_str())).filter(|device| !self.admits(*device, now)),
            Outcome::Large(key) => Some((key.tenant.as_str(), key.device_id.as_str())).filter(|device| !self.admits(*device, now)),
        };
        match refused {
            None => Ok(outcome),
            Some((tenant, device_id)) => {
                let detail = format!("{device_id} is new, and {} new devices came within a minute", self.limits.new_per_minute);
                Err(Reject::new(Reason::TooManyNewDevices, detail).of(&DeviceKey::new(tenant, device_id)))
            }
        }
    }

    fn admits(&mut self, device: (&str, &str), now: Instant) -> bool {
        let device = self.hasher.hash_one(device);
        if self.younger.contains(&device) {
            return true;
        }
        let learns_until = *self.learns_until.get_or_insert(now + self.limits.learn_for);
        if !self.older.contains(&device) && now >= learns_until && !self.has_room_for_new(now) {
            return false;
        }
        if self.younger.len() >= self.limits.known {
            self.older = std::mem::take(&mut self.younger);
        }
        self.younger.insert(device);
        true
    }

    fn has_room_for_new(&mut self, now: Instant) -> bool {
        if self.minute.is_none_or(|began| now.duration_since(began) >= MINUTE) {
            (self.minute, self.new_in_minute) = (Some(now), 0);
        }
        self.new_in_minute = self.new_in_minute.saturating_add(1);
        self.new_in_minute <= self.limits.new_per_minute
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: DeviceLimits = DeviceLimits { new_per_minute: 5, known: 100, learn_for: Duration::from_secs(10) };

    fn admitted(limiter: &mut DeviceLimiter, devices: impl IntoIterator<Item = usize>, now: Instant) -> usize {
        devices.into_iter().filter(|number| limiter.admits(("default", &format!("device-{number}")), now)).count()
    }

    #[test]
    fn a_flood_of_new_devices_is_let_in_slowly_and_known_ones_go_on() {
        let (mut limiter, start) = (DeviceLimiter::new(LIMITS), Instant::now());
        assert_eq!(admitted(&mut limiter, 0..50, start), 50, "nobody is known after a start");
        let later = start + Duration::from_secs(10);
        assert_eq!(admitted(&mut limiter, 1_000..2_000, later), 5);
        assert_eq!(admitted(&mut limiter, 0..50, later), 50);
        assert_eq!(admitted(&mut limiter, 2_000..3_000, later + Duration::from_secs(59)), 0);
        assert_eq!(admitted(&mut limiter, 2_000..3_000, later + MINUTE), 5, "each minute has its own");
    }

    #[test]
    fn what_is_remembered_is_bounded_and_those_heard_of_last_stay_known() {
        let (mut limiter, start) = (DeviceLimiter::new(LIMITS), Instant::now());
        // While everybody is let in, a flood of 10,000; the ten that keep on sending are never forgotten.
        for flood in 0..200 {
            admitted(&mut limiter, 1_000 + flood * 50..1_000 + (flood + 1) * 50, start);
            admitted(&mut limiter, 0..10, start);
        }
        assert!(limiter.younger.len() + limiter.older.len() <= 2 * LIMITS.known);
        assert_eq!(admitted(&mut limiter, 0..10, start + LIMITS.learn_for), 10);
        assert_eq!(admitted(&mut limiter, 1_000..1_050, start + LIMITS.learn_for), 5, "the first of the flood are forgotten");
    }

    #[test]
    fn one_new_device_too_many_in_a_gateways_message_refuses_it_and_is_named() {
        let (mut limiter, start) = (DeviceLimiter::new(DeviceLimits { learn_for: Duration::ZERO, ..LIMITS }), Instant::now());
        let of_devices = |devices: std::ops::Range<usize>| {
            let reading = |number| events::Reading {
                tenant: "default".into(),
                device_id: format!("device-{number}"),
                group_id: None,
                metric: "temperature".into(),
                value: 1.0,
                unit: "Cel".into(),
                measured_at: events::Timestamp::default(),
                received_at: events::Timestamp::default(),
                sequence: None,
                attributes: events::Labels::new(),
            };
            Outcome::Readings(devices.map(reading).collect())
        };
        assert!(limiter.admit(of_devices(0..5), start).is_ok());
        let reject = limiter.admit(of_devices(3..7), start).unwrap_err();
        assert_eq!((reject.reason, reject.device.unwrap().device_id.as_str()), (Reason::TooManyNewDevices, "device-5"));
        assert!(limiter.admit(of_devices(0..5), start).is_ok());
    }

    #[test]
    fn a_limit_of_zero_is_none() {
        let mut limiter = DeviceLimiter::new(DeviceLimits { new_per_minute: 0, ..LIMITS });
        let status = |number| Outcome::Large(DeviceKey::new("default", format!("device-{number}")));
        assert!((0..10_000).all(|number| limiter.admit(status(number), Instant::now()).is_ok()));
        assert!(limiter.younger.is_empty());
    }
}
