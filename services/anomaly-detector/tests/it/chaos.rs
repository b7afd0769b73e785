//! Replicas, with the model in the loop, killed, paused and restarted while readings flow: every stage says what it says in
//! a run that nobody disturbs.

use std::collections::BTreeMap;
use std::time::Duration;

use anomaly_detector::DEFINITION;
use events::{Reading, Timestamp, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stream::{Cause, EventWriter, OutRecord};
use testkit::chaos::{Faults, Replicas, Schedule};
use testkit::history::{Entry, assert_same_history, history};
use testkit::{Kit, capture, eventually_within, log, temperature};
use tokio::task::block_in_place;

use crate::stream::TOPICS;
use crate::{LIBRARY_VARIABLE, library};

const DEVICES: usize = 24;
const CHUNKS: usize = 40;
/// How long the readings flow, and with them the faults.
const SPAN: Duration = Duration::from_secs(8);
const AWAY: Duration = Duration::from_secs(4);
/// Stages that read readings, and what each says.
const STAGES: [(&str, &str); 2] = [(DEFINITION.name, topics::ANOMALIES), ("anomaly-detector-aggregates", topics::AGGREGATES)];

/// A reading a minute of each device: a gentle swing, and now and then something far out.
fn readings(rounds: usize) -> Vec<Reading> {
    let mut random = StdRng::seed_from_u64(4);
    let mut readings = Vec::new();
    for minute in 0..rounds {
        for device in 0..DEVICES {
            let odd = if minute > 100 && random.random_ratio(1, 100) { random.random_range(15.0..30.0) } else { 0.0 };
            let value = 20.0 + (minute as f64 / 30.0 + device as f64).sin() + random.random_range(-0.2..0.2) + odd;
            let at = Timestamp::from_millis(1_770_000_000_000 + minute as i64 * 60_000 + device as i64);
            readings.push(temperature(&format!("sensor-{device:02}"), at, value));
        }
    }
    readings
}

/// Small polls and short sessions; snapshots often enough that a restore finds some and replays some.
fn environment(kit: &Kit) -> Vec<(String, String)> {
    let library = library().display().to_string();
    let variables = [
        ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.as_str()),
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()),
        ("FIELDWATCH__KAFKA__SESSION_TIMEOUT", "2s"),
        ("FIELDWATCH__REGISTRY__URL", &kit.registry_config.url),
        ("ANOMALY_DETECTOR__OPERATOR__MAX_POLL_RECORDS", "200"),
        ("ANOMALY_DETECTOR__OPERATOR__SNAPSHOT_RECORDS", "2000"),
        ("ANOMALY_DETECTOR__OPERATOR__COMMIT_INTERVAL", "200ms"),
        (LIBRARY_VARIABLE, &library),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into()
}

/// An input written once, for as many prefixes as the test has.
struct Input(Vec<OutRecord>);

impl Input {
    async fn of(kit: &Kit, readings: &[Reading]) -> Self {
        let writer = EventWriter::new("testkit", &kit.kafka).with::<Reading>(&kit.registry).await.unwrap();
        Self(readings.iter().map(|reading| writer.record(reading, &Cause::default(), None).unwrap()).collect())
    }

    async fn publish(&self, kit: &Kit, part: std::ops::Range<usize>) {
        let topic = kit.kafka.prefixed(topics::READINGS);
        let mut records = self.0[part].to_vec();
        for record in &mut records {
            record.topic.clone_from(&topic);
        }
        kit.publish_records(records).await;
    }
}

/// What each stage has said once it is at the end of its input.
async fn said(kit: &Kit, replicas: &mut Replicas) -> BTreeMap<&'static str, Vec<Entry>> {
    let mut said = BTreeMap::new();
    for (stage, output) in STAGES {
        eventually_within(Duration::from_mins(3), &format!("{stage} is at the end of its input"), || {
            replicas.revive();
            let taken = block_in_place(|| kit.lag(stage, topics::READINGS)) == Some(0);
            async move { taken.then_some(()) }
        })
        .await;
        log::settled(kit, output).await;
        said.insert(stage, history(&capture(kit, output).rest().await));
    }
    said
}

async fn undisturbed(input: &Input) -> BTreeMap<&'static str, Vec<Entry>> {
    let kit = Kit::with_topics(&TOPICS).await;
    input.publish(&kit, 0..input.0.len()).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit), 1).await;
    let said = said(&kit, &mut replicas).await;
    assert_eq!(replicas.terminate().await, [Some(0)]);
    for (stage, entries) in &said {
        assert!(entries.len() >= DEVICES, "{stage}: {} records are too few to show anything", entries.len());
    }
    said
}

async fn under(schedule: &Schedule, input: &Input) -> BTreeMap<&'static str, Vec<Entry>> {
    let kit = Kit::with_topics(&TOPICS).await;
    let mut replicas = Replicas::start(DEFINITION.name, &environment(&kit), schedule.replicas).await;
    let publishing = async {
        let mut pace = tokio::time::interval(SPAN / CHUNKS as u32);
        for chunk in 0..CHUNKS {
            pace.tick().await;
            let part = |chunk: usize| input.0.len() * chunk / CHUNKS;
            input.publish(&kit, part(chunk)..part(chunk + 1)).await;
        }
    };
    tokio::join!(publishing, replicas.follow(schedule));
    let said = said(&kit, &mut replicas).await;
    for death in replicas.deaths() {
        eprintln!("seed {}: {death:?}", schedule.seed);
    }
    replicas.terminate().await;
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_killed_and_paused_at_random_say_what_an_undisturbed_one_says() {
    let kit = Kit::with_topics(&TOPICS).await;
    let input = Input::of(&kit, &readings(testkit::count("FIELDWATCH_TEST_READINGS", 12_000) / DEVICES)).await;
    let expected = undisturbed(&input).await;
    for seed in testkit::seeds() {
        let schedule = Schedule::new(seed, Faults::All, SPAN, AWAY);
        eprintln!("{schedule}");
        let observed = under(&schedule, &input).await;
        for (stage, expected) in &expected {
            assert_same_history(&format!("{stage}, {schedule}"), expected, &observed[stage]);
        }
    }
}
