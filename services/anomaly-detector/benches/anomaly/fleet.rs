//! What a fleet without faults, as `fieldctl simulate` makes it, opens: each of these is a false alarm.

use anomaly_detector::domain::detector::Memory;
use anomaly_detector::domain::lifecycle::{Lifecycle, Thresholds, Transition};
use rand::rngs::SmallRng;
use rand::{Rng, SeedableRng};
use rand_distr::{Distribution, StandardNormal};
use testkit::bench::{Report, Target};

use crate::Arguments;
use crate::device::scorer;

const DAY: f64 = 86_400.0;
const WEEKS: f64 = 4.0;

/// A device of the simulator, read every so many seconds: a daily cycle and correlated noise, in hundredths.
fn readings(seed: u64, interval: f64) -> Vec<(i64, f64)> {
    let mut random = SmallRng::seed_from_u64(seed);
    let (base, amplitude, phase) = (random.random_range(19.0..22.0), random.random_range(1.0..3.0), random.random_range(-0.1..0.1));
    let mut drift = 0.0;
    let reading = |turn: u64| {
        let (seconds, shock): (f64, f64) = (1.77e9 + turn as f64 * interval, StandardNormal.sample(&mut random));
        drift = 0.8 * drift + 0.15 * shock;
        let daily = amplitude * (std::f64::consts::TAU * (seconds / DAY - 0.375 + phase)).sin();
        ((seconds * 1e6) as i64, ((base + daily + drift) * 100.0_f64).round() / 100.0)
    };
    (0..(WEEKS * 7.0 * DAY / interval) as u64).map(reading).collect()
}

fn opened(seed: u64, interval: f64) -> usize {
    let (mut scorer, mut memory, mut lifecycle) = (scorer(), Memory::default(), Lifecycle::default());
    let readings = readings(seed, interval);
    let prior = scorer.manifest().calibration.clone();
    let observations: Vec<_> = readings.iter().map(|(at, value)| memory.observe(*at, *value).unwrap()).collect();
    let logits = scorer.logits(&observations.iter().map(|observation| observation.row).collect::<Vec<_>>()).unwrap();
    let transitions = observations.iter().zip(logits).zip(&readings).filter_map(|((observation, logit), (at, _))| {
        lifecycle.on_score(*at, memory.score(observation, logit, &prior), &Thresholds::default())
    });
    transitions.filter(|transition| matches!(transition, Transition::Opened(_))).count()
}

pub(crate) fn run(arguments: &Arguments, report: &mut Report) {
    let mut rows = Vec::new();
    for (interval, devices) in [(300.0, 50_u64), (60.0, 20), (10.0, 4)] {
        let devices = if arguments.quick { 2 } else { devices };
        let opened: usize = (0..devices).map(|device| opened(arguments.seed + device, interval)).sum();
        let rate = opened as f64 / (devices as f64 * WEEKS);
        rows.push(vec![format!("every {interval} s").into(), devices.into(), WEEKS.into(), opened.into(), rate.into()]);
        report.target(Target::at_most(format!("opened a device-week without faults, a reading every {interval} s"), 0.1, rate));
    }
    report.table("A fleet without faults", &["read", "devices", "weeks", "opened", "a device-week"], rows);
}
