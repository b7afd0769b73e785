#![doc = include_str!("../README.md")]

mod enqueue;
mod event;
mod migrations;
mod slots;
mod wake;

pub use enqueue::enqueue;
pub use event::OutboxEvent;
pub use migrations::migrate;
pub use slots::Slots;
pub use wake::{CHANNEL, wake};
