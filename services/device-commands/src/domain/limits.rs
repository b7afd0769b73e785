use std::time::Duration;

/// How long, how often and how much.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// From the first time a command is sent until it is given up.
    pub timeout: Duration,
    /// Until a command is sent a second time; twice that until the third, and so on.
    pub first_retry: Duration,
    /// Failures in a row that open a device's breaker.
    pub failures: u32,
    /// How long it is open.
    pub open: Duration,
    /// Commands of a device that wait.
    pub queue: usize,
    /// Bytes of them together: a device's state has to fit into a record.
    pub queue_bytes: usize,
    /// Command ids of a device that are remembered …
    pub remembered: usize,
    /// … and how long: a repeat is older only by mistake.
    pub remember_for: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(5),
            first_retry: Duration::from_secs(1),
            failures: 3,
            open: Duration::from_mins(1),
            queue: 100,
            queue_bytes: 256 << 10,
            remembered: 256,
            remember_for: Duration::from_hours(24),
        }
    }
}
