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

    /// Forgets the lost connection. Returns what had been read from it: a broker that died may not send it again.
    fn start_over(&mut self) -> Vec<Received>;
}

/// The half that asks. Nothing here waits: where there is no room it fails, and is tried again later.
pub trait Requests: Send + Sync + 'static {
    /// PUBACK or PUBREC; `false`: there is no room just now.
    fn acknowledge(&self, release: &Release) -> bool;

    /// All subscriptions of the session.
    fn subscribe(&self) -> Result<(), Failure>;

    /// At `QoS` 1, retained.
    fn publish(&self, topic: &str, payload: &str) -> Result<(), Failure>;

    fn disconnect(&self) -> Result<(), Failure>;
}
