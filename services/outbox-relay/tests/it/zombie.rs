//! A relay that was stopped beyond its leases and goes on as if nothing had happened: a process and SIGSTOP.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use outbox_relay::adapters::kafka::Records;
use outbox_relay::domain::{Aggregate, Delivery, Place, Row, RowId, Slot};
use testkit::{MockKafka, Process, eventually};

use crate::fixture::{Fixture, SHORT_LEASES};
use crate::writers::{event, write};

/// What it had begun to send when it was stopped is not sent after the new owner has published: the records have run out.
/// What it had published without hearing so is not deleted from under the new owner either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_zombie_neither_publishes_over_the_new_owner_nor_deletes() {
    let fixture = Fixture::new().await;
    let kafka = MockKafka::start(&fixture.topic);
    let brokers = kafka.brokers();
    let events =
        |from: u32, to: u32| -> Vec<_> { (from..to).map(|n| event(&fixture.topic, &format!("n-{}", n % 7), n.to_string())).collect() };
    let mut environment = fixture.environment(&SHORT_LEASES);
    environment.push(("FIELDWATCH__KAFKA__BROKERS".into(), brokers.clone()));
    let zombie = Process::start("outbox-relay", &environment).await;
    write(&fixture.pool, &events(0, 20)).await;
    fixture.until_empty().await;

    // A cluster that was there a moment ago is not asked again before the next batch.
    write(&fixture.pool, &events(20, 21)).await;
    fixture.until_empty().await;
    kafka.down();
    write(&fixture.pool, &events(21, 60)).await;
    eventually("rows are on their way", || async {
        let metrics = zombie.admin("metrics").await;
        let line = metrics.lines().find(|line| line.starts_with("fieldwatch_outbox_in_flight"))?;
        (line.rsplit(' ').next()?.parse::<f64>().ok()? > 0.0).then_some(())
    })
    .await;
    zombie.pause();
    kafka.up();
    let successor = fixture.relay(&[("FIELDWATCH__KAFKA__BROKERS", &brokers), SHORT_LEASES[0], SHORT_LEASES[1]]).await;
    fixture.until_empty().await;
    write(&fixture.pool, &events(60, 100)).await;
    fixture.until_empty().await;

    zombie.resume();
    fixture.until_shares(&[32, 32]).await;
    write(&fixture.pool, &events(100, 140)).await;
    fixture.until_empty().await;
    successor.stop().await;
    assert_eq!(zombie.terminate().await, Some(0));
    assert_eq!(fixture.published_to(&kafka).await, fixture.written().await, "each once: the zombie sent nothing late");
}

/// Stopped between reading a batch and sending it: the time to send is over for each row that is left.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_sent_after_the_time_to_send_is_over() {
    let fixture = Fixture::new().await;
    let records = Records::connect(&fixture.kit.kafka, Duration::from_secs(5)).unwrap();
    let row = |id: i64| Row {
        id: RowId(id),
        place: Place([0; 6]),
        slot: Slot(0),
        aggregate: Aggregate { kind: "notification".into(), id: format!("n-{id}") },
        topic: fixture.topic.as_str().into(),
        payload: b"late".to_vec(),
        headers: "{}".into(),
    };
    let mut rows = [row(1), row(2)];
    let over = Instant::now();
    let deliveries = records.publish(&mut rows, &HashSet::new(), false, over).await.unwrap();
    assert_eq!(deliveries, [Delivery::Withheld, Delivery::Withheld]);
    assert_eq!(fixture.published().await.len(), 0);
}
