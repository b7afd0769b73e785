//! The rules as an operator of the stream runtime.

use std::sync::Arc;

use events::{Arrival, DeviceState, DeviceStatus, Reading, TemperatureAlert, Timestamp};
use stream::Failure;
use stream::operator::{Operator, Outputs, SourceChange, State, StateUnreadable};
use telemetry::metrics::{Counter, counter};

use crate::DEFINITION;
use crate::domain::{Device, Outlet, Rules, format_1, source_alert};

/// One set of rules; a reload makes a new one.
pub struct AlertOperator {
    rules: Arc<Rules>,
    duplicates: Counter,
    late: Counter,
}

impl AlertOperator {
    pub fn new(rules: Arc<Rules>) -> Self {
        let stage = [("stage", DEFINITION.name)];
        Self { rules, duplicates: counter("fieldwatch_duplicate_readings", &stage), late: counter("fieldwatch_late_readings", &stage) }
    }
}

impl State for Device {
    const FORMAT: u8 = 2;
    const PREVIOUS: u8 = 1;

    fn read(format: u8, bytes: &[u8]) -> Result<Self, StateUnreadable> {
        match format {
            1 => Ok(postcard::from_bytes::<format_1::Device>(bytes)?.into()),
            2 => Ok(postcard::from_bytes(bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

    fn write(&self, format: u8, bytes: Vec<u8>) -> Result<Vec<u8>, StateUnreadable> {
        match format {
            1 => Ok(postcard::to_extend(&format_1::Device::from(self), bytes)?),
            2 => Ok(postcard::to_extend(self, bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

    fn is_idle(&self) -> bool {
        self.is_unknown()
    }
}

impl Operator for AlertOperator {
    type Event = Reading;
    type Notice = DeviceStatus;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut emitting = Emitting { outputs, outcome: Ok(()) };
        match device.take(reading, &self.rules, &mut emitting) {
            Some(Arrival::Duplicate) => _ = self.duplicates.inc(),
            Some(Arrival::Late) => _ = self.late.inc(),
            Some(Arrival::New) | None => {}
        }
        emitting.outcome
    }

    fn due(&self, device: &Device) -> Option<Timestamp> {
        device.due(&self.rules)
    }

    fn on_time(&self, key: &str, now: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut emitting = Emitting { outputs, outcome: Ok(()) };
        device.pass(key, now, &self.rules, &mut emitting);
        emitting.outcome
    }

    fn on_notice(&self, key: &str, status: &DeviceStatus, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        if status.state != DeviceState::Retired {
            return Ok(false);
        }
        let mut emitting = Emitting { outputs, outcome: Ok(()) };
        device.retire(key, status.changed_at, &mut emitting);
        emitting.outcome.map(|()| true)
    }

    fn reconcile(&self, key: &str, now: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut emitting = Emitting { outputs, outcome: Ok(()) };
        device.reconcile(key, now, &self.rules, &mut emitting);
        emitting.outcome
    }

    fn tally(&self, device: &Device, each: &mut dyn FnMut(&str)) {
        device.active().for_each(each);
    }

    fn on_source(&self, change: SourceChange, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        outputs.emit(&match change {
            SourceChange::Silent { partition, since } => source_alert(partition, since, None),
            SourceChange::Speaks { partition, since, at } => source_alert(partition, since, Some(at)),
        })
    }
}

/// Alerts on their way out; the first that cannot be written is the outcome.
struct Emitting<'a, 'o> {
    outputs: &'a mut Outputs<'o>,
    outcome: Result<(), Failure>,
}

impl Outlet for Emitting<'_, '_> {
    fn announce(&mut self, alert: TemperatureAlert) {
        if self.outcome.is_ok() {
            self.outcome = self.outputs.emit(&alert);
        }
    }

    fn active(&self, rule: &str) -> i64 {
        self.outputs.tally(rule)
    }

    fn count(&mut self, rule: &str, change: i64) {
        self.outputs.adjust(rule, change);
    }
}
