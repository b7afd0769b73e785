//! notifier, device-commands and mqtt-bridge as processes that are killed, paused and restarted while commands go from the API to
//! devices over a real MQTT broker: each ends once, and a device does what it is told once, in order and in time.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use device_commands::DEFINITION;
use events::{CommandOutcome, CommandResult, Timestamp, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use stream::{OutRecord, Record};
use testkit::chaos::{Faults, Replicas, Schedule};
use testkit::{Answer, Api, Happened, Kit, Lamps, Suite, What, capture, eventually, eventually_within};
use uuid::Uuid;

const LAMPS: usize = 12;
/// Asked for while the faults last, and how many devices have to do to show anything: where the machine is slow, commands go on
/// until they did.
const COMMANDS: usize = 360;
const DONE: usize = COMMANDS / 4;
/// How long the faults last.
const SPAN: Duration = Duration::from_secs(10);
const AWAY: Duration = Duration::from_secs(3);

/// What a service's processes go through.
struct Ordeal {
    schedule: Schedule,
    replicas: Replicas,
}

impl Ordeal {
    async fn of(service: &str, suite: &Suite, schedule: Schedule) -> Self {
        eprintln!("{service}: {schedule}");
        let replicas = Replicas::start(service, suite.environment(), schedule.replicas).await;
        Self { schedule, replicas }
    }

    async fn undergo(&mut self) {
        self.replicas.follow(&self.schedule).await;
    }
}

/// The faults of a service that runs once: of a schedule, the first replica's.
fn alone(seed: u64) -> Schedule {
    let mut schedule = Schedule::new(seed, Faults::All, SPAN, AWAY);
    schedule.steps.retain(|step| step.replica == 0);
    Schedule { replicas: 1, ..schedule }
}

fn lamp(number: usize) -> String {
    format!("lamp-{number:02}")
}

/// One lamp is broken, one says so; of the others every eighth first attempt is lost.
fn moody(device_id: &str, command_id: &str, attempt: i64) -> Answer {
    match device_id {
        "lamp-00" => Answer::Ignore,
        "lamp-01" => Answer::Fail,
        _ if attempt == 1 && command_id.ends_with(['3', '8']) => Answer::Ignore,
        _ => Answer::Obey,
    }
}

/// One of the commands, as it is asked for and as it was taken.
#[derive(Debug)]
struct Asked {
    id: Uuid,
    device_id: String,
    expires_at: Timestamp,
}

/// Each wants a state of its own, or none; some expire soon.
fn body(random: &mut StdRng, number: usize) -> Value {
    let lives = if random.random_ratio(1, 8) { 1_000..3_000 } else { 20_000..30_000 };
    let mut body = json!({
        "device_id": lamp(random.random_range(0..LAMPS)),
        "name": "switch",
        "expires_in": format!("{}ms", random.random_range(lives)),
    });
    if random.random_ratio(4, 5) {
        body["desired_state"] = json!({ "n": number });
    }
    body
}

/// Asks for it under one key until there is an answer.
async fn ask(api: &Api, key: &str, body: &Value) -> Asked {
    let taken = eventually("a command is taken", || api.post_once("/v1/commands", body, key)).await;
    let text = |member: &str| taken[member].as_str().unwrap();
    Asked {
        id: text("command_id").parse().unwrap(),
        device_id: text("device_id").to_owned(),
        expires_at: Timestamp::from_rfc3339(text("expires_at")).unwrap(),
    }
}

/// A relay may repeat what it said a moment ago: one in ten commands comes once more.
async fn repeat(kit: &Kit, seed: u64) {
    let (mut random, mut commands, publisher) = (StdRng::seed_from_u64(seed), capture(kit, topics::COMMANDS), kit.publisher());
    let mut said = Vec::new();
    loop {
        said.extend(commands.records(1).await);
        if random.random_ratio(1, 10) {
            let Record { position, key, value, headers, .. } = &said[said.len().saturating_sub(random.random_range(1..=5))];
            let again = headers.iter().fold(OutRecord::new(position.topic.clone(), key.clone(), value.clone()), |record, (name, value)| {
                record.header(name, value.as_deref())
            });
            publisher.enqueue(again).unwrap().await.unwrap();
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_ends_once_and_is_done_once_in_order_and_in_time_whatever_is_killed() {
    for seed in testkit::seeds() {
        let mut suite = Suite::new(Kit::with_all_topics().await).await.with(&[
            ("FIELDWATCH__KAFKA__SESSION_TIMEOUT", "2s"),
            ("DEVICE_COMMANDS__RETRY__FIRST", "500ms"),
            ("DEVICE_COMMANDS__BREAKER__OPEN", "2s"),
        ]);
        let ids: Vec<String> = (0..LAMPS).map(lamp).collect();
        let lamps = Lamps::start(&suite.mosquitto, &ids, moody).await;
        // It makes the tables that the relay reads.
        let mut notifier = Ordeal::of("notifier", &suite, alone(seed.wrapping_add(2_000))).await;
        suite.start(&["outbox-relay"]).await;
        let mut services = Ordeal::of(DEFINITION.name, &suite, Schedule::new(seed, Faults::All, SPAN, AWAY)).await;
        // One running bridge per session.
        let mut bridge = Ordeal::of("mqtt-bridge", &suite, alone(seed.wrapping_add(1_000))).await;
        suite.until_known(&ids).await;

        let asking = async {
            let (mut random, mut pace) = (StdRng::seed_from_u64(seed), tokio::time::interval(SPAN / COMMANDS as u32));
            let mut all = Vec::with_capacity(COMMANDS);
            while all.len() < COMMANDS || lamps.count(What::Done) < DONE {
                assert!(all.len() < 10 * COMMANDS, "seed {seed}: of {} commands {} were done", all.len(), lamps.count(What::Done));
                pace.tick().await;
                let body = body(&mut random, all.len());
                all.push(ask(&suite.api, &format!("{seed}-{}", all.len()), &body).await);
            }
            all
        };
        let work = async { tokio::join!(asking, services.undergo(), bridge.undergo(), notifier.undergo()) };
        let (all, ..) = tokio::select! {
            done = work => done,
            () = repeat(&suite.kit, seed) => unreachable!("it repeats for ever"),
        };
        let results = all_ended(&suite, &all, &mut [&mut services, &mut bridge, &mut notifier]).await;
        assert_each_ended_once(seed, &all, &results);
        assert_done_once_in_order_and_in_time(seed, &all, &results, &lamps.happened());
        assert_the_api_says_so(&suite.api, &results).await;
        tell(seed, &results, &lamps.happened());
        for Ordeal { replicas, .. } in [services, bridge, notifier] {
            for death in replicas.deaths() {
                eprintln!("seed {seed}: {death:?}");
            }
            replicas.terminate().await;
        }
    }
}

/// Waits until every command has a final result, and a while for more than that.
async fn all_ended(suite: &Suite, all: &[Asked], services: &mut [&mut Ordeal]) -> Vec<CommandResult> {
    let mut captured = capture(&suite.kit, topics::COMMAND_RESULTS);
    let (mut results, mut waiting): (Vec<CommandResult>, BTreeSet<Uuid>) = (Vec::new(), all.iter().map(|asked| asked.id).collect());
    let ids = waiting.clone();
    let started = Instant::now();
    while !waiting.is_empty() {
        for service in services.iter_mut() {
            service.replicas.revive();
        }
        for record in captured.rest().await {
            let result: CommandResult = captured.event(&record).await;
            if result.outcome != CommandOutcome::Accepted {
                waiting.remove(&result.command_id);
            }
            results.push(result);
        }
        let missing = || all.iter().filter(|asked| waiting.contains(&asked.id)).take(3).collect::<Vec<_>>();
        assert!(started.elapsed() < Duration::from_mins(3), "without an end: {:?}", missing());
    }
    eventually_within(Duration::from_mins(1), "everything is taken", || async {
        (suite.kit.lag(DEFINITION.name, topics::COMMANDS) == Some(0)).then_some(())
    })
    .await;
    for record in captured.rest().await {
        results.push(captured.event(&record).await);
    }
    results.retain(|result| ids.contains(&result.command_id));
    results
}

fn assert_each_ended_once(seed: u64, all: &[Asked], results: &[CommandResult]) {
    let mut said = BTreeMap::<Uuid, Vec<CommandOutcome>>::new();
    for result in results {
        said.entry(result.command_id).or_default().push(result.outcome);
    }
    assert_eq!(said.len(), all.len(), "seed {seed}");
    for (id, outcomes) in said {
        let fine = matches!(
            outcomes.as_slice(),
            [CommandOutcome::Refused | CommandOutcome::Verified]
                | [CommandOutcome::Accepted, CommandOutcome::Verified | CommandOutcome::Failed | CommandOutcome::TimedOut]
        );
        assert!(fine, "seed {seed}: {id}: {outcomes:?}");
    }
}

fn assert_done_once_in_order_and_in_time(seed: u64, all: &[Asked], results: &[CommandResult], happened: &[Happened]) {
    let ends: BTreeMap<String, &CommandResult> = results
        .iter()
        .filter(|result| result.outcome != CommandOutcome::Accepted)
        .map(|result| (result.command_id.to_string(), result))
        .collect();
    let (mut done, mut last) = (BTreeSet::new(), BTreeMap::<&str, usize>::new());
    // What asked whether the lamps are known was none of these.
    for one in happened.iter().filter(|one| ends.contains_key(&one.command_id)) {
        let end = ends[&one.command_id];
        assert_ne!(end.outcome, CommandOutcome::Refused, "seed {seed}: refused, and yet sent: {one:?}");
        if one.what != What::Done {
            continue;
        }
        assert!(done.insert(&one.command_id), "seed {seed}: done twice: {one:?}");
        let number = all.iter().position(|asked| asked.id.to_string() == one.command_id).unwrap();
        assert_eq!(all[number].device_id, one.device_id, "seed {seed}");
        assert!(one.at < all[number].expires_at, "seed {seed}: done after it expired: {one:?}");
        if end.outcome == CommandOutcome::TimedOut {
            assert!(one.at < end.at, "seed {seed}: done after it was given up: {one:?} {end:?}");
        }
        let before = last.insert(&one.device_id, number);
        assert!(before.is_none_or(|before| before < number), "seed {seed}: out of order: {one:?}");
    }
    for result in ends.values().filter(|result| result.outcome == CommandOutcome::Verified && result.attempt > 0) {
        assert!(done.contains(&result.command_id.to_string()), "seed {seed}: verified, and never done: {result:?}");
    }
}

/// Who asks the API for a command hears of its one end.
async fn assert_the_api_says_so(api: &Api, results: &[CommandResult]) {
    for end in results.iter().filter(|result| result.outcome != CommandOutcome::Accepted) {
        let found = api.ended(&end.command_id.to_string()).await;
        assert_eq!(found["state"], serde_json::to_value(end.outcome).unwrap(), "{}", end.command_id);
    }
}

fn tell(seed: u64, results: &[CommandResult], happened: &[Happened]) {
    let count = |outcome| results.iter().filter(|result| result.outcome == outcome).count();
    let what = |what| happened.iter().filter(|one| one.what == what).count();
    eprintln!(
        "seed {seed}: {} verified, {} failed, {} timed out, {} refused; lamps were told {} times and too late {} times, and did {}",
        count(CommandOutcome::Verified),
        count(CommandOutcome::Failed),
        count(CommandOutcome::TimedOut),
        count(CommandOutcome::Refused),
        what(What::Told),
        what(What::Late),
        what(What::Done),
    );
}
