use std::time::{Duration, SystemTime};

use device_commands::{Config, DEFINITION, app};
use events::{BreakerState, Command, CommandOutcome, CommandResult, OutboundCommand, ReportedState, Timestamp, topics};
use stream::{Cause, EventWriter, OutRecord};
use testkit::{Capture, Kit, OtlpReceiver, Process, Running, capture, eventually};
use uuid::Uuid;

use crate::driver::{command, report};

pub(crate) const TOPICS: [&str; 7] = [
    topics::COMMANDS,
    topics::DEVICE_STATE,
    topics::OUTBOUND_COMMANDS,
    topics::COMMAND_RESULTS,
    "dlq.device-commands.v1",
    "retry.device-commands.v1",
    "state.device-commands.v1",
];

async fn start_with(kit: &Kit, overrides: &[(&str, &str)]) -> Running {
    let config: Config = kit.config(DEFINITION.name, DEFINITION.defaults, overrides);
    let service = Running::start(config, app::start).await;
    service.ready().await;
    service
}

async fn start(kit: &Kit) -> Running {
    start_with(kit, &[]).await
}

/// As a process, that can be killed.
async fn process(kit: &Kit, variables: &[(&str, &str)]) -> Process {
    let prefix = ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix());
    let environment = variables.iter().chain([&prefix]).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Process::start(DEFINITION.name, &environment.collect::<Vec<_>>()).await
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

fn switch(id: u128, device: &str, on: bool) -> Command {
    command(id, device, on, now(), Duration::from_secs(30))
}

/// Reports, and waits until the service has heard it: until a command for what is reported is verified at once.
async fn heard(kit: &Kit, results: &mut Capture, id: u128, report: ReportedState) {
    kit.publish(std::slice::from_ref(&report)).await;
    let mut tries = id * 1_000;
    loop {
        tries += 1;
        let command = Command { tenant: report.tenant.clone(), ..switch(tries, &report.device_id, report.state.contains("true")) };
        kit.publish(&[command]).await;
        let result: CommandResult = results.events(1).await.remove(0);
        match result.outcome {
            CommandOutcome::Verified => return,
            CommandOutcome::Refused => assert!(result.detail.starts_with("unknown-device"), "{}", result.detail),
            outcome => panic!("{outcome:?}"),
        }
    }
}

