//! All that a tenant configures, and what is wrong with it as a whole.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::email::Email;
use super::escalation::Escalation;
use super::mute_time::MuteTime;
use super::receiver::Receiver;
use super::routing::{DEFAULT_RECEIVER, NOBODY, Route};
use super::scene::Scene;
use super::silence::Silence;
use super::webhook::Webhook;

/// Entries of a kind at most.
const MOST: usize = 1_000;

/// By name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Configuration {
    pub receivers: BTreeMap<String, Receiver>,
    pub routes: Route,
    pub silences: BTreeMap<String, Silence>,
    pub escalations: BTreeMap<String, Escalation>,
    pub mute_times: BTreeMap<String, MuteTime>,
    pub webhooks: BTreeMap<String, Webhook>,
    pub emails: BTreeMap<String, Email>,
    pub scenes: BTreeMap<String, Scene>,
}

impl Default for Configuration {
    fn default() -> Self {
        Self {
            receivers: BTreeMap::new(),
            routes: Route::by_default(),
            silences: BTreeMap::new(),
            escalations: BTreeMap::new(),
            mute_times: BTreeMap::new(),
            webhooks: BTreeMap::new(),
            emails: BTreeMap::new(),
            scenes: BTreeMap::new(),
        }
    }
}

/// Something wrong, with the JSON pointer to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mistake {
    pub pointer: String,
    pub problem: String,
}

impl Configuration {
    /// Everything wrong: entries by themselves, and names that nothing has.
    pub fn mistakes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        each(&mut mistakes, "silences", &self.silences, Silence::mistakes);
        each(&mut mistakes, "escalations", &self.escalations, Escalation::mistakes);
        each(&mut mistakes, "mute_times", &self.mute_times, MuteTime::mistakes);
        each(&mut mistakes, "webhooks", &self.webhooks, Webhook::mistakes);
        each(&mut mistakes, "emails", &self.emails, Email::mistakes);
        each(&mut mistakes, "scenes", &self.scenes, Scene::mistakes);
        each(&mut mistakes, "receivers", &self.receivers, |receiver| [receiver.mistakes(), self.unknown_of(receiver)].concat());
        each(&mut mistakes, "escalations", &self.escalations, |escalation| {
            let unknown = escalation.steps.iter().enumerate().filter(|(_, step)| !self.has_receiver(&step.receiver));
            unknown.map(|(index, step)| (format!("/steps/{index}/receiver"), no_such("receiver", &step.receiver))).collect()
        });
        if self.receivers.contains_key(NOBODY) {
            mistakes.push(Mistake { pointer: format!("/receivers/{NOBODY}"), problem: "is a name that stands for nobody".to_owned() });
        }
        mistakes.extend(self.routes.mistakes().into_iter().map(|(at, problem)| Mistake { pointer: format!("/routes{at}"), problem }));
        mistakes.extend(self.unknown_of_routes());
        mistakes
    }

    fn has_receiver(&self, name: &str) -> bool {
        name == NOBODY || self.receivers.contains_key(name)
    }

    fn unknown_of(&self, receiver: &Receiver) -> Vec<(String, String)> {
        let webhooks = receiver.webhooks.iter().enumerate().filter(|(_, name)| !self.webhooks.contains_key(*name));
        let webhooks = webhooks.map(|(index, name)| (format!("/webhooks/{index}"), no_such("webhook", name)));
        let emails = receiver.emails.iter().enumerate().filter(|(_, name)| !self.emails.contains_key(*name));
        let emails = emails.map(|(index, name)| (format!("/emails/{index}"), no_such("e-mail", name)));
        let scenes = receiver.scenes.iter().enumerate().filter(|(_, name)| !self.scenes.contains_key(*name));
        webhooks.chain(emails).chain(scenes.map(|(index, name)| (format!("/scenes/{index}"), no_such("scene", name)))).collect()
    }

    fn unknown_of_routes(&self) -> Vec<Mistake> {
        let mut mistakes = Vec::new();
        for (pointer, route) in self.routes.each() {
            let mut unknown = |field: String, problem: String| {
                mistakes.push(Mistake { pointer: format!("/routes{pointer}/{field}"), problem });
            };
            // The default route leads to a receiver that need not be there yet.
            for name in route.receiver.iter().filter(|name| !self.has_receiver(name) && *name != DEFAULT_RECEIVER) {
                unknown("receiver".to_owned(), no_such("receiver", name));
            }
            for (field, names) in [("mute_times", &route.mute_times), ("active_times", &route.active_times)] {
                for (index, name) in names.iter().enumerate().filter(|(_, name)| !self.mute_times.contains_key(*name)) {
                    unknown(format!("{field}/{index}"), no_such("mute time", name));
                }
            }
            for name in route.escalation.iter().filter(|name| !self.escalations.contains_key(*name)) {
                unknown("escalation".to_owned(), no_such("escalation", name));
            }
        }
        mistakes
    }
}

fn each<T>(mistakes: &mut Vec<Mistake>, kind: &str, entries: &BTreeMap<String, T>, check: impl Fn(&T) -> Vec<(String, String)>) {
    if entries.len() > MOST {
        mistakes.push(Mistake { pointer: format!("/{kind}"), problem: format!("are more than {MOST}") });
    }
    for (name, entry) in entries {
        if !is_name(name) {
            let problem = "is not a name of 1 to 64 letters, digits, `-`, `_` or `.`".to_owned();
            mistakes.push(Mistake { pointer: format!("/{kind}/{}", name.replace('~', "~0").replace('/', "~1")), problem });
        }
        mistakes.extend(check(entry).into_iter().map(|(at, problem)| Mistake { pointer: format!("/{kind}/{name}{at}"), problem }));
    }
}

fn no_such(what: &str, name: &str) -> String {
    format!("there is no {what} `{name}`")
}

/// Whether an entry may have this name.
pub fn is_name(name: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=64).contains(&name.len()) && name.bytes().all(is_part) && name.bytes().any(|byte| byte.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_configured_is_right() {
        assert_eq!(Configuration::default().mistakes(), []);
    }

    #[test]
    fn names_that_nothing_has_are_found() {
        let configuration: Configuration = serde_json::from_value(serde_json::json!({
            "receivers": { "ops": { "webhooks": ["missing"], "emails": ["missing"], "scenes": ["missing"], "commands": [{ "name": "" }] }, "bad name": { "webhooks": [] } },
            "routes": { "receiver": "nobody-known", "routes": [
                { "receiver": "ops", "matchers": ["a=b"], "mute_times": ["night"], "escalation": "steps" },
                { "receiver": "none", "matchers": ["a=c"] }
            ]},
            "escalations": { "two": { "steps": [{ "after": "5m", "receiver": "who" }] } }
        }))
        .unwrap();
        let pointers: Vec<String> = configuration.mistakes().into_iter().map(|mistake| mistake.pointer).collect();
        assert_eq!(
            pointers,
            [
                "/receivers/bad name",
                "/receivers/ops/commands/0/name",
                "/receivers/ops/webhooks/0",
                "/receivers/ops/emails/0",
                "/receivers/ops/scenes/0",
                "/escalations/two/steps/0/receiver",
                "/routes/receiver",
                "/routes/routes/0/mute_times/0",
                "/routes/routes/0/escalation",
            ]
        );
    }
}
