//! The probe's readings: which device says what, and which of its readings begin an excursion.
//!
//! Guarantees: exactly as many excursions as asked, spread evenly over devices and time; each is one reading above the
//! threshold, with at least one normal reading of the device before the next, so that it resolves in between.

/// Above the usual threshold of 28.0.
const HIGH: f64 = 31.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbePlan {
    readings: usize,
    alerts: usize,
    devices: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Planned {
    pub(crate) device: usize,
    pub(crate) value: f64,
    pub(crate) fires: bool,
}

impl ProbePlan {
    /// Says why when a device could not come back to normal between two excursions.
    pub(crate) fn new(readings: usize, alerts: usize, devices: usize) -> Result<Self, String> {
        let plan = Self { readings, alerts, devices };
        if readings == 0 || alerts == 0 || devices == 0 {
            return Err("--readings, --alerts and --devices are at least 1".to_owned());
        }
        if let Some(device) = (0..devices).find(|device| plan.readings_of(*device) < 2 * plan.alerts_of(*device)) {
            let (readings, alerts) = (plan.readings_of(device), plan.alerts_of(device));
            return Err(format!("{readings} readings a device are too few for {alerts} alerts: each needs a normal reading after it"));
        }
        Ok(plan)
    }

    pub(crate) fn readings(self) -> impl Iterator<Item = Planned> {
        (0..self.readings).map(move |number| {
            let (device, ordinal) = (number % self.devices, number / self.devices);
            let fires = self.fires(device, ordinal);
            let value = if fires { HIGH } else { 20.0 + (number % 50) as f64 / 10.0 };
            Planned { device, value, fires }
        })
    }

    fn readings_of(self, device: usize) -> usize {
        self.readings / self.devices + usize::from(device < self.readings % self.devices)
    }

    fn alerts_of(self, device: usize) -> usize {
        self.alerts / self.devices + usize::from(device < self.alerts % self.devices)
    }

    /// The device's excursions begin at equal distances, shifted by its number so that devices do not fire together.
    fn fires(self, device: usize, ordinal: usize) -> bool {
        let (readings, alerts) = (self.readings_of(device), self.alerts_of(device));
        let begin = |excursion: usize| (excursion * self.devices + device) * readings / (alerts * self.devices);
        alerts > 0 && {
            let guess = ordinal * alerts / readings;
            (guess.saturating_sub(1)..=(guess + 1).min(alerts - 1)).any(|excursion| begin(excursion) == ordinal)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_as_many_excursions_as_asked_and_each_resolves_before_the_next() {
        for (readings, alerts, devices) in [(10_000, 300, 50), (10_000, 5_000, 50), (997, 31, 7), (20, 3, 10), (600, 300, 1)] {
            let plan = ProbePlan::new(readings, alerts, devices).unwrap();
            let planned: Vec<Planned> = plan.readings().collect();
            assert_eq!((planned.len(), planned.iter().filter(|one| one.fires).count()), (readings, alerts), "{plan:?}");
            for device in 0..devices {
                let fires: Vec<bool> = planned.iter().filter(|one| one.device == device).map(|one| one.fires).collect();
                assert!(fires.windows(2).all(|two| two != [true, true]), "{plan:?}, device {device}");
            }
        }
    }

    #[test]
    fn normal_values_stay_below_the_threshold_that_resolves() {
        let plan = ProbePlan::new(10_000, 300, 50).unwrap();
        assert!(plan.readings().all(|planned| if planned.fires { planned.value > 28.0 } else { planned.value <= 27.0 }));
    }

    #[test]
    fn more_alerts_than_can_resolve_are_refused() {
        assert!(ProbePlan::new(100, 60, 10).unwrap_err().contains("10 readings a device"));
        assert!(ProbePlan::new(100, 0, 10).is_err());
    }
}
