//! What becomes of commands, by example.

use std::time::Duration;

use events::{BreakerState, Command, CommandOutcome, CommandResult, OutboundCommand, ReportedState, Timestamp};
use uuid::Uuid;

use super::{Chain, Device, Limits, Outlet, Taken, Task};

/// What was said, in order: `send 1 #2` is attempt 2 of command 1.
#[derive(Default)]
struct Said(Vec<String>, Option<OutboundCommand>, Option<CommandResult>);

impl Outlet for Said {
    fn send(&mut self, _: &Chain, outbound: &OutboundCommand) {
        self.0.push(format!("send {} #{}", outbound.command_id.as_u128(), outbound.attempt));
        self.1 = Some(outbound.clone());
    }

    fn tell(&mut self, _: &Chain, result: &CommandResult) {
        let why = if result.outcome == CommandOutcome::Refused { format!(": {}", result.detail) } else { String::new() };
        self.0.push(format!("{:?} {} #{}{why}", result.outcome, result.command_id.as_u128(), result.attempt));
        self.2 = Some(result.clone());
    }
}

/// A lamp that is off, and what is said of its commands.
#[derive(Default)]
struct Lamp {
    device: Device,
    limits: Limits,
    said: Said,
}

fn at(second: f64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + (second * 1_000.0) as i64)
}

