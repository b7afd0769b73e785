//! Devices and their commands as an operator of the stream runtime.

use events::{BreakerState, Command, CommandOutcome, CommandResult, Event, OutboundCommand, ReportedState, Timestamp};
use stream::operator::{Operator, Outputs, State};
use stream::{Cause, Failure, Poison};
use telemetry::metrics::{Counter, GaugeF64, counter, gauge};

use crate::DEFINITION;
use crate::domain::{Chain, Device, Limits, Outlet, Taken, Task, Unusable, check_command, check_report};

/// What is counted over all devices: breakers that are not closed, and commands that have not ended.
const TALLIES: [(&str, &str, &str); 4] = [
    ("open", "fieldwatch_device_breakers", "open"),
    ("half-open", "fieldwatch_device_breakers", "half_open"),
    ("waiting", "fieldwatch_commands_unfinished", "waiting"),
    ("under-way", "fieldwatch_commands_unfinished", "under_way"),
];

pub struct CommandOperator {
    limits: Limits,
    repeats: Counter,
    unfinished: [GaugeF64; TALLIES.len()],
}

impl CommandOperator {
    pub fn new(limits: Limits) -> Self {
        let repeats = counter("fieldwatch_duplicate_commands", &[("stage", DEFINITION.name)]);
        Self { limits, repeats, unfinished: TALLIES.map(|(_, metric, state)| gauge(metric, &[("state", state)])) }
    }

    /// Does something to a device and takes it out of, and into, the tallies it counts into.
    fn change<T>(
        device: &mut Device,
        outputs: &mut Outputs<'_>,
        work: impl FnOnce(&mut Device, &mut Emitting<'_, '_>) -> T,
    ) -> Result<T, Failure> {
        let before = tallies(device);
        let mut emitting = Emitting { outputs, outcome: Ok(()) };
        let value = work(device, &mut emitting);
        emitting.outcome?;
        for (((name, ..), before), after) in TALLIES.into_iter().zip(before).zip(tallies(device)) {
            if after != before {
                outputs.adjust(name, after - before);
            }
        }
        Ok(value)
    }
}

fn tallies(device: &Device) -> [i64; TALLIES.len()] {
    let (breaker, (waiting, under_way)) = (device.breaker().state(), device.load());
    let is = |state| i64::from(breaker == state);
    [is(BreakerState::Open), is(BreakerState::HalfOpen), waiting as i64, under_way as i64]
}

impl State for Device {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        self.is_unknown()
    }
}

impl Operator for CommandOperator {
    type Event = Command;
    type Notice = ReportedState;
    type State = Device;

    const STAGE: &'static str = DEFINITION.name;
    /// A device is known by what it reports.
    const HEARS_OF_NEW_KEYS: bool = true;
    /// A command that waits for a device must not wait for the next command.
    const WALL_CLOCK: bool = true;

    fn received_at(&self, command: &Command) -> Timestamp {
        command.issued_at
    }

    fn on_event(&self, key: &str, command: &Command, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        check_command(command).map_err(poison)?;
        // The key is the tenant's and the device's: what it says counts here, and the payload must not say otherwise.
        if command.key() != key {
            return Err(Poison::new("wrong_key", format!("the command is for {}, its key is {key}", command.key())).into());
        }
        let Cause { event_id, correlation_id, trace } = outputs.cause();
        let task = Task { command: command.clone(), chain: Chain { event_id, correlation_id, trace } };
        let now = outputs.now();
        let taken = Self::change(device, outputs, |device, outlet| device.take(task, now, &self.limits, outlet))?;
        if taken == Taken::Repeat {
            self.repeats.inc();
        }
        Ok(())
    }

    fn due(&self, device: &Device) -> Option<Timestamp> {
        device.due(&self.limits)
    }

    fn on_time(&self, _: &str, _: Timestamp, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let now = outputs.now();
        Self::change(device, outputs, |device, outlet| device.pass(now, &self.limits, outlet))
    }

    fn on_notice(&self, _: &str, report: &ReportedState, device: &mut Device, outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        check_report(report).map_err(poison)?;
        let now = outputs.now();
        Self::change(device, outputs, |device, outlet| device.hear(report, now, &self.limits, outlet))
    }

    fn tally(&self, device: &Device, each: &mut dyn FnMut(&str)) {
        for ((name, ..), count) in TALLIES.into_iter().zip(tallies(device)) {
            (0..count).for_each(|_| each(name));
        }
    }

    fn on_tallies(&self, sum: &dyn Fn(&str) -> i64) {
        for ((name, ..), gauge) in TALLIES.into_iter().zip(&self.unfinished) {
            gauge.set(sum(name) as f64);
        }
    }
}

fn poison(unusable: Unusable) -> Failure {
    Poison::new(unusable.reason, unusable.detail).into()
}

/// Commands and results on their way out; the first that cannot be written is the outcome.
struct Emitting<'a, 'o> {
    outputs: &'a mut Outputs<'o>,
    outcome: Result<(), Failure>,
}

impl Emitting<'_, '_> {
    fn emit<E: Event>(&mut self, chain: &Chain, event: &E) {
        if self.outcome.is_ok() {
            let Chain { event_id, correlation_id, trace } = chain.clone();
            self.outcome = self.outputs.emit_because(&Cause { event_id, correlation_id, trace }, event);
        }
    }
}

impl Outlet for Emitting<'_, '_> {
    fn send(&mut self, chain: &Chain, outbound: &OutboundCommand) {
        self.emit(chain, outbound);
    }

    fn tell(&mut self, chain: &Chain, result: &CommandResult) {
        counter("fieldwatch_command_results", &[("outcome", outcome(result.outcome))]).inc();
        self.emit(chain, result);
    }
}

/// As in Avro.
fn outcome(outcome: CommandOutcome) -> &'static str {
    match outcome {
        CommandOutcome::Accepted => "ACCEPTED",
        CommandOutcome::Verified => "VERIFIED",
        CommandOutcome::Failed => "FAILED",
        CommandOutcome::TimedOut => "TIMED_OUT",
        CommandOutcome::Refused => "REFUSED",
        CommandOutcome::Unknown => "UNKNOWN",
    }
}
