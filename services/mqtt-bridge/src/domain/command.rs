//! A command on its way down: where it is published, and what the device reads.

use std::collections::BTreeMap;

use events::{DEFAULT_TENANT, OutboundCommand};
use serde_json::{Value, json};

const DEVICE: &str = "{device}";
const TENANT: &str = "{tenant}";

/// The topics devices listen on, by tenant.
#[derive(Clone, Debug)]
pub struct CommandTopics {
    usual: String,
    tenants: BTreeMap<String, String>,
}

/// Why a command cannot be published at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NotForADevice {
    /// A short code.
    pub reason: &'static str,
    pub detail: String,
}

impl CommandTopics {
    /// Refuses a topic that would not tell devices apart, or that nobody may publish to.
    pub fn new(usual: &str, tenants: &BTreeMap<String, String>) -> Result<Self, String> {
        for topic in tenants.values().map(String::as_str).chain([usual]) {
            if !topic.contains(DEVICE) {
                return Err(format!("`{topic}` has to hold {DEVICE}"));
            }
            if topic.contains(['+', '#', '\0']) {
                return Err(format!("`{topic}` must not hold `+` or `#`"));
            }
        }
        Ok(Self { usual: usual.to_owned(), tenants: tenants.clone() })
    }

    /// Where the device listens. A tenant without a topic of its own has none that another's device listens on.
    pub fn of(&self, tenant: &str, device_id: &str) -> Result<String, NotForADevice> {
        let topic = self.tenants.get(tenant).or_else(|| {
            let is_its_own = tenant == DEFAULT_TENANT || self.usual.contains(TENANT);
            is_its_own.then_some(&self.usual)
        });
        let topic =
            topic.ok_or_else(|| NotForADevice { reason: "no_topic", detail: format!("tenant {tenant} has no topic for commands") })?;
        let fits = |id: &str| !id.is_empty() && !id.contains(|c: char| c.is_control() || matches!(c, '/' | '+' | '#'));
        if !fits(tenant) || !fits(device_id) {
            let shown: String = device_id.chars().take(64).collect();
            return Err(NotForADevice { reason: "bad_device_id", detail: format!("`{}` cannot be part of a topic", shown.escape_debug()) });
        }
        Ok(topic.replace(TENANT, tenant).replace(DEVICE, device_id))
    }
}

/// What the device reads: JSON; times are RFC 3339.
pub fn payload(command: &OutboundCommand) -> Result<Vec<u8>, NotForADevice> {
    let object = |member: &str, text: &str| match serde_json::from_str(text) {
        Ok(Value::Object(members)) => Ok(Value::Object(members)),
        Ok(_) | Err(_) => Err(NotForADevice { reason: "not_an_object", detail: format!("{member} is no JSON object") }),
    };
    let mut payload = json!({
        "command_id": command.command_id,
        "name": command.name,
        "arguments": object("arguments", &command.arguments)?,
        "attempt": command.attempt,
        "issued_at": command.issued_at.to_string(),
        "expires_at": command.expires_at.to_string(),
    });
    if let Some(desired) = &command.desired_state {
        payload["desired_state"] = object("desired_state", desired)?;
    }
    Ok(payload.to_string().into_bytes())
}

#[cfg(test)]
mod tests {
    use events::Timestamp;

    use super::*;

    #[test]
    fn a_tenant_listens_on_its_own_topics_and_on_no_other_tenants() {
        let own = BTreeMap::from([("acme".to_owned(), "acme/{device}/do".to_owned())]);
        let topics = CommandTopics::new("devices/{device}/commands", &own).unwrap();
        assert_eq!(topics.of("default", "lamp-1").as_deref(), Ok("devices/lamp-1/commands"));
        assert_eq!(topics.of("acme", "lamp-1").as_deref(), Ok("acme/lamp-1/do"));
        assert_eq!(topics.of("other", "lamp-1").unwrap_err().reason, "no_topic");
        let topics = CommandTopics::new("{tenant}/{device}/commands", &own).unwrap();
        assert_eq!(topics.of("other", "lamp-1").as_deref(), Ok("other/lamp-1/commands"));
        for id in ["", "a/b", "+", "#", "a\u{0}"] {
            assert_eq!(topics.of("default", id).unwrap_err().reason, "bad_device_id", "{id}");
        }
        for topic in ["devices/commands", "devices/+/{device}", "{device}/#"] {
            assert!(CommandTopics::new(topic, &own).is_err(), "{topic}");
        }
    }

    #[test]
    fn a_device_reads_what_was_commanded_and_until_when() {
        let at = Timestamp::from_millis(1_770_000_000_000);
        let command = OutboundCommand {
            tenant: "default".into(),
            command_id: "0198f0c0-0000-7000-8000-000000000001".parse().unwrap(),
            device_id: "lamp-1".into(),
            name: "switch".into(),
            arguments: r#"{"fade": 2}"#.into(),
            desired_state: Some(r#"{"on": true}"#.into()),
            attempt: 2,
            issued_at: at,
            sent_at: at,
            expires_at: at.saturating_add(std::time::Duration::from_secs(5)),
        };
        let read: Value = serde_json::from_slice(&payload(&command).unwrap()).unwrap();
        let expected = json!({
            "command_id": "0198f0c0-0000-7000-8000-000000000001", "name": "switch", "arguments": {"fade": 2},
            "desired_state": {"on": true}, "attempt": 2,
            "issued_at": at.to_string(), "expires_at": command.expires_at.to_string(),
        });
        assert_eq!(read, expected);
        assert_eq!(events::Timestamp::from_rfc3339(read["expires_at"].as_str().unwrap()), Some(command.expires_at));
        let without = payload(&OutboundCommand { desired_state: None, ..command.clone() }).unwrap();
        assert!(!String::from_utf8(without).unwrap().contains("desired_state"));
        assert_eq!(payload(&OutboundCommand { arguments: "[]".into(), ..command }).unwrap_err().reason, "not_an_object");
    }
}
