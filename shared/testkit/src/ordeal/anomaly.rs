use std::fmt;

use events::Timestamp;

/// What may not have happened, by its name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Anomaly {
    /// A reading whose publisher has an acknowledgement, and that is not in telemetry.readings.v1.
    LostReading { device: String, sequence: i64 },
    /// An alert that the readings call for and that was never announced.
    LostAlert { device: String, started_at: Timestamp },
    /// An alert that was announced, or had to be, and that the API does not list.
    LostNotification { device: String, started_at: Timestamp },
    /// An alert that was announced to be in the same state twice.
    DuplicateAlert { device: String, started_at: Timestamp, state: &'static str },
    /// Two notifications of one alert.
    DuplicateNotification { device: String, started_at: Timestamp },
    /// A reading that came first after one that its device published later.
    Reordered { device: String, sequence: i64, after: i64 },
    /// A version of a notification that the API has and the stream never showed.
    Unseen { notification: String, version: i64 },
    /// An alert that is not over although its reading came down: at the API, or already in alerts.temperature.v1.
    StuckAlert { device: String, started_at: Timestamp },
    /// An alert, or a notification of one, that no reading calls for.
    Phantom { device: String, started_at: Timestamp },
    /// Versions of a notification that the stream passed over.
    Gap { notification: String, shown: i64, next: i64 },
    /// A stream that was resumed and began anew.
    BeganAnew,
    /// What a device published and nobody acknowledged.
    Unacknowledged { messages: usize },
    /// A fault after whose end nothing reached the stream again in time.
    NoRecovery { fault: String },
    /// A service that does not finish what it began and exit with 0 when it is asked to stop.
    Undrained { replica: String },
    /// A message that no reading was made of.
    DeadLetter { topic: String, reason: String },
}

impl Anomaly {
    pub fn name(&self) -> &'static str {
        match self {
            Self::LostReading { .. } => "lost reading",
            Self::LostAlert { .. } => "lost alert",
            Self::LostNotification { .. } => "lost notification",
            Self::DuplicateAlert { .. } => "duplicate alert",
            Self::DuplicateNotification { .. } => "duplicate notification",
            Self::Reordered { .. } => "reordered",
            Self::Unseen { .. } => "unseen",
            Self::StuckAlert { .. } => "stuck alert",
            Self::Phantom { .. } => "phantom",
            Self::Gap { .. } => "gap",
            Self::BeganAnew => "began anew",
            Self::Unacknowledged { .. } => "unacknowledged",
            Self::NoRecovery { .. } => "no recovery",
            Self::Undrained { .. } => "undrained",
            Self::DeadLetter { .. } => "dead letter",
        }
    }

    /// Something acknowledged has had no effect.
    pub fn is_loss(&self) -> bool {
        matches!(self, Self::LostReading { .. } | Self::LostAlert { .. } | Self::LostNotification { .. })
    }

    /// Something was said twice.
    pub fn is_duplicate(&self) -> bool {
        matches!(self, Self::DuplicateAlert { .. } | Self::DuplicateNotification { .. })
    }
}

impl fmt::Display for Anomaly {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::LostReading { device, sequence } => write!(out, "{name}: {device} {sequence}"),
            Self::LostAlert { device, started_at }
            | Self::LostNotification { device, started_at }
            | Self::DuplicateNotification { device, started_at }
            | Self::StuckAlert { device, started_at }
            | Self::Phantom { device, started_at } => write!(out, "{name}: {device} since {started_at}"),
            Self::DuplicateAlert { device, started_at, state } => write!(out, "{name}: {device} since {started_at} is {state} twice"),
            Self::Reordered { device, sequence, after } => write!(out, "{name}: {device} {sequence} after {after}"),
            Self::Unseen { notification, version } => write!(out, "{name}: version {version} of {notification}"),
            Self::Gap { notification, shown, next } => write!(out, "{name}: {notification} from version {shown} to {next}"),
            Self::BeganAnew => write!(out, "{name}: the stream forgot its position"),
            Self::Unacknowledged { messages } => write!(out, "{name}: {messages} messages"),
            Self::NoRecovery { fault } => write!(out, "{name}: after {fault}"),
            Self::Undrained { replica } => write!(out, "{name}: {replica}"),
            Self::DeadLetter { topic, reason } => write!(out, "{name}: {reason} in {topic}"),
        }
    }
}
