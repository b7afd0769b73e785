use std::time::Duration;

use events::{DeviceStatus, Reading, Timestamp};

/// What a device published, and how it came.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub topic: &'a str,
    pub payload: &'a [u8],
    /// The broker kept it from earlier; it is not news.
    pub retained: bool,
    pub received_at: Timestamp,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// At least one, all of one device.
    Readings(Vec<Reading>),
    Status(DeviceStatus),
}

/// What a message may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes.
    pub payload: usize,
    /// Readings of one message.
    pub readings: usize,
    /// How far a device's clock may be ahead of ours.
    pub max_future: Duration,
    /// A reading that was measured longer ago is marked as late.
    pub late_after: Duration,
}
