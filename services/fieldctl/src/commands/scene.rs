//! Scenes, by the notification API.

use clap::Subcommand;
use serde_json::Value;
use uuid::Uuid;

use super::command::{ApiArguments, Waiting, table, text};
use crate::SUCCESS;
use crate::context::Context;
use crate::domain::outcome;
use crate::output::Output;

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Tell all devices of a scene what to do
    Run {
        /// The scene's name
        name: String,
        #[command(flatten)]
        waiting: Waiting,
        #[command(flatten)]
        api: ApiArguments,
    },
    /// A run of a scene: what became of its commands
    Show {
        /// The run's id
        scene_id: Uuid,
        #[command(flatten)]
        api: ApiArguments,
    },
    /// The scenes there are
    List {
        #[command(flatten)]
        api: ApiArguments,
    },
}

pub(crate) async fn run(command: &Command, context: &mut Context<'_>) -> anyhow::Result<u8> {
    let out = &mut context.out;
    match command {
        Command::Run { name, waiting, api: access } => {
            let api = access.api()?;
            let issued = api.post(&["scenes", name], None, &waiting.key()).await?;
            let run = ["scene-runs", issued["scene_id"].as_str().unwrap_or_default()];
            let now = if waiting.wait { waiting.until_final(&api, &run).await? } else { api.get(&run, &[]).await? };
            show(&now, access.json, out)?;
            Ok(if waiting.wait { outcome::status_of_all(now["commands"].as_array().into_iter().flatten()) } else { SUCCESS })
        }
        Command::Show { scene_id, api } => {
            show(&api.api()?.get(&["scene-runs", &scene_id.to_string()], &[]).await?, api.json, out)?;
            Ok(SUCCESS)
        }
        Command::List { api } => {
            let scenes = api.api()?.get(&["scenes"], &[]).await?;
            let scenes = scenes["data"].as_array().cloned().unwrap_or_default();
            if api.json {
                scenes.iter().try_for_each(|scene| out.json(scene))?;
                return Ok(SUCCESS);
            }
            let members = |scene: &Value| scene["members"].as_array().map_or(0, Vec::len).to_string();
            let rows: Vec<[String; 3]> =
                scenes.iter().map(|scene| [text(&scene["name"]), members(scene), text(&scene["description"])]).collect();
            out.table(["NAME", "MEMBERS", "DESCRIPTION"], &rows)?;
            Ok(SUCCESS)
        }
    }
}

fn show(run: &Value, as_json: bool, out: &mut Output<'_>) -> anyhow::Result<()> {
    if as_json {
        return Ok(out.json(run)?);
    }
    let sums = run["by_state"].as_object().into_iter().flatten().map(|(state, count)| format!("{count} {state}"));
    out.line(format_args!("{}  {}  {}", text(&run["scene_id"]), text(&run["name"]), sums.collect::<Vec<_>>().join(", ")))?;
    table(run["commands"].as_array().map(Vec::as_slice).unwrap_or_default(), false, out)
}
