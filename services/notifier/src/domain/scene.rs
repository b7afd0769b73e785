//! Scenes: several devices told what to do by one decision.

use events::{Command, Scene as Run, SceneCommand};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::instruction::{GOOD_FOR, Instruction, Issuing};
use super::period::Period;

/// Members of a scene at most.
const MOST: usize = 500;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scene {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    pub members: Vec<Instruction>,
}

/// A scene being run: what is published of it as a whole, and the commands in the order of its members.
#[derive(Clone, Debug, PartialEq)]
pub struct Running {
    pub run: Run,
    pub commands: Vec<Command>,
}

impl Scene {
    /// What is wrong with it by itself, as (JSON pointer, problem).
    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        if self.members.is_empty() || self.members.len() > MOST {
            mistakes.push(("/members".to_owned(), format!("are not 1 to {MOST}")));
        }
        if self.description.len() > 1_024 || self.description.contains('\0') {
            mistakes.push(("/description".to_owned(), "is longer than 1024 bytes, or holds NUL".to_owned()));
        }
        for (index, member) in self.members.iter().enumerate() {
            let wrong = member.mistakes().into_iter();
            mistakes.extend(wrong.map(|(field, problem)| (format!("/members/{index}{field}"), problem)));
            if member.device_id.is_none() {
                mistakes.push((format!("/members/{index}/device_id"), "is missing".to_owned()));
            }
        }
        mistakes
    }

    /// A run under this id; `id_of` gives the command of each member its own. The members with one device keep their order.
    pub fn run(&self, name: &str, scene_id: Uuid, issuing: &Issuing, id_of: impl Fn(usize) -> Uuid, good_for: Option<Period>) -> Running {
        let issuing = Issuing { scene_id: Some(scene_id), ..issuing.clone() };
        let named = self.members.iter().enumerate().filter_map(|(index, member)| Some((index, member, member.device_id.as_deref()?)));
        let commands: Vec<Command> = named
            .map(|(index, member, device_id)| member.command(id_of(index), device_id, good_for.unwrap_or(GOOD_FOR), &issuing))
            .collect();
        let about = |command: &Command| SceneCommand { command_id: command.command_id, device_id: command.device_id.clone() };
        let run = Run {
            tenant: issuing.tenant.clone(),
            scene_id,
            name: name.to_owned(),
            commands: commands.iter().map(about).collect(),
            issued_by: issuing.by,
            issued_at: issuing.at,
        };
        Running { run, commands }
    }
}

#[cfg(test)]
mod tests {
    use events::Timestamp;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_run_has_a_command_for_each_member_in_their_order() {
        let scene: Scene = serde_json::from_value(json!({ "members": [
            { "device_id": "lamp-01", "name": "set", "arguments": { "on": false } },
            { "device_id": "blind-01", "name": "close", "expires_in": "5m" },
        ]}))
        .unwrap();
        assert_eq!(scene.mistakes(), []);
        let issuing = Issuing { tenant: "acme".into(), by: "ops".into(), at: Timestamp::from_micros(0), scene_id: None };
        let scene_id = Uuid::from_u128(7);
        let running = scene.run("evening", scene_id, &issuing, |index| Uuid::from_u128(index as u128), None);
        let devices: Vec<&str> = running.run.commands.iter().map(|command| command.device_id.as_str()).collect();
        assert_eq!(devices, ["lamp-01", "blind-01"]);
        assert!(running.commands.iter().all(|command| command.scene_id == Some(scene_id) && command.tenant == "acme"));
        let lives: Vec<i64> = running.commands.iter().map(|command| command.expires_at.as_micros() / 1_000_000).collect();
        assert_eq!(lives, [60, 300]);
    }

    #[test]
    fn a_scene_has_members_and_each_names_its_device() {
        let scene = |members| Scene { description: String::new(), members };
        let nobody: Instruction = serde_json::from_value(json!({ "name": "set" })).unwrap();
        let pointers = |scene: &Scene| scene.mistakes().into_iter().map(|mistake| mistake.0).collect::<Vec<_>>();
        assert_eq!(pointers(&scene(Vec::new())), ["/members"]);
        assert_eq!(pointers(&scene(vec![nobody.clone()])), ["/members/0/device_id"]);
        let named = Instruction { device_id: Some("lamp-01".into()), ..nobody };
        assert_eq!(pointers(&scene(vec![named; 501])), ["/members"]);
    }
}
