//! Receivers: who is told, by which webhooks and e-mails, and which devices act.

use serde::{Deserialize, Serialize};

use super::instruction::Instruction;

/// Commands of a receiver at most, and scenes.
const MOST: usize = 20;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Names of webhooks; each gets every delivery.
    #[serde(default)]
    pub webhooks: Vec<String>,
    /// Names of e-mails, likewise.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Each is issued once when a notification opens; without a device, to the notification's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub commands: Vec<Instruction>,
    /// Names of scenes; each is run once when a notification opens.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub scenes: Vec<String>,
    /// Whether ends are told too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// A delivery every minute, so that its absence is noticed (a dead man's switch).
    #[serde(default)]
    pub heartbeat: bool,
}

impl Receiver {
    /// Whether devices act, beside people being told.
    pub fn acts(&self) -> bool {
        !self.commands.is_empty() || !self.scenes.is_empty()
    }

    /// Whether anybody is told.
    pub fn tells(&self) -> bool {
        !self.webhooks.is_empty() || !self.emails.is_empty()
    }

    /// What is wrong with it by itself, as (JSON pointer, problem).
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let many = [("/commands", self.commands.len()), ("/scenes", self.scenes.len())].into_iter().filter(|(_, count)| *count > MOST);
        let many = many.map(|(field, _)| (field.to_owned(), format!("are more than {MOST}")));
        let commands = self.commands.iter().enumerate().flat_map(|(index, command)| {
            command.mistakes().into_iter().map(move |(field, problem)| (format!("/commands/{index}{field}"), problem))
        });
        many.chain(commands).collect()
    }
}

fn yes() -> bool {
    true
}
