//! What devices are told to do, what they report of themselves, and what became of it.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::event::schema;
use crate::{Event, Schema, Timestamp, identity, topics, uuid_text};

/// Somebody wants a device to do something.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Command {
    pub tenant: String,
    #[serde(with = "uuid_text")]
    pub command_id: Uuid,
    pub device_id: String,
    /// A word of the device's own language.
    pub name: String,
    /// A JSON object that goes to the device as it is.
    pub arguments: String,
    /// A JSON object, each of whose members the device has to report; without it, the device answers with the command's id.
    pub desired_state: Option<String>,
    pub issued_at: Timestamp,
    /// From then on it must not be carried out.
    pub expires_at: Timestamp,
    /// An API key's name, or `route:<name>`.
    pub issued_by: String,
    /// The run of a scene it is part of.
    #[serde(with = "uuid_text::nullable")]
    pub scene_id: Option<Uuid>,
}

impl Event for Command {
    const SCHEMA: Schema = schema!("command", "Command", topics::COMMANDS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        self.command_id
    }

    fn time(&self) -> Timestamp {
        self.issued_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}

/// A scene was run: one decision, a command for each of its members.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scene {
    pub tenant: String,
    /// Of this run.
    #[serde(with = "uuid_text")]
    pub scene_id: Uuid,
    pub name: String,
    /// In the order of the scene's configuration.
    pub commands: Vec<SceneCommand>,
    /// An API key's name, or `route:<name>`.
    pub issued_by: String,
    pub issued_at: Timestamp,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SceneCommand {
    #[serde(with = "uuid_text")]
    pub command_id: Uuid,
    pub device_id: String,
}

impl Event for Scene {
    const SCHEMA: Schema = schema!("scene", "Scene", topics::SCENES);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.scene_id.to_string())
    }

    fn event_id(&self) -> Uuid {
        self.scene_id
    }

    fn time(&self) -> Timestamp {
        self.issued_at
    }

    fn subject(&self) -> &str {
        &self.name
    }
}

/// A command on its way to the device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OutboundCommand {
    pub tenant: String,
    #[serde(with = "uuid_text")]
    pub command_id: Uuid,
    pub device_id: String,
    pub name: String,
    pub arguments: String,
    pub desired_state: Option<String>,
    /// 1 for the first time it is sent.
    pub attempt: i32,
    pub issued_at: Timestamp,
    /// When this attempt was decided on.
    pub sent_at: Timestamp,
    pub expires_at: Timestamp,
}

impl Event for OutboundCommand {
    const SCHEMA: Schema = schema!("outbound-command", "OutboundCommand", topics::OUTBOUND_COMMANDS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        identity::uuid_of("outbound-command", &[&self.command_id.to_string(), &self.attempt.to_string()])
    }

    fn time(&self) -> Timestamp {
        self.sent_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}

/// What a device reports of itself.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportedState {
    pub tenant: String,
    pub device_id: String,
    /// A JSON object.
    pub state: String,
    /// The command it answers.
    #[serde(with = "uuid_text::nullable")]
    pub command_id: Option<Uuid>,
    /// Why the device did not carry that command out.
    pub error: Option<String>,
    /// The report's own time, else when it was received.
    pub reported_at: Timestamp,
    pub received_at: Timestamp,
}

impl Event for ReportedState {
    const SCHEMA: Schema = schema!("device-state", "ReportedState", topics::DEVICE_STATE);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let command = self.command_id.map(|id| id.to_string()).unwrap_or_default();
        let reported_at = self.reported_at.as_micros().to_string();
        let error = self.error.as_deref().unwrap_or_default();
        identity::uuid_of("device-state", &[&self.tenant, &self.device_id, &self.state, &command, error, &reported_at])
    }

    fn time(&self) -> Timestamp {
        self.reported_at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}

/// What became of a command. `Accepted` is no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommandOutcome {
    /// Sent to the device.
    Accepted,
    /// The device's reported state is as desired.
    Verified,
    /// The device said so.
    Failed,
    /// Not verified in time.
    TimedOut,
    /// Not sent.
    Refused,
    #[serde(other)]
    Unknown,
}

/// A device's circuit breaker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BreakerState {
    #[default]
    Closed,
    /// Refuses.
    Open,
    /// Lets one command through, to see.
    HalfOpen,
    #[serde(other)]
    Unknown,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CommandResult {
    pub tenant: String,
    #[serde(with = "uuid_text")]
    pub command_id: Uuid,
    pub device_id: String,
    pub name: String,
    #[serde(with = "uuid_text::nullable")]
    pub scene_id: Option<Uuid>,
    pub outcome: CommandOutcome,
    /// Why, in words.
    pub detail: String,
    /// How often it was sent by then.
    pub attempt: i32,
    /// The device's circuit breaker after this.
    pub breaker: BreakerState,
    pub at: Timestamp,
}

impl Event for CommandResult {
    const SCHEMA: Schema = schema!("command-result", "CommandResult", topics::COMMAND_RESULTS);

    fn key(&self) -> String {
        identity::kafka_key(&self.tenant, &self.device_id)
    }

    fn event_id(&self) -> Uuid {
        let outcome = format!("{:?}", self.outcome);
        identity::uuid_of("command-result", &[&self.command_id.to_string(), &outcome, &self.attempt.to_string()])
    }

    fn time(&self) -> Timestamp {
        self.at
    }

    fn subject(&self) -> &str {
        &self.device_id
    }
}
