#![doc = include_str!("../README.md")]

mod enqueue;
mod event;
mod migrations;

pub use enqueue::enqueue;
pub use event::OutboxEvent;
pub use migrations::migrate;
