//! @NAME@ against real Kafka and registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use @CRATE@::{Config, DEFINITION, app};
use events::{Reading, Timestamp, topics};
use stream::{Cause, EventWriter, OutRecord};
use testkit::{Kit, OtlpReceiver, Process, Running, capture, config, eventually, temperature};

#[tokio::test(flavor = "multi_thread")]
async fn readings_are_taken_and_what_is_none_goes_to_the_dead_letter_queue() {
    let dead_letters = topics::dlq(DEFINITION.name);
    let kit = Kit::with_topics(&[topics::READINGS, &dead_letters, &topics::retry(DEFINITION.name)]).await;
    let prefix = [("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix())];
    let service = Running::start(config::<Config>(DEFINITION.name, DEFINITION.defaults, &prefix), app::start).await;

    let at = Timestamp::from_millis(1_770_000_000_000);
    let readings = kit.kafka.prefixed(topics::READINGS);
    kit.publish(&[temperature("sensor-01", at, 20.0)]).await;
    kit.publish_records(vec![OutRecord::new(&readings, Some(b"sensor-01".to_vec()), Some(b"not avro".to_vec()))]).await;
    kit.publish(&[temperature("sensor-01", at, 21.0)]).await;

    let letter = capture(&kit, &dead_letters).records(1).await.remove(0);
    assert_eq!(letter.header("dlq-reason"), Some("bad_magic"));
    let taken = format!("fieldwatch_messages_in_total{{topic=\"{readings}\"}} 2");
    eventually(&taken, || async { telemetry::metrics::render().contains(&taken).then_some(()) }).await;
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_of_a_reading_goes_on() {
    let kit = Kit::with_topics(&[topics::READINGS, &topics::dlq(DEFINITION.name), &topics::retry(DEFINITION.name)]).await;
    let otlp = OtlpReceiver::start().await;
    let environment = [
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix()),
        ("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", &otlp.endpoint),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ];
    let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let service = Process::start(DEFINITION.name, &environment).await;

    let (trace_id, span_id) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let parent = format!("00-{trace_id}-{span_id}-01").parse().ok();
    let writer = EventWriter::new("testkit", &kit.kafka).with::<Reading>(&kit.registry).await.unwrap();
    let reading = temperature("sensor-01", Timestamp::from_millis(1_770_000_000_000), 20.0);
    kit.publish_records(vec![writer.record(&reading, &Cause::default(), parent).unwrap()]).await;

    let span = eventually("its span", || async { otlp.spans().into_iter().find(|span| span.trace_id == trace_id) }).await;
    assert_eq!((span.service.as_str(), span.parent_id.as_str()), (DEFINITION.name, span_id));
    assert_eq!(service.terminate().await, Some(0));
}
