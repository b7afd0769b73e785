use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use events::{DeviceState, DeviceStatus, Reading, Timestamp, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use service::{Health, Shutdown, Supervisor, TaskFailed};
use stream::dlq::DlqLimit;
use stream::operator::{Operator, OperatorConfig, OperatorContext, Outputs, State, StateFormat};
use stream::{EventWriter, Failure, Registry};
use testkit::{Kit, capture, eventually, temperature};
use tokio::sync::watch;

pub(crate) const STAGE: &str = "temperature-alert";
pub(crate) const TOPICS: [&str; 5] =
    [topics::READINGS, topics::DEVICE_STATUS, "dlq.temperature-alert.v1", "retry.temperature-alert.v1", "state.temperature-alert.v1"];

pub(crate) fn reading(device: &str, at: i64, value: f64) -> Reading {
    let at = Timestamp::from_millis(1_770_000_000_000 + at * 1_000);
    temperature(device, at, value)
}

/// Says every tenth reading of a device, a silence of a minute, and its retirement.
pub(crate) struct EveryTenth;

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Count {
    pub(crate) readings: u64,
    last: Option<Timestamp>,
}

impl State for Count {
    const FORMAT: u8 = 1;
}

pub(crate) fn status(key: &str, reason: String, at: Timestamp) -> DeviceStatus {
    DeviceStatus { tenant: "default".into(), device_id: key.into(), state: DeviceState::Online, reason, changed_at: at }
}

impl Operator for EveryTenth {
    type Event = Reading;
    type Notice = DeviceStatus;
    type State = Count;

    const STAGE: &'static str = STAGE;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut Count, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        state.readings += 1;
        state.last = Some(reading.received_at);
        if state.readings.is_multiple_of(10) {
            outputs.emit(&status(key, format!("reading {}", state.readings), reading.received_at))?;
        }
        Ok(())
    }

    fn due(&self, state: &Count) -> Option<Timestamp> {
        state.last.map(|last| last.saturating_add(Duration::from_mins(1)))
    }

    fn on_time(&self, key: &str, now: Timestamp, state: &mut Count, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        state.last = None;
        outputs.emit(&status(key, format!("silent after {}", state.readings), now))
    }

    fn on_notice(&self, key: &str, notice: &DeviceStatus, state: &mut Count, outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        if notice.state != DeviceState::Retired {
            return Ok(false);
        }
        let Count { readings, .. } = std::mem::take(state);
        outputs.emit(&status(key, format!("retired after {readings}"), notice.changed_at))?;
        Ok(true)
    }
}

pub(crate) struct Running {
    shutdown: Shutdown,
    pub(crate) health: Health,
    thread: std::thread::JoinHandle<Result<(), TaskFailed>>,
}

/// Snapshots every 50 records, so that restores replay.
pub(crate) fn config(workers: usize) -> OperatorConfig {
    OperatorConfig {
        workers,
        max_poll_records: 40,
        gather: Duration::ZERO,
        snapshot_records: 50,
        snapshot_interval: Duration::from_mins(1),
        commit_interval: Duration::from_millis(50),
        source_silence: Duration::ZERO,
        state_format: StateFormat::Newest,
        dlq_limit: DlqLimit::On,
    }
}

/// One replica of an operator that says device statuses.
pub(crate) fn start_with<O: Operator>(kit: &Kit, operators: watch::Receiver<Arc<O>>, config: OperatorConfig) -> Running {
    start_through(kit, kit.registry.clone(), operators, config)
}

/// As [`start_with`], reading with the schemas of `registry`.
pub(crate) fn start_through<O: Operator>(
    kit: &Kit,
    registry: Registry,
    operators: watch::Receiver<Arc<O>>,
    config: OperatorConfig,
) -> Running {
    let own = kit.registry.clone();
    start_writing(kit, registry, operators, config, async move |writer| writer.with::<DeviceStatus>(&own).await.unwrap())
}

/// As [`start_through`], with the writers of `events`.
pub(crate) fn start_writing<O: Operator>(
    kit: &Kit,
    registry: Registry,
    operators: watch::Receiver<Arc<O>>,
    config: OperatorConfig,
    events: impl AsyncFnOnce(EventWriter) -> EventWriter + Send + 'static,
) -> Running {
    let (kafka, shutdown) = (kit.kafka.clone(), Shutdown::new());
    let (stop, health) = (shutdown.clone(), Health::default());
    let (checks, started) = (health.clone(), health.check("started"));
    let thread = std::thread::spawn(move || {
        tokio::runtime::Runtime::new().unwrap().block_on(async {
            let mut supervisor = Supervisor::new(stop);
            let writer = events(EventWriter::new(STAGE, &kafka)).await;
            let context = OperatorContext { kafka, registry, writer, config };
            stream::operator::start(&operators, &context, &checks, &mut supervisor);
            started.ready();
            supervisor.run().await
        })
    });
    Running { shutdown, health, thread }
}

