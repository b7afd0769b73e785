//! The connection to the broker, over rumqttc (MQTT 5): the one place that knows this client.

mod failure;
mod options;
mod release;
mod session;

pub use release::Release;
pub use session::Session;
