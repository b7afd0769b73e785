//! What a device reports of itself, and which command that answers.

use events::{DeviceKey, ReportedState};
use serde_json::{Map, Value};

use crate::domain::readings::not_too_far_ahead;
use crate::domain::time::measured_at;
use crate::domain::{Document, Field, Limits, Message, Outcome, Reason, Reject, Route};

const COMMAND_ID: &str = "command_id";
const ERROR: &str = "error";

/// A JSON object: the state, and beside it an optional time, the command it answers, and why that was not carried out.
pub(super) fn read(
    route: &Route,
    device: &DeviceKey,
    message: &Message<'_>,
    document: &Document<'_>,
    limits: &Limits,
) -> Result<Outcome, Reject> {
    // The document knows members that are numbers and texts; a state may hold anything.
    let mut state: Map<String, Value> =
        serde_json::from_slice(message.payload).map_err(|error| Reject::new(Reason::NotJson, error.to_string()))?;
    let command_id = text(document, COMMAND_ID)?.map(|id| {
        let shown = || id.chars().take(64).collect::<String>().escape_debug().to_string();
        id.parse().map_err(|_| Reject::new(Reason::BadCommandId, format!("`{}` is no UUID", shown())))
    });
    let reported_at = route.time.of_payload(document).map(measured_at).transpose()?.unwrap_or(message.received_at);
    for reserved in [COMMAND_ID, ERROR].into_iter().chain(route.time.members()).chain(route.device.members()) {
        state.remove(reserved);
    }
    Ok(Outcome::State(ReportedState {
        tenant: device.tenant.clone(),
        device_id: device.device_id.clone(),
        state: Value::Object(state).to_string(),
        command_id: command_id.transpose()?,
        error: text(document, ERROR)?.map(str::to_owned),
        reported_at: not_too_far_ahead(reported_at, message, limits)?,
        received_at: message.received_at,
    }))
}

fn text<'d>(document: &'d Document<'_>, member: &str) -> Result<Option<&'d str>, Reject> {
    match document.field(member) {
        None => Ok(None),
        Some(Field::Text(text)) => Ok(Some(text)),
        Some(other) => Err(Reject::new(Reason::WrongType, format!("`{member}` is {}, not a text", other.kind()))),
    }
}
