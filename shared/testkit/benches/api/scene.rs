//! A notifier and a relay with a database full of notifications, and what is done with them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use events::{AlertReason, AlertState, Labels, Severity, TemperatureAlert, Timestamp};
use sqlx::PgPool;
use stream::producer::GiveUp;
use stream::{Cause, EventWriter, Publisher};
use testkit::bench::{Percentiles, Throughput, Usage, watch};
use testkit::{Database, Kit, Process, free_port};

use crate::clients::Clients;

const TOPICS: [&str; 14] = [
    "telemetry.readings.v1",
    "telemetry.device-status.v1",
    "telemetry.aggregates.v1",
    "sensor-health.v1",
    "alerts.temperature.v1",
    "anomalies.v1",
    "notifications.v1",
    "commands.v1",
    "scenes.v1",
    "command-results.v1",
    "dlq.notifier.v1",
    "retry.notifier.v1",
    "dlq.notifier-history.v1",
    "retry.notifier-history.v1",
];
pub(crate) const KEY: &str = "fw_0123456789abcdef0123456789abcdef";
/// How many devices and groups the notifications are of.
pub(crate) const DEVICES: u32 = 10_000;
pub(crate) const GROUPS: u32 = 200;
/// Connections and plans are made before anything is measured.
const WARM_UP: Duration = Duration::from_secs(2);

/// One in a hundred is unresolved, one in ten critical.
const FILL: &str = "
    INSERT INTO notification (notification_id, tenant, version, kind, state, severity, device_id, group_id, title, body, dedup_key,
        occurrences, opened_at, updated_at, resolved_at, labels, links, change, source_event_id)
    SELECT gen_random_uuid(), 'default', 2, CASE WHEN n % 4 = 0 THEN 'anomaly' ELSE 'alert' END,
        CASE WHEN n % 100 <> 0 THEN 'RESOLVED' WHEN n % 200 = 0 THEN 'OPEN' WHEN n % 300 = 0 THEN 'SNOOZED' ELSE 'ACKNOWLEDGED' END,
        CASE n % 10 WHEN 0 THEN 'CRITICAL' WHEN 1 THEN 'INFO' ELSE 'WARNING' END,
        'device-' || n * 7919::bigint % $2, 'group-' || n * 7919::bigint % $2 % $3,
        'device-' || n * 7919::bigint % $2 || ': temperature 31.5 Cel is above 28 Cel',
        'Rule high-temperature (version 1) is RESOLVED since 2026-01-31T08:15:30.000250Z. temperature was 26.8 Cel.',
        'alert/high-temperature/device-' || n, 2, now() - n * interval '1 second', now() - n * interval '1 second' + interval '5 minutes',
        CASE WHEN n % 100 <> 0 THEN now() - n * interval '1 second' + interval '5 minutes' END,
        jsonb_build_object('team', 'team-' || n % 20), '{\"runbook\": \"https://runbooks.example.com/high-temperature\"}',
        '{\"action\": \"resolved\", \"actor\": \"temperature-alert\", \"reason\": \"CLEARED\"}', gen_random_uuid()
    FROM generate_series(1, $1) n";

pub(crate) struct Scene {
    kit: Kit,
    pool: PgPool,
    notifier: Process,
    relay: Process,
    pub(crate) address: String,
    /// Numbers every device of an alert once.
    next: AtomicU64,
    _database: Database,
    _key: tempfile::NamedTempFile,
}

pub(crate) struct FannedOut {
    pub(crate) latency: Percentiles,
    pub(crate) missing: u64,
}

