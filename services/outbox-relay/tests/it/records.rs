//! What a row becomes.

use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;
use telemetry::{LogConfig, LogFormat, TelemetryConfig};
use testkit::{OtlpReceiver, capture};

use crate::fixture::Fixture;
use crate::writers::{event, write};

const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
const UNSAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4737-00f067aa0ba902b7-00";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn key_value_and_headers_are_the_rows() {
    let fixture = Fixture::new().await;
    let mut sent = event(&fixture.topic, "acme/n-1", [0, 0, 0, 0, 7, 255]);
    sent.headers.insert(TRACEPARENT.into(), UNSAMPLED.into());
    sent.headers.insert("correlation-id".into(), "n-0".into());
    write(&fixture.pool, std::slice::from_ref(&sent)).await;
    let foreign = r#"INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers)
                     VALUES (gen_random_uuid(), 'device', 'd-1', 't', $1, '', '{"number": 7, "nothing": null}')"#;
    sqlx::query(foreign).bind(&fixture.topic).execute(&fixture.pool).await.unwrap();
    let relay = fixture.relay(&[]).await;
    fixture.until_empty().await;
    relay.stop().await;

    let records = fixture.records(&fixture.topic).await;
    let of = |key: &[u8]| records.iter().find(|record| record.key.as_deref() == Some(key)).unwrap();
    let ours = of(b"acme/n-1");
    assert_eq!(ours.value.as_deref(), Some(sent.payload.as_slice()));
    let headers = ours.headers.iter().map(|(name, value)| (name.clone(), String::from_utf8(value.clone().unwrap()).unwrap()));
    assert_eq!(headers.collect::<std::collections::BTreeMap<_, _>>(), sent.headers);
    assert_eq!(of(b"d-1").headers, [("number".to_owned(), Some(b"7".to_vec()))], "foreign headers are sent as text");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sampled_trace_goes_on_through_a_publish_span() {
    let collector = OtlpReceiver::start().await;
    let traces = TelemetryConfig { otlp_endpoint: collector.endpoint.clone(), sample_ratio: 0.0 };
    let guard = telemetry::init("outbox-relay", &traces, &LogConfig { level: "warn".into(), format: LogFormat::Text }).unwrap();
    let fixture = Fixture::new().await;
    let mut sent = event(&fixture.topic, "n-1", "traced");
    sent.headers.insert(TRACEPARENT.into(), SAMPLED.into());
    sent.headers.insert(TRACESTATE.into(), "vendor=1".into());
    write(&fixture.pool, &[sent]).await;
    let relay = fixture.relay(&[]).await;
    let records = capture(&fixture.kit, "notifications.v1").records(1).await;
    relay.stop().await;
    tokio::task::spawn_blocking(move || drop(guard)).await.unwrap();

    let parent: TraceContext = SAMPLED.parse().unwrap();
    let carried: TraceContext = records[0].header(TRACEPARENT).unwrap().parse().unwrap();
    assert_eq!(carried.trace_id, parent.trace_id);
    assert_eq!(records[0].header(TRACESTATE), Some("vendor=1"));
    let spans = collector.spans();
    let span = spans.iter().find(|span| span.span_id == format!("{:016x}", carried.span_id)).unwrap();
    assert_eq!(span.name, format!("publish {}", fixture.topic));
    assert_eq!((span.trace_id.clone(), span.parent_id.clone()), (parent.trace_id_hex(), format!("{:016x}", parent.span_id)));
}
