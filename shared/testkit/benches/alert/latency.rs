//! From a reading's place in the log to its alert in the hands of a `read_committed` consumer, at a steady rate.
//!
//! The broker stamps readings as it appends them, in whole milliseconds rounded down: what is told is up to one too long.

use std::collections::HashMap;
use std::time::{Duration, Instant, SystemTime};

use events::codec::{WriterSchema, unframe};
use events::{Event, Reading, TemperatureAlert, Timestamp, topics};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{BaseRecord, Producer};
use rdkafka::{Message, Offset, TopicPartitionList};
use stream::{Cause, EventWriter};
use testkit::bench::{Percentiles, Report, Target, header_set, metric, producer};
use testkit::{Kit, log, temperature};

use crate::Arguments;
use crate::contender::{TOPICS, service};

const RATE: u64 = 5_000;
/// One device in so many crosses a threshold with every reading: 50 alerts a second, which is many, and 250.
const CROSSINGS: [u64; 2] = [100, 20];
/// Seconds before anything counts: a JVM that has just started compiles what the first transactions run.
const WARM_UP: u64 = 10;

pub(crate) async fn run(arguments: &Arguments, report: &mut Report) {
    let mut rows = Vec::new();
    for crossing in CROSSINGS {
        let measured = at(crossing, arguments).await;
        if crossing == CROSSINGS[0] {
            report.target(Target::at_most("latency p50 (ms)", 8.0, measured.from_append.p50));
            report.target(Target::at_most("latency p99 (ms)", 20.0, measured.from_append.p99));
        }
        for (since, found) in [("appended", &measured.from_append), ("given to the producer", &measured.from_send)] {
            let alerts = format!("{}", RATE / crossing);
            let transactions = measured.transactions.into();
            rows.push(vec![
                alerts.into(),
                since.into(),
                transactions,
                found.p50.into(),
                found.p99.into(),
                found.p999.into(),
                found.max.into(),
            ]);
        }
    }
    let title = format!("Latency in ms from a reading to its visible alert, {RATE} readings/s for {} s, 1 worker", arguments.seconds);
    report.table(title, &["alerts/s", "since the reading was", "transactions", "p50", "p99", "p99.9", "max"], rows);
}

struct Measured {
    from_append: Percentiles,
    from_send: Percentiles,
    transactions: f64,
}

async fn at(crossing: u64, arguments: &Arguments) -> Measured {
    let kit = Kit::as_declared(&TOPICS).await;
    log::stamp_on_append(&kit, topics::READINGS).await;
    let service = service(&kit, 1).await;
    let writer = EventWriter::new("mqtt-bridge", &kit.kafka).with::<Reading>(&kit.registry).await.expect("schema is registered");
    let consumer = reader(&kit, topics::TEMPERATURE_ALERTS);
    let total = RATE * (WARM_UP + arguments.seconds);
    let devices = u64::from(arguments.devices);
    let expected = (0..total).filter(|number| (number % devices).is_multiple_of(crossing)).count();
    let sending = {
        let kit = kit.kafka.clone();
        tokio::task::spawn_blocking(move || send(&kit, &writer, total, devices, crossing))
    };
    let received = tokio::task::spawn_blocking(move || receive(&consumer, expected));
    sending.await.expect("readings are sent");
    let seen = received.await.expect("alerts are received");
    let transactions = metric(service.admin_port(), "fieldwatch_transactions_total", &["outcome=\"committed\""]).await;
    assert_eq!(service.terminate().await, Some(0), "temperature-alert stops as it should");

    let appended = tokio::task::block_in_place(|| appended(&reader(&kit, topics::READINGS), total));
    let counted = &seen[(RATE / crossing * WARM_UP) as usize..];
    let percentiles = |since: &dyn Fn(&Seen) -> Timestamp| {
        let latencies = counted.iter().map(|seen| seen.at.since(since(seen)).as_secs_f64() * 1e3).collect();
        Percentiles::of(latencies).expect("alerts were measured")
    };
    let from_append = percentiles(&|seen| appended[&seen.reading]);
    let from_send = percentiles(&|seen| seen.reading.1);
    Measured { from_append, from_send, transactions }
}

