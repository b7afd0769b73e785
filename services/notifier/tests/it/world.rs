//! One notifier with topics and a database of its own, and someone who asks it things.

use std::net::SocketAddr;
use std::time::Duration;

use events::{AlertReason, AlertState, Notification, Severity, TemperatureAlert, Timestamp};
use futures::StreamExt as _;
use futures::stream::BoxStream;
use notifier::app::App;
use notifier::config::{Config, DEFAULTS};
use reqwest::{Method, Response, StatusCode};
use serde_json::Value;
use sqlx::PgPool;
use stream::{OutRecord, tail};
use testkit::{Database, Kit, Running, eventually};
use uuid::Uuid;

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

/// The first key of every world.
pub(crate) const KEY: &str = "fw_0123456789abcdef0123456789abcdef";

/// Seals the secrets of every world.
pub(crate) const SECRETS_KEY: &str = "secrets-key-0123456789abcdef0123456789abcdef";

pub(crate) struct World {
    pub(crate) kit: Kit,
    pub(crate) database: Database,
    pub(crate) pool: PgPool,
    key_file: tempfile::NamedTempFile,
}

/// A running notifier of a world.
pub(crate) struct Replica {
    running: Running,
    address: SocketAddr,
    http: reqwest::Client,
    _stop: StopOnDrop,
}

/// A test that fails must not leave threads behind that nobody stops.
struct StopOnDrop(service::Shutdown);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

impl World {
    pub(crate) async fn new() -> Self {
        let kit = Kit::with_topics(&TOPICS).await;
        let database = Database::create().await;
        let pool = database.pool().await;
        let key_file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(key_file.path(), format!("{KEY}\n")).unwrap();
        Self { kit, database, pool, key_file }
    }

    pub(crate) fn key_file(&self) -> &str {
        self.key_file.path().to_str().unwrap()
    }

    pub(crate) fn config(&self, overrides: &[(&str, &str)]) -> Config {
        let mut all = vec![
            ("NOTIFIER__API__LISTEN", "127.0.0.1:0"),
            ("NOTIFIER__DATABASE__URL", self.database.url.as_str()),
            ("NOTIFIER__API__BOOTSTRAP_KEY_FILE", self.key_file()),
            ("NOTIFIER__SECRETS__KEY", SECRETS_KEY),
            ("NOTIFIER__DELIVERY__ALLOWED_NETWORKS", "[\"127.0.0.0/8\"]"),
            ("NOTIFIER__DELIVERY__FIRST_RETRY", "50ms"),
            ("NOTIFIER__DELIVERY__LEASE", "4s"),
            ("NOTIFIER__DELIVERY__TIMEOUT", "2s"),
        ];
        all.extend_from_slice(overrides);
        self.kit.config("notifier", DEFAULTS, &all)
    }

    pub(crate) async fn start(&self) -> Replica {
        self.start_with(&[]).await
    }

    pub(crate) async fn start_with(&self, overrides: &[(&str, &str)]) -> Replica {
        let mut started = None;
        let running = Running::start(self.config(overrides), async |config, health, supervisor| {
            let app = App::build(config).await?;
            started = Some((app.address(), StopOnDrop(supervisor.shutdown())));
            app.start(health, supervisor);
            Ok(())
        });
        let running = running.await;
        running.ready().await;
        let (address, stop) = started.unwrap();
        Replica { running, address, http: reqwest::Client::new(), _stop: stop }
    }

    pub(crate) async fn count(&self, table: &'static str) -> i64 {
        sqlx::query_scalar(sqlx::AssertSqlSafe(format!("SELECT count(*) FROM {table}"))).fetch_one(&self.pool).await.unwrap()
    }

