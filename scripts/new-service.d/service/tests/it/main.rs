//! @NAME@ against real Kafka and registry.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a failing test panics")]

use @CRATE@::{Config, DEFINITION, app};
use events::{Timestamp, topics};
use stream::OutRecord;
use testkit::{Kit, Running, capture, config, eventually, temperature};

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
