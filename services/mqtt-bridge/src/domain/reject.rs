use std::fmt;

use events::DeviceKey;

/// Why a message cannot become an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    NoRoute,
    Oversized,
    Empty,
    NotUtf8,
    NotJson,
    NotAnObject,
    NotAnArray,
    DuplicateKey,
    MissingField,
    WrongType,
    NotFinite,
    OutOfRange,
    BadTimestamp,
    TooFarAhead,
    BadDeviceId,
    BadMetricName,
    NoMetrics,
    TooManyReadings,
    UnknownState,
    BadCommandId,
    TooManyNewDevices,
}

impl Reason {
    /// The short code, as in `dlq-reason` and metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoRoute => "no_route",
            Self::Oversized => "oversized",
            Self::Empty => "empty",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson => "not_json",
            Self::NotAnObject => "not_an_object",
            Self::NotAnArray => "not_an_array",
            Self::DuplicateKey => "duplicate_key",
            Self::MissingField => "missing_field",
            Self::WrongType => "wrong_type",
            Self::NotFinite => "not_finite",
            Self::OutOfRange => "out_of_range",
            Self::BadTimestamp => "bad_timestamp",
            Self::TooFarAhead => "too_far_ahead",
            Self::BadDeviceId => "bad_device_id",
            Self::BadMetricName => "bad_metric_name",
            Self::NoMetrics => "no_metrics",
            Self::TooManyReadings => "too_many_readings",
            Self::UnknownState => "unknown_state",
            Self::BadCommandId => "bad_command_id",
            Self::TooManyNewDevices => "too_many_new_devices",
        }
    }
}

/// A message that cannot become an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reject {
    pub reason: Reason,
    /// For people: the field, and what was found there.
    pub detail: String,
    /// The device, as far as it could be made out.
    pub device: Option<DeviceKey>,
}

impl Reject {
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into(), device: None }
    }

    /// Adds whose message it was.
    #[must_use]
    pub fn of(self, device: &DeviceKey) -> Self {
        Self { device: Some(device.clone()), ..self }
    }
}

impl fmt::Display for Reject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason.code(), self.detail)
    }
}
