use events::codec::SchemaId;
use events::{DeviceState, DeviceStatus};
use serde::{Deserialize, Serialize};

use super::*;
use crate::KafkaConfig;
use crate::operator::{NoNotice, SourceChange};

/// Waits a minute after each status, and says what its source does.
struct Waiting;

#[derive(Default, Serialize, Deserialize)]
struct Last(Option<Timestamp>);

impl State for Last {
    const FORMAT: u8 = 1;
}

fn status(device: &str, second: i64) -> DeviceStatus {
    let changed_at = at(second);
    DeviceStatus { tenant: "default".into(), device_id: device.into(), state: DeviceState::Online, reason: "birth".into(), changed_at }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

impl Operator for Waiting {
    type Event = DeviceStatus;
    type Notice = NoNotice;
    type State = Last;

    const STAGE: &'static str = "waiting";

    fn received_at(&self, status: &DeviceStatus) -> Timestamp {
        status.changed_at
    }

    fn on_event(&self, _: &str, status: &DeviceStatus, state: &mut Last, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        state.0 = Some(status.changed_at);
        outputs.adjust("heard", 1);
        Ok(())
    }

    fn due(&self, state: &Last) -> Option<Timestamp> {
        state.0.map(|last| last.saturating_add(Duration::from_mins(1)))
    }

    fn on_source(&self, change: SourceChange, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        outputs.emit(&status(&format!("{change:?}"), 0))
    }
}

fn writer() -> EventWriter {
    EventWriter::new("test", &KafkaConfig::plain("")).with_id::<DeviceStatus>(SchemaId(1)).unwrap()
}

fn apply(partition: &mut PartitionState<Last>, writer: &EventWriter, status: &DeviceStatus, origin: Origin) {
    let step = Step::new(&Waiting, writer, "statuses");
    partition.apply(&step, (&status.device_id, status), origin, &mut Cause::default, &mut Vec::new()).unwrap();
}

fn bounds(interval: Duration) -> SnapshotBounds {
    SnapshotBounds { records: i64::MAX, interval, format: StateFormat::Newest }
}

#[test]
fn a_partition_tells_what_it_waits_for_and_what_it_has_counted() {
    let (mut partition, writer) = (PartitionState::new(0, 0), writer());
    assert_eq!((partition.next_due(), partition.tallied("heard"), partition.has_announced()), (None, 0, false));
    apply(&mut partition, &writer, &status("sensor-1", 20), Origin::Input { offset: 0 });
    apply(&mut partition, &writer, &status("sensor-2", 10), Origin::Input { offset: 1 });
    assert_eq!((partition.next_due(), partition.tallied("heard"), partition.has_announced()), (Some(at(70)), 2, false));
    apply(&mut partition, &writer, &status("sensor-3", 15), Origin::Retry);
    assert!(partition.has_announced(), "it is in no log that could be replayed");
    assert_eq!(partition.snapshots(bounds(Duration::MAX)).unwrap().len(), 1);
    assert_eq!((partition.tallied("heard"), partition.has_announced()), (3, false));
}

#[test]
fn a_change_is_snapshotted_once_it_has_waited_for_the_interval() {
    let (mut partition, writer, began) = (PartitionState::new(0, 0), writer(), Instant::now());
    partition.now = began;
    apply(&mut partition, &writer, &status("sensor-1", 0), Origin::Input { offset: 0 });
    let interval = Duration::from_secs(5);
    for (after, count) in [(interval.saturating_sub(Duration::from_nanos(1)), 0), (interval, 1), (interval * 2, 0)] {
        partition.now = began + after;
        assert_eq!(partition.snapshots(bounds(interval)).unwrap().len(), count, "after {after:?}");
    }
}

#[test]
fn an_operator_hears_of_its_source() {
    let (mut partition, writer, mut records) = (PartitionState::new(0, 0), writer(), Vec::new());
    let change = SourceChange::Silent { partition: 0, since: at(0) };
    partition.source(&Step::new(&Waiting, &writer, "statuses"), change, &mut records).unwrap();
    assert_eq!(records.len(), 1);
}
