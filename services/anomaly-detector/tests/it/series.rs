//! Readings of a healthy temperature sensor, reproducible from a seed: a daily cycle and noise.

use std::f64::consts::TAU;

use rand::{Rng, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, Normal};

const DAY_SECONDS: f64 = 86_400.0;

pub(crate) struct Healthy {
    pub(crate) seed: u64,
    pub(crate) interval_seconds: u32,
    pub(crate) amplitude: f64,
    pub(crate) noise: f64,
}

impl Healthy {
    /// (micros, degrees), in hundredths of a degree.
    pub(crate) fn readings(&self, count: usize) -> Vec<(i64, f64)> {
        let mut rng = StdRng::seed_from_u64(self.seed);
        let phase: f64 = rng.random_range(0.0..1.0);
        let noise = Normal::new(0.0, self.noise).unwrap();
        (0..count)
            .map(|i| {
                let jitter: f64 = rng.random_range(-0.1..0.1);
                let seconds = 1.7e9 + (i as f64 + jitter) * f64::from(self.interval_seconds);
                let cycle = self.amplitude * (TAU * (seconds / DAY_SECONDS + phase)).sin();
                let value = 21.0 + cycle + noise.sample(&mut rng);
                ((seconds * 1e6) as i64, (value * 100.0).round() / 100.0)
            })
            .collect()
    }
}
