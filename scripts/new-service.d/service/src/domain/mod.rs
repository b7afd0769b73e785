//! What is decided here, without clock, I/O or Kafka.

mod highest;

pub use highest::Highest;
