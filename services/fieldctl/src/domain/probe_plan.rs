//! The probe's readings: which device says what, and which of its readings begin an excursion.
//!
//! Guarantees: exactly as many excursions as asked, spread evenly over devices and time, with none beside each other where there
//! is room; each is one reading above the threshold, with at least one normal reading of the device before the next, so that it
//! resolves in between.

/// Above the usual threshold of 28.0.
const HIGH: f64 = 31.5;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProbePlan {
    readings: usize,
    alerts: usize,
    devices: usize,
    /// Devices take their turns to fire in steps of so many: neighbours, which speak one after the other, fire far apart.
    stride: usize,
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
        let plan = Self { readings, alerts, devices, stride: stride(devices) };
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
        self.alerts / self.devices + usize::from(self.turn(device) < self.alerts % self.devices)
    }

    fn turn(self, device: usize) -> usize {
        device * self.stride % self.devices
    }

    /// All excursions begin at equal distances, one device after the other.
    fn fires(self, device: usize, ordinal: usize) -> bool {
        let (turn, readings) = (self.turn(device), self.readings_of(device));
        let begins_now = |excursion: usize| {
            let number = excursion * self.devices + turn;
            number < self.alerts && number * readings / self.alerts == ordinal
        };
        let guess = (ordinal * self.alerts / readings).saturating_sub(turn) / self.devices;
        (guess.saturating_sub(1)..=guess + 1).any(begins_now)
    }
}

/// Without a common divisor with `devices`, and about the golden section of them: multiples of it lie evenly.
fn stride(devices: usize) -> usize {
    let coprime = |stride: &usize| {
        let (mut a, mut b) = (*stride, devices);
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a == 1
    };
    (devices * 618 / 1_000..=devices + 1).find(coprime).unwrap_or(1)
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
    fn excursions_lie_apart() {
        for (readings, alerts, devices) in [(60_000, 5_000, 500), (10_000, 300, 50), (3_000, 150, 500)] {
            let plan = ProbePlan::new(readings, alerts, devices).unwrap();
            let fires: Vec<usize> = plan.readings().enumerate().filter(|(_, one)| one.fires).map(|(number, _)| number).collect();
            let longest = fires.windows(2).map(|two| two[1] - two[0]).max().unwrap();
            let beside = fires.windows(2).filter(|two| two[1] - two[0] == 1).count();
            assert!(longest <= 4 * readings / alerts && beside * 20 <= alerts, "{plan:?}: {longest} {beside}");
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