/// An alert as the consumer met it: the device and time of its reading, and when.
struct Seen {
    reading: (String, Timestamp),
    at: Timestamp,
}

/// Sends reading after reading, each at its time; `measured_at` is the moment before it is sent, which its alert repeats.
fn send(kafka: &stream::KafkaConfig, writer: &EventWriter, total: u64, devices: u64, crossing: u64) {
    // A client sends a request for each partition: lingering less, the readings alone would be 5,000 requests a second,
    // and the broker on the same cores what is measured.
    let producer = producer(kafka, 5);
    let topic = kafka.prefixed(topics::READINGS);
    let began = Instant::now();
    for number in 0..total {
        let due = Duration::from_nanos(number * 1_000_000_000 / RATE);
        while let Some(early) = due.checked_sub(began.elapsed()) {
            producer.poll(Duration::ZERO);
            std::thread::sleep(early.min(Duration::from_micros(500)));
        }
        let (device, round) = (number % devices, number / devices);
        let high = device.is_multiple_of(crossing) && round.is_multiple_of(2);
        let value = if high { 29.0 } else { 20.0 };
        let reading = temperature(&format!("sensor-{device:07}"), Timestamp::from(SystemTime::now()), value);
        let (headers, _) = header_set(&writer.headers(&reading, &Cause::default(), None));
        let value = writer.value(&reading).expect("a reading can be written");
        let record = BaseRecord::to(&topic).key(reading.device_id.as_bytes()).payload(&value).headers(headers);
        producer.send(record).map_err(|(error, _)| error).expect("a reading is queued");
    }
    producer.flush(Duration::from_secs(30)).expect("Kafka acknowledges");
}

fn reader(kit: &Kit, topic: &str) -> BaseConsumer {
    let mut config = kit.kafka.consumer("bench-latency").expect("the consumer's settings");
    let consumer: BaseConsumer = config.set("group.id", format!("{}bench-latency", kit.prefix())).create().expect("a consumer");
    let mut assignment = TopicPartitionList::new();
    let topic = kit.kafka.prefixed(topic);
    for partition in 0..12 {
        assignment.add_partition_offset(&topic, partition, Offset::Beginning).expect("a partition");
    }
    consumer.assign(&assignment).expect("the partitions are assigned");
    consumer
}

/// The alerts in the order they came.
fn receive(consumer: &BaseConsumer, expected: usize) -> Vec<Seen> {
    let schema = WriterSchema::parse(TemperatureAlert::SCHEMA.json).expect("our schema");
    let mut alerts = Vec::with_capacity(expected);
    while alerts.len() < expected {
        let message = consumer.poll(Duration::from_secs(30)).expect("an alert within 30 s").expect("an alert can be consumed");
        let at = Timestamp::from(SystemTime::now());
        let (_, body) = unframe(message.payload().expect("an alert has a value")).expect("a framed value");
        let alert: TemperatureAlert = schema.decode(body).expect("an alert");
        alerts.push(Seen { reading: (alert.device_id, alert.changed_at), at });
    }
    alerts
}

/// When each reading was appended, by device and `measured_at`.
fn appended(consumer: &BaseConsumer, total: u64) -> HashMap<(String, Timestamp), Timestamp> {
    let schema = WriterSchema::parse(Reading::SCHEMA.json).expect("our schema");
    let mut times = HashMap::with_capacity(total as usize);
    for _ in 0..total {
        let message = consumer.poll(Duration::from_secs(30)).expect("a reading within 30 s").expect("a reading can be consumed");
        let (_, body) = unframe(message.payload().expect("a reading has a value")).expect("a framed value");
        let reading: Reading = schema.decode(body).expect("a reading");
        let at = message.timestamp().to_millis().expect("the broker's time");
        times.insert((reading.device_id, reading.measured_at), Timestamp::from_millis(at));
    }
    times
}
