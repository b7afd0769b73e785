//! One core, no broker: features, network and calibration of a reading in the batches the service makes; a device's weight.

use std::path::PathBuf;
use std::time::Instant;

use anomaly_detector::adapters::{Model, Runtime, Scorer};
use anomaly_detector::domain::detector::Memory;
use anomaly_detector::domain::features::Observation;
use rand::SeedableRng;
use rand::rngs::SmallRng;
use testkit::bench::{Report, Spread, Target, Usage, Walk};

use crate::Arguments;

/// Devices of a batch, as many as the operator prepares at once.
const BATCH: usize = 64;
/// Readings until every window, and the history stretches are compared with, is full.
const FULL: usize = 3_000;
const SECOND: i64 = 1_000_000;

pub(crate) fn scorer() -> Scorer {
    let library = std::env::var_os("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY").expect("the runtime's library is named");
    let runtime = Runtime::load(&PathBuf::from(library)).expect("the runtime loads");
    Scorer::open(&runtime, &Model::embedded().expect("the built-in model")).expect("the model opens")
}

/// Devices and their clocks.
struct Bench {
    scorer: Scorer,
    devices: Vec<(Memory, Walk)>,
    random: SmallRng,
    turn: i64,
}

/// Seconds spent in each part.
#[derive(Default)]
struct Spent {
    features: f64,
    network: f64,
    calibration: f64,
}

impl Bench {
    /// One reading of every device.
    fn round(&mut self, spent: &mut Spent) {
        self.turn += 1;
        let values: Vec<f64> = self.devices.iter_mut().map(|(_, walk)| walk.step(&mut self.random, 20_000)).collect();
        let began = Instant::now();
        let observe = |((memory, _), value): (&mut (Memory, Walk), &f64)| memory.observe(self.turn * SECOND, *value).unwrap();
        let observations: Vec<Observation> = self.devices.iter_mut().zip(&values).map(observe).collect();
        let observed = Instant::now();
        let rows: Vec<_> = observations.iter().map(|observation| observation.row).collect();
        let logits = self.scorer.logits(&rows).unwrap();
        let judged = Instant::now();
        let prior = self.scorer.manifest().calibration.clone();
        for (((memory, _), observation), logit) in self.devices.iter_mut().zip(&observations).zip(logits) {
            std::hint::black_box(memory.score(observation, logit, &prior));
        }
        spent.features += (observed - began).as_secs_f64();
        spent.network += (judged - observed).as_secs_f64();
        spent.calibration += judged.elapsed().as_secs_f64();
    }
}

pub(crate) fn run(arguments: &Arguments, report: &mut Report) {
    let devices = vec![(Memory::default(), Walk::default()); BATCH];
    let mut bench = Bench { scorer: scorer(), devices, random: SmallRng::seed_from_u64(arguments.seed), turn: 0 };
    (0..FULL).for_each(|_| bench.round(&mut Spent::default()));
    let rounds = if arguments.quick { 300 } else { 3_000 };
    let spent: Vec<Spent> = (0..arguments.repetitions)
        .map(|_| {
            let mut spent = Spent::default();
            (0..rounds).for_each(|_| bench.round(&mut spent));
            spent
        })
        .collect();
    let micros = |seconds: &dyn Fn(&Spent) -> f64| {
        Spread::of(spent.iter().map(|spent| seconds(spent) * 1e6 / (rounds * BATCH) as f64).collect()).expect("it ran").median
    };
    let all = micros(&|spent| spent.features + spent.network + spent.calibration);
    let parts = [micros(&|spent| spent.features), micros(&|spent| spent.network), micros(&|spent| spent.calibration), all];
    let columns = ["", "features", "network", "calibration", "all"];
    let row = [vec!["µs a reading".into()], parts.map(Into::into).to_vec()].concat();
    report.table(format!("One reading, one core, {BATCH} devices at a time"), &columns, vec![row]);
    report.target(Target::at_most("µs a reading, all in, on one core", 8.0, all));

    let memory = &bench.devices[0].0;
    let stored = postcard_size(memory);
    let count = if arguments.quick { 500 } else { 5_000 };
    let rss = || Usage::of(std::process::id()).expect("this process runs").rss_mib;
    let before = rss();
    let fleet = vec![memory.clone(); count];
    let each = (rss() - before) * 1024.0 * 1024.0 / count as f64;
    std::hint::black_box(&fleet);
    let row = vec!["bytes a device and metric".into(), each.into(), stored.into()];
    report.table("Memory with all of its history", &["", "in memory", "stored"], vec![row]);
    report.target(Target::at_most("kB in memory a device and metric", 16.0, each / 1_000.0));
}

fn postcard_size(memory: &Memory) -> usize {
    postcard::to_stdvec(memory).expect("a memory is stored").len()
}
