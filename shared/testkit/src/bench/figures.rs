use serde::Serialize;
use serde_json::Value;

/// What a sample says, in the sample's unit. Nearest rank, so every figure is one that was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Percentiles {
    pub count: usize,
    pub p50: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

impl Percentiles {
    /// Of a table of latencies; see [`row`](Self::row).
    pub const COLUMNS: [&str; 6] = ["", "count", "p50 ms", "p99 ms", "p99.9 ms", "max ms"];

    pub fn row(&self, name: &str) -> Vec<Value> {
        let Self { count, p50, p99, p999, max } = *self;
        vec![name.into(), count.into(), p50.into(), p99.into(), p999.into(), max.into()]
    }

    /// `None` of an empty sample.
    pub fn of(mut sample: Vec<f64>) -> Option<Self> {
        sample.sort_by(f64::total_cmp);
        let rank = |share: f64| sample.get(((sample.len() as f64 * share).ceil() as usize).max(1) - 1).copied();
        Some(Self { count: sample.len(), p50: rank(0.5)?, p99: rank(0.99)?, p999: rank(0.999)?, max: rank(1.0)? })
    }
}

/// A figure measured several times.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// `None` of no figures.
    pub fn of(mut figures: Vec<f64>) -> Option<Self> {
        figures.sort_by(f64::total_cmp);
        let (min, max) = (*figures.first()?, *figures.last()?);
        let (low, high) = (figures[(figures.len() - 1) / 2], figures[figures.len() / 2]);
        Some(Self { median: f64::midpoint(low, high), min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_of_the_sample() {
        let percentiles = Percentiles::of((1..=1_000).rev().map(f64::from).collect()).unwrap();
        assert_eq!(percentiles, Percentiles { count: 1_000, p50: 500.0, p99: 990.0, p999: 999.0, max: 1_000.0 });
        assert_eq!(Percentiles::of(vec![7.0]), Some(Percentiles { count: 1, p50: 7.0, p99: 7.0, p999: 7.0, max: 7.0 }));
        assert_eq!(Percentiles::of(Vec::new()), None);
    }

    #[test]
    fn the_median_of_an_even_count_lies_between_the_middle_two() {
        assert_eq!(Spread::of(vec![4.0, 1.0, 2.0, 3.0]), Some(Spread { median: 2.5, min: 1.0, max: 4.0 }));
    }
}