    /// Does what outbox-relay does, once: publishes what is in the outbox, in order. Returns how much.
    pub(crate) async fn relay(&self) -> usize {
        type Row = (i64, String, String, Vec<u8>, sqlx::types::Json<std::collections::BTreeMap<String, String>>);
        let rows: Vec<Row> =
            sqlx::query_as("SELECT id, aggregate_id, topic, payload, headers FROM outbox ORDER BY id").fetch_all(&self.pool).await.unwrap();
        let record = |(_, key, topic, payload, headers): &Row| {
            let record = OutRecord::new(topic.clone(), Some(key.clone().into_bytes()), Some(payload.clone()));
            headers.0.iter().fold(record, |record, (name, value)| record.header(name, Some(value.as_bytes())))
        };
        self.kit.publish_records(rows.iter().map(record).collect()).await;
        let ids: Vec<i64> = rows.iter().map(|row| row.0).collect();
        sqlx::query("DELETE FROM outbox WHERE id = ANY($1)").bind(&ids).execute(&self.pool).await.unwrap();
        ids.len()
    }

    /// Publishes the alerts and waits until the notifier has committed that many audit rows.
    pub(crate) async fn alerts(&self, alerts: &[TemperatureAlert], versions: i64) {
        self.kit.publish(alerts).await;
        eventually("the alerts are notifications", || async { (self.count("notification_event").await >= versions).then_some(()) }).await;
    }

    /// Whether the counts are what is there; how many lines they are made of.
    pub(crate) async fn counted(&self) -> i64 {
        let wrong = "SELECT count(*) FROM (
                         SELECT tenant, state, severity, sum(count) FROM notification_count GROUP BY 1, 2, 3 HAVING sum(count) <> 0
                         EXCEPT ALL
                         SELECT tenant, state, severity, count(*) FROM notification GROUP BY 1, 2, 3) AS wrong";
        assert_eq!(sqlx::query_scalar::<_, i64>(wrong).fetch_one(&self.pool).await.unwrap(), 0);
        let missing = "SELECT (SELECT coalesce(sum(count), 0)::bigint FROM notification_count) = (SELECT count(*) FROM notification)";
        assert!(sqlx::query_scalar::<_, bool>(missing).fetch_one(&self.pool).await.unwrap());
        self.count("notification_count").await
    }

    /// Everything in the dead-letter queue: its reasons.
    pub(crate) async fn dead_letters(&self) -> Vec<String> {
        let records = testkit::capture(&self.kit, "dlq.notifier.v1").rest().await;
        records.iter().map(|record| record.header(stream::dlq::REASON).unwrap_or_default().to_owned()).collect()
    }

    /// Next offsets of notifications.v1 as they are now.
    pub(crate) fn ends(&self) -> tail::Offsets {
        let topic = self.kit.kafka.prefixed("notifications.v1");
        tail::Tail::open(&self.kit.kafka, "test", &topic, &tail::From::End).unwrap().offsets().clone()
    }
}

impl Replica {
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str) -> Response {
        self.http.request(method, self.url(path)).bearer_auth(KEY).send().await.unwrap()
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, self.url(path))
    }

    /// The JSON of a GET that succeeds.
    pub(crate) async fn get(&self, path: &str) -> Value {
        let response = self.ask(Method::GET, path).await;
        assert_eq!(response.status(), StatusCode::OK, "{path}");
        response.json().await.unwrap()
    }

    /// Puts what is configured, and answers what it then is.
    pub(crate) async fn put(&self, path: &str, body: &Value) -> Value {
        let response = self.request(Method::PUT, path).bearer_auth(KEY).json(body).send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{path}: {status} {text}");
        serde_json::from_str(&text).unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Response {
        self.request(Method::POST, path).bearer_auth(KEY).json(body).send().await.unwrap()
    }

    pub(crate) async fn act(&self, id: &str, action: &str, body: &Value, version: Option<&str>) -> Response {
        let request = self.request(Method::POST, &format!("/v1/notifications/{id}/{action}")).bearer_auth(KEY).json(body);
        let request = version.into_iter().fold(request, |request, version| request.header("if-match", version));
        request.send().await.unwrap()
    }

    /// Opens the stream, from an event id or from now.
    pub(crate) async fn stream(&self, last_event_id: Option<&str>) -> Events {
        let request = self.request(Method::GET, "/v1/notifications/stream").bearer_auth(KEY);
        let request = last_event_id.into_iter().fold(request, |request, id| request.header("last-event-id", id));
        Events::of(request.send().await.unwrap())
    }

    /// The same with an idempotency key.
    pub(crate) async fn post_once(&self, path: &str, body: &Value, idempotency_key: &str) -> Response {
        let request = self.request(Method::POST, path).bearer_auth(KEY).header("idempotency-key", idempotency_key);
        request.json(body).send().await.unwrap()
    }

    pub(crate) async fn stop(self) {
        self.running.stop().await.unwrap();
    }
}

