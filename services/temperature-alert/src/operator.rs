//! The rules as an operator of the stream runtime.

use events::{Arrival, Reading, Timestamp};
use stream::Failure;
use stream::operator::{Operator, Outputs, State};
use telemetry::metrics::{Counter, counter};

use crate::DEFINITION;
use crate::domain::device::Device;
use crate::domain::rules::Rules;

pub(crate) struct AlertOperator {
    rules: Rules,
    duplicates: Counter,
    late: Counter,
}

impl AlertOperator {
    pub(crate) fn new(rules: Rules) -> Self {
        let stage = [("stage", DEFINITION.name)];
        Self { rules, duplicates: counter("fieldwatch_duplicate_readings", &stage), late: counter("fieldwatch_late_readings", &stage) }
    }
}

impl State for Device {
    const FORMAT: u8 = 1;
}

impl Operator for AlertOperator {
    type Event = Reading;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, _key: &str, reading: &Reading, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let mut outcome = Ok(());
        let arrival = device.take(reading, &self.rules, |alert| {
            if outcome.is_ok() {
                outcome = outputs.emit(&alert);
            }
        });
        let count = match arrival {
            Arrival::New => return outcome,
            Arrival::Duplicate => &self.duplicates,
            Arrival::Late => &self.late,
        };
        count.inc();
        outcome
    }
}
