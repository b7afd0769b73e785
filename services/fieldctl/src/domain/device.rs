//! One synthetic device: a daily cycle with correlated noise, excursions on top of it, and faults instead of it.

use events::Timestamp;

use super::episode::{Episode, Schedule};
use super::random::Random;

const DAY_MICROS: i64 = 86_400_000_000;
/// Readings of an excursion, and of a fault that lasts.
const EXCURSION: (u64, u64) = (10, 30);
const LASTING_FAULT: (u64, u64) = (5, 30);
/// Readings an excursion takes to its peak, and back.
const RAMP: u64 = 3;
/// Mean length over the kinds of faults, half of which last one reading.
const MEAN_FAULT: f64 = 9.25;

/// What a device does at one of its turns.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Signal {
    Value(f64),
    /// A message nobody can read as a reading.
    Garbage(Garbage),
    /// Nothing: the device dropped out.
    Silence,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Garbage {
    NotJson,
    NotANumber,
    MissingValue,
    OutOfRange,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Stuck(f64),
    DropOut,
    Spike(f64),
    Garbage(Garbage),
}

#[derive(Clone, Debug)]
pub(crate) struct Device {
    noise: Random,
    base: f64,
    amplitude: f64,
    phase: f64,
    drift: f64,
    turn: u64,
    excursions: Schedule,
    excursion: Option<Episode<f64>>,
    faults: Schedule,
    fault: Option<Episode<Fault>>,
}

impl Device {
    /// `excursions` and `faults` are shares of the device's turns, 0 to 1 (without 1).
    pub(crate) fn new(mut random: Random, excursions: f64, faults: f64) -> Self {
        let mean_excursion = (EXCURSION.0 + EXCURSION.1) as f64 / 2.0;
        Self {
            base: random.range(19.0, 22.0),
            amplitude: random.range(1.0, 3.0),
            phase: random.range(-0.1, 0.1),
            drift: 0.0,
            turn: 0,
            excursions: Schedule::new(excursions, mean_excursion, Random::new(random.next())),
            excursion: None,
            faults: Schedule::new(faults, MEAN_FAULT, Random::new(random.next())),
            fault: None,
            noise: random,
        }
    }

    /// What it does at its next turn, which is at `at`.
    pub(crate) fn next(&mut self, at: Timestamp) -> Signal {
        let turn = self.turn;
        self.turn += 1;
        self.drift = 0.8 * self.drift + 0.15 * self.noise.normal();
        let true_value = self.base + self.daily(at) + self.drift;
        let excursion = self.excursion_at(turn);
        let value = excursion.map_or(true_value, |(peak, strength)| true_value + strength * (peak - true_value));
        match self.fault_at(turn, value) {
            None => Signal::Value(round(value)),
            Some(Fault::Stuck(stuck)) => Signal::Value(round(stuck)),
            Some(Fault::Spike(by)) => Signal::Value(round(value + by)),
            Some(Fault::Garbage(garbage)) => Signal::Garbage(garbage),
            Some(Fault::DropOut) => Signal::Silence,
        }
    }

    /// Warmest at about three in the afternoon, UTC.
    fn daily(&self, at: Timestamp) -> f64 {
        let day = at.as_micros().rem_euclid(DAY_MICROS) as f64 / DAY_MICROS as f64;
        self.amplitude * (std::f64::consts::TAU * (day - 0.375 + self.phase)).sin()
    }

    /// The excursion's peak, and how far the value has come to it (0 to 1).
    fn excursion_at(&mut self, turn: u64) -> Option<(f64, f64)> {
        if turn == self.excursions.next() {
            let random = self.excursions.random();
            let length = EXCURSION.0 + random.below(EXCURSION.1 - EXCURSION.0 + 1);
            self.excursion = Some(Episode { what: random.range(29.5, 34.0), from: turn, length });
            self.excursions.after(turn + length);
        }
        let episode = self.excursion.filter(|episode| turn < episode.end())?;
        let (since, left) = (turn - episode.from + 1, episode.end() - turn);
        Some((episode.what, since.min(left).min(RAMP) as f64 / RAMP as f64))
    }

    fn fault_at(&mut self, turn: u64, value: f64) -> Option<Fault> {
        if turn == self.faults.next() {
            let random = self.faults.random();
            let lasting = LASTING_FAULT.0 + random.below(LASTING_FAULT.1 - LASTING_FAULT.0 + 1);
            let (what, length) = match random.below(4) {
                0 => (Fault::Stuck(value), lasting),
                1 => (Fault::DropOut, lasting),
                2 => (Fault::Spike(random.range(12.0, 30.0) * if random.below(2) == 0 { 1.0 } else { -1.0 }), 1),
                _ => (Fault::Garbage(garbage(random)), 1),
            };
            self.fault = Some(Episode { what, from: turn, length });
            self.faults.after(turn + length);
        }
        self.fault.filter(|episode| turn < episode.end()).map(|episode| episode.what)
    }
}

fn garbage(random: &mut Random) -> Garbage {
    match random.below(4) {
        0 => Garbage::NotJson,
        1 => Garbage::NotANumber,
        2 => Garbage::MissingValue,
        _ => Garbage::OutOfRange,
    }
}

/// Sensors give hundredths.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signals(excursions: f64, faults: f64, count: i64) -> Vec<Signal> {
        let mut device = Device::new(Random::new(42), excursions, faults);
        (0..count).map(|second| device.next(Timestamp::from_millis(second * 1_000))).collect()
    }

    fn share(signals: &[Signal], is: impl Fn(&Signal) -> bool) -> f64 {
        signals.iter().filter(|signal| is(signal)).count() as f64 / signals.len() as f64
    }

    #[test]
    fn a_healthy_device_never_leaves_its_daily_band() {
        assert!(signals(0.0, 0.0, 100_000).iter().all(|signal| matches!(signal, Signal::Value(value) if (12.0..27.0).contains(value))));
    }

    #[test]
    fn about_the_asked_share_is_in_an_excursion_and_each_one_crosses_the_usual_threshold() {
        let signals = signals(0.2, 0.0, 50_000);
        let hot = share(&signals, |signal| matches!(signal, Signal::Value(value) if *value > 28.0));
        assert!((0.1..0.25).contains(&hot), "{hot}");
    }

    #[test]
    fn faults_leave_what_is_between_them_as_it_was() {
        let (healthy, faulty) = (signals(0.2, 0.0, 5_000), signals(0.2, 0.1, 5_000));
        let same = healthy.iter().zip(&faulty).filter(|(one, other)| one == other).count();
        assert!((4_000..5_000).contains(&same), "{same}");
    }

    #[test]
    fn every_fault_comes_about() {
        let signals = signals(0.0, 0.3, 50_000);
        let silent = share(&signals, |signal| *signal == Signal::Silence);
        let stuck = signals.windows(4).filter(|four| matches!(four[0], Signal::Value(_)) && four.iter().all(|one| *one == four[0])).count();
        let garbage = share(&signals, |signal| matches!(signal, Signal::Garbage(_)));
        assert!((0.1..0.25).contains(&silent) && stuck > 1_000 && garbage > 0.003, "{silent} {stuck} {garbage}");
    }
}
