//! What an event of another service says about a notification, in one shape for every kind of event.

mod of_alert;
mod of_anomaly;
mod of_result;
mod of_status;

use std::borrow::Cow;

use events::identity::uuid_of;
use events::{Anomaly, CommandResult, DeviceState, DeviceStatus, Labels, Severity, TemperatureAlert, Timestamp};
use uuid::Uuid;

/// `Notification::kind`
pub mod kind {
    pub const ALERT: &str = "alert";
    pub const ANOMALY: &str = "anomaly";
    pub const SENSOR_HEALTH: &str = "sensor-health";
    pub const DEVICE_OFFLINE: &str = "device-offline";
    pub const PIPELINE: &str = "pipeline";
    pub const EXTERNAL: &str = "external";
    pub const COMMAND: &str = "command";

    pub const ALL: [&str; 7] = [ALERT, ANOMALY, SENSOR_HEALTH, DEVICE_OFFLINE, PIPELINE, EXTERNAL, COMMAND];
}

/// The label that says how sure the model of an anomaly is, 0 to 1. It says how much, not which: nothing is grouped by it.
pub const CONFIDENCE: &str = "confidence";

/// What a signal does to the notification of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Something is wrong (firing, opened, offline, silent): opens, or folds into what is unresolved.
    Triggers,
    /// It is over: resolves what is unresolved.
    Clears,
}

/// An event as far as notifications go.
///
/// A source goes through excursions: stretches of trouble that begin at `started_at`. Every change within one carries
/// the same `started_at`, so two signals of a key are ordered by (`started_at`, `changed_at`).
#[derive(Clone, Debug, PartialEq)]
pub struct Signal {
    pub tenant: String,
    /// One of [`kind::ALL`].
    pub kind: &'static str,
    /// At most one notification per (tenant, key) is unresolved.
    pub dedup_key: String,
    /// `alert_id`, `anomaly_id`, or the time of a change that has no id.
    pub excursion: String,
    pub effect: Effect,
    pub severity: Severity,
    pub device_id: Option<String>,
    /// What it says of the device's connection, from `changed_at` on.
    pub device_state: Option<DeviceState>,
    pub group_id: Option<String>,
    pub title: String,
    pub body: String,
    pub labels: Labels,
    pub runbook_url: Option<String>,
    pub started_at: Timestamp,
    pub changed_at: Timestamp,
    /// The service or the API key that saw it.
    pub actor: Cow<'static, str>,
    pub reason: Option<String>,
}

impl Signal {
    /// `None` for a state this release does not know.
    pub fn of_alert(alert: &TemperatureAlert) -> Option<Self> {
        of_alert::signal(alert)
    }

    /// `None` for a state this release does not know.
    pub fn of_anomaly(anomaly: &Anomaly) -> Option<Self> {
        of_anomaly::signal(anomaly)
    }

    /// `None` for a state this release does not know.
    pub fn of_status(status: &DeviceStatus) -> Option<Self> {
        of_status::signal(status)
    }

    /// `None` for a result that is no end.
    pub fn of_result(result: &CommandResult) -> Option<Self> {
        of_result::signal(result)
    }

    /// One notification per excursion, the same in every replay.
    pub fn notification_id(&self) -> Uuid {
        uuid_of("notification", &[&self.tenant, &self.dedup_key, &self.excursion])
    }
}

/// The longest text that identifies something: a device, a rule, a group.
pub const LONGEST_NAME: usize = 512;

/// Why no notification can be made of a signal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unstorable {
    #[error("a text holds the character NUL")]
    Nul,
    #[error("a name is longer than {LONGEST_NAME} bytes")]
    NameTooLong,
    #[error("{0} is not a time since 1970")]
    NoTime(Timestamp),
}

impl Signal {
    /// Whether a row can hold it.
    pub fn check(&self) -> Result<(), Unstorable> {
        let names = [Some(&self.tenant), Some(&self.dedup_key), self.device_id.as_ref(), self.group_id.as_ref()];
        let mut texts = names.into_iter().flatten().chain([&self.title, &self.body]).chain(&self.reason).chain(&self.runbook_url);
        let mut labels = self.labels.iter().flat_map(|(name, value)| [name, value]);
        if names.into_iter().flatten().any(|name| name.len() > LONGEST_NAME) {
            return Err(Unstorable::NameTooLong);
        }
        if texts.any(|text| text.contains('\0')) || labels.any(|text| text.contains('\0')) {
            return Err(Unstorable::Nul);
        }
        let no_time = [self.started_at, self.changed_at].into_iter().find(|at| at.as_micros() < 0 || at.to_datetime().is_none());
        no_time.map_or(Ok(()), |at| Err(Unstorable::NoTime(at)))
    }
}

/// A value as people write it: at most three digits after the point, none that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_row_can_hold_is_refused() {
        let signal = Signal::of_alert(&crate::domain::lifecycle::examples::firing()).unwrap();
        assert_eq!(signal.check(), Ok(()));
        assert_eq!(Signal { title: "a\0b".into(), ..signal.clone() }.check(), Err(Unstorable::Nul));
        assert_eq!(Signal { device_id: Some("x".repeat(600)), ..signal.clone() }.check(), Err(Unstorable::NameTooLong));
        let never = Timestamp::from_micros(i64::MAX);
        assert_eq!(Signal { changed_at: never, ..signal }.check(), Err(Unstorable::NoTime(never)));
    }

    #[test]
    fn a_number_has_no_digits_that_say_nothing() {
        assert_eq!(["31.5", "28", "0.125", "-0.5"], [31.5, 28.0, 0.125, -0.5].map(number).each_ref().map(String::as_str));
    }
}
