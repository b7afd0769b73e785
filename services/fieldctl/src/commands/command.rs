//! Commands to devices, by the notification API.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};
use service::Secret;
use tokio::time::Instant;
use uuid::Uuid;

use crate::SUCCESS;
use crate::adapters::api::Api;
use crate::cli::duration;
use crate::context::{Context, wrong_usage};
use crate::domain::outcome;
use crate::output::Output;

/// Between two looks at what has not ended.
const PACE: Duration = Duration::from_millis(200);

/// Where the API is, and who asks.
#[derive(Args)]
pub(crate) struct ApiArguments {
    /// The notification API
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    api: String,
    /// File with an API key: of scope write to send or run, else read
    #[arg(long, value_name = "FILE")]
    key_file: PathBuf,
    /// JSON, as the API answers it
    #[arg(long)]
    pub(super) json: bool,
}

impl ApiArguments {
    pub(super) fn api(&self) -> anyhow::Result<Api> {
        Api::new(&self.api, Secret::default().or_file(&self.key_file.to_string_lossy())?)
    }
}

/// Whether to wait for the end.
#[derive(Args)]
pub(crate) struct Waiting {
    /// Wait for the end; the exit status tells it: 0 verified, 1 failed, 2 timed out, 3 refused, 4 not in time
    #[arg(long)]
    pub(super) wait: bool,
    /// How long to wait
    #[arg(long, value_name = "TIME", requires = "wait", default_value = "2m", value_parser = duration)]
    timeout: Duration,
    /// Names the request: sent again under the same name it changes nothing [default: a new one]
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
}

impl Waiting {
    pub(super) fn key(&self) -> String {
        self.idempotency_key.clone().unwrap_or_else(|| Uuid::new_v4().to_string())
    }

    /// What the API says in the end, or when the time is over.
    pub(super) async fn until_final(&self, api: &Api, segments: &[&str]) -> anyhow::Result<Value> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let now = api.get(segments, &[]).await?;
            if now["is_final"] == true || Instant::now() >= deadline {
                return Ok(now);
            }
            tokio::time::sleep(PACE).await;
        }
    }
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tell a device what to do
    Send {
        /// The device's id
        device: String,
        /// What to do: `set`, or another word of the device's
        name: String,
        /// A JSON object for the device
        #[arg(long, value_name = "JSON", value_parser = object)]
        arguments: Option<Value>,
        /// A JSON object that the device has to report in the end
        #[arg(long, value_name = "JSON", value_parser = object)]
        desired_state: Option<Value>,
        /// How long it is good for: 1s to 24h [default: a minute]
        #[arg(long, value_name = "TIME")]
        expires_in: Option<String>,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        api: ApiArguments,
    },
    /// A command and its history
    Show {
        /// Its id
        id: Uuid,
        #[command(flatten)]
        api: ApiArguments,
    },
    /// Commands, latest first
    List {
        /// Only of this device
        #[arg(long, value_name = "ID")]
        device: Option<String>,
        /// Only in this state; may be repeated
        #[arg(long, value_name = "STATE", value_parser = ["PENDING", "ACCEPTED", "VERIFIED", "FAILED", "TIMED_OUT", "REFUSED"])]
        state: Vec<String>,
        /// Only of this run of a scene
        #[arg(long, value_name = "SCENE_ID")]
        scene: Option<Uuid>,
        /// So many at most
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=200))]
        limit: u32,
        #[command(flatten)]
        api: ApiArguments,
    },
}

fn object(text: &str) -> Result<Value, String> {
    serde_json::from_str::<Map<String, Value>>(text).map(Value::Object).map_err(|error| format!("not a JSON object: {error}"))
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let out = &mut context.out;
    match command {
        Command::Send { device, name, arguments, desired_state, expires_in, waiting, api: access } => {
            if device.is_empty() {
                return Err(wrong_usage("the device has no id"));
            }
            let api = access.api()?;
            let mut body = json!({ "device_id": device, "name": name });
            for (field, value) in [
                ("arguments", arguments.clone()),
                ("desired_state", desired_state.clone()),
                ("expires_in", expires_in.clone().map(Value::from)),
            ] {
                if let Some(value) = value {
                    body[field] = value;
                }
            }
            let issued = api.post(&["commands"], Some(&body), &waiting.key()).await?;
            if !waiting.wait {
                show(&issued, access.json, out)?;
                return Ok(SUCCESS);
            }
            let end = waiting.until_final(&api, &["commands", issued["command_id"].as_str().unwrap_or_default()]).await?;
            show(&end, access.json, out)?;
            Ok(outcome::status(&end["state"]))
        }
        Command::Show { id, api } => {
            show(&api.api()?.get(&["commands", &id.to_string()], &[]).await?, api.json, out)?;
            Ok(SUCCESS)
        }
        Command::List { device, state, scene, limit, api } => {
            let mut query = vec![("limit", limit.to_string())];
            query.extend(device.iter().map(|device| ("device_id", device.clone())));
            query.extend(state.iter().map(|state| ("state", state.clone())));
            query.extend(scene.iter().map(|scene| ("scene_id", scene.to_string())));
            let page = api.api()?.get(&["commands"], &query).await?;
            let commands = page["data"].as_array().cloned().unwrap_or_default();
            table(&commands, api.json, out)?;
            Ok(SUCCESS)
        }
    }
}

/// A command, and what its history says.
fn show(command: &Value, as_json: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    if as_json {
        return Ok(out.json(command)?);
    }
    let [id, device, name, state, detail] = ["command_id", "device_id", "name", "state", "detail"].map(|field| text(&command[field]));
    let why = if detail.is_empty() { String::new() } else { format!(": {detail}") };
    out.line(format_args!("{id}  {device} {name} {}  {state}{why}", command["arguments"]))?;
    for result in command["history"].as_array().into_iter().flatten() {
        let [at, outcome, attempt, breaker, detail] = ["at", "outcome", "attempt", "breaker", "detail"].map(|field| text(&result[field]));
        out.line(format_args!("  {at}  {outcome}  attempt {attempt}  breaker {breaker}  {detail}").to_string().trim_end())?;
    }
    Ok(())
}

/// Commands, one a line.
pub(super) fn table(commands: &[Value], as_json: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    if as_json {
        return commands.iter().try_for_each(|command| Ok(out.json(command)?));
    }
    let fields = ["issued_at", "device_id", "name", "state", "attempt", "issued_by", "command_id"];
    let rows: Vec<[String; 7]> = commands.iter().map(|command| fields.map(|field| text(&command[field]))).collect();
    Ok(out.table(["ISSUED", "DEVICE", "NAME", "STATE", "ATTEMPTS", "BY", "ID"], &rows)?)
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => String::new(),
        other => other.to_string(),
    }
}
