//! Devices that take commands over MQTT and write down what they were told, what they did and when. A command is done once,
//! however often it comes, and not after it expired.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use events::Timestamp;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet, Publish};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::Mosquitto;

/// What a lamp does about a command it is told for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Does it, and reports its new state.
    Obey,
    /// Says that it cannot.
    Fail,
    /// Nothing.
    Ignore,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// Told by a message that came in time.
    Told,
    Done,
    /// Told too late: not done.
    Late,
}

/// What happened at a lamp.
#[derive(Clone, Debug)]
pub struct Happened {
    pub what: What,
    pub device_id: String,
    pub command_id: String,
    pub attempt: i64,
    pub at: Timestamp,
    /// As the message said.
    pub expires_at: Timestamp,
    pub traceparent: Option<String>,
}

type Diary = Arc<Mutex<Vec<Happened>>>;

/// Each under an id of its own, with a session that outlives its connections.
pub struct Lamps {
    diary: Diary,
    running: Vec<JoinHandle<()>>,
}

impl Lamps {
    /// Lamps that have reported their first state (`{"on": false}`, retained) and hear commands.
    pub async fn start(broker: &Mosquitto, ids: &[String], answer: fn(device_id: &str, command_id: &str, attempt: i64) -> Answer) -> Self {
        let (diary, mut running) = (Diary::default(), Vec::new());
        for id in ids {
            let mut options = MqttOptions::new(id, "127.0.0.1", broker.port);
            let mut properties = ConnectProperties::new();
            properties.session_expiry_interval = Some(3_600);
            options.set_clean_start(false).set_connect_properties(properties);
            let (client, events) = AsyncClient::new(options, 100);
            client.subscribe(format!("devices/{id}/commands"), QoS::ExactlyOnce).await.expect("room for it");
            let state = Map::from_iter([("on".to_owned(), Value::Bool(false))]);
            let lamp = Lamp { id: id.clone(), client, state, done: BTreeSet::new(), answer, diary: Arc::clone(&diary) };
            lamp.report(&Map::new(), true).await;
            let (ready, is_ready) = oneshot::channel();
            running.push(tokio::spawn(lamp.run(events, ready)));
            is_ready.await.expect("the lamp runs");
        }
        Self { diary, running }
    }

    /// How often this happened so far.
    pub fn count(&self, what: What) -> usize {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).iter().filter(|one| one.what == what).count()
    }

    /// So far, in the order of time of each lamp.
    pub fn happened(&self) -> Vec<Happened> {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Lamps {
    fn drop(&mut self) {
        self.running.iter().for_each(JoinHandle::abort);
    }
}

struct Lamp {
    id: String,
    client: AsyncClient,
    state: Map<String, Value>,
    done: BTreeSet<String>,
    answer: fn(&str, &str, i64) -> Answer,
    diary: Diary,
}

impl Lamp {
    async fn run(mut self, mut events: EventLoop, ready: oneshot::Sender<()>) {
        let mut ready = Some(ready);
        loop {
            match events.poll().await {
                Ok(Event::Incoming(Packet::Publish(publish))) => self.hear(&publish).await,
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    // Its first state is with the broker, and so is its subscription.
                    if let Some(ready) = ready.take() {
                        let _ = ready.send(());
                    }
                }
                Ok(_) => {}
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
    }

    async fn hear(&mut self, publish: &Publish) {
        let command: Value = serde_json::from_slice(&publish.payload).expect("a command is JSON");
        let text = |member: &str| command[member].as_str().expect("a text").to_owned();
        let properties = publish.properties.as_ref().map_or_else(Vec::new, |properties| properties.user_properties.clone());
        let mut happened = Happened {
            what: What::Told,
            device_id: self.id.clone(),
            command_id: text("command_id"),
            attempt: command["attempt"].as_i64().expect("a number"),
            at: SystemTime::now().into(),
            expires_at: Timestamp::from_rfc3339(&text("expires_at")).expect("a time"),
            traceparent: properties.into_iter().find(|(name, _)| name == "traceparent").map(|(_, value)| value),
        };
        if happened.expires_at <= happened.at {
            happened.what = What::Late;
            return self.note(happened);
        }
        self.note(happened.clone());
        let answered = Map::from_iter([("command_id".to_owned(), json!(happened.command_id))]);
        if self.done.contains(&happened.command_id) {
            return self.report(&answered, true).await;
        }
        match (self.answer)(&self.id, &happened.command_id, happened.attempt) {
            Answer::Ignore => {}
            Answer::Fail => {
                let mut failed = answered;
                failed.insert("error".into(), json!("the lamp is stuck"));
                self.report(&failed, false).await;
            }
            Answer::Obey => {
                self.done.insert(happened.command_id.clone());
                if let Some(desired) = command["desired_state"].as_object() {
                    self.state.extend(desired.clone());
                }
                self.note(Happened { what: What::Done, ..happened });
                self.report(&answered, true).await;
            }
        }
    }

    fn note(&self, happened: Happened) {
        self.diary.lock().unwrap_or_else(PoisonError::into_inner).push(happened);
    }

    async fn report(&self, beside: &Map<String, Value>, retained: bool) {
        let report: Map<String, Value> = self.state.iter().chain(beside).map(|(name, value)| (name.clone(), value.clone())).collect();
        let topic = format!("devices/{}/state", self.id);
        let published = self.client.publish(topic, QoS::AtLeastOnce, retained, Value::Object(report).to_string());
        published.await.expect("room for it");
    }
}
