//! Devices that publish at `QoS` 1 over persistent connections and write down what they published, when, and whether it was
//! acknowledged: the clients' side of the history.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnectProperties, Packet};
use rumqttc::v5::{AsyncClient, Event, EventLoop, MqttOptions};
use serde_json::json;
use testkit::ordeal::Message;
use tokio::task::JoinHandle;

const RECONNECT_PAUSE: Duration = Duration::from_millis(200);
/// What a connection takes before its publisher waits.
const QUEUE: usize = 1_000;

#[derive(Clone)]
pub(crate) struct Published {
    pub(crate) message: Message,
    pub(crate) at: Instant,
    pub(crate) acknowledged: bool,
}

type Diary = Arc<Mutex<Vec<Published>>>;

pub(crate) struct Devices {
    diary: Diary,
    connections: Vec<Connection>,
}

struct Connection {
    client: AsyncClient,
    waiting: Arc<Mutex<VecDeque<usize>>>,
    polling: JoinHandle<()>,
}

impl Devices {
    /// So many connections. Each has one publisher at a time: its messages leave in the order they were handed over.
    pub(crate) fn connect(port: u16, connections: usize) -> Self {
        let diary = Diary::default();
        let connections = (0..connections).map(|number| Connection::open(port, number, Arc::clone(&diary))).collect();
        Self { diary, connections }
    }

    pub(crate) async fn publish(&self, connection: usize, message: Message) {
        let Connection { client, waiting, .. } = &self.connections[connection];
        let topic = format!("devices/{}/telemetry", message.device);
        let payload = json!({ "temperature": message.value, "timestamp": message.measured_at.as_millis(), "seq": message.sequence });
        let place = {
            let mut diary = lock(&self.diary);
            diary.push(Published { message, at: Instant::now(), acknowledged: false });
            diary.len() - 1
        };
        lock(waiting).push_back(place);
        client.publish(topic, QoS::AtLeastOnce, false, payload.to_string()).await.expect("the connection is driven");
    }

    /// All of it, in the order of publication.
    pub(crate) fn diary(&self) -> Vec<Published> {
        lock(&self.diary).clone()
    }

    pub(crate) fn unacknowledged(&self) -> usize {
        lock(&self.diary).iter().filter(|published| !published.acknowledged).count()
    }
}

impl Connection {
    fn open(port: u16, number: usize, diary: Diary) -> Self {
        let mut options = MqttOptions::new(format!("chaos-{number}"), "127.0.0.1", port);
        let mut properties = ConnectProperties::new();
        properties.session_expiry_interval = Some(3_600);
        options.set_clean_start(false).set_connect_properties(properties).set_keep_alive(Duration::from_secs(30));
        let (client, events) = AsyncClient::new(options, QUEUE);
        let waiting = Arc::<Mutex<VecDeque<usize>>>::default();
        let polling = tokio::spawn(drive(events, Arc::clone(&waiting), diary));
        Self { client, waiting, polling }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.polling.abort();
    }
}

/// A packet id is a message from its first sending to its acknowledgement; under the same id it may be sent again.
async fn drive(mut events: EventLoop, waiting: Arc<Mutex<VecDeque<usize>>>, diary: Diary) {
    let mut under_way = HashMap::<u16, usize>::new();
    loop {
        match events.poll().await {
            Ok(Event::Outgoing(Outgoing::Publish(id))) => {
                if !under_way.contains_key(&id) {
                    under_way.extend(lock(&waiting).pop_front().map(|place| (id, place)));
                }
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                if let Some(place) = under_way.remove(&ack.pkid) {
                    lock(&diary)[place].acknowledged = true;
                }
            }
            Ok(_) => {}
            Err(problem) => {
                eprintln!("the devices' connection: {problem}");
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