pub(crate) fn start_operator<O: Operator>(kit: &Kit, operator: O, config: OperatorConfig) -> Running {
    start_with(kit, watch::channel(Arc::new(operator)).1, config)
}

/// One replica with two workers.
pub(crate) fn start(kit: &Kit) -> Running {
    start_operator(kit, EveryTenth, config(2))
}

impl Running {
    pub(crate) fn stop(self) {
        self.shutdown.cancel();
        self.ended().unwrap();
    }

    /// How it ended by itself.
    pub(crate) fn ended(self) -> Result<(), TaskFailed> {
        self.thread.join().unwrap()
    }
}

/// What was said so far: device and reason, in the order of each device.
pub(crate) async fn said(kit: &Kit) -> Vec<(String, String)> {
    let mut output = capture(kit, topics::DEVICE_STATUS);
    let mut said = Vec::new();
    for record in output.rest().await {
        let status: DeviceStatus = output.event(&record).await;
        said.push((status.device_id, status.reason));
    }
    said.sort_by(|(one, _), (other, _)| one.cmp(other));
    said
}

pub(crate) async fn caught_up(kit: &Kit) {
    eventually("the group is at the end of its input", || async { (kit.lag(STAGE, topics::READINGS) == Some(0)).then_some(()) }).await;
}

/// What an uninterrupted run says. Silence is judged by the time of a device's partition, which other devices move.
pub(crate) fn expected(readings: &[Reading]) -> BTreeMap<String, Vec<String>> {
    let mut counts = BTreeMap::<String, u64>::new();
    let mut said = BTreeMap::<String, Vec<String>>::new();
    for reading in readings {
        let count = counts.entry(reading.device_id.clone()).or_default();
        *count += 1;
        if count.is_multiple_of(10) {
            said.entry(reading.device_id.clone()).or_default().push(format!("reading {count}"));
        }
    }
    said
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_that_come_and_go_neither_lose_nor_repeat_an_output() {
    for seed in testkit::seeds() {
        replicas_come_and_go(StdRng::seed_from_u64(seed)).await;
    }
}

async fn replicas_come_and_go(mut random: StdRng) {
    let kit = Kit::with_topics(&TOPICS).await;
    let readings: Vec<Reading> =
        (0..4_000).map(|at| reading(&format!("sensor-{:02}", random.random_range(0..30)), at / 100, 1.0)).collect();
    let mut replicas = vec![start(&kit)];
    for part in readings.chunks(500) {
        kit.publish(part).await;
        match random.random_range(0..3) {
            0 => replicas.push(start(&kit)),
            1 if replicas.len() > 1 => replicas.remove(0).stop(),
            _ => {}
        }
    }
    caught_up(&kit).await;
    replicas.into_iter().for_each(Running::stop);

    let mut said = BTreeMap::<String, Vec<String>>::new();
    let mut output = capture(&kit, topics::DEVICE_STATUS);
    for record in output.rest().await {
        let status: DeviceStatus = output.event(&record).await;
        said.entry(status.device_id).or_default().push(status.reason);
    }
    assert_eq!(said, expected(&readings));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_runs_once_when_the_partitions_time_passes_it_also_across_a_restart() {
    let kit = Kit::with_topics(&TOPICS).await;
    let first = start(&kit);
    kit.publish(&[reading("sensor-1", 0, 1.0)]).await;
    caught_up(&kit).await;
    first.stop();
    let second = start(&kit);
    // The same device again, later than its silence: the timer is due first, at its own time.
    kit.publish(&[reading("sensor-1", 90, 1.0), reading("sensor-1", 100, 1.0)]).await;
    caught_up(&kit).await;
    second.stop();
    let mut output = capture(&kit, topics::DEVICE_STATUS);
    let records = output.rest().await;
    assert_eq!(records.len(), 1);
    let said: DeviceStatus = output.event(&records[0]).await;
    assert_eq!((said.reason.as_str(), said.changed_at), ("silent after 1", reading("", 60, 0.0).measured_at));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_is_ready_once_what_it_was_assigned_is_restored_also_where_that_is_nothing() {
    let kit = Kit::with_topics(&TOPICS).await;
    let mut replicas = Vec::new();
    // Two workers each, for three partitions.
    for number in 0..3 {
        let replica = start(&kit);
        eventually(&format!("replica {number} is ready"), || async { replica.health.not_ready().is_empty().then_some(()) }).await;
        replicas.push(replica);
    }
    replicas.into_iter().for_each(Running::stop);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_without_its_input_topic_is_not_ready_and_hears_of_the_topic_once_it_is_there() {
    let kit = Kit::as_declared(&TOPICS[1..]).await;
    let replica = start(&kit);
    eventually("it says what it waits for", || async {
        replica.health.not_ready().iter().any(|(_, why)| why.contains("which partitions")).then_some(())
    })
    .await;
    kit.renew(&TOPICS[..1]).await;
    eventually("it is ready", || async { replica.health.not_ready().is_empty().then_some(()) }).await;
    replica.stop();
}
