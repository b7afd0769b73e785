//! Birth and will.

use events::{DeviceKey, DeviceState, DeviceStatus};

use crate::domain::readings::not_too_far_ahead;
use crate::domain::time::measured_at;
use crate::domain::{Document, Field, Limits, Message, Outcome, Reason, Reject, Route};

const LONGEST_REASON: usize = 64;

/// `online`, `offline` or `retired`, as plain text or as `{"state": …}` with an optional `reason` and time.
pub(super) fn read(
    route: &Route,
    device: &DeviceKey,
    message: &Message<'_>,
    document: &Document<'_>,
    limits: &Limits,
) -> Result<Outcome, Reject> {
    let said = match document {
        Document::Text(text) => text,
        Document::Object(_) | Document::Array(_) => {
            text(document, "state")?.ok_or_else(|| Reject::new(Reason::MissingField, "`state` is missing"))?
        }
    };
    let (state, usual_reason) = state(said)?;
    let reason: String = text(document, "reason")?.unwrap_or(usual_reason).chars().take(LONGEST_REASON).collect();
    let changed_at = route.time.of_payload(document).map(measured_at).transpose()?.unwrap_or(message.received_at);
    Ok(Outcome::Status(DeviceStatus {
        tenant: device.tenant.clone(),
        device_id: device.device_id.clone(),
        state,
        reason,
        changed_at: not_too_far_ahead(changed_at, message, limits)?,
    }))
}

fn state(said: &str) -> Result<(DeviceState, &'static str), Reject> {
    match said.trim().trim_matches('"').to_lowercase().as_str() {
        "online" => Ok((DeviceState::Online, "birth")),
        "offline" => Ok((DeviceState::Offline, "will")),
        "retired" => Ok((DeviceState::Retired, "retired")),
        _ => {
            let shown: String = said.chars().take(64).collect();
            Err(Reject::new(Reason::UnknownState, format!("`{}` is not online, offline or retired", shown.escape_debug())))
        }
    }
}

fn text<'d>(document: &'d Document<'_>, member: &str) -> Result<Option<&'d str>, Reject> {
    match document.field(member) {
        None => Ok(None),
        Some(Field::Text(text)) => Ok(Some(text)),
        Some(other) => Err(Reject::new(Reason::WrongType, format!("`{member}` is {}, not a text", other.kind()))),
    }
}
