//! A connection that knows what was acknowledged.
//!
//! The first connection must succeed at once; one that breaks later is made again, and what was not acknowledged is sent
//! again, whether or not the broker still knows the session.

use std::collections::VecDeque;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{Packet, PubAckReason};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttOptions};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::{IN_FLIGHT, Presence};

const FIRST_CONNECTION: Duration = Duration::from_secs(10);
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);

pub(crate) struct Connection {
    client: AsyncClient,
    published: u64,
    progress: watch::Receiver<Progress>,
    // Ends with the connection.
    _polling: JoinSet<()>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Progress {
    acknowledged: u64,
    refused: u64,
    /// Published by nobody's order: births after a reconnection.
    births: u64,
    disconnected: bool,
}

impl Connection {
    pub(super) async fn open(options: MqttOptions, presence: Option<Presence<'_>>) -> anyhow::Result<Self> {
        let (client, mut connection) = AsyncClient::new(options, usize::from(IN_FLIGHT));
        tokio::time::timeout(FIRST_CONNECTION, until_connected(&mut connection)).await.context("no answer")??;
        let (report, progress) = watch::channel(Progress::default());
        let mut polling = JoinSet::new();
        let reborn = presence.map(|presence| (client.clone(), presence.topic.to_owned(), presence.birth));
        polling.spawn(poll(connection, report, reborn));
        let mut connection = Self { client, published: 0, progress, _polling: polling };
        if let Some(presence) = presence {
            connection.publish(presence.topic, true, presence.birth.into()).await?;
        }
        Ok(connection)
    }

    /// Hands a message over; waits while too many are unacknowledged.
    pub(crate) async fn publish(&mut self, topic: &str, retain: bool, payload: Vec<u8>) -> anyhow::Result<()> {
        self.published += 1;
        self.client.publish(topic, QoS::AtLeastOnce, retain, payload).await.context("MQTT client")
    }

    /// Waits until every message is acknowledged.
    pub(crate) async fn acknowledged(&mut self, patience: Duration) -> anyhow::Result<()> {
        let published = self.published;
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
        self.client.disconnect().await.context("MQTT client")?;
        // Whether the broker still takes the packet changes nothing any more.
        let _ = tokio::time::timeout(Duration::from_secs(2), self.progress.wait_for(|progress| progress.disconnected)).await;
        Ok(())
    }
}

async fn until_connected(connection: &mut EventLoop) -> Result<(), ConnectionError> {
    while !matches!(connection.poll().await?, Event::Incoming(Packet::ConnAck(_))) {}
    Ok(())
}

/// Drives the connection until it is left; `reborn` is who says what where after each reconnection.
async fn poll(mut connection: EventLoop, report: watch::Sender<Progress>, reborn: Option<(AsyncClient, String, &'static str)>) {
    let mut unacknowledged = VecDeque::new();
    loop {
        match connection.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(connected))) => {
                // The client forgets its messages when the broker forgot the session.
                if !connected.session_present {
                    connection.pending.append(&mut unacknowledged);
                }
                let Some((client, topic, birth)) = &reborn else { continue };
                // No room: the device is busy sending, and the next reconnection tries again.
                if client.try_publish(topic, QoS::AtLeastOnce, true, *birth).is_ok() {
                    report.send_modify(|progress| progress.births += 1);
                }
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
