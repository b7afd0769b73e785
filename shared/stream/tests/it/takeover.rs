//! What changes an operator's state besides its input: a new operator, a silent source, another release.

use std::sync::Arc;
use std::time::Duration;

use events::{Reading, Timestamp};
use serde::{Deserialize, Serialize};
use stream::operator::{NoNotice, Operator, OperatorConfig, Outputs, State, StateFormat, StateUnreadable};
use stream::{Failure, Registry, RegistryConfig};
use testkit::{Cable, Kit, eventually};
use tokio::sync::watch;

use crate::busy::Busy;
use crate::operator::{
    EveryTenth, Running, STAGE, TOPICS, caught_up, config, reading, said, start_operator, start_through, start_with, status,
};

fn readings(device: &str, count: i64) -> Vec<Reading> {
    (0..count).map(|at| reading(device, at, 1.0)).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    expected.iter().map(|(device, reason)| ((*device).to_owned(), (*reason).to_owned())).collect()
}

async fn eventually_said(kit: &Kit, expected: &[(&str, &str)]) {
    eventually("what is expected was said", || async { (said(kit).await == pairs(expected)).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_operator_takes_over_without_a_restart_and_its_changes_are_kept() {
    let kit = Kit::with_topics(&TOPICS).await;
    let (operators, follow) = watch::channel(Arc::new(Busy { watched: "sensor", most: None }));
    let running = start_with(&kit, follow, config(1));
    kit.publish(&readings("sensor-1", 12)).await;
    caught_up(&kit).await;
    operators.send(Arc::new(Busy { watched: "motor", most: None })).unwrap();
    let after = [("sensor-1", "busy"), ("sensor-1", "not watched")];
    eventually_said(&kit, &after).await;
    running.stop();

    // Once more with the old configuration: the end was committed with its snapshot.
    let again = start_operator(&kit, Busy { watched: "sensor", most: None }, config(1));
    kit.publish(&readings("sensor-2", 1)).await;
    caught_up(&kit).await;
    again.stop();
    assert_eq!(said(&kit).await, pairs(&after));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_whose_source_falls_silent_says_so_once_also_across_a_restart() {
    let kit = Kit::with_topics(&TOPICS).await;
    let patient = || OperatorConfig { source_silence: Duration::from_millis(600), ..config(1) };
    let first = start_operator(&kit, Busy { watched: "sensor", most: None }, patient());
    kit.publish(&readings("sensor-1", 1)).await;
    let partition = {
        let mut input = testkit::capture(&kit, events::topics::READINGS);
        format!("partition-{}", input.records(1).await[0].position.partition)
    };
    eventually_said(&kit, &[(&partition, "silent")]).await;
    first.stop();
    let second = start_operator(&kit, Busy { watched: "sensor", most: None }, patient());
    kit.publish(&readings("sensor-1", 1)).await;
    // Silent, speaking again, silent again: that the second silence was said shows that the first was not repeated.
    eventually_said(&kit, &[(&partition, "silent"), (&partition, "speaks"), (&partition, "silent")]).await;
    second.stop();
}

/// The release before: counts readings.
struct Old;
#[derive(Default, Serialize, Deserialize)]
struct OldCount(u64);

/// This release: also keeps the last time.
struct New;
#[derive(Default, Serialize, Deserialize)]
struct NewCount {
    readings: u64,
    last: Option<Timestamp>,
}

impl State for OldCount {
    const FORMAT: u8 = 1;
}

impl State for NewCount {
    const FORMAT: u8 = 2;
    const PREVIOUS: u8 = 1;

    fn read(format: u8, bytes: &[u8]) -> Result<Self, StateUnreadable> {
        match format {
            1 => Ok(Self { readings: OldCount::read(format, bytes)?.0, last: None }),
            2 => Ok(postcard::from_bytes(bytes)?),
            found => Err(StateUnreadable::OtherFormat { found, known: Self::FORMAT }),
        }
    }

    fn write(&self, format: u8, bytes: Vec<u8>) -> Result<Vec<u8>, StateUnreadable> {
        if format == 1 { OldCount(self.readings).write(format, bytes) } else { Ok(postcard::to_extend(self, bytes)?) }
    }
}

fn count(key: &str, readings: u64, at: Timestamp, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
    if readings.is_multiple_of(3) { outputs.emit(&status(key, format!("reading {readings}"), at)) } else { Ok(()) }
}

impl Operator for Old {
    type Event = Reading;
    type Notice = NoNotice;
    type State = OldCount;
    const STAGE: &'static str = STAGE;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut OldCount, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        state.0 += 1;
        count(key, state.0, reading.received_at, outputs)
    }
}

impl Operator for New {
    type Event = Reading;
    type Notice = NoNotice;
    type State = NewCount;
    const STAGE: &'static str = STAGE;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut NewCount, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        state.readings += 1;
        state.last = Some(reading.received_at);
        count(key, state.readings, reading.received_at, outputs)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_release_is_upgraded_and_rolled_back_until_it_writes_its_own_format() {
    let kit = Kit::with_topics(&TOPICS).await;
    let previous = || OperatorConfig { state_format: StateFormat::Previous, ..config(1) };
    for round in 0..4 {
        let running = match round {
            0 | 2 => start_operator(&kit, Old, config(1)),
            1 => start_operator(&kit, New, previous()),
            _ => start_operator(&kit, New, config(1)),
        };
        kit.publish(&readings("sensor-1", 3)).await;
        caught_up(&kit).await;
        running.stop();
    }
    let expected: Vec<_> = [3, 6, 9, 12].map(|readings| ("sensor-1".to_owned(), format!("reading {readings}"))).into();
    assert_eq!(said(&kit).await, expected);

    let problem = start_operator(&kit, Old, config(1)).ended().unwrap_err().to_string();
    assert!(problem.contains("sensor-1") && problem.contains("format 2"), "{problem}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_out_of_reach_is_waited_for_also_while_the_group_changes() {
    let kit = Kit::with_topics(&TOPICS).await;
    let cable = Cable::plug(&kit.registry_config.url).await;
    cable.set(false);
    let registry = || Registry::connect(&RegistryConfig { url: cable.url.clone(), ..kit.registry_config.clone() }).unwrap();
    // Enough devices that every partition has some.
    let devices: Vec<String> = (10..40).map(|number| format!("sensor-{number}")).collect();
    kit.publish(&devices.iter().flat_map(|device| readings(device, 10)).collect::<Vec<_>>()).await;
    let mut replicas = Vec::new();
    for number in 0..3 {
        let replica = start_through(&kit, registry(), watch::channel(Arc::new(EveryTenth)).1, config(1));
        eventually(&format!("replica {number} waits for the registry"), || async {
            replica.health.not_ready().iter().any(|(_, why)| why.contains("registry")).then_some(())
        })
        .await;
        replicas.push(replica);
    }
    cable.set(true);
    eventually_said(&kit, &devices.iter().map(|device| (device.as_str(), "reading 10")).collect::<Vec<_>>()).await;
    replicas.into_iter().for_each(Running::stop);
}
