use std::collections::HashMap;

use events::Reading;

/// The highest value of each device and metric.
#[derive(Debug, Default)]
pub struct Highest {
    values: HashMap<(String, String, String), f64>,
}

impl Highest {
    /// Whether the reading is higher than any before it of its device and metric. A repeated reading changes nothing.
    pub fn take(&mut self, reading: &Reading) -> bool {
        let of = (reading.tenant.clone(), reading.device_id.clone(), reading.metric.clone());
        let highest = self.values.entry(of).or_insert(f64::NEG_INFINITY);
        let is_higher = reading.value > *highest;
        *highest = highest.max(reading.value);
        is_higher
    }
}

#[cfg(test)]
mod tests {
    use events::Timestamp;
    use testkit::temperature;

    use super::*;

    #[test]
    fn a_value_is_said_when_it_is_higher_than_any_before() {
        let mut highest = Highest::default();
        let mut take = |device, value| highest.take(&temperature(device, Timestamp::from_millis(0), value));
        assert_eq!([20.0, 21.0, 21.0, 20.5, 22.0].map(|value| take("sensor-01", value)), [true, true, false, false, true]);
        assert!(take("sensor-02", 1.0), "each device has its own");
    }
}
