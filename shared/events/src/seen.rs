//! Which readings of one device and metric are already known.
//!
//! A reading's identity is (tenant, device, metric, `measured_at`, sequence, value). A repeat changes nothing; anything
//! older than the newest is late: explicit, counted, and it never changes an alert.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{Reading, Timestamp};

/// How many identities are remembered.
const REMEMBERED: usize = 64;

/// What a reading is to those before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// Not known, and not older than the newest.
    New,
    Duplicate,
    Late,
}

/// What is remembered of one device and metric.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SeenReadings {
    newest: Option<(Timestamp, Option<i64>)>,
    /// (`measured_at`, sequence, bits of the value), oldest first.
    recent: VecDeque<(Timestamp, Option<i64>, u64)>,
}

impl SeenReadings {
    /// Compares a reading with those before it, and remembers it.
    pub fn arrive(&mut self, reading: &Reading) -> Arrival {
        let order = (reading.measured_at, reading.sequence);
        let identity = (order.0, order.1, reading.value.to_bits());
        // Beyond everything seen it cannot be a repeat: an in-order stream is not searched for one.
        let newer = self.newest.is_none_or(|newest| order > newest);
        if !newer && self.recent.contains(&identity) {
            return Arrival::Duplicate;
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(identity);
        if self.newest.is_some_and(|newest| order < newest) {
            return Arrival::Late;
        }
        self.newest = Some(order);
        Arrival::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reading(at: i64, sequence: Option<i64>, value: f64) -> Reading {
        Reading {
            tenant: "default".into(),
            device_id: "sensor-01".into(),
            group_id: None,
            metric: "temperature".into(),
            value,
            unit: "Cel".into(),
            measured_at: Timestamp::from_micros(at),
            received_at: Timestamp::from_micros(at),
            sequence,
            attributes: crate::Labels::new(),
        }
    }

    #[test]
    fn a_repeat_is_a_duplicate_and_an_older_one_is_late() {
        let mut seen = SeenReadings::default();
        assert_eq!(seen.arrive(&reading(10, None, 1.0)), Arrival::New);
        assert_eq!(seen.arrive(&reading(10, None, 1.0)), Arrival::Duplicate);
        assert_eq!(seen.arrive(&reading(9, None, 1.0)), Arrival::Late);
        assert_eq!(seen.arrive(&reading(9, None, 1.0)), Arrival::Duplicate);
        assert_eq!(seen.arrive(&reading(10, None, 2.0)), Arrival::New);
    }

    #[test]
    fn the_sequence_orders_readings_of_one_instant() {
        let mut seen = SeenReadings::default();
        assert_eq!(seen.arrive(&reading(10, Some(2), 1.0)), Arrival::New);
        assert_eq!(seen.arrive(&reading(10, Some(1), 1.0)), Arrival::Late);
        assert_eq!(seen.arrive(&reading(10, Some(3), 1.0)), Arrival::New);
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = SeenReadings::default();
        (0..1_000).for_each(|at| assert_eq!(seen.arrive(&reading(at, None, 1.0)), Arrival::New));
        assert_eq!(seen.recent.len(), REMEMBERED);
    }
}
