//! Replicas as processes that are killed, paused and restarted while readings flow: the alerts are those of a run that
//! nobody disturbs.

use std::sync::Arc;
use std::time::Duration;

use events::{Reading, Timestamp, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stream::{Cause, EventWriter, OutRecord};
use temperature_alert::DEFINITION;
use testkit::bench::metric;
use testkit::chaos::{Act, Faults, Replicas, Schedule};
use testkit::history::{Entry, assert_same_history, history};
use testkit::{Kit, capture, eventually_within, log, temperature};
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, block_in_place};

const TOPICS: [&str; 6] = [
    topics::READINGS,
    topics::DEVICE_STATUS,
    topics::TEMPERATURE_ALERTS,
    "dlq.temperature-alert.v1",
    "retry.temperature-alert.v1",
    "state.temperature-alert.v1",
];
const DEVICES: usize = 200;
const CHUNKS: usize = 50;
/// How long the readings flow, and with them the faults.
const SPAN: Duration = Duration::from_secs(8);
const AWAY: Duration = Duration::from_secs(4);
/// Schedules of all tests at a time: each waits for sessions and transactions to time out most of the while.
const AT_ONCE: usize = 5;
static TURNS: Semaphore = Semaphore::const_new(AT_ONCE);

/// Readings of which one in thirty begins an excursion.
fn readings(count: usize) -> Vec<Reading> {
    let mut random = StdRng::seed_from_u64(4);
    let mut value = || if random.random_ratio(1, 30) { random.random_range(28.5..36.0) } else { random.random_range(20.0..27.0) };
    let at = |at| Timestamp::from_millis(1_770_000_000_000 + at as i64);
    (0..count).map(|number| temperature(&format!("sensor-{:03}", number % DEVICES), at(number), value())).collect()
}

/// An input written once, to be published to as many prefixes as a test has.
struct Input(Vec<OutRecord>);

impl Input {
    async fn of(kit: &Kit, readings: &[Reading]) -> Self {
        let writer = EventWriter::new("testkit", &kit.kafka).with::<Reading>(&kit.registry).await.unwrap();
        Self(readings.iter().map(|reading| writer.record(reading, &Cause::default(), None).unwrap()).collect())
    }

    fn on(&self, kit: &Kit, part: std::ops::Range<usize>) -> Vec<OutRecord> {
        let topic = kit.kafka.prefixed(topics::READINGS);
        let mut records = self.0[part].to_vec();
        for record in &mut records {
            record.topic.clone_from(&topic);
        }
        records
    }
}

/// Small polls, so that transactions are many; short sessions, so that a dead replica is soon noticed; snapshots often
/// enough that a restore finds some and replays some.
fn environment(kit: &Kit, protocol: &str) -> Vec<(String, String)> {
    let variables = [
        ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.as_str()),
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()),
        ("FIELDWATCH__KAFKA__GROUP_PROTOCOL", protocol),
        ("FIELDWATCH__KAFKA__SESSION_TIMEOUT", "2s"),
        ("FIELDWATCH__REGISTRY__URL", &kit.registry_config.url),
        ("TEMPERATURE_ALERT__OPERATOR__MAX_POLL_RECORDS", "500"),
        ("TEMPERATURE_ALERT__OPERATOR__SNAPSHOT_RECORDS", "5000"),
        ("TEMPERATURE_ALERT__OPERATOR__COMMIT_INTERVAL", "200ms"),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// Waits until every reading is taken and whatever transaction was left open has ended.
async fn caught_up(kit: &Kit, replicas: &mut Replicas) {
    eventually_within(Duration::from_mins(3), "the replicas are at the end of their input", || {
        replicas.revive();
        let taken = block_in_place(|| kit.lag(DEFINITION.name, topics::READINGS)) == Some(0);
        async move { taken.then_some(()) }
    })
    .await;
    log::settled(kit, topics::TEMPERATURE_ALERTS).await;
}

async fn alerts(kit: &Kit) -> Vec<Entry> {
    history(&capture(kit, topics::TEMPERATURE_ALERTS).rest().await)
}

/// The alerts of one replica that nobody disturbs.
async fn undisturbed(input: &Input) -> Vec<Entry> {
    let kit = Kit::with_topics(&TOPICS).await;
    kit.publish_records(input.on(&kit, 0..input.0.len())).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit, "classic"), 1).await;
    caught_up(&kit, &mut replicas).await;
    assert_eq!(replicas.terminate().await, [Some(0)]);
    let alerts = alerts(&kit).await;
    assert!(alerts.len() > input.0.len() / 20, "{} alerts are too few to show anything", alerts.len());
    alerts
}

async fn under(schedule: &Schedule, protocol: &str, input: &Input) -> Vec<Entry> {
    let kit = Kit::with_topics(&TOPICS).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit, protocol), schedule.replicas).await;
    let publishing = async {
        let mut pace = tokio::time::interval(SPAN / CHUNKS as u32);
        for chunk in 0..CHUNKS {
            pace.tick().await;
            let part = |chunk: usize| input.0.len() * chunk / CHUNKS;
            kit.publish_records(input.on(&kit, part(chunk)..part(chunk + 1))).await;
        }
    };
    tokio::join!(publishing, replicas.follow(schedule));
    caught_up(&kit, &mut replicas).await;
    for death in replicas.deaths() {
        eprintln!("seed {}: {death:?}", schedule.seed);
    }
    replicas.terminate().await;
    alerts(&kit).await
}

