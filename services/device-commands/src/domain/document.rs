//! JSON objects, as commands and reports hold them.

use events::{Command, ReportedState};
use serde_json::{Map, Value};

/// What one command or one reported state may hold, in bytes.
const LARGEST: usize = 64 << 10;

/// What can never become of use: which member, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// A short code.
    pub reason: &'static str,
    pub detail: String,
}

/// Refuses a command whose parts are no JSON objects, or too large.
pub fn check_command(command: &Command) -> Result<(), Unusable> {
    check("arguments", &command.arguments)?;
    command.desired_state.as_deref().map_or(Ok(()), |desired| check("desired_state", desired))
}

/// Refuses a reported state that is no JSON object, or too large.
pub fn check_report(report: &ReportedState) -> Result<(), Unusable> {
    check("state", &report.state)
}

fn check(member: &str, text: &str) -> Result<(), Unusable> {
    if text.len() > LARGEST {
        return Err(Unusable { reason: "oversized", detail: format!("{member}: {} bytes; the limit is {LARGEST}", text.len()) });
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(_)) => Ok(()),
        Ok(_) => Err(Unusable { reason: "not_an_object", detail: format!("{member} is JSON, but no object") }),
        Err(error) => Err(Unusable { reason: "not_json", detail: format!("{member}: {error}") }),
    }
}

fn members(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap_or_default()
}

pub(super) fn is_empty(text: &str) -> bool {
    members(text).is_empty()
}

/// Whether `reported` has every member of `desired`, each with the same value.
pub(super) fn satisfies(reported: &str, desired: &str) -> bool {
    let reported = members(reported);
    members(desired).iter().all(|(name, wanted)| reported.get(name).is_some_and(|value| same(value, wanted)))
}

/// Equal all the way down; a number is what it counts, however it is written.
fn same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
        (Value::Array(one), Value::Array(other)) => one.len() == other.len() && one.iter().zip(other).all(|(one, other)| same(one, other)),
        (Value::Object(one), Value::Object(other)) => {
            one.len() == other.len() && one.iter().all(|(name, value)| other.get(name).is_some_and(|other| same(value, other)))
        }
        _ => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_as_desired_when_it_has_each_member_with_the_same_value() {
        let reported = r#"{"on": true, "target": 21, "fan": {"speed": 2.0, "modes": ["eco", 1]}}"#;
        for desired in ["{}", r#"{"on": true}"#, r#"{"target": 21.0}"#, r#"{"fan": {"modes": ["eco", 1.0], "speed": 2}}"#] {
            assert!(satisfies(reported, desired), "{desired}");
        }
        for desired in [r#"{"on": false}"#, r#"{"off": null}"#, r#"{"fan": {"speed": 2}}"#, r#"{"target": "21"}"#] {
            assert!(!satisfies(reported, desired), "{desired}");
        }
    }

    #[test]
    fn what_is_no_object_or_too_large_is_refused() {
        let reason = |text: &str| check("state", text).map_err(|unusable| unusable.reason);
        assert_eq!(reason("{}"), Ok(()));
        assert_eq!(reason("[1]"), Err("not_an_object"));
        assert_eq!(reason("{"), Err("not_json"));
        assert_eq!(reason(&format!("{{\"a\": \"{}\"}}", "x".repeat(LARGEST))), Err("oversized"));
    }
}
