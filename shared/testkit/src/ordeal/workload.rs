use std::collections::VecDeque;
use std::time::Duration;

use events::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Copies of what a device published so many messages ago at most.
const REMEMBERED: usize = 5;

/// A reading as a device publishes it. Device and sequence name it.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub device: String,
    pub sequence: i64,
    /// By the device's clock, in whole milliseconds: they survive any JSON number.
    pub measured_at: Timestamp,
    pub value: f64,
}

/// What the devices themselves do wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disturbed {
    /// Messages are published again, and some after one that was measured later.
    pub publishes: bool,
    /// Clocks jump, forwards and back, or backwards and forth.
    pub clocks: bool,
}

/// Devices that publish in turn. Values go above the threshold of the built-in rule and come back, linger between it and the
/// one that clears, or stay below; what is published of turn N follows from the seed, only its time does not.
pub struct Workload {
    random: StdRng,
    disturbed: Disturbed,
    devices: Vec<Device>,
    next: usize,
}

struct Device {
    id: String,
    sequence: i64,
    latest: Timestamp,
    /// Readings the present excursion still has.
    hot: u32,
    /// How far the clock is off, in milliseconds, and for how many readings still.
    clock: (i64, u32),
    /// Measured, and published only after the next one.
    held: Option<Message>,
    published: VecDeque<Message>,
}

impl Workload {
    pub fn new(seed: u64, devices: usize, disturbed: Disturbed) -> Self {
        let device = |number| Device::new(format!("chaos-{number:02}"));
        Self { random: StdRng::seed_from_u64(seed), disturbed, devices: (0..devices).map(device).collect(), next: 0 }
    }

    /// What the next device publishes, in this order; mostly one message, now and then none or several.
    pub fn turn(&mut self, now: Timestamp) -> Vec<Message> {
        let (random, disturbed) = (&mut self.random, self.disturbed);
        let count = self.devices.len();
        let device = &mut self.devices[self.next];
        self.next = (self.next + 1) % count;
        let value = device.value(random);
        let measured = device.measure(now, value, disturbed.clocks.then_some(&mut *random));
        if disturbed.publishes && device.held.is_none() && random.random_ratio(1, 20) {
            device.held = Some(measured);
            return Vec::new();
        }
        let mut messages = vec![measured];
        messages.extend(device.held.take());
        if disturbed.publishes && random.random_ratio(1, 10) && !device.published.is_empty() {
            messages.push(device.published[random.random_range(0..device.published.len())].clone());
        }
        device.remember(&messages);
        messages
    }

    /// The last messages of each device, with its clock right and its temperature normal: no excursion is left open.
    pub fn finish(&mut self, now: Timestamp) -> Vec<Vec<Message>> {
        let finish = |device: &mut Device| {
            let mut messages = Vec::from_iter(device.held.take());
            let after = device.latest.saturating_add(Duration::from_millis(1));
            messages.push(device.message(now.max(after), 20.0));
            messages
        };
        self.devices.iter_mut().map(finish).collect()
    }
}

impl Device {
    fn new(id: String) -> Self {
        Self { id, sequence: 0, latest: Timestamp::MIN, hot: 0, clock: (0, 0), held: None, published: VecDeque::new() }
    }

    fn value(&mut self, random: &mut StdRng) -> f64 {
        if self.hot == 0 && random.random_ratio(1, 10) {
            self.hot = random.random_range(1..=3);
        }
        let tenths = if self.hot > 0 {
            self.hot -= 1;
            random.random_range(285..360)
        } else if random.random_ratio(1, 8) {
            // Neither fires nor resolves.
            random.random_range(271..=280)
        } else {
            random.random_range(200..=270)
        };
        f64::from(tenths) / 10.0
    }

    fn measure(&mut self, now: Timestamp, value: f64, clocks: Option<&mut StdRng>) -> Message {
        if let Some(random) = clocks
            && self.clock.1 == 0
        {
            let jumps = random.random_ratio(1, 15);
            let off = random.random_range(2_000..20_000) * if random.random() { 1 } else { -1 };
            self.clock = if jumps { (off, random.random_range(1..=6)) } else { (0, 1) };
        }
        self.clock.1 = self.clock.1.saturating_sub(1);
        let off = Duration::from_millis(self.clock.0.unsigned_abs());
        let at = if self.clock.0 < 0 { now.saturating_sub(off) } else { now.saturating_add(off) };
        self.message(at, value)
    }

    fn message(&mut self, at: Timestamp, value: f64) -> Message {
        self.sequence += 1;
        let measured_at = Timestamp::from_millis(at.as_millis());
        self.latest = self.latest.max(measured_at);
        Message { device: self.id.clone(), sequence: self.sequence, measured_at, value }
    }

    fn remember(&mut self, messages: &[Message]) {
        self.published.extend(messages.iter().cloned());
        while self.published.len() > REMEMBERED {
            self.published.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::excursions;
    use super::*;

    const ALL: Disturbed = Disturbed { publishes: true, clocks: true };

    fn run(seed: u64, disturbed: Disturbed, turns: i64) -> Vec<Message> {
        let mut workload = Workload::new(seed, 5, disturbed);
        let at = |turn| Timestamp::from_millis(1_770_000_000_000 + turn * 100);
        let mut messages: Vec<Message> = (0..turns).flat_map(|turn| workload.turn(at(turn))).collect();
        messages.extend(workload.finish(at(turns)).into_iter().flatten());
        messages
    }

    #[test]
    fn a_seed_publishes_the_same_again_and_another_seed_something_else() {
        assert_eq!(run(7, ALL, 500), run(7, ALL, 500));
        assert_ne!(run(7, ALL, 500), run(8, ALL, 500));
    }

    #[test]
    fn undisturbed_devices_publish_each_reading_once_and_in_the_order_of_their_time() {
        let messages = run(1, Disturbed::default(), 1_000);
        let names: BTreeSet<(&str, i64)> = messages.iter().map(|message| (message.device.as_str(), message.sequence)).collect();
        assert_eq!((messages.len(), names.len()), (1_005, 1_005));
        for device in 0..5 {
            let mut own = messages.iter().filter(|message| message.device == format!("chaos-{device:02}"));
            assert!(own.by_ref().is_sorted_by_key(|message| (message.measured_at, message.sequence)));
        }
    }

    #[test]
    fn disturbed_devices_repeat_and_reorder_and_their_clocks_go_backwards() {
        let messages = run(1, Disturbed { publishes: true, clocks: false }, 1_000);
        let own: Vec<&Message> = messages.iter().filter(|message| message.device == "chaos-00").collect();
        let names: BTreeSet<i64> = own.iter().map(|message| message.sequence).collect();
        assert!(names.len() < own.len() && !own.is_sorted_by_key(|message| message.sequence), "{own:?}");
        let messages = run(1, Disturbed { publishes: false, clocks: true }, 1_000);
        let own: Vec<&Message> = messages.iter().filter(|message| message.device == "chaos-00").collect();
        assert!(own.is_sorted_by_key(|message| message.sequence) && !own.is_sorted_by_key(|message| message.measured_at), "{own:?}");
    }

    #[test]
    fn whatever_is_disturbed_there_are_excursions_and_none_is_left_open() {
        for seed in 0..50 {
            for disturbed in [Disturbed::default(), ALL] {
                let excursions = excursions(&run(seed, disturbed, 500));
                assert!(excursions.len() > 10, "seed {seed}: {}", excursions.len());
                assert!(excursions.iter().all(|excursion| excursion.ended), "seed {seed}: {excursions:?}");
            }
        }
    }
}
