use std::time::Duration;

use events::{DeviceKey, DeviceStatus, Reading, ReportedState, Timestamp};

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
    /// At least one; of several devices only where a gateway's array names them.
    Readings(Vec<Reading>),
    Status(DeviceStatus),
    State(ReportedState),
    /// Too large to be read: this device's payload is kept as it is, elsewhere.
    Large(DeviceKey),
}

/// What a message may be at most.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Bytes.
    pub payload: usize,
    /// Bytes of a payload that is a reported state: every command of the device looks at it.
    pub state: usize,
    /// What is larger is kept elsewhere; else it is refused.
    pub keeps_larger: bool,
    /// Readings of one message.
    pub readings: usize,
    /// How far a device's clock may be ahead of ours.
    pub max_future: Duration,
    /// A reading that was measured longer ago is marked as late.
    pub late_after: Duration,
}
