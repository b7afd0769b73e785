//! Synthetic devices taking turns. A plan says everything: the same plan gives the same steps, in every release.

use std::time::Duration;

use events::Timestamp;

use super::device::{Device, Signal};
use super::random::Random;

/// Devices of one room.
const ROOM: usize = 10;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct FleetPlan {
    pub(crate) seed: u64,
    pub(crate) devices: usize,
    /// Put before the number in a device's id.
    pub(crate) prefix: String,
    /// Device time of the first step.
    pub(crate) start: Timestamp,
    /// Device time between two steps of the fleet.
    pub(crate) interval: Duration,
    /// Share of a device's readings inside an excursion, 0 to 1 (without 1).
    pub(crate) excursions: f64,
    /// Share of a device's readings that are faulty.
    pub(crate) faults: f64,
}

impl FleetPlan {
    pub(crate) fn device_id(&self, device: usize) -> String {
        format!("{}-{:03}", self.prefix, device + 1)
    }

    pub(crate) fn group_id(device: usize) -> String {
        format!("room-{}", device / ROOM + 1)
    }

    /// Device time between two turns of one device.
    pub(crate) fn period(&self) -> Duration {
        self.interval.saturating_mul(u32::try_from(self.devices).unwrap_or(u32::MAX))
    }
}

/// One device's turn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    pub(crate) device: usize,
    /// The device's turn, from 0.
    pub(crate) sequence: i64,
    pub(crate) at: Timestamp,
    pub(crate) signal: Signal,
}

/// The steps of a plan, without end.
pub(crate) struct Fleet {
    plan: FleetPlan,
    devices: Vec<Device>,
    next: u64,
}

impl Fleet {
    pub(crate) fn new(plan: FleetPlan) -> Self {
        let device = |number| Device::new(Random::stream(plan.seed, number as u64), plan.excursions, plan.faults);
        let devices = (0..plan.devices.max(1)).map(device).collect();
        Self { plan, devices, next: 0 }
    }
}

impl Iterator for Fleet {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let (number, devices) = (self.next, self.devices.len() as u64);
        self.next += 1;
        let device = (number % devices) as usize;
        let offset = u128::from(number) * self.plan.interval.as_nanos() / 1_000;
        let at = self.plan.start.saturating_add(Duration::from_micros(u64::try_from(offset).unwrap_or(u64::MAX)));
        let signal = self.devices.get_mut(device)?.next(at);
        Some(Step { device, sequence: (number / devices) as i64, at, signal })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(seed: u64) -> FleetPlan {
        FleetPlan {
            seed,
            devices: 5,
            prefix: "sim".into(),
            start: Timestamp::from_millis(1_769_847_330_000),
            interval: Duration::from_millis(200),
            excursions: 0.1,
            faults: 0.05,
        }
    }

    fn steps(seed: u64, count: usize) -> Vec<Step> {
        Fleet::new(plan(seed)).take(count).collect()
    }

    #[test]
    fn a_seed_gives_the_same_steps_again_and_another_seed_others() {
        assert_eq!(steps(7, 5_000), steps(7, 5_000));
        assert_ne!(steps(7, 5_000), steps(8, 5_000));
    }

    #[test]
    fn the_steps_of_a_seed_stay_the_same_across_releases() {
        let lines: Vec<String> = steps(7, 2_000).iter().map(|step| format!("{step:?}\n")).collect();
        assert_eq!(events::identity::uuid_of("steps", &[&lines.concat()]).to_string(), "ccda811f-1c7f-5e5a-bd14-4ae3f83d2613");
    }

    #[test]
    fn devices_take_turns_and_their_time_goes_forward() {
        let steps = steps(1, 11);
        assert_eq!(steps.iter().map(|step| step.device).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0]);
        assert_eq!((steps[10].sequence, steps[10].at.since(steps[5].at)), (2, plan(1).period()));
    }

    #[test]
    fn more_devices_leave_the_first_ones_as_they_are() {
        let more = FleetPlan { devices: 10, interval: Duration::from_millis(100), ..plan(7) };
        let of_first = |plan| Fleet::new(plan).filter(|step| step.device == 0).take(100).map(|step| step.signal).collect::<Vec<_>>();
        assert_eq!(of_first(plan(7)), of_first(more));
    }
}
