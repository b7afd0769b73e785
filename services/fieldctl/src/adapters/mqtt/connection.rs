//! A connection that knows what was acknowledged.
//!
//! The first connection must succeed at once; one that breaks later is made again, and what was not acknowledged is sent
//! again, whether or not the broker still knows the session.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{IN_FLIGHT, Presence};

const FIRST_CONNECTION: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Connection {
    outbound: Outbound,
    subscriptions: Subscriptions,
    progress: watch::Receiver<Progress>,
    // Ends with the connection.
    _polling: JoinSet<()>,
}

/// What came on a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
}

/// Publishes; clones share the connection, and what it knows of acknowledgements.
#[derive(Clone)]
pub(crate) struct Outbound {
    client: AsyncClient,
    published: Arc<AtomicU64>,
}

/// Topics to be heard, asked for again by each connection that begins without them.
type Subscriptions = Arc<Mutex<Vec<String>>>;

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: u64,
    refused: u64,
    /// Published by nobody's order: births after a reconnection.
    births: u64,
    disconnected: bool,
}

impl Connection {
    pub(super) async fn open(
        options: MqttOptions,
        presence: Option<Presence<'_>>,
        inbox: Option<UnboundedSender<Message>>,
    ) -> anyhow::Result<Self> {
        let (client, mut connection) = AsyncClient::new(options, usize::from(IN_FLIGHT));
        tokio::time::timeout(FIRST_CONNECTION, until_connected(&mut connection)).await.context("no answer")??;
        let (report, progress) = watch::channel(Progress::default());
        let subscriptions = Subscriptions::default();
        let mut polling = JoinSet::new();
        let reborn = presence.map(|presence| (presence.topic.to_owned(), presence.birth));
        polling.spawn(poll(connection, report, Again { client: client.clone(), reborn, subscriptions: Arc::clone(&subscriptions) }, inbox));
        let outbound = Outbound { client, published: Arc::default() };
        let connection = Self { outbound, subscriptions, progress, _polling: polling };
        if let Some(presence) = presence {
            connection.publish(presence.topic, true, presence.birth.into()).await?;
        }
        Ok(connection)
    }

    /// Hears what comes on a topic, exactly once (`QoS` 2) while the session lasts.
    pub(crate) async fn subscribe(&self, topic: &str) -> anyhow::Result<()> {
        self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).push(topic.to_owned());
        self.outbound.client.subscribe(topic, QoS::ExactlyOnce).await.context("MQTT client")
    }

    /// Who publishes beside this connection's owner.
    pub(crate) fn outbound(&self) -> Outbound {
        self.outbound.clone()
    }

    /// Hands a message over; waits while too many are unacknowledged.
    pub(crate) async fn publish(&self, topic: &str, retain: bool, payload: Vec<u8>) -> anyhow::Result<()> {
        self.outbound.publish(topic, retain, payload).await
    }

    /// Waits until every message is acknowledged.
    pub(crate) async fn acknowledged(&mut self, patience: Duration) -> anyhow::Result<()> {
        let published = self.outbound.published.load(Ordering::Relaxed);
        let all = self.progress.wait_for(|progress| progress.acknowledged + progress.refused >= published + progress.births);
        let outcome = tokio::time::timeout(patience, all).await.map(|progress| progress.map(|progress| *progress));
        let Ok(progress) = outcome else {
            let acknowledged = self.progress.borrow().acknowledged;
            bail!("the broker acknowledged only {acknowledged} of {published} messages within {patience:?}");
        };
        let refused = progress.context("the MQTT connection has ended")?.refused;
        ensure!(refused == 0, "the broker refused {refused} of {published} messages");
        Ok(())
    }

    /// Leaves in order: no will is published.
    pub(crate) async fn disconnect(mut self) -> anyhow::Result<()> {
        self.outbound.client.disconnect().await.context("MQTT client")?;
        // Whether the broker still takes the packet changes nothing any more.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.progress.wait_for(|progress| progress.disconnected)).await;
        Ok(())
    }
}

impl Outbound {
    /// Hands a message over; waits while too many are unacknowledged.
    pub(crate) async fn publish(&self, topic: &str, retain: bool, payload: Vec<u8>) -> anyhow::Result<()> {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.context("MQTT client")
    }
}

/// What a connection does each time it is made again.
struct Again {
    client: AsyncClient,
    /// Says what where.
    reborn: Option<(String, &'static str)>,
    subscriptions: Subscriptions,
}

impl Again {
    fn subscribe(&self) {
        for topic in self.subscriptions.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            // No room: the device is busy sending, and the next reconnection tries again.
            let _ = self.client.try_subscribe(topic, QoS::ExactlyOnce);
        }
    }
}

async fn until_connected(connection: &mut EventLoop) -> Result<(), ConnectionError> {
    while !matches!(connection.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    Ok(())
}

/// Drives the connection until it is left.
async fn poll(mut connection: EventLoop, report: watch::Sender<Progress>, again: Again, inbox: Option<UnboundedSender<Message>>) {
    let mut unacknowledged = VecDeque::new();
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connected))) => {
                // The client forgets its messages when the broker forgot the session.
                if !connected.session_present {
                    connection.pending.append(&mut unacknowledged);
                    again.subscribe();
                }
                let Some((topic, birth)) = &again.reborn else { continue };
                // No room: as above.
                if again.client.try_publish(topic, QoS::AtLeastOnce, true, *birth).is_ok() {
                    report.send_modify(|progress| progress.births += 1);
                }
            }
            Ok(Event::Incoming(Packet::Publish(message))) => {
                let topic = String::from_utf8_lossy(&message.topic).into_owned();
                // Nobody takes it any more: they are leaving.
                let _ = inbox.as_ref().map(|inbox| inbox.send(Message { topic, payload: message.payload.to_vec() }));
            }
            Ok(Event::Incoming(Packet::PubAck(ack))) => {
                let accepted = matches!(ack.reason, PubAckReason::Success | PubAckReason::NoMatchingSubscribers);
                report.send_modify(|progress| {
                    progress.acknowledged += u64::from(accepted);
                    progress.refused += u64::from(!accepted);
                });
            }
            Ok(Event::Outgoing(rumqttc::Outgoing::Disconnect)) => {
                report.send_modify(|progress| progress.disconnected = true);
                return;
            }
            Ok(_) => {}
            Err(ConnectionError::RequestsDone) => return,
            Err(_) => {
                unacknowledged.clone_from(&connection.pending);
                tokio::time::sleep(RECONNECT_PAUSE).await;
            }
        }
    }
}
