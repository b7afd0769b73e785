//! Decides what becomes of commands: pure, told what time it is.
//!
//! A [`Device`] has one command under way at a time, the others wait in their order. What a device reports verifies.

mod breaker;
mod device;
mod document;
mod limits;
mod task;

pub use breaker::Breaker;
pub use device::{Device, Outlet, Taken};
pub use document::{Unusable, check_command, check_report};
pub use limits::Limits;
pub use task::{Chain, Task};

#[cfg(test)]
mod examples;
