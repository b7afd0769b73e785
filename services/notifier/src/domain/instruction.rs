//! What a device is to do, as people ask for it, scenes keep it and receivers act with it.

use std::time::Duration;

use events::{Command, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::period::Period;

/// How long a command is good for when nobody says.
pub const GOOD_FOR: Period = Period::from_secs(60);
/// Bounds of what may be said.
const SHORTEST: Period = Period::from_secs(1);
const LONGEST: Period = Period::from_secs(24 * 60 * 60);
/// Bytes of a device's id: with a name it fits into a notification's key.
const LONGEST_DEVICE: usize = 256;
/// Bytes of a command's name.
const LONGEST_NAME: usize = 128;
/// Bytes of the arguments, and of the desired state, as JSON.
const LARGEST: usize = 16 * 1024;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Instruction {
    /// A receiver may leave it out: the notification's device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_id: Option<String>,
    /// A word of the device's own language.
    #[serde(default)]
    pub name: String,
    #[serde(default)]
    pub arguments: Map<String, Value>,
    /// What the device has to report in the end; without it, it answers with the command's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub desired_state: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_in: Option<Period>,
}

/// Who wants it, since when, and as part of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuing {
    pub tenant: String,
    /// An API key's name, or `route:` and a receiver's name.
    pub by: String,
    pub at: Timestamp,
    pub scene_id: Option<Uuid>,
}

impl Instruction {
    /// What is wrong with it by itself, as (JSON pointer, problem).
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let device = self.device_id.as_deref();
        let within = self.expires_in.is_none_or(|period| (SHORTEST..=LONGEST).contains(&period));
        let mut checks = vec![
            ("/device_id", device.is_none_or(can_be_told), "is not 1 to 256 bytes that an MQTT topic can hold: no `/`, `+`, `#`"),
            ("/name", is_word(&self.name), "is not 1 to 128 bytes without control characters"),
            ("/expires_in", within, "is not between 1s and 24h"),
        ];
        for (field, object) in [("/arguments", Some(&self.arguments)), ("/desired_state", self.desired_state.as_ref())] {
            checks.push((field, object.is_none_or(|object| text(object).len() <= LARGEST), "are more than 16 KiB"));
            checks.push((field, !object.is_some_and(holds_nul), "hold the character NUL"));
        }
        let wrong = checks.into_iter().filter(|(_, good, _)| !good);
        wrong.map(|(field, _, problem)| (field.to_owned(), problem.to_owned())).collect()
    }

    /// The command under this id to a device; `good_for` holds where the instruction says nothing.
    pub fn command(&self, command_id: Uuid, device_id: &str, good_for: Period, issuing: &Issuing) -> Command {
        let lifetime: Duration = self.expires_in.unwrap_or(good_for).duration();
        Command {
            tenant: issuing.tenant.clone(),
            command_id,
            device_id: device_id.to_owned(),
            name: self.name.clone(),
            arguments: text(&self.arguments),
            desired_state: self.desired_state.as_ref().map(text),
            issued_at: issuing.at,
            expires_at: issuing.at.saturating_add(lifetime),
            issued_by: issuing.by.clone(),
            scene_id: issuing.scene_id,
        }
    }
}

/// Whether a device of this id can be told anything: its id is a level of an MQTT topic.
pub fn can_be_told(device_id: &str) -> bool {
    (1..=LONGEST_DEVICE).contains(&device_id.len()) && !device_id.contains(['/', '+', '#']) && !device_id.contains(char::is_control)
}

fn is_word(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len()) && !name.contains(char::is_control)
}

fn text(object: &Map<String, Value>) -> String {
    serde_json::to_string(object).unwrap_or_default()
}

/// Postgres holds no NUL in JSON.
fn holds_nul(object: &Map<String, Value>) -> bool {
    object.iter().any(|(name, value)| name.contains('\0') || is_or_holds_nul(value))
}

fn is_or_holds_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(is_or_holds_nul),
        Value::Object(object) => holds_nul(object),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn instruction(fields: &Value) -> Instruction {
        let mut whole = json!({ "device_id": "fan-01", "name": "set" });
        whole.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        serde_json::from_value(whole).unwrap()
    }

    #[test]
    fn a_command_says_what_was_asked_for_and_ends_a_minute_later() {
        let issuing = Issuing { tenant: "acme".into(), by: "ops".into(), at: Timestamp::from_micros(1_000_000), scene_id: None };
        let asked = instruction(&json!({ "arguments": { "speed": 3 }, "desired_state": { "speed": 3 } }));
        assert_eq!(asked.mistakes(), []);
        let command = asked.command(Uuid::nil(), "fan-01", GOOD_FOR, &issuing);
        assert_eq!((command.arguments.as_str(), command.desired_state.as_deref()), (r#"{"speed":3}"#, Some(r#"{"speed":3}"#)));
        assert_eq!((command.issued_at, command.expires_at), (issuing.at, Timestamp::from_micros(61_000_000)));
        assert_eq!(events::Event::key(&command), "acme/fan-01");
        let brief = instruction(&json!({ "expires_in": "2s" })).command(Uuid::nil(), "fan-01", GOOD_FOR, &issuing);
        assert_eq!((brief.expires_at, brief.arguments.as_str()), (Timestamp::from_micros(3_000_000), "{}"));
    }

    #[test]
    fn what_no_device_can_be_told_is_refused() {
        for (fields, pointer) in [
            (json!({ "device_id": "hall/fan" }), "/device_id"),
            (json!({ "device_id": "+" }), "/device_id"),
            (json!({ "device_id": "" }), "/device_id"),
            (json!({ "device_id": "x".repeat(257) }), "/device_id"),
            (json!({ "name": "" }), "/name"),
            (json!({ "name": "a\nb" }), "/name"),
            (json!({ "arguments": { "text": "x".repeat(17_000) } }), "/arguments"),
            (json!({ "arguments": { "list": [{ "deep": "a\0b" }] } }), "/arguments"),
            (json!({ "desired_state": { "a\0": 1 } }), "/desired_state"),
            (json!({ "expires_in": "10ms" }), "/expires_in"),
            (json!({ "expires_in": "25h" }), "/expires_in"),
        ] {
            let pointers: Vec<String> = instruction(&fields).mistakes().into_iter().map(|mistake| mistake.0).collect();
            assert_eq!(pointers, [pointer], "{fields}");
        }
    }
}
