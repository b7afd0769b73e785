#![doc = include_str!("../README.md")]

mod enqueue;
mod event;
mod migrations;
mod wake;

pub use enqueue::enqueue;
pub use event::OutboxEvent;
pub use migrations::migrate;
pub use wake::{CHANNEL, wake};
