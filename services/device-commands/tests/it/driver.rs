//! The same commands end the same way, whatever is cut, where and how often; and each ends once.

use std::collections::BTreeMap;
use std::time::Duration;

use device_commands::domain::Limits;
use device_commands::operator::CommandOperator;
use events::codec::{SchemaId, WriterSchema, unframe};
use events::{Command, CommandOutcome, CommandResult, Event, OutboundCommand, ReportedState, Timestamp, topics};
use proptest::prelude::*;
use stream::EventWriter;
use stream::operator::driver::{Driver, Said};
use testkit::clocked::{self, Step};
use uuid::Uuid;

type Steps = Vec<(Timestamp, Step<Command, ReportedState>)>;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + millis)
}

pub(crate) fn command(id: u128, device: &str, on: bool, issued_at: Timestamp, lives: Duration) -> Command {
    Command {
        tenant: "default".into(),
        command_id: Uuid::from_u128(id),
        device_id: device.into(),
        name: "switch".into(),
        arguments: "{}".into(),
        desired_state: Some(format!(r#"{{"on": {on}}}"#)),
        issued_at,
        expires_at: issued_at.saturating_add(lives),
        issued_by: "test".into(),
        scene_id: None,
    }
}

pub(crate) fn report(device: &str, on: bool, command_id: Option<u128>, error: Option<&str>, at: Timestamp) -> ReportedState {
    ReportedState {
        tenant: "default".into(),
        device_id: device.into(),
        state: format!(r#"{{"on": {on}}}"#),
        command_id: command_id.map(Uuid::from_u128),
        error: error.map(str::to_owned),
        reported_at: at,
        received_at: at,
    }
}

/// Commands for a few devices, repeats among them, some without a desired state; reports that answer some of them, in time
/// or not.
fn steps() -> impl Strategy<Value = Steps> {
    let passes = prop_oneof![6 => 0..300_i64, 3 => 300..2_000_i64, 1 => 2_000..70_000_i64];
    let step = (0..10_u8, 0..3_u8, any::<bool>(), passes, prop_oneof![1 => 0..2_000_u64, 4 => 2_000..30_000_u64], 0..6_u128);
    prop::collection::vec(step, 0..120).prop_map(|steps| {
        let (mut now, mut id) = (0, 0);
        let mut steps: Steps = steps
            .into_iter()
            .map(|(what, device, on, passes, lives, back)| {
                now += passes;
                let device = format!("lamp-{device}");
                let step = match what {
                    0..4 => {
                        id += 1;
                        Step::Event(command(id, &device, on, at(now), Duration::from_millis(lives)))
                    }
                    4 => {
                        id += 1;
                        let command = command(id, &device, on, at(now), Duration::from_millis(lives));
                        Step::Event(Command { desired_state: None, ..command })
                    }
                    // A repeat, perhaps of another device's: then it is another device's command.
                    5 => Step::Event(command(id.saturating_sub(back), &format!("lamp-{}", id % 3), on, at(now), Duration::from_secs(9))),
                    6 | 7 => Step::Notice(report(&device, on, None, None, at(now))),
                    8 => Step::Notice(report(&device, on, Some(id.saturating_sub(back)), Some("stuck").filter(|_| on), at(now))),
                    _ => Step::Time,
                };
                (at(now), step)
            })
            .collect();
        // Whatever is left ends by itself.
        steps.extend((1..90).map(|second| (at(now + second * 1_000), Step::Time)));
        steps
    })
}

fn driver() -> Driver<CommandOperator> {
    let limits = Limits { queue: 3, ..Limits::default() };
    let writer = EventWriter::new("test", &testkit::kafka_config());
    let writer = writer.with_id::<OutboundCommand>(SchemaId(1)).and_then(|writer| writer.with_id::<CommandResult>(SchemaId(2)));
    Driver::new(CommandOperator::new(limits), writer.unwrap())
}

fn read<E: Event>(said: &Said) -> E {
    WriterSchema::parse(E::SCHEMA.json).unwrap().decode(unframe(&said.value).unwrap().1).unwrap()
}

enum Output {
    Sent(OutboundCommand),
    Result(CommandResult),
}

fn outputs(said: &[Said]) -> Vec<Output> {
    let is_sent = |said: &Said| said.topic.ends_with(topics::OUTBOUND_COMMANDS);
    said.iter().map(|said| if is_sent(said) { Output::Sent(read(said)) } else { Output::Result(read(said)) }).collect()
}

/// What became of one device's command so far.
#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Fate {
    sent: i32,
    accepted: bool,
    ended: bool,
}

/// Every command ends once; it is sent only between its acceptance and its end, and not past its expiry; of a device one at
/// a time is under way.
fn check(steps: &Steps, said: &[Said]) -> Result<(), TestCaseError> {
    let mut fates = BTreeMap::<(String, Uuid), Fate>::new();
    let mut under_way = BTreeMap::<String, Uuid>::new();
    for output in outputs(said) {
        match output {
            Output::Sent(outbound) => {
                let fate = fates.entry((outbound.device_id.clone(), outbound.command_id)).or_default();
                prop_assert!(!fate.ended, "sent after its end: {:?}", outbound);
                prop_assert_eq!(outbound.attempt, fate.sent + 1);
                prop_assert!(outbound.sent_at < outbound.expires_at, "sent, expired: {:?}", outbound);
                fate.sent += 1;
                let other = under_way.insert(outbound.device_id.clone(), outbound.command_id);
                prop_assert!(other.is_none_or(|other| other == outbound.command_id), "two under way: {:?}", outbound);
            }
            Output::Result(result) => {
                let fate = fates.entry((result.device_id.clone(), result.command_id)).or_default();
                prop_assert!(!fate.ended, "ends twice: {:?}", result);
                prop_assert_eq!(result.attempt, fate.sent);
                match result.outcome {
                    CommandOutcome::Accepted => {
                        prop_assert!(!fate.accepted && fate.sent == 1, "accepted, {:?}: {:?}", fate, result);
                        fate.accepted = true;
                    }
                    CommandOutcome::Refused => prop_assert!(!fate.accepted, "refused, and sent: {:?}", result),
                    CommandOutcome::Verified if result.attempt == 0 => prop_assert!(!fate.accepted),
                    _ => prop_assert!(fate.accepted, "ends, and was never accepted: {:?}", result),
                }
                if result.outcome != CommandOutcome::Accepted {
                    fate.ended = true;
                    if under_way.get(&result.device_id) == Some(&result.command_id) {
                        under_way.remove(&result.device_id);
                    }
                }
            }
        }
    }
    for (_, step) in steps {
        if let Step::Event(command) = step {
            let fate = fates.get(&(command.device_id.clone(), command.command_id)).copied().unwrap_or_default();
            prop_assert!(fate.ended, "no end: {:?}", command);
        }
    }
    Ok(())
}

proptest! {
    #[test]
    fn any_cut_leads_to_the_results_of_no_cut_and_each_command_ends_once(
        steps in steps(),
        cuts in prop::collection::vec(clocked::cut(), 0..200),
    ) {
        let uncut = clocked::run(driver(), &steps, &[], Duration::ZERO);
        check(&steps, &uncut)?;
        prop_assert_eq!(clocked::run(driver(), &steps, &cuts, Duration::ZERO), uncut);
    }

    #[test]
    fn also_where_time_goes_on_while_nobody_runs_each_command_ends_once(
        steps in steps(),
        cuts in prop::collection::vec(clocked::cut(), 0..200),
        restart in 0..4_000_u64,
    ) {
        check(&steps, &clocked::run(driver(), &steps, &cuts, Duration::from_millis(restart)))?;
    }
}
