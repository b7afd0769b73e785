use std::collections::BTreeSet;
use std::sync::Arc;

use events::{AlertReason, AlertState, DeviceState, DeviceStatus, Reading, TemperatureAlert, Timestamp, topics};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use stream::OutRecord;
use temperature_alert::domain::Simulation;
use temperature_alert::{Config, DEFINITION, app};
use testkit::{Kit, Running, capture, eventually, temperature};

pub(crate) const TOPICS: [&str; 6] = [
    topics::READINGS,
    topics::DEVICE_STATUS,
    topics::TEMPERATURE_ALERTS,
    "dlq.temperature-alert.v1",
    "retry.temperature-alert.v1",
    "state.temperature-alert.v1",
];

fn reading(device: &str, at: i64, value: f64) -> Reading {
    let at = Timestamp::from_millis(1_770_000_000_000 + at);
    temperature(device, at, value)
}

async fn start(kit: &Kit) -> Running {
    let config: Config = kit.config(DEFINITION.name, DEFINITION.defaults, &[]);
    let service = Running::start(config, app::start).await;
    service.ready().await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn one_firing_and_one_resolved_per_excursion_with_all_headers() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    kit.publish(&[20.0, 31.5, 32.0, 29.0, 26.0].iter().zip(0..).map(|(value, at)| reading("sensor-01", at, *value)).collect::<Vec<_>>())
        .await;

    let mut alerts = capture(&kit, topics::TEMPERATURE_ALERTS);
    let records = alerts.records(2).await;
    let (firing, resolved): (TemperatureAlert, TemperatureAlert) = (alerts.event(&records[0]).await, alerts.event(&records[1]).await);
    assert_eq!((firing.state, resolved.state), (AlertState::Firing, AlertState::Resolved));
    assert_eq!(firing.alert_id, resolved.alert_id);
    assert_eq!(records[0].key.as_deref(), Some(b"sensor-01".as_slice()));
    for (name, value) in [
        ("ce_specversion", "1.0"),
        ("ce_source", "/fieldwatch/temperature-alert"),
        ("ce_type", "fieldwatch.temperature-alert.v1"),
        ("ce_subject", "sensor-01"),
        ("content-type", "application/avro"),
    ] {
        assert_eq!(records[0].header(name), Some(value));
    }
    let cause = reading("sensor-01", 1, 31.5);
    assert_eq!(records[0].header("correlation-id"), Some(events::Event::event_id(&cause).to_string().as_str()));
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_alerts_of_a_retired_device_resolve() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    kit.publish(&[reading("sensor-03", 0, 31.5)]).await;
    let mut alerts = capture(&kit, topics::TEMPERATURE_ALERTS);
    let firing: TemperatureAlert = alerts.events(1).await.remove(0);
    let changed_at = Timestamp::from_millis(1_770_000_060_000);
    let retired = |device: &str| DeviceStatus {
        tenant: "default".into(),
        device_id: device.into(),
        state: DeviceState::Retired,
        reason: "sold".into(),
        changed_at,
    };
    kit.publish(&[retired("sensor-04"), retired("sensor-03")]).await;
    let resolved: TemperatureAlert = alerts.events(1).await.remove(0);
    assert_eq!((resolved.state, resolved.reason), (AlertState::Resolved, AlertReason::DeviceRetired));
    assert_eq!((resolved.alert_id, resolved.changed_at), (firing.alert_id, changed_at));
    service.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_goes_to_the_dead_letter_queue_and_the_rest_goes_on() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    let record = |value: &[u8]| OutRecord::new(kit.kafka.prefixed(topics::READINGS), Some(b"sensor-02".to_vec()), Some(value.to_vec()));
    kit.publish_records(vec![record(&[7, 0, 0, 0, 1, 9]), record(&[0, 0x7f, 0, 0, 1, 9]), record(&[0])]).await;
    kit.publish(&[reading("sensor-02", 1, 31.5)]).await;

    assert_eq!(capture(&kit, topics::TEMPERATURE_ALERTS).events::<TemperatureAlert>(1).await[0].state, AlertState::Firing);
    let letters = capture(&kit, "dlq.temperature-alert.v1").records(3).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.header("dlq-reason").unwrap_or_default()).collect();
    assert_eq!(reasons, ["bad_magic", "schema_unknown", "too_short"]);
    assert_eq!(letters[0].value.as_deref(), Some([7, 0, 0, 0, 1, 9].as_slice()), "the original bytes");
    assert_eq!(letters[0].header("dlq-topic"), Some(kit.kafka.prefixed(topics::READINGS).as_str()));
    service.stop().await.unwrap();
}

/// The alerts of the uninterrupted run, whatever is stopped when: every output once, state restored.
#[tokio::test(flavor = "multi_thread")]
async fn restarts_neither_lose_nor_repeat_an_alert() {
    for seed in testkit::seeds() {
        restart_between(StdRng::seed_from_u64(seed)).await;
    }
}

async fn restart_between(mut random: StdRng) {
    let readings: Vec<Reading> =
        (0..3_000).map(|at| reading(&format!("sensor-{:02}", random.random_range(0..20)), at, random.random_range(20.0..36.0))).collect();
    let rules = temperature_alert::language::parse(include_str!("../../src/rules.yaml")).unwrap();
    let mut uninterrupted = Simulation::new(Arc::new(rules));
    for reading in &readings {
        uninterrupted.take(reading);
    }
    let mut expected = uninterrupted.alerts();
    let devices: BTreeSet<&String> = readings.iter().map(|reading| &reading.device_id).collect();

    let kit = Kit::with_topics(&TOPICS).await;
    for part in readings.chunks(1_000) {
        let service = start(&kit).await;
        kit.publish(part).await;
        let taken = || async { (kit.lag(DEFINITION.name, topics::READINGS) == Some(0)).then_some(()) };
        if random.random_bool(0.5) {
            eventually("the service is at the end of its input", taken).await;
        }
        service.stop().await.unwrap();
    }
    let service = start(&kit).await;
    eventually("the service is at the end of its input", || async {
        (kit.lag(DEFINITION.name, topics::READINGS) == Some(0)).then_some(())
    })
    .await;
    service.stop().await.unwrap();

    let mut alerts = capture(&kit, topics::TEMPERATURE_ALERTS);
    let mut seen = Vec::new();
    for record in alerts.rest().await {
        seen.push(alerts.event::<TemperatureAlert>(&record).await);
    }
    let order = |alert: &TemperatureAlert| (alert.device_id.clone(), alert.changed_at);
    expected.sort_by_key(order);
    let seen_in_order = seen.clone();
    seen.sort_by_key(order);
    assert_eq!(seen.len(), expected.len());
    assert_eq!(seen, expected);
    for device in devices {
        let times: Vec<_> = seen_in_order.iter().filter(|alert| alert.device_id == *device).map(|alert| alert.changed_at).collect();
        assert!(times.is_sorted(), "{device}: alerts out of order");
    }
}