/// An answer that has to be a problem of this status.
pub(crate) async fn problem(response: Response, status: StatusCode) -> Value {
    assert_eq!(response.status(), status);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
    let problem: Value = response.json().await.unwrap();
    assert_eq!(problem["status"], status.as_u16());
    assert!(problem["type"].as_str().unwrap().starts_with("urn:fieldwatch:problem:"), "{problem}");
    assert_eq!(problem["trace_id"].as_str().unwrap().len(), 32);
    problem
}

/// The events of a stream, as a browser would see them.
pub(crate) struct Events {
    bytes: BoxStream<'static, reqwest::Result<reqwest::Body>>,
    text: String,
    /// Comments seen on the way.
    pub(crate) comments: usize,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Event {
    /// Of a `notification`.
    pub(crate) fn version(&self) -> (String, i64) {
        assert_eq!(self.name, "notification", "{self:?}");
        (self.data["notification_id"].as_str().unwrap().to_owned(), self.data["version"].as_i64().unwrap())
    }
}

impl Events {
    pub(crate) fn of(response: Response) -> Self {
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { bytes: response.bytes_stream().map(|read| read.map(reqwest::Body::from)).boxed(), text: String::new(), comments: 0 }
    }

    /// The next event other than `counts`; `None` at the end of the stream.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            let event = self.next_of_any().await?;
            if event.name != "counts" {
                return Some(event);
            }
        }
    }

    pub(crate) async fn next_of_any(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.text.split_once("\n\n").map(|(block, rest)| (block.to_owned(), rest.to_owned())) {
                self.text = rest;
                match parse(&block) {
                    Some(event) => return Some(event),
                    None => self.comments += 1,
                }
                continue;
            }
            let read = tokio::time::timeout(Duration::from_secs(30), self.bytes.next()).await;
            let body = read.expect("something is sent within 30 s")?.ok()?;
            self.text += std::str::from_utf8(body.as_bytes().unwrap()).unwrap();
        }
    }

    pub(crate) async fn versions(&mut self, count: usize) -> Vec<(String, i64)> {
        let mut versions = Vec::new();
        while versions.len() < count {
            versions.push(self.next().await.expect("the stream goes on").version());
        }
        versions
    }
}

fn parse(block: &str) -> Option<Event> {
    let mut event = Event::default();
    for line in block.lines() {
        match line.split_once(": ")? {
            ("id", id) => id.clone_into(&mut event.id),
            ("event", name) => name.clone_into(&mut event.name),
            ("data", data) => event.data = serde_json::from_str(data).unwrap(),
            _ => return None,
        }
    }
    Some(event)
}

/// A firing alert of a device, now.
pub(crate) fn firing(device_id: &str) -> TemperatureAlert {
    let now = Timestamp::from(std::time::SystemTime::now());
    TemperatureAlert {
        tenant: "default".into(),
        alert_id: Uuid::new_v4().to_string(),
        rule_id: "high-temperature".into(),
        rule_version: "1".into(),
        device_id: device_id.into(),
        group_id: Some("cold-room-2".into()),
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
        labels: events::Labels::from([("team".into(), "cold-chain".into())]),
        runbook_url: None,
    }
}

/// The next change of an alert, a second after the last.
pub(crate) fn then(alert: &TemperatureAlert, state: AlertState) -> TemperatureAlert {
    let changed_at = alert.changed_at.saturating_add(Duration::from_secs(1));
    TemperatureAlert { state, changed_at, ..alert.clone() }
}

/// Version `version` of a notification of a device, as the relay would publish it.
pub(crate) fn notification(device_id: &str, version: i64) -> Notification {
    let example: Notification = serde_json::from_str(include_str!("../../../../schemas/golden/notification-1.json")).unwrap();
    let notification_id = Uuid::new_v5(&Uuid::NAMESPACE_OID, device_id.as_bytes()).to_string();
    Notification { notification_id, version, device_id: Some(device_id.into()), ..example }
}
