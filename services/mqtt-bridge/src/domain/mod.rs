//! What a device's message means: pure, no clock, no I/O.
//!
//! [`Routes`] finds how a topic's payload is read; a [`Route`] makes readings or a status of it, or says by a
//! [`Reject`] why it cannot. [`RejectLimiter`] decides which rejects are worth keeping, [`DeviceLimiter`] how many devices
//! nobody knows are let in.

mod command;
mod devices;
mod document;
mod filter;
mod limiter;
mod message;
mod metric;
mod online;
mod place;
mod readings;
mod reject;
mod route;
mod routes;
mod state;
mod status;
mod time;
mod unit;

pub use command::{CommandTopics, NotForADevice, payload};
pub use devices::{DeviceLimiter, DeviceLimits};
pub use document::{Document, Field, Members};
pub use filter::TopicFilter;
pub use limiter::{Decision, RejectLimiter};
pub use message::{Limits, Message, Outcome};
pub use metric::{Metric, Metrics};
pub use online::Online;
pub use place::Place;
pub use reject::{Reason, Reject};
pub use route::{Decode, Each, Route, Shape};
pub use routes::{MAIN_CONNECTION, Routes};
pub use unit::Conversion;

#[cfg(test)]
mod examples;
#[cfg(test)]
mod route_examples;