fn outcome(result: &CommandResult) -> (u128, CommandOutcome, i32) {
    (result.command_id.as_u128(), result.outcome, result.attempt)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_command_reaches_the_device_is_sent_again_and_verified() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start_with(&kit, &[("DEVICE_COMMANDS__RETRY__FIRST", "200ms")]).await;
    let (mut sent, mut results) = (capture(&kit, topics::OUTBOUND_COMMANDS), capture(&kit, topics::COMMAND_RESULTS));
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;
    // The relay may say it twice.
    let switch_on = switch(1, "lamp-1", true);
    kit.publish(&[switch_on.clone(), switch_on.clone()]).await;
    let outbound: Vec<OutboundCommand> = sent.events(2).await;
    assert_eq!([outbound[0].attempt, outbound[1].attempt], [1, 2]);
    assert!(outbound[1].sent_at.since(outbound[0].sent_at) >= Duration::from_millis(200));
    assert_eq!((&outbound[0].arguments, &outbound[0].desired_state), (&switch_on.arguments, &switch_on.desired_state));
    assert!(outbound[0].expires_at <= outbound[0].sent_at.saturating_add(Duration::from_secs(5)));
    kit.publish(&[report("lamp-1", true, None, None, now())]).await;
    let ended: Vec<CommandResult> = results.events(2).await;
    assert_eq!(outcome(&ended[0]), (1, CommandOutcome::Accepted, 1));
    assert_eq!((outcome(&ended[1]).1, ended[1].breaker), (CommandOutcome::Verified, BreakerState::Closed));
    assert!(ended[1].attempt >= 2);
    service.stop().await.unwrap();
    assert!(results.rest().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_timed_out_while_nobody_ran_says_so_once_and_the_next_command_has_its_full_time() {
    let kit = Kit::with_topics(&TOPICS).await;
    let (mut sent, mut results) = (capture(&kit, topics::OUTBOUND_COMMANDS), capture(&kit, topics::COMMAND_RESULTS));
    let mut service = process(&kit, &[("DEVICE_COMMANDS__COMMANDS__TIMEOUT", "3s")]).await;
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;
    let [on, next] = [1, 2].map(|id| command(id, "lamp-1", true, now(), Duration::from_mins(10)));
    kit.publish(&[on, next]).await;
    let first: OutboundCommand = sent.events(1).await.remove(0);
    assert_eq!(outcome(&results.events(1).await[0]), (1, CommandOutcome::Accepted, 1));
    service.kill();
    eventually("its time is over", || async { (now() > first.expires_at).then_some(()) }).await;

    let service = start_with(&kit, &[("DEVICE_COMMANDS__COMMANDS__TIMEOUT", "20s")]).await;
    let ended: Vec<CommandResult> = results.events(2).await;
    assert_eq!((outcome(&ended[0]).0, ended[0].outcome), (1, CommandOutcome::TimedOut));
    assert_eq!(outcome(&ended[1]), (2, CommandOutcome::Accepted, 1));
    loop {
        let outbound: OutboundCommand = sent.events(1).await.remove(0);
        if outbound.command_id == Uuid::from_u128(2) {
            assert_eq!(outbound.expires_at.since(outbound.sent_at), Duration::from_secs(20));
            break;
        }
    }
    service.stop().await.unwrap();
    let again = start(&kit).await;
    again.stop().await.unwrap();
    assert!(results.rest().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn other_tenants_devices_unknown_ones_and_what_makes_no_sense_stop_nobody() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    let mut results = capture(&kit, topics::COMMAND_RESULTS);
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;
    heard(&kit, &mut results, 2, ReportedState { tenant: "acme".into(), ..report("lamp-2", false, None, None, now()) }).await;
    let of_another = Command { tenant: "acme".into(), ..switch(1, "lamp-1", true) };
    let no_object = Command { arguments: "[]".into(), ..switch(3, "lamp-1", true) };
    let no_json = Command { desired_state: Some("{".into()), ..switch(4, "lamp-1", true) };
    kit.publish(&[of_another, switch(2, "lamp-2", true), no_object, no_json]).await;
    kit.publish(&[ReportedState { state: "on".into(), ..report("lamp-1", true, None, None, now()) }]).await;
    // Under another device's key.
    let writer = EventWriter::new("testkit", &kit.kafka).with::<Command>(&kit.registry).await.unwrap();
    let mut record = writer.record(&switch(5, "lamp-2", true), &Cause::default(), None).unwrap();
    record.key = Some(b"lamp-1".to_vec());
    kit.publish_records(vec![record, OutRecord::new(kit.kafka.prefixed(topics::COMMANDS), Some(b"lamp-1".to_vec()), Some(vec![7]))]).await;
    kit.publish(&[Command { expires_at: now(), ..switch(6, "lamp-1", true) }, switch(7, "lamp-1", false)]).await;

    let mut ended: Vec<(u128, String)> =
        results.events::<CommandResult>(4).await.into_iter().map(|result| (result.command_id.as_u128(), result.detail)).collect();
    ended.sort();
    let unknown = "unknown-device: it never reported a state".to_owned();
    let expected =
        [(1, unknown.clone()), (2, unknown), (6, "expired".to_owned()), (7, "the device reports the desired state already".to_owned())];
    assert_eq!(ended, expected);
    let letters = capture(&kit, "dlq.device-commands.v1").records(5).await;
    let mut reasons: Vec<_> = letters.iter().filter_map(|letter| letter.header("dlq-reason")).collect();
    reasons.sort_unstable();
    assert_eq!(reasons, ["not_an_object", "not_json", "not_json", "too_short", "wrong_key"]);
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_three_times_is_refused_until_a_trial_succeeds() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start_with(&kit, &[("DEVICE_COMMANDS__BREAKER__OPEN", "10s")]).await;
    let mut results = capture(&kit, topics::COMMAND_RESULTS);
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;
    for (id, breaker) in [(1, BreakerState::Closed), (2, BreakerState::Closed), (3, BreakerState::Open)] {
        kit.publish(&[switch(id, "lamp-1", true)]).await;
        assert_eq!(outcome(&results.events(1).await[0]), (id, CommandOutcome::Accepted, 1));
        kit.publish(&[report("lamp-1", false, Some(id), Some("stuck"), now())]).await;
        let failed: CommandResult = results.events(1).await.remove(0);
        assert_eq!((outcome(&failed).0, failed.outcome, failed.breaker), (id, CommandOutcome::Failed, breaker));
    }
    // A person who tries again and again.
    let mut refused = 0;
    let trial: CommandResult = loop {
        kit.publish(&[switch(4 + refused, "lamp-1", true)]).await;
        let result: CommandResult = results.events(1).await.remove(0);
        if result.outcome != CommandOutcome::Refused {
            break result;
        }
        assert!(result.detail.starts_with("breaker-open until "), "{}", result.detail);
        refused += 1;
    };
    assert!(refused > 0);
    assert_eq!((outcome(&trial), trial.breaker), ((4 + refused, CommandOutcome::Accepted, 1), BreakerState::HalfOpen));
    kit.publish(&[report("lamp-1", true, Some(4 + refused), None, now())]).await;
    let verified: CommandResult = results.events(1).await.remove(0);
    assert_eq!((verified.outcome, verified.breaker), (CommandOutcome::Verified, BreakerState::Closed));
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_tell_of_results_and_of_what_is_not_closed_or_not_ended() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service =
        process(&kit, &[("DEVICE_COMMANDS__BREAKER__FAILURES", "1"), ("DEVICE_COMMANDS__OPERATOR__COMMIT_INTERVAL", "100ms")]).await;
    let mut results = capture(&kit, topics::COMMAND_RESULTS);
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;
    heard(&kit, &mut results, 2, report("lamp-2", false, None, None, now())).await;
    kit.publish(&[switch(1, "lamp-1", true), switch(2, "lamp-2", true), switch(3, "lamp-2", false)]).await;
    results.records(2).await;
    kit.publish(&[report("lamp-1", false, Some(1), Some("stuck"), now())]).await;
    let failed: CommandResult = results.events(1).await.remove(0);
    assert_eq!((failed.outcome, failed.detail.as_str(), failed.breaker), (CommandOutcome::Failed, "stuck", BreakerState::Open));
    let expected = [
        "fieldwatch_command_results_total{outcome=\"FAILED\"} 1",
        "fieldwatch_device_breakers{state=\"open\"} 1",
        "fieldwatch_commands_unfinished{state=\"under_way\"} 1",
        "fieldwatch_commands_unfinished{state=\"waiting\"} 1",
    ];
    eventually("the metrics say so", || async {
        let metrics = service.admin("metrics").await;
        expected.iter().all(|line| metrics.contains(line)).then_some(())
    })
    .await;
    assert_eq!(service.terminate().await, Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_said_of_a_command_is_in_its_trace_whatever_led_to_it() {
    let kit = Kit::with_topics(&TOPICS).await;
    let otlp = OtlpReceiver::start().await;
    let service =
        process(&kit, &[("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", &otlp.endpoint), ("DEVICE_COMMANDS__RETRY__FIRST", "100ms")]).await;
    let (mut sent, mut results) = (capture(&kit, topics::OUTBOUND_COMMANDS), capture(&kit, topics::COMMAND_RESULTS));
    heard(&kit, &mut results, 1, report("lamp-1", false, None, None, now())).await;

    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let parent = format!("00-{trace}-00f067aa0ba902b7-01").parse().ok();
    let writer = EventWriter::new("testkit", &kit.kafka).with::<Command>(&kit.registry).await.unwrap();
    let command = switch(1, "lamp-1", true);
    kit.publish_records(vec![writer.record(&command, &Cause::default(), parent).unwrap()]).await;
    // The second is a timer's, the result a report's.
    let mut records = sent.records(2).await;
    kit.publish(&[report("lamp-1", true, None, None, now())]).await;
    records.extend(results.records(2).await);
    for record in records {
        assert_eq!(record.header("traceparent").map(|parent| &parent[3..35]), Some(trace), "{:?}", record.position);
        assert_eq!(record.header("correlation-id"), Some(command.command_id.to_string().as_str()));
    }
    assert_eq!(service.terminate().await, Some(0));
}