impl Scene {
    pub(crate) async fn new(notifications: u32) -> Self {
        let kit = Kit::as_declared(&TOPICS).await;
        let database = Database::create().await;
        let pool = database.pool().await;
        let key = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key.path(), KEY).unwrap();
        let address = format!("127.0.0.1:{}", free_port());
        let infrastructure = ["FIELDWATCH__KAFKA__BROKERS", "FIELDWATCH__REGISTRY__URL"].map(|name| (name, testkit::environment(name)));
        let own = [
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix().to_owned()),
            ("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", String::new()),
            ("NOTIFIER__DATABASE__URL", database.url.clone()),
            ("NOTIFIER__DATABASE__PASSWORD_FILE", String::new()),
            ("OUTBOX_RELAY__DATABASE__URL", database.url.clone()),
            ("OUTBOX_RELAY__DATABASE__PASSWORD_FILE", String::new()),
            ("NOTIFIER__API__LISTEN", address.clone()),
            ("BOOTSTRAP_KEY_FILE", key.path().to_str().unwrap().to_owned()),
        ];
        let environment: Vec<_> = infrastructure.into_iter().chain(own).map(|(name, value)| (name.to_owned(), value)).collect();
        let notifier = Process::start("notifier", &environment).await;
        let relay = Process::start("outbox-relay", &environment).await;
        let began = Instant::now();
        let fill = sqlx::query(FILL).bind(notifications as i32).bind(i64::from(DEVICES)).bind(i64::from(GROUPS));
        fill.execute(&pool).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE notification").execute(&pool).await.unwrap();
        println!("{notifications} notifications made in {:.0} s", began.elapsed().as_secs_f64());
        Self { kit, pool, notifier, relay, address, next: AtomicU64::new(0), _database: database, _key: key }
    }

    pub(crate) fn cpu_seconds(&self) -> f64 {
        Usage::of(self.notifier.pid()).unwrap().cpu_seconds
    }

    /// Alerts at a rate; from before each is handed to the producer to its frame.
    pub(crate) async fn alert_to_frame(&self, rate: u32, seconds: u64) -> Percentiles {
        let clients = Clients::open(&self.address, 1).await;
        let publisher = Publisher::connect(&self.kit.kafka, "bench", GiveUp::After(Duration::from_secs(20))).unwrap();
        let writer = self.writer().await;
        let warm = self.publish(&publisher, &writer, rate, WARM_UP).await;
        clients.settled(warm.len()).await;
        let sent = self.publish(&publisher, &writer, rate, Duration::from_secs(seconds)).await;
        clients.settled(warm.len() + sent.len()).await;
        let (latencies, missing) = clients.end(&sent).await;
        assert_eq!(missing, 0, "every alert has its frame");
        Percentiles::of(latencies).unwrap()
    }

    async fn writer(&self) -> EventWriter {
        EventWriter::new("temperature-alert", &self.kit.kafka).with::<TemperatureAlert>(&self.kit.registry).await.unwrap()
    }

    /// When which alert was sent.
    async fn publish(&self, publisher: &Publisher, writer: &EventWriter, rate: u32, time: Duration) -> Vec<(u64, Instant)> {
        let (began, every) = (Instant::now(), Duration::from_secs_f64(1.0 / f64::from(rate)));
        let (mut sent, mut due, mut deliveries) = (Vec::new(), began, Vec::new());
        while began.elapsed() < time {
            tokio::time::sleep_until(due.into()).await;
            due += every;
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            let record = writer.record(&alert(number), &Cause::default(), None).unwrap();
            sent.push((number, Instant::now()));
            deliveries.push(publisher.enqueue_when_room(record).await.unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        sent
    }

    /// Notifications from outside at a rate, seen by many; from before each request is sent.
    pub(crate) async fn fan_out(&self, count: usize, rate: u32, seconds: u64) -> FannedOut {
        let clients = Clients::open(&self.address, count).await;
        let http = reqwest::Client::new();
        let (mut sent, every) = (Vec::new(), Duration::from_secs_f64(1.0 / f64::from(rate)));
        for time in [WARM_UP, Duration::from_secs(seconds)] {
            sent.clear();
            let (began, mut due) = (Instant::now(), Instant::now());
            while began.elapsed() < time {
                tokio::time::sleep_until(due.into()).await;
                due += every;
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                let device = device(number);
                let body = serde_json::json!({ "action": "trigger", "dedup_key": device, "title": format!("{device} is open"), "device_id": device });
                sent.push((number, Instant::now()));
                let request = http.post(format!("http://{}/v1/events", self.address)).bearer_auth(KEY).json(&body);
                assert_eq!(request.send().await.unwrap().status(), 200);
            }
        }
        clients.settled(sent.len() * count).await;
        let (latencies, missing) = clients.end(&sent).await;
        FannedOut { latency: Percentiles::of(latencies).unwrap(), missing }
    }

    /// How fast what waits on the topic becomes notifications, with their audit and outbox rows, which the relay publishes.
    pub(crate) async fn ingest(&self, alerts: u32) -> Throughput {
        let publisher = Publisher::connect(&self.kit.kafka, "bench", GiveUp::After(Duration::from_secs(20))).unwrap();
        let writer = self.writer().await;
        self.notifier.pause();
        let before: i64 = self.count().await;
        let mut deliveries = Vec::new();
        for _ in 0..alerts {
            let record = writer.record(&alert(self.next.fetch_add(1, Ordering::Relaxed)), &Cause::default(), None).unwrap();
            deliveries.push(publisher.enqueue_when_room(record).await.unwrap());
        }
        for delivery in deliveries {
            delivery.await.unwrap();
        }
        self.notifier.resume();
        watch(self.notifier.pid(), u64::from(alerts), async || (self.count().await - before) as u64).await
    }

    async fn count(&self) -> i64 {
        sqlx::query_scalar("SELECT sum(count)::bigint FROM notification_count").fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn end(self) {
        self.pool.close().await;
        for process in [self.notifier, self.relay] {
            assert_eq!(process.terminate().await, Some(0));
        }
    }
}

/// Names a device so that clients find its number.
fn device(number: u64) -> String {
    format!("bench-{number:08}")
}

fn alert(number: u64) -> TemperatureAlert {
    let (device_id, now) = (device(number), Timestamp::from(SystemTime::now()));
    TemperatureAlert {
        tenant: "default".into(),
        alert_id: uuid::Uuid::new_v4().to_string(),
        rule_id: "high-temperature".into(),
        rule_version: "1".into(),
        group_id: Some(format!("group-{}", number % u64::from(GROUPS))),
        state: AlertState::Firing,
        severity: Severity::Warning,
        reason: AlertReason::Crossed,
        metric: "temperature".into(),
        value: Some(31.5),
        unit: "Cel".into(),
        threshold: Some(28.0),
        clear_threshold: Some(27.0),
        evidence: Vec::new(),
        started_at: now,
        changed_at: now,
        summary: format!("{device_id}: temperature 31.5 Cel is above 28 Cel"),
        device_id,
        labels: Labels::from([("team".into(), "cold-chain".into())]),
        runbook_url: None,
    }
}
