use std::time::Duration;

use stream::Failure;

use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::release::Release;

/// What the broker sent, as far as a session cares.
pub enum Incoming {
    Connected {
        session_present: bool,
    },
    /// The answer to the subscriptions. A refused one would look healthy and move nothing.
    Subscribed(Result<(), Failure>),
    Message(Received),
    /// The oldest of the commands that wait is on its way, under this packet id.
    Sent(u16),
    /// The broker has what was sent under this packet id.
    Completed(u16),
    /// The broker does not take it. Its packet id is lost to the client until the connection is started over.
    Refused {
        packet_id: u16,
        /// It never will.
        for_good: bool,
        problem: String,
    },
    /// The broker is told that the bridge leaves.
    Left,
    Other,
}

/// A message, and the id its acknowledgement has to bear; 0 at `QoS` 0.
pub struct Received {
    pub message: MqttMessage,
    pub packet_id: u16,
}

/// The half of a client that is polled: reads from the broker and writes what its [`Requests`] queued. Connects by itself.
pub trait Connection: Send + 'static {
    type Requests: Requests;

    /// `Err`: the connection is lost, and why.
    fn next(&mut self) -> impl Future<Output = Result<Incoming, Failure>> + Send;

    /// Ends the connection, if there is one, and forgets it. Returns what had been read from it, which no broker says again: a
    /// connection may be lost with the last of what came over it.
    fn start_over(&mut self) -> Vec<Incoming>;
}

/// The half that asks. Nothing here waits: where there is no room it fails, and is tried again later.
pub trait Requests: Send + Sync + 'static {
    /// PUBACK or PUBREC; `false`: there is no room just now.
    fn acknowledge(&self, release: &Release) -> bool;

    /// All subscriptions of the session.
    fn subscribe(&self) -> Result<(), Failure>;

    /// At `QoS` 1, retained.
    fn publish(&self, topic: &str, payload: &str) -> Result<(), Failure>;

    /// At `QoS` 2.
    fn command(&self, command: Published) -> Result<(), Failure>;

    fn disconnect(&self) -> Result<(), Failure>;
}

/// A message to a device.
#[derive(Clone, Debug)]
pub struct Published {
    pub topic: String,
    pub payload: Vec<u8>,
    /// How long the broker keeps it for a device that is away; only MQTT 5.
    pub expires_in: Duration,
    /// Only MQTT 5.
    pub user_properties: Vec<(String, String)>,
}
