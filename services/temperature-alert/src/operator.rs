//! The rules as an operator of the stream runtime.

use std::sync::Arc;

use events::{Arrival, Reading, TemperatureAlert, Timestamp};
use stream::Failure;
use stream::operator::{Operator, Outputs, SourceChange, State, StateUnreadable};
use telemetry::metrics::{Counter, counter};

use crate::DEFINITION;
use crate::domain::{Device, Outlet, Rules, format_1, source_silent};

pub(crate) struct AlertOperator {
    rules: Arc<Rules>,
    duplicates: Counter,
    late: Counter,
}

impl AlertOperator {
    pub(crate) fn new(rules: Arc<Rules>) -> Self {
        let stage = [("stage", DEFINITION.name)];
        Self { rules, duplicates: counter("fieldwatch_duplicate_readings", &stage), late: counter("fieldwatch_late_readings", &stage) }
    }
}

impl State for Device {
    const FORMAT: u8 = 2;

    fn read(format: u8, bytes: &[u8]) -> Result<Self, StateUnreadable> {
        match format {
            1 => Ok(postcard::from_bytes::<format_1::Device>(bytes)?.into()),
            2 => Ok(postcard::from_bytes(bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

    fn is_idle(&self) -> bool {
        self.is_unknown()
    }
}

impl Operator for AlertOperator {
    type Event = Reading;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut outlet = Emitting::new(outputs);
        match device.take(reading, &self.rules, &mut outlet) {
            Some(Arrival::Duplicate) => _ = self.duplicates.inc(),
            Some(Arrival::Late) => _ = self.late.inc(),
            Some(Arrival::New) | None => {}
        }
        outlet.outcome
    }

    fn due(&self, device: &Device) -> Option<Timestamp> {
        device.due(&self.rules)
    }

    fn on_time(&self, key: &str, now: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut outlet = Emitting::new(outputs);
        device.pass(key, now, &self.rules, &mut outlet);
        outlet.outcome
    }

    fn reconcile(&self, key: &str, now: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut outlet = Emitting::new(outputs);
        device.reconcile(key, now, &self.rules, &mut outlet);
        outlet.outcome
    }

    fn tally(&self, device: &Device, each: &mut dyn FnMut(&str)) {
        device.active().for_each(each);
    }

    fn on_source(&self, change: SourceChange, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let (partition, since, ended_at) = match change {
            SourceChange::Silent { partition, since } => (partition, since, None),
            SourceChange::Speaks { partition, since, at } => (partition, since, Some(at)),
        };
        outputs.emit(&source_silent(partition, since, ended_at))
    }
}

/// Alerts on their way out.
struct Emitting<'a, 'o> {
    outputs: &'a mut Outputs<'o>,
    outcome: Result<(), Failure>,
}

impl<'a, 'o> Emitting<'a, 'o> {
    fn new(outputs: &'a mut Outputs<'o>) -> Self {
        Self { outputs, outcome: Ok(()) }
    }
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
