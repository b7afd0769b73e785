//! MQTT on one side, Kafka on the other.

mod in_flight;
mod intake;
mod message;
pub mod mqtt;
mod records;
mod redrive;

pub use in_flight::{InFlight, watch};
pub use intake::{Intake, Receipt};
pub use records::Records;
pub use redrive::Redrive;