async fn every_seed(seeds: Vec<u64>, faults: Faults, protocol: &'static str) {
    let kit = Kit::with_topics(&TOPICS).await;
    let input = Input::of(&kit, &readings(testkit::count("FIELDWATCH_TEST_READINGS", 20_000))).await;
    let (expected, input) = (Arc::new(undisturbed(&input).await), Arc::new(input));
    let mut running = JoinSet::new();
    for seed in seeds {
        let (input, expected) = (input.clone(), expected.clone());
        running.spawn(async move {
            let turn = TURNS.acquire().await.unwrap();
            let schedule = Schedule::new(seed, faults, SPAN, AWAY);
            eprintln!("{protocol}: {schedule}");
            let observed = under(&schedule, protocol, &input).await;
            drop(turn);
            assert_same_history(&format!("{protocol}: {schedule}"), &expected, &observed);
        });
    }
    // A failure has been printed with its seed; the other seeds go on, they may say more about its cause.
    let mut failed = 0;
    while let Some(ended) = running.join_next().await {
        failed += usize::from(ended.is_err());
    }
    assert_eq!(failed, 0, "schedules failed");
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_killed_and_paused_at_random_lose_repeat_and_reorder_nothing() {
    every_seed(testkit::seeds(), Faults::All, "classic").await;
}

/// New ones first: what is found under one protocol is mostly the runtime's, and not the protocol's.
fn a_third_of_the_seeds() -> Vec<u64> {
    let mut seeds = testkit::seeds();
    seeds.split_off(seeds.len() - seeds.len().div_ceil(3))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_holds_when_the_broker_decides_who_reads_what() {
    every_seed(a_third_of_the_seeds(), Faults::All, "consumer").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_come_and_go_under_the_brokers_assignment_lose_repeat_and_reorder_nothing() {
    every_seed(a_third_of_the_seeds(), Faults::Rolling, "consumer").await;
}

/// A process that was stopped past its session and goes on afterwards, with records and perhaps a transaction in hand,
/// while another owns its partitions.
#[tokio::test(flavor = "multi_thread")]
async fn a_zombie_changes_nothing() {
    let kit = Kit::with_topics(&TOPICS).await;
    let input = Input::of(&kit, &readings(40_000)).await;
    let expected = undisturbed(&input).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit, "classic"), 2).await;
    let port = replicas.process(0).admin_port();
    let pausing = async {
        eventually_within(Duration::from_secs(30), "the first replica is at work", || async {
            (metric(port, "fieldwatch_messages_in_total", &[topics::READINGS]).await >= 2_000.0).then_some(())
        })
        .await;
        replicas.act(0, Act::Pause).await;
    };
    tokio::join!(kit.publish_records(input.on(&kit, 0..30_000)), pausing);
    // Only its heir can take what is left.
    caught_up(&kit, &mut replicas).await;
    kit.publish_records(input.on(&kit, 30_000..35_000)).await;
    replicas.act(0, Act::Continue).await;
    kit.publish_records(input.on(&kit, 35_000..40_000)).await;
    caught_up(&kit, &mut replicas).await;
    assert!(replicas.deaths().is_empty(), "fenced, it begins anew: {:?}", replicas.deaths());
    assert_eq!(replicas.terminate().await, [Some(0), Some(0)]);
    assert_same_history("zombie", &expected, &alerts(&kit).await);
}

/// An aborted transaction leaves memory ahead of the log: the same bytes go out again, and are visible once.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_aborted_transaction_held_goes_out_again_and_is_visible_once() {
    let kit = Kit::with_topics(&TOPICS).await;
    let input = Input::of(&kit, &readings(5_000)).await;
    let expected = undisturbed(&input).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit, "classic"), 1).await;
    // The alerts are appended, their snapshots are not: no transaction can commit.
    log::refuse_records(&kit, "state.temperature-alert.v1", true).await;
    kit.publish_records(input.on(&kit, 0..input.0.len())).await;
    let appended = || log::appended(&kit, topics::TEMPERATURE_ALERTS);
    eventually_within(Duration::from_secs(30), "an alert is appended a third time", || {
        let again = block_in_place(appended).values().any(|times| *times >= 3);
        async move { again.then_some(()) }
    })
    .await;
    log::settled(&kit, topics::TEMPERATURE_ALERTS).await;
    assert_eq!(alerts(&kit).await, [], "nothing is visible while transactions abort");
    log::refuse_records(&kit, "state.temperature-alert.v1", false).await;
    caught_up(&kit, &mut replicas).await;
    assert!(replicas.deaths().is_empty(), "still the owner, it goes on: {:?}", replicas.deaths());
    assert_eq!(replicas.terminate().await, [Some(0)]);
    assert_same_history("aborted transactions", &expected, &alerts(&kit).await);
}
