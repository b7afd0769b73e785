//! What the binary does with files and topics, never with a running service.

mod error;
mod explain;
mod features;
pub mod model;
mod readings;
mod score;

pub use error::CommandError;
pub use explain::{Wanted, explain};
pub use features::features;
pub use readings::OnBadLine;
pub use score::{ScoreOptions, score};

/// Their name with Kafka.
const CLIENT: &str = "anomaly-detector-commands";
