use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;
use uuid::Uuid;

use crate::{Database, Kit, Mosquitto, OtlpReceiver, Process, environment, eventually, free_port};

/// Every service, in the order of the way from a device to people and back to a device.
pub const SERVICES: [&str; 6] = ["mqtt-bridge", "temperature-alert", "anomaly-detector", "notifier", "outbox-relay", "device-commands"];

const KEY: &str = "fw_0123456789abcdefghijklmnopqrstuvwxyz";

/// Services as processes on topics, a database and an MQTT broker of their own.
pub struct Suite {
    pub api: Api,
    pub mosquitto: Mosquitto,
    pub kit: Kit,
    /// That is started, by its name.
    pub services: BTreeMap<&'static str, Process>,
    environment: Vec<(String, String)>,
    _database: Database,
    _key: TempDir,
}

/// The notifier's API, for someone who may do everything.
#[derive(Clone)]
pub struct Api {
    url: String,
    http: reqwest::Client,
}

impl Suite {
    /// Nothing is started. `kit` has the topics of all that will be.
    pub async fn new(kit: Kit) -> Self {
        let (database, mosquitto, key) = (Database::create().await, Mosquitto::start().await, tempfile::tempdir().expect("a folder"));
        let key_file = key.path().join("api-key");
        std::fs::write(&key_file, KEY).expect("a key is written");
        let api = format!("127.0.0.1:{}", free_port());
        let variables = [
            ("FIELDWATCH__KAFKA__BROKERS", kit.kafka.brokers.clone()),
            ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix().to_owned()),
            ("FIELDWATCH__REGISTRY__URL", kit.registry_config.url.clone()),
            ("MQTT_BRIDGE__MQTT__URL", mosquitto.url()),
            ("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY", environment("ANOMALY_DETECTOR__MODEL__RUNTIME_LIBRARY")),
            ("NOTIFIER__DATABASE__URL", database.url.clone()),
            ("NOTIFIER__API__LISTEN", api.clone()),
            ("NOTIFIER__API__BOOTSTRAP_KEY_FILE", key_file.display().to_string()),
            ("OUTBOX_RELAY__DATABASE__URL", database.url.clone()),
        ];
        Self {
            api: Api::at(&api),
            mosquitto,
            kit,
            services: BTreeMap::new(),
            environment: variables.map(|(name, value)| (name.to_owned(), value)).into(),
            _database: database,
            _key: key,
        }
    }

    /// Every trace goes to `receiver`, soon.
    #[must_use]
    pub fn traced(self, receiver: &OtlpReceiver) -> Self {
        self.with(&[
            ("FIELDWATCH__TELEMETRY__SAMPLE_RATIO", "1.0"),
            ("FIELDWATCH__TELEMETRY__OTLP_ENDPOINT", &receiver.endpoint),
            ("OTEL_BSP_SCHEDULE_DELAY", "200"),
        ])
    }

    /// More variables for what is started from now on.
    #[must_use]
    pub fn with(mut self, variables: &[(&str, &str)]) -> Self {
        self.environment.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        self
    }

    /// For processes beside those that [`start`](Self::start) has.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// One after the other; the first that is ready makes what the next needs.
    pub async fn start(&mut self, names: &[&'static str]) {
        for name in names {
            self.services.insert(name, Process::start(name, &self.environment).await);
        }
    }

    /// Until device-commands knows these lamps, as they are at first: what asks for the state they have is verified.
    pub async fn until_known(&self, lamps: &[String]) {
        for lamp in lamps {
            let body = json!({ "device_id": lamp, "name": "switch", "desired_state": { "on": false } });
            eventually(&format!("{lamp} is known"), || async {
                let asked = self.api.post_once("/v1/commands", &body, &Uuid::new_v4().to_string()).await?;
                let end = self.api.ended(asked["command_id"].as_str()?).await;
                (end["state"] == "VERIFIED").then_some(())
            })
            .await;
        }
    }

    /// SIGTERM to one after the other; each has to drain and exit with 0.
    pub async fn terminate(self) {
        for (name, service) in self.services {
            assert_eq!(service.terminate().await, Some(0), "{name} drains and exits with 0");
        }
    }
}

impl Api {
    /// Of the notifier that listens at `address`.
    pub fn at(address: &str) -> Self {
        Self { url: format!("http://{address}"), http: reqwest::Client::new() }
    }

    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url)).bearer_auth(KEY)
    }

    /// What a GET is answered; nothing while there is no answer, or not a good one.
    pub async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.request(reqwest::Method::GET, path).send().await.ok()?;
        answer.error_for_status().ok()?.json().await.ok()
    }

    /// A command, once it has its end.
    pub async fn ended(&self, command_id: &str) -> Value {
        let path = format!("/v1/commands/{command_id}");
        eventually(&format!("{path} has its end"), || async { self.get(&path).await.filter(|found| found["is_final"] == true) }).await
    }

    /// What all pages of a list have, from its first; nothing while one of them is not answered. `path` has a query.
    pub async fn list(&self, path: &str) -> Option<Vec<Value>> {
        let (mut items, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self.get(&format!("{path}{cursor}")).await?;
            items.extend_from_slice(page["data"].as_array()?);
            let Some(next) = page["next_cursor"].as_str() else { return Some(items) };
            cursor = format!("&cursor={next}");
        }
    }

    /// Has to succeed.
    pub async fn put(&self, path: &str, body: &Value) {
        let answer = self.request(reqwest::Method::PUT, path).json(body).send().await.expect("an answer");
        assert!(answer.status().is_success(), "{path}: {} {}", answer.status(), answer.text().await.unwrap_or_default());
    }

    /// A POST under an idempotency key: may be asked again until it is answered. Nothing while there is no answer, or not a good
    /// one.
    pub async fn post_once(&self, path: &str, body: &Value, key: &str) -> Option<Value> {
        let asked = self.request(reqwest::Method::POST, path).header("idempotency-key", key).json(body);
        asked.send().await.ok()?.error_for_status().ok()?.json().await.ok()
    }
}
