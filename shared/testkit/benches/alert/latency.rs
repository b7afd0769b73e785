//! From the moment before a reading is sent to its alert in the hands of a `read_committed` consumer, at a steady rate.

use std::time::{Duration, Instant, SystemTime};

use events::codec::{WriterSchema, unframe};
use events::{Event, Reading, TemperatureAlert, Timestamp, topics};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use stream::{Cause, EventWriter};
use testkit::bench::{Percentiles, Report, Target, header_set, metric, producer};
use testkit::{Kit, temperature};

use crate::Arguments;
use crate::contender::{TOPICS, service};

const RATE: u64 = 5_000;
/// One device in so many crosses a threshold with every reading: 250 alerts a second.
const CROSSING: u64 = 20;
/// Seconds before anything counts.
const WARM_UP: u64 = 3;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let kit = Kit::as_declared(&TOPICS).await;
    let service = service(&kit, 1).await;
    let writer = EventWriter::new("mqtt-bridge", &kit.kafka).with::<Reading>(&kit.registry).await.expect("schema is registered");
    let consumer = alerts_consumer(&kit);
    let total = RATE * (WARM_UP + arguments.seconds);
    let devices = u64::from(arguments.devices);
    let expected = (0..total).filter(|number| (number % devices).is_multiple_of(CROSSING)).count();
    let sending = {
        let kit = kit.kafka.clone();
        tokio::task::spawn_blocking(move || send(&kit, &writer, total, devices))
    };
    let received = tokio::task::spawn_blocking(move || receive(&consumer, expected));
    sending.await.expect("readings are sent");
    let latencies = received.await.expect("alerts are received");
    let turns = metric(service.admin_port(), "fieldwatch_processing_seconds_count", &[]).await;
    let turn = 1e3 * metric(service.admin_port(), "fieldwatch_processing_seconds_sum", &[]).await / turns;
    let transactions = metric(service.admin_port(), "fieldwatch_transactions_total", &["outcome=\"committed\""]).await;
    assert_eq!(service.terminate().await, Some(0), "temperature-alert stops as it should");

    let counted = latencies.into_iter().skip(250 * WARM_UP as usize).collect();
    let found = Percentiles::of(counted).expect("alerts were measured");
    let row = vec![
        "ms".into(),
        found.count.into(),
        found.p50.into(),
        found.p99.into(),
        found.p999.into(),
        found.max.into(),
        transactions.into(),
        turn.into(),
    ];
    let title = format!("Latency: reading sent to alert visible, {RATE} readings/s for {} s, 1 worker", arguments.seconds);
    report.table(title, &["", "alerts", "p50", "p99", "p99.9", "max", "transactions", "mean turn of the worker"], vec![row]);
    report.target(Target::at_most("latency p50 (ms)", 8.0, found.p50));
    report.target(Target::at_most("latency p99 (ms)", 20.0, found.p99));
}

/// Sends reading after reading, each at its time; `measured_at` is the moment before it is sent, which its alert repeats.
fn send(kafka: &stream::KafkaConfig, writer: &EventWriter, total: u64, devices: u64) {
    // As the bridge's producer lingers.
    let producer = producer(kafka, 1);
    let topic = kafka.prefixed(topics::READINGS);
    let began = Instant::now();
    for number in 0..total {
        let due = Duration::from_nanos(number * 1_000_000_000 / RATE);
        while let Some(early) = due.checked_sub(began.elapsed()) {
            producer.poll(Duration::ZERO);
            std::thread::sleep(early.min(Duration::from_micros(500)));
        }
        let (device, round) = (number % devices, number / devices);
        let high = device.is_multiple_of(CROSSING) && round.is_multiple_of(2);
        let value = if high { 29.0 } else { 20.0 };
        let reading = temperature(&format!("sensor-{device:07}"), Timestamp::from(SystemTime::now()), value);
        let (headers, _) = header_set(&writer.headers(&reading, &Cause::default(), None));
        let value = writer.value(&reading).expect("a reading can be written");
        let record = BaseRecord::to(&topic).key(reading.device_id.as_bytes()).payload(&value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).expect("a reading is queued");
    }
    producer.flush(Duration::from_secs(30)).expect("Kafka acknowledges");
}

fn alerts_consumer(kit: &Kit) -> BaseConsumer {
    let mut config = kit.kafka.consumer("bench-alerts").expect("the consumer's settings");
    let consumer: BaseConsumer = config.set("group.id", format!("{}bench-alerts", kit.prefix())).create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    let topic = kit.kafka.prefixed(topics::TEMPERATURE_ALERTS);
    for partition in 0..12 {
        assignment.add_partition_offset(&topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assignment).expect("the partitions are assigned");
    consumer
}

/// Milliseconds of each alert, in the order they came.
fn receive(consumer: &BaseConsumer, expected: usize) -> Vec<f64> {
    let schema = WriterSchema::parse(TemperatureAlert::SCHEMA.json).expect("our schema");
    let mut latencies = Vec::with_capacity(expected);
    while latencies.len() < expected {
        let message = consumer.poll(Duration::from_secs(30)).expect("an alert within 30 s").expect("an alert can be consumed");
        let now = Timestamp::from(SystemTime::now());
        let (_, body) = unframe(message.payload().expect("an alert has a value")).expect("a framed value");
        let alert: TemperatureAlert = schema.decode(body).expect("an alert");
        latencies.push(now.since(alert.changed_at).as_secs_f64() * 1e3);
    }
    latencies
}
