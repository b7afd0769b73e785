use events::{DeviceState, DeviceStatus, topics};
use testkit::{Capture, capture};

use crate::bridge::{Field, Version, in_each_version};
use crate::device::Device;

in_each_version!(
    birth_and_will_become_online_and_offline,
    the_state_of_every_device_is_read_again_on_each_connection,
    devices_are_unknown_once_the_broker_is_away_too_long_and_what_they_say_once_it_is_back,
);

async fn birth_and_will_become_online_and_offline(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[]).await;
    let device = Device::with_will(&field.broker, "d-1").await;
    device.publish_retained("devices/d-1/status", "online").await;
    let mut statuses = capture(&field.kit, topics::DEVICE_STATUS);
    let record = statuses.records(1).await.remove(0);
    let birth: DeviceStatus = statuses.event(&record).await;
    assert_eq!((birth.device_id.as_str(), birth.state, birth.reason.as_str()), ("d-1", DeviceState::Online, "birth"));
    assert_eq!(record.key.as_deref(), Some(b"d-1".as_slice()));
    assert_eq!(record.header("ce_type"), Some("fieldwatch.device-status.v1"));

    device.vanish();
    let will = statuses.events::<DeviceStatus>(1).await.remove(0);
    assert_eq!((will.state, will.reason.as_str()), (DeviceState::Offline, "will"));
    bridge.stop().await.unwrap();
}

async fn the_state_of_every_device_is_read_again_on_each_connection(version: Version) {
    let field = Field::new().await.speaking(version);
    let mut device = Device::connect(&field.broker, "d-1").await;
    device.publish_retained("devices/d-1/status", r#"{"state": "retired", "reason": "sold"}"#).await;
    device.acknowledged(1).await;
    let bridge = field.bridge(&[]).await;
    let mut statuses = capture(&field.kit, topics::DEVICE_STATUS);
    let first = statuses.events::<DeviceStatus>(1).await.remove(0);
    assert_eq!((first.state, first.reason.as_str()), (DeviceState::Retired, "sold"));

    field.wire.cut();
    let again = statuses.events::<DeviceStatus>(1).await.remove(0);
    assert_eq!((again.state, again.reason.as_str()), (DeviceState::Retired, "sold"));
    bridge.stop().await.unwrap();
}

async fn devices_are_unknown_once_the_broker_is_away_too_long_and_what_they_say_once_it_is_back(version: Version) {
    let field = Field::new().await.speaking(version);
    let bridge = field.bridge(&[("MQTT_BRIDGE__MQTT__UNKNOWN_AFTER", "1s")]).await;
    let mut device = Device::connect(&field.broker, "gateway").await;
    let mut statuses = capture(&field.kit, topics::DEVICE_STATUS);
    for (id, state) in [("d-1", "online"), ("d-2", "online"), ("d-3", "retired"), ("d-2", "offline")] {
        device.publish_retained(&format!("devices/{id}/status"), state).await;
    }
    device.acknowledged(4).await;
    statuses.records(4).await;
    // A short absence is none.
    field.wire.cut();
    statuses.records(3).await;

    let cut_at = events::Timestamp::from(std::time::SystemTime::now());
    field.wire.keep_down(true);
    // What was not acknowledged when it was cut comes again, so there may be others before.
    let unknown = next(&mut statuses, |status| status.state == DeviceState::Unknown).await;
    assert_eq!((unknown.device_id.as_str(), unknown.reason.as_str()), ("d-1", "broker_lost"));
    assert!(unknown.changed_at >= cut_at, "{} {cut_at}", unknown.changed_at);

    field.wire.keep_down(false);
    let back = next(&mut statuses, |status| status.device_id == "d-1").await;
    assert_eq!((back.state, back.reason.as_str()), (DeviceState::Online, "birth"));
    bridge.stop().await.unwrap();
    for record in statuses.rest().await {
        assert_ne!(statuses.event::<DeviceStatus>(&record).await.state, DeviceState::Unknown, "nobody else was online");
    }
}

async fn next(statuses: &mut Capture, is_it: impl Fn(&DeviceStatus) -> bool) -> DeviceStatus {
    loop {
        let status = statuses.events::<DeviceStatus>(1).await.remove(0);
        if is_it(&status) {
            return status;
        }
    }
}
