//! Payloads too large for a topic.

use std::path::Path;

use events::{Blob, topics};
use mqtt_bridge::NAME;
use testkit::{capture, eventually};

use crate::bridge::Field;
use crate::device::Device;
use crate::redrive::redriven;

const TOPIC: &str = "devices/camera-1/telemetry";

fn picture() -> Vec<u8> {
    (0..500_000_u32).map(|at| (at % 251) as u8).collect()
}

fn content(blob: &Blob) -> Vec<u8> {
    std::fs::read(Path::new(blob.uri.strip_prefix("file://").unwrap())).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_payload_is_kept_and_told_of_before_it_is_acknowledged() {
    let (field, folder) = (Field::new().await, tempfile::tempdir().unwrap());
    let store = folder.path().display().to_string();
    let bridge = field.bridge(&[("MQTT_BRIDGE__BLOBS__FOLDER", &store)]).await;
    let device = Device::connect(&field.broker, "camera-1").await;
    device.publish_typed(TOPIC, picture(), "image/jpeg").await;
    device.publish(TOPIC, 1, picture()).await;
    eventually("both are acknowledged", || async { (field.wire.acks() == 2).then_some(()) }).await;

    let mut blobs = capture(&field.kit, topics::BLOBS);
    let records = blobs.rest().await;
    let [first, second] = records.as_slice() else { panic!("{} events", records.len()) };
    let blob: Blob = blobs.event(first).await;
    assert_eq!((blob.device_id.as_str(), blob.size, blob.content_type.as_str()), ("camera-1", 500_000, "image/jpeg"));
    assert_eq!((blob.mqtt_topic.as_str(), first.key.as_deref()), (TOPIC, Some(b"camera-1".as_slice())));
    assert!(content(&blob) == picture() && blob.uri.ends_with(&blob.sha256), "{}", blob.uri);
    assert_eq!(first.header("ce_type"), Some("fieldwatch.blob.v1"));
    // The same picture again: one blob, and one event by its id.
    let again: Blob = blobs.event(second).await;
    assert_eq!((again.uri, again.content_type.as_str()), (blob.uri, "application/octet-stream"));
    assert_eq!(first.header("ce_id"), second.header("ce_id"));
    bridge.stop().await.unwrap();
    field.wire.assert_acknowledged_in_order();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_that_cannot_be_kept_is_a_dead_letter_and_a_blob_once_it_is_redriven() {
    let (field, folder) = (Field::new().await, tempfile::tempdir().unwrap());
    let store = folder.path().display().to_string();
    let bridge = field.bridge(&[("MQTT_BRIDGE__BLOBS__FOLDER", &store)]).await;
    std::fs::remove_dir_all(&store).unwrap();
    let device = Device::connect(&field.broker, "camera-1").await;
    device.publish_typed(TOPIC, picture(), "image/jpeg").await;
    let letter = capture(&field.kit, &topics::dlq(NAME)).records(1).await.remove(0);
    assert_eq!((letter.header("dlq-reason"), letter.header("mqtt-content-type")), (Some("blob_not_kept"), Some("image/jpeg")));
    assert!(letter.value.as_deref() == Some(&picture()));
    bridge.stop().await.unwrap();

    let bridge = field.bridge(&[("MQTT_BRIDGE__BLOBS__FOLDER", &store)]).await;
    field.kit.publish_records(vec![redriven(&field, &letter)]).await;
    let blob = capture(&field.kit, topics::BLOBS).events::<Blob>(1).await.remove(0);
    assert!(content(&blob) == picture());
    assert_eq!(
        (blob.content_type.as_str(), Some(blob.received_at.to_string().as_str())),
        ("image/jpeg", letter.header("mqtt-received-at"))
    );
    bridge.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blob_is_deleted_when_it_was_kept_long_enough() {
    let (field, folder) = (Field::new().await, tempfile::tempdir().unwrap());
    let store = folder.path().display().to_string();
    let bridge = field.bridge(&[("MQTT_BRIDGE__BLOBS__FOLDER", &store), ("MQTT_BRIDGE__BLOBS__KEEP", "2s")]).await;
    let device = Device::connect(&field.broker, "camera-1").await;
    device.publish_typed(TOPIC, picture(), "image/jpeg").await;
    let blob = capture(&field.kit, topics::BLOBS).events::<Blob>(1).await.remove(0);
    let file = Path::new(blob.uri.strip_prefix("file://").unwrap());
    eventually("the blob is deleted", || async { (!file.exists()).then_some(()) }).await;
    bridge.stop().await.unwrap();
}