fn switch(id: u128, on: bool) -> Command {
    Command {
        tenant: "default".into(),
        command_id: Uuid::from_u128(id),
        device_id: "lamp-1".into(),
        name: "switch".into(),
        arguments: format!(r#"{{"on": {on}}}"#),
        desired_state: Some(format!(r#"{{"on": {on}}}"#)),
        issued_at: at(0.0),
        expires_at: at(3_600.0),
        issued_by: "test".into(),
        scene_id: None,
    }
}

/// Without a desired state.
fn blink(id: u128) -> Command {
    Command { name: "blink".into(), desired_state: None, ..switch(id, true) }
}

fn report(state: &str) -> ReportedState {
    ReportedState {
        tenant: "default".into(),
        device_id: "lamp-1".into(),
        state: state.into(),
        command_id: None,
        error: None,
        reported_at: at(0.0),
        received_at: at(0.0),
    }
}

impl Lamp {
    fn off() -> Self {
        let mut lamp = Self::default();
        lamp.hears(0.0, &report(r#"{"on": false}"#));
        lamp
    }

    fn takes(&mut self, second: f64, command: Command) -> Taken {
        self.device.take(Task { command, chain: Chain::default() }, at(second), &self.limits, &mut self.said)
    }

    fn hears(&mut self, second: f64, report: &ReportedState) -> bool {
        self.device.hear(report, at(second), &self.limits, &mut self.said)
    }

    /// Lets time pass, as the runtime does: each timer by itself.
    fn passes(&mut self, second: f64) {
        while let Some(due) = self.device.due(&self.limits).filter(|due| *due <= at(second)) {
            self.device.pass(due, &self.limits, &mut self.said);
        }
    }

    #[track_caller]
    fn says(&mut self, expected: &[&str]) {
        assert_eq!(std::mem::take(&mut self.said.0), expected);
    }

    fn fails(&mut self, second: f64, id: u128) {
        self.takes(second, blink(id));
        self.hears(second, &ReportedState { command_id: Some(Uuid::from_u128(id)), error: Some("stuck".into()), ..report("{}") });
    }
}

#[test]
fn a_command_is_sent_and_verified_by_what_the_device_reports() {
    let mut lamp = Lamp::off();
    assert_eq!(lamp.takes(1.0, switch(1, true)), Taken::New);
    lamp.says(&["send 1 #1", "Accepted 1 #1"]);
    assert!(lamp.hears(1.1, &report(r#"{"on": false, "heat": 1}"#)));
    lamp.says(&[]);
    assert!(lamp.hears(1.2, &report(r#"{"on": true, "heat": 2}"#)));
    lamp.says(&["Verified 1 #1"]);
    lamp.passes(100.0);
    lamp.says(&[]);
}

#[test]
fn a_command_for_what_already_is_is_verified_and_never_sent() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, switch(1, false));
    lamp.says(&["Verified 1 #0"]);
}

#[test]
fn a_command_without_a_desired_state_is_verified_by_an_answer_that_leaves_the_state_as_it_was() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, blink(1));
    assert!(!lamp.hears(1.1, &ReportedState { command_id: Some(Uuid::from_u128(9)), ..report("{}") }), "another command's answer");
    assert!(lamp.hears(1.2, &ReportedState { command_id: Some(Uuid::from_u128(1)), ..report("{}") }));
    lamp.says(&["send 1 #1", "Accepted 1 #1", "Verified 1 #1"]);
    lamp.takes(2.0, switch(2, false));
    lamp.says(&["Verified 2 #0"]);
}

#[test]
fn a_repeat_changes_nothing_whatever_became_of_the_first() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, switch(1, true));
    assert_eq!(lamp.takes(1.1, switch(1, true)), Taken::Repeat);
    lamp.hears(1.2, &report(r#"{"on": true}"#));
    assert_eq!(lamp.takes(1.3, switch(1, true)), Taken::Repeat);
    lamp.says(&["send 1 #1", "Accepted 1 #1", "Verified 1 #1"]);
}

#[test]
fn what_is_not_answered_is_sent_again_each_time_later_until_it_times_out() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, switch(1, true));
    lamp.passes(1.9);
    lamp.says(&["send 1 #1", "Accepted 1 #1"]);
    lamp.passes(2.0);
    lamp.says(&["send 1 #2"]);
    lamp.passes(3.9);
    lamp.says(&[]);
    lamp.passes(5.9);
    lamp.says(&["send 1 #3"]);
    let sent = lamp.said.1.clone().unwrap();
    assert_eq!((sent.sent_at, sent.expires_at), (at(4.0), at(6.0)), "the device is told when it is given up");
    lamp.passes(6.0);
    lamp.says(&["TimedOut 1 #3"]);
    assert_eq!(lamp.said.2.as_ref().unwrap().detail, "not verified within 5s");
}

#[test]
fn a_command_is_not_carried_out_after_it_expired() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, Command { expires_at: at(1.0), ..switch(1, true) });
    lamp.says(&["Refused 1 #0: expired"]);
    lamp.takes(2.0, Command { expires_at: at(4.0), ..switch(2, true) });
    lamp.takes(2.0, Command { expires_at: at(3.0), ..switch(3, false) });
    assert_eq!(lamp.said.1.as_ref().unwrap().expires_at, at(4.0));
    lamp.says(&["send 2 #1", "Accepted 2 #1"]);
    lamp.passes(3.0);
    lamp.says(&["Refused 3 #0: expired", "send 2 #2"]);
    lamp.passes(4.0);
    lamp.says(&["TimedOut 2 #2"]);
}

#[test]
fn commands_of_a_device_go_one_after_the_other_and_are_judged_when_it_is_their_turn() {
    let mut lamp = Lamp::off();
    lamp.takes(1.0, switch(1, true));
    lamp.takes(1.1, switch(2, true));
    lamp.takes(1.2, switch(3, false));
    lamp.says(&["send 1 #1", "Accepted 1 #1"]);
    lamp.hears(1.3, &report(r#"{"on": true}"#));
    lamp.says(&["Verified 1 #1", "Verified 2 #0", "send 3 #1", "Accepted 3 #1"]);
}

#[test]
fn a_device_that_never_reported_is_unknown_and_is_forgotten() {
    let mut lamp = Lamp::default();
    lamp.takes(0.0, switch(1, true));
    lamp.says(&["Refused 1 #0: unknown-device: it never reported a state"]);
    assert_eq!(lamp.takes(1.0, switch(1, true)), Taken::Repeat);
    lamp.passes(86_400.0);
    assert!(lamp.device.is_unknown());
}

#[test]
fn a_queue_that_is_full_refuses() {
    let mut lamp = Lamp::off();
    lamp.limits.queue = 2;
    for id in 1..=4 {
        lamp.takes(1.0, switch(id, true));
    }
    lamp.says(&["send 1 #1", "Accepted 1 #1", "Refused 4 #0: queue-full: 2 commands wait"]);
    lamp.limits.queue = 100;
    lamp.takes(1.0, Command { arguments: format!(r#"{{"a": "{}"}}"#, "x".repeat(300_000)), ..switch(5, true) });
    lamp.says(&["Refused 5 #0: queue-full: 2 commands wait"]);
}

#[test]
fn three_failures_in_a_row_open_the_breaker_and_those_that_wait_are_refused() {
    let mut lamp = Lamp::off();
    lamp.fails(1.0, 1);
    lamp.fails(1.0, 2);
    lamp.takes(1.0, switch(3, false));
    lamp.says(&["send 1 #1", "Accepted 1 #1", "Failed 1 #1", "send 2 #1", "Accepted 2 #1", "Failed 2 #1", "Verified 3 #0"]);
    lamp.takes(1.0, blink(4));
    lamp.takes(1.0, blink(5));
    lamp.passes(6.0);
    lamp.says(&[
        "send 4 #1",
        "Accepted 4 #1",
        "send 4 #2",
        "send 4 #3",
        "TimedOut 4 #3",
        "Refused 5 #0: breaker-open until 2026-02-02T02:41:06.000000Z",
    ]);
    assert_eq!(lamp.said.2.as_ref().unwrap().breaker, BreakerState::Open);
    lamp.takes(65.9, switch(6, true));
    lamp.says(&["Refused 6 #0: breaker-open until 2026-02-02T02:41:06.000000Z"]);
}

#[test]
fn one_trial_decides_whether_the_breaker_closes() {
    let mut lamp = Lamp::off();
    (1..=3).for_each(|id| lamp.fails(1.0, id));
    lamp.passes(61.0);
    lamp.said.0.clear();
    lamp.takes(61.0, blink(4));
    lamp.takes(61.0, blink(5));
    lamp.says(&["send 4 #1", "Accepted 4 #1"]);
    assert_eq!(lamp.said.2.as_ref().unwrap().breaker, BreakerState::HalfOpen);
    lamp.passes(66.0);
    assert_eq!(lamp.said.0.pop().unwrap(), "Refused 5 #0: breaker-open until 2026-02-02T02:42:06.000000Z");
    lamp.takes(200.0, switch(6, true));
    lamp.hears(200.0, &report(r#"{"on": true}"#));
    assert_eq!(lamp.said.2.as_ref().unwrap().breaker, BreakerState::Closed);
    lamp.said.0.clear();
    lamp.fails(201.0, 7);
    lamp.fails(201.0, 8);
    lamp.takes(201.0, switch(9, false));
    lamp.says(&["send 7 #1", "Accepted 7 #1", "Failed 7 #1", "send 8 #1", "Accepted 8 #1", "Failed 8 #1", "send 9 #1", "Accepted 9 #1"]);
}

#[test]
fn a_success_ends_the_row_of_failures() {
    let mut lamp = Lamp::off();
    for (id, on) in [(1, true), (4, false), (7, true)] {
        lamp.fails(1.0, id);
        lamp.fails(1.0, id + 1);
        lamp.takes(1.0, switch(id + 2, on));
        lamp.hears(1.0, &report(&format!(r#"{{"on": {on}}}"#)));
        assert_eq!(lamp.said.2.as_ref().unwrap().breaker, BreakerState::Closed);
    }
}

#[test]
fn only_so_many_ids_are_remembered_and_not_for_ever() {
    let mut lamp = Lamp::off();
    lamp.limits.remembered = 2;
    for id in 1..=3 {
        lamp.takes(1.0, switch(id, false));
    }
    assert_eq!(lamp.takes(1.0, switch(2, false)), Taken::Repeat);
    assert_eq!(lamp.takes(1.0, switch(1, false)), Taken::New);
    let day = Duration::from_hours(24).as_secs_f64();
    assert_eq!(lamp.takes(1.0 + day, Command { expires_at: at(2.0 * day), ..switch(3, false) }), Taken::New);
}
