use events::topics;
use events::trace::TraceContext;
use mqtt_bridge::NAME;
use testkit::{OtlpReceiver, Process, capture, eventually};

use crate::bridge::Field;
use crate::device::Device;

const DEVICES_OWN: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[tokio::test(flavor = "multi_thread")]
async fn a_message_begins_a_trace_linked_to_the_devices_and_a_dead_letter_always_has_one() {
    let (field, receiver) = (Field::new().await, OtlpReceiver::start().await);
    let mut environment = field.environment();
    environment.push(("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT".into(), receiver.endpoint.clone()));
    // Nothing is sampled but what has to be.
    environment.push(("FIELDWATCH__TELEMETRY__SAMPLE_RATIO".into(), "0".into()));
    let mut bridge = Process::start(NAME, &environment).await;
    let device = Device::connect(&field.broker, "d-1").await;
    device.publish_with("devices/d-1/telemetry", r#"{"temperature": 20}"#, &[("traceparent", DEVICES_OWN)]).await;
    device.publish_with("devices/d-1/telemetry", "rubbish", &[("traceparent", DEVICES_OWN)]).await;

    let reading = capture(&field.kit, topics::READINGS).records(1).await.remove(0);
    let trace: TraceContext = reading.header("traceparent").unwrap().parse().unwrap();
    assert!(!trace.sampled, "a device must not force sampling");
    assert_ne!(trace.trace_id_hex(), DEVICES_OWN[3..35]);
    let letter = capture(&field.kit, &topics::dlq(NAME)).records(1).await.remove(0);
    let trace: TraceContext = letter.header("traceparent").unwrap().parse().unwrap();
    assert!(trace.sampled);
    assert_eq!(letter.header("mqtt-user-traceparent"), Some(DEVICES_OWN));
    let span = eventually("the dead letter's span is exported", || async {
        receiver.spans().into_iter().find(|span| span.trace_id == trace.trace_id_hex())
    })
    .await;
    assert_eq!((span.service.as_str(), span.parent_id.as_str(), span.links.len()), (NAME, "", 1));
    bridge.kill();

    environment.pop();
    environment.push(("FIELDWATCH__TELEMETRY__SAMPLE_RATIO".into(), "1".into()));
    let bridge = Process::start(NAME, &environment).await;
    device.publish_with("iot/sensor/temperature", r#"{"device_id": "d-2", "temperature": 20}"#, &[("traceparent", DEVICES_OWN)]).await;
    let span = eventually("the message's span is exported", || async {
        receiver.spans().into_iter().find(|span| span.name == "receive iot/sensor/temperature")
    })
    .await;
    let (devices_trace, devices_span) = (&DEVICES_OWN[3..35], &DEVICES_OWN[36..52]);
    assert_eq!(span.links, [(devices_trace.to_owned(), devices_span.to_owned())]);
    assert_eq!(span.parent_id, "");
    assert_eq!(bridge.terminate().await, Some(0));
}
