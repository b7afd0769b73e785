//! Commands, their results and runs of scenes as JSON: the names of `schemas/command.avsc` and `command-result.avsc`.

use std::collections::BTreeMap;

use events::{BreakerState, Command, CommandOutcome, CommandResult, Timestamp};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::document::Rfc3339;
use super::examples;
use crate::domain::course::CommandState;
use crate::domain::scene::Running;
use crate::domain::symbol;

/// A command as it stands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Command, example = examples::command)]
pub struct CommandDocument {
    pub command_id: Uuid,
    pub tenant: String,
    pub device_id: String,
    /// A word of the device's own language.
    pub name: String,
    #[schema(value_type = Object)]
    pub arguments: Value,
    /// What the device has to report in the end; null: it answers with the command's id.
    #[schema(value_type = Option<Object>)]
    pub desired_state: Option<Value>,
    /// Name of an API key, or `route:` and the name of a receiver.
    pub issued_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Rfc3339,
    /// From then on it is not carried out.
    #[schema(value_type = String, format = DateTime)]
    pub expires_at: Rfc3339,
    /// The run of a scene it is part of.
    pub scene_id: Option<Uuid>,
    #[schema(value_type = CommandStateSymbol)]
    pub state: CommandState,
    /// Whether that is the end.
    pub is_final: bool,
    /// How often it was sent.
    pub attempt: i32,
    /// Why, in words.
    pub detail: String,
    /// The device's circuit breaker after that; null while nothing was heard.
    #[schema(value_type = Option<BreakerSymbol>)]
    pub breaker: Option<BreakerState>,
    #[schema(value_type = String, format = DateTime)]
    pub updated_at: Rfc3339,
    /// Every result, oldest first; not in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<ResultDocument>>,
}

impl CommandDocument {
    /// A command of which nothing was heard yet.
    pub fn issued(command: &Command) -> Self {
        let json = |text: &str| serde_json::from_str(text).unwrap_or_default();
        Self {
            command_id: command.command_id,
            tenant: command.tenant.clone(),
            device_id: command.device_id.clone(),
            name: command.name.clone(),
            arguments: json(&command.arguments),
            desired_state: command.desired_state.as_deref().map(json),
            issued_by: command.issued_by.clone(),
            issued_at: Rfc3339(command.issued_at),
            expires_at: Rfc3339(command.expires_at),
            scene_id: command.scene_id,
            state: CommandState::Pending,
            is_final: false,
            attempt: 0,
            detail: String::new(),
            breaker: None,
            updated_at: Rfc3339(command.issued_at),
            history: None,
        }
    }
}

/// One result in a command's history.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CommandResult)]
pub struct ResultDocument {
    #[schema(value_type = OutcomeSymbol)]
    pub outcome: CommandOutcome,
    pub attempt: i32,
    pub detail: String,
    #[schema(value_type = BreakerSymbol)]
    pub breaker: BreakerState,
    #[schema(value_type = String, format = DateTime)]
    pub at: Rfc3339,
}

/// `event: command`: what became of a command just now. It has no id and is not repeated: after a `gap`, or when a stream
/// begins anew, ask for the commands.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = CommandNews, example = examples::command_news)]
pub struct CommandNews {
    pub command_id: Uuid,
    pub device_id: String,
    pub name: String,
    pub scene_id: Option<Uuid>,
    #[serde(flatten)]
    pub result: ResultDocument,
}

impl From<&CommandResult> for CommandNews {
    fn from(result: &CommandResult) -> Self {
        Self {
            command_id: result.command_id,
            device_id: result.device_id.clone(),
            name: result.name.clone(),
            scene_id: result.scene_id,
            result: ResultDocument {
                outcome: result.outcome,
                attempt: result.attempt,
                detail: result.detail.clone(),
                breaker: result.breaker,
                at: Rfc3339(result.at),
            },
        }
    }
}

/// What running a scene issued.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SceneIssued, example = examples::run)]
pub struct RunDocument {
    pub scene_id: Uuid,
    /// In the order of the members.
    pub commands: Vec<CommandDocument>,
}

impl RunDocument {
    pub fn issued(running: &Running) -> Self {
        Self { scene_id: running.run.scene_id, commands: running.commands.iter().map(CommandDocument::issued).collect() }
    }
}

/// A run of a scene: the sum of its commands, and each of them.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = SceneRun, example = examples::scene_run)]
pub struct SceneRunDocument {
    pub scene_id: Uuid,
    /// Of the scene, as it was named when it was run.
    pub name: String,
    pub issued_by: String,
    #[schema(value_type = String, format = DateTime)]
    pub issued_at: Rfc3339,
    /// Whether every command ended.
    pub is_final: bool,
    /// How many commands are in which state; states without any are left out.
    #[schema(value_type = std::collections::BTreeMap<String, u32>)]
    pub by_state: BTreeMap<String, usize>,
    /// In the order of the members.
    pub commands: Vec<CommandDocument>,
}

impl SceneRunDocument {
    pub fn new(scene_id: Uuid, name: String, issued_by: String, issued_at: Timestamp, commands: Vec<CommandDocument>) -> Self {
        let mut by_state = BTreeMap::new();
        for command in &commands {
            *by_state.entry(symbol(&command.state)).or_default() += 1;
        }
        let is_final = commands.iter().all(|command| command.is_final);
        Self { scene_id, name, issued_by, issued_at: Rfc3339(issued_at), is_final, by_state, commands }
    }
}

/// State of a command: the schema of [`CommandState`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = CommandState, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CommandStateSymbol {
    /// Nothing was heard of it yet.
    Pending,
    /// Sent to the device.
    Accepted,
    /// The device reports what was desired.
    Verified,
    /// The device said that it did not do it.
    Failed,
    /// Not verified in time.
    TimedOut,
    /// Not sent.
    Refused,
}

/// An outcome: the schema of [`CommandOutcome`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = CommandOutcome, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum OutcomeSymbol {
    Accepted,
    Verified,
    Failed,
    TimedOut,
    Refused,
    Unknown,
}

/// A device's circuit breaker: the schema of [`BreakerState`], which knows nothing of `OpenAPI`.
#[derive(ToSchema)]
#[schema(as = Breaker, rename_all = "SCREAMING_SNAKE_CASE")]
pub enum BreakerSymbol {
    Closed,
    /// Refuses.
    Open,
    /// Lets one command through, to see.
    HalfOpen,
    Unknown,
}
