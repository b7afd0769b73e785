//! What an operator reads beside its input: redriven records, and the retirement of devices.

use events::{DeviceState, DeviceStatus, Reading, topics};
use stream::{EventWriter, OutRecord};
use testkit::{Kit, capture, eventually};

use crate::operator::{TOPICS, caught_up, reading, said, start, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_redriven_record_comes_back_through_the_retry_topic_once() {
    let kit = Kit::with_topics(&TOPICS).await;
    let running = start(&kit);
    kit.publish(&(0..9).map(|at| reading("sensor-1", at, 1.0)).collect::<Vec<_>>()).await;
    caught_up(&kit).await;
    let partition = {
        let mut input = capture(&kit, topics::READINGS);
        input.records(1).await[0].position.partition
    };
    let writer = EventWriter::new("fieldctl", &kit.kafka).with::<Reading>(&kit.registry).await.unwrap();
    let mut redriven = writer.record(&reading("sensor-1", 5, 2.0), &stream::Cause::default(), None).unwrap();
    redriven.topic = kit.kafka.prefixed("retry.temperature-alert.v1");
    kit.publish_records(vec![redriven.partition(partition)]).await;
    let first: Vec<DeviceStatus> = capture(&kit, topics::DEVICE_STATUS).events(1).await;
    assert_eq!(first[0].reason, "reading 10");
    running.stop();
    let again = start(&kit);
    kit.publish(&(10..20).map(|at| reading("sensor-1", at, 1.0)).collect::<Vec<_>>()).await;
    caught_up(&kit).await;
    again.stop();
    let reasons: Vec<String> = said(&kit).await.into_iter().map(|(_, reason)| reason).collect();
    assert_eq!(reasons, ["reading 10", "reading 20"]);
}

fn readings(device: &str, count: i64) -> Vec<Reading> {
    (0..count).map(|at| reading(device, at, 1.0)).collect()
}

fn retired(device: &str) -> DeviceStatus {
    DeviceStatus { state: DeviceState::Retired, ..status(device, "sold".into(), reading(device, 30, 0.0).measured_at) }
}

async fn reasons(kit: &Kit) -> Vec<String> {
    said(kit).await.into_iter().map(|(_, reason)| reason).filter(|reason| reason != "sold").collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_device_is_told_once_also_across_a_restart() {
    let kit = Kit::with_topics(&TOPICS).await;
    let first = start(&kit);
    kit.publish(&readings("sensor-1", 15)).await;
    caught_up(&kit).await;
    kit.publish(&[status("sensor-1", "birth".into(), reading("", 20, 0.0).measured_at), retired("sensor-1"), retired("nobody")]).await;
    eventually("the retirement is told", || async { reasons(&kit).await.contains(&"retired after 15".to_owned()).then_some(()) }).await;
    first.stop();

    // What was counted before is forgotten, and the retirement is not heard a second time.
    let second = start(&kit);
    kit.publish(&(40..50).map(|at| reading("sensor-1", at, 1.0)).collect::<Vec<_>>()).await;
    caught_up(&kit).await;
    second.stop();
    assert_eq!(reasons(&kit).await, ["reading 10", "birth", "retired after 15", "reading 10"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_device_state_that_cannot_be_read_is_a_dead_letter_and_the_next_is_heard() {
    let kit = Kit::with_topics(&TOPICS).await;
    let running = start(&kit);
    kit.publish(&readings("sensor-1", 1)).await;
    caught_up(&kit).await;
    let topic = kit.kafka.prefixed(topics::DEVICE_STATUS);
    kit.publish_records(vec![OutRecord::new(&topic, Some(b"sensor-1".to_vec()), Some(vec![7]))]).await;
    kit.publish(&[retired("sensor-1")]).await;
    let letter = capture(&kit, "dlq.temperature-alert.v1").records(1).await.remove(0);
    assert_eq!((letter.header("dlq-reason"), letter.header("dlq-topic")), (Some("too_short"), Some(topic.as_str())));
    eventually("the retirement is told", || async {
        let mut statuses = capture(&kit, topics::DEVICE_STATUS);
        let mut told = false;
        for record in statuses.rest().await.iter().filter(|record| record.value.as_ref().is_some_and(|value| value.len() > 5)) {
            told |= statuses.event::<DeviceStatus>(record).await.reason == "retired after 1";
        }
        told.then_some(())
    })
    .await;
    running.stop();
}
