//! What became of a command: trouble of (device, command name) from an end that was not wished for until one that was.

use events::{CommandOutcome, CommandResult, Labels, Severity};

use super::{Effect, Signal, kind};
use crate::domain::symbol;

pub(super) fn signal(result: &CommandResult) -> Option<Signal> {
    let (effect, word) = match result.outcome {
        CommandOutcome::Verified => (Effect::Clears, "was carried out"),
        CommandOutcome::Failed => (Effect::Triggers, "failed"),
        CommandOutcome::TimedOut => (Effect::Triggers, "was not carried out in time"),
        CommandOutcome::Refused => (Effect::Triggers, "was refused"),
        CommandOutcome::Accepted | CommandOutcome::Unknown => return None,
    };
    let CommandResult { device_id, name, command_id, .. } = result;
    let outcome = symbol(&result.outcome);
    let mut labels = Labels::from([("command".to_owned(), name.clone()), ("outcome".to_owned(), outcome.clone())]);
    labels.extend(result.scene_id.map(|scene_id| ("scene_id".to_owned(), scene_id.to_string())));
    Some(Signal {
        tenant: result.tenant.clone(),
        kind: kind::COMMAND,
        dedup_key: format!("{}/{device_id}/{name}", kind::COMMAND),
        excursion: command_id.to_string(),
        effect,
        severity: Severity::Warning,
        device_id: Some(device_id.clone()),
        device_state: None,
        group_id: None,
        title: format!("{device_id}: command {name} {word}"),
        body: body(result, &outcome),
        labels,
        runbook_url: None,
        // Each end stands for itself: the newest says how things are.
        started_at: result.at,
        changed_at: result.at,
        actor: "device-commands".into(),
        reason: Some(outcome),
    })
}

fn body(result: &CommandResult, outcome: &str) -> String {
    let times = match result.attempt {
        ..=0 => "It was not sent".to_owned(),
        1 => "It was sent once".to_owned(),
        attempts => format!("It was sent {attempts} times"),
    };
    let detail = if result.detail.is_empty() { String::new() } else { format!(" {}.", result.detail.trim_end_matches('.')) };
    format!("Command {} is {outcome} since {}. {times}.{detail}", result.command_id, result.at)
}

#[cfg(test)]
mod tests {
    use events::BreakerState;
    use uuid::Uuid;

    use super::*;

    fn result(outcome: CommandOutcome) -> CommandResult {
        CommandResult {
            tenant: "default".into(),
            command_id: Uuid::from_u128(1),
            device_id: "fan-01".into(),
            name: "set".into(),
            scene_id: None,
            outcome,
            detail: "the motor is stuck".into(),
            attempt: 3,
            breaker: BreakerState::Open,
            at: events::Timestamp::from_micros(0),
        }
    }

    #[test]
    fn ends_that_were_not_wished_for_are_trouble_until_one_that_was() {
        let failed = signal(&result(CommandOutcome::Failed)).unwrap();
        assert_eq!((failed.dedup_key.as_str(), failed.effect), ("command/fan-01/set", Effect::Triggers));
        assert_eq!(failed.title, "fan-01: command set failed");
        assert!(failed.body.ends_with("It was sent 3 times. the motor is stuck."), "{}", failed.body);
        let effects = [CommandOutcome::TimedOut, CommandOutcome::Refused, CommandOutcome::Verified]
            .map(|outcome| signal(&result(outcome)).unwrap().effect);
        assert_eq!(effects, [Effect::Triggers, Effect::Triggers, Effect::Clears]);
        assert_eq!([CommandOutcome::Accepted, CommandOutcome::Unknown].map(|outcome| signal(&result(outcome))), [None, None]);
    }
}
