use events::{DeviceState, DeviceStatus, topics};
use testkit::capture;

use crate::bridge::{Field, Version, in_each_version};
use crate::device::Device;

in_each_version!(birth_and_will_become_online_and_offline, the_state_of_every_device_is_read_again_on_each_connection,);

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
