//! The service on the stream: readings in, anomalies out.

use ::stream::OutRecord;
use events::{Anomaly, AnomalyState, DeviceState, DeviceStatus, Reading, Timestamp, topics};
use testkit::{Kit, Running, capture, temperature};

use anomaly_detector::{Config, DEFINITION, app};

pub(crate) const TOPICS: [&str; 14] = [
    topics::READINGS,
    topics::DEVICE_STATUS,
    topics::ANOMALIES,
    topics::AGGREGATES,
    topics::SENSOR_HEALTH,
    "dlq.anomaly-detector.v1",
    "dlq.anomaly-detector-aggregates.v1",
    "dlq.anomaly-detector-group.v1",
    "retry.anomaly-detector.v1",
    "retry.anomaly-detector-aggregates.v1",
    "retry.anomaly-detector-group.v1",
    "state.anomaly-detector.v1",
    "state.anomaly-detector-aggregates.v1",
    "state.anomaly-detector-group.v1",
];

pub(crate) fn reading(device: &str, minute: i64, value: f64) -> Reading {
    let at = Timestamp::from_millis(1_770_000_000_000 + minute * 300_000);
    temperature(device, at, value)
}

/// A day and more of a gentle cycle, then a spike, then calm again.
pub(crate) fn series(device: &str) -> Vec<Reading> {
    (0..500)
        .map(|minute| {
            let wave = (minute as f64 / 288.0 * std::f64::consts::TAU).sin() + 0.05 * ((minute * 7_919) % 13) as f64;
            reading(device, minute, 21.0 + wave + if (400..403).contains(&minute) { 25.0 } else { 0.0 })
        })
        .collect()
}

pub(crate) async fn start(kit: &Kit) -> Running {
    start_with(kit, &[]).await
}

pub(crate) async fn start_with(kit: &Kit, overrides: &[(&str, &str)]) -> Running {
    let library = crate::library().display().to_string();
    let overrides = [&[("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY", library.as_str())], overrides].concat();
    let config: Config = kit.config(DEFINITION.name, DEFINITION.defaults, &overrides);
    let service = Running::start(config, app::start).await;
    service.ready().await;
    service
}

#[tokio::test(flavor = "multi_thread")]
async fn a_spike_opens_one_anomaly_and_calm_closes_it_also_across_a_restart() {
    let kit = Kit::with_topics(&TOPICS).await;
    let (first, second) = (series("sensor-1"), series("sensor-2"));
    let service = start(&kit).await;
    kit.publish(&[&first[..], &second[..401]].concat()).await;
    let mut anomalies = capture(&kit, topics::ANOMALIES);
    let mut seen: Vec<Anomaly> = anomalies.events(3).await;
    service.stop().await.unwrap();

    let service = start(&kit).await;
    kit.publish(&second[401..]).await;
    seen.extend(anomalies.events::<Anomaly>(1).await);
    service.stop().await.unwrap();
    assert!(anomalies.rest().await.is_empty());

    for device in ["sensor-1", "sensor-2"] {
        let of_device: Vec<_> = seen.iter().filter(|anomaly| anomaly.device_id == device).collect();
        let [opened, closed] = of_device[..] else { panic!("{device}: {seen:#?}") };
        assert_eq!((opened.state, closed.state), (AnomalyState::Opened, AnomalyState::Closed));
        assert_eq!(opened.anomaly_id, closed.anomaly_id);
        assert!(opened.score > opened.threshold && opened.value > 40.0, "{opened:?}");
        assert!(opened.band_high.unwrap() < opened.value && !opened.contributions.is_empty());
        assert_eq!(opened.started_at, first[400].measured_at);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_open_of_a_retired_device_is_closed() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    kit.publish(&series("sensor-1")[..402]).await;
    let mut anomalies = capture(&kit, topics::ANOMALIES);
    let opened: Anomaly = anomalies.events(1).await.remove(0);
    let changed_at = reading("sensor-1", 402, 0.0).measured_at;
    let status = |state| DeviceStatus { tenant: "default".into(), device_id: "sensor-1".into(), state, reason: "sold".into(), changed_at };
    kit.publish(&[status(DeviceState::Offline), status(DeviceState::Retired)]).await;
    let closed: Anomaly = anomalies.events(1).await.remove(0);
    assert_eq!((opened.state, closed.state, &opened.anomaly_id), (AnomalyState::Opened, AnomalyState::Closed, &closed.anomaly_id));
    assert_eq!((closed.labels["reason"].as_str(), closed.changed_at), ("device_retired", changed_at));
    service.stop().await.unwrap();
    assert!(anomalies.rest().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_goes_to_the_dead_letter_queue() {
    let kit = Kit::with_topics(&TOPICS).await;
    let service = start(&kit).await;
    let record = |value: &[u8]| OutRecord::new(kit.kafka.prefixed(topics::READINGS), Some(b"sensor-1".to_vec()), Some(value.to_vec()));
    kit.publish_records(vec![record(b"{}"), record(&[0, 0x7f, 0, 0, 1, 9])]).await;
    let mut not_finite = reading("sensor-1", 0, f64::NAN);
    not_finite.metric = "humidity".into();
    kit.publish(&[not_finite]).await;
    let letters = capture(&kit, "dlq.anomaly-detector.v1").records(3).await;
    let reasons: Vec<_> = letters.iter().map(|letter| letter.header("dlq-reason").unwrap_or_default()).collect();
    assert_eq!(reasons, ["too_short", "schema_unknown", "not_finite"]);
    service.stop().await.unwrap();
}
