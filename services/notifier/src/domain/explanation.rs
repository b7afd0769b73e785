//! What would happen to a notification with given labels: every decision of the way, in words.

use events::{Labels, Timestamp};

use super::configuration::Configuration;
use super::instruction::Instruction;
use super::reaction::may_act;
use super::receiver::Receiver;
use super::routing::{Destination, destinations};

/// Where it would go, and what would keep it quiet everywhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    pub ways: Vec<Way>,
    /// Names of silences that cover it.
    pub silenced_by: Vec<String>,
}

/// One route it would take.
#[derive(Clone, Debug, PartialEq)]
pub struct Way {
    pub destination: Destination,
    pub group_key: String,
    /// Names of mute times that hold, or active times that do not.
    pub muted_by: Vec<String>,
    pub webhooks: Vec<String>,
    pub emails: Vec<String>,
    /// What devices would do, in words: `set to fan-01`, `scene evening`.
    pub acts: Vec<String>,
    /// In words.
    pub verdict: String,
}

/// Walks the way of labels at a time. `inhibited`: its device is offline.
pub fn explain(configuration: &Configuration, labels: &Labels, inhibited: bool, now: Timestamp) -> Explanation {
    let covers = configuration.silences.iter().filter(|(_, silence)| silence.covers(labels, now));
    let silenced_by: Vec<String> = covers.map(|(name, _)| name.clone()).collect();
    let quiet = silenced_by.first().map(|name| format!("quiet: the silence `{name}` covers it"));
    let quiet = quiet.or_else(|| inhibited.then(|| "quiet: its device is offline".to_owned()));
    let ways = destinations(&configuration.routes, labels)
        .into_iter()
        .map(|destination| way(configuration, labels, destination, quiet.as_deref(), now));
    Explanation { ways: ways.collect(), silenced_by }
}

fn way(configuration: &Configuration, labels: &Labels, destination: Destination, quiet: Option<&str>, now: Timestamp) -> Way {
    let receiver = configuration.receivers.get(&destination.receiver);
    let muted_by = destination.muted_by(&configuration.mute_times, now);
    let verdict = match (receiver, quiet, muted_by.first()) {
        _ if !destination.is_delivered() => "stored only".to_owned(),
        (None, ..) => format!("stored only: there is no receiver `{}`", destination.receiver),
        (_, Some(quiet), _) => quiet.to_owned(),
        (_, _, Some(name)) => format!("quiet for now: the mute time `{name}`"),
        (Some(receiver), ..) if !receiver.tells() && receiver.acts() && may_act(labels) => "acted on at once, told to nobody".to_owned(),
        (Some(receiver), ..) if !receiver.tells() => {
            format!("told to nobody: the receiver `{}` has no webhooks and no e-mails", destination.receiver)
        }
        (Some(_), ..) => format!("told to `{}` after {}", destination.receiver, destination.timing.group_wait),
    };
    let acts = receiver.filter(|_| quiet.is_none() && muted_by.is_empty() && may_act(labels));
    Way {
        acts: acts.map(|receiver| words(receiver, labels)).unwrap_or_default(),
        group_key: destination.group_key(labels),
        muted_by,
        webhooks: receiver.map(|receiver| receiver.webhooks.clone()).unwrap_or_default(),
        emails: receiver.map(|receiver| receiver.emails.clone()).unwrap_or_default(),
        verdict,
        destination,
    }
}

fn words(receiver: &Receiver, labels: &Labels) -> Vec<String> {
    let device = |command: &Instruction| command.device_id.clone().or_else(|| labels.get("device_id").cloned());
    let commands = receiver.commands.iter().filter_map(|command| Some(format!("{} to {}", command.name, device(command)?)));
    commands.chain(receiver.scenes.iter().map(|scene| format!("scene {scene}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_to_be_quiet_is_told() {
        let configuration: Configuration = serde_json::from_value(serde_json::json!({
            "webhooks": { "hook": { "url": "https://example.com/" } },
            "receivers": { "ops": { "webhooks": ["hook"] }, "empty": { "webhooks": [] },
                "fans": { "commands": [{ "name": "set", "arguments": { "on": true } }, { "name": "stop", "device_id": "oven-01" }], "scenes": ["night"] } },
            "scenes": { "night": { "members": [{ "device_id": "lamp-01", "name": "off" }] } },
            "mute_times": { "always": { "intervals": [{ "weekdays": ["monday:sunday"] }] } },
            "silences": { "works": { "matchers": ["a=silenced"], "starts_at": "1970-01-01T00:00:00Z", "ends_at": "2000-01-01T00:00:00Z" } },
            "routes": { "receiver": "ops", "routes": [
                { "matchers": ["a=muted"], "mute_times": ["always"] },
                { "matchers": ["a=stored"], "receiver": "none" },
                { "matchers": ["a=empty"], "receiver": "empty" },
                { "matchers": ["a=missing"], "receiver": "default" },
                { "matchers": ["a=fans"], "receiver": "fans" }
            ]}
        }))
        .unwrap();
        assert_eq!(configuration.mistakes(), []);
        for (a, inhibited, expected) in [
            ("x", false, "told to `ops` after 30s"),
            ("x", true, "quiet: its device is offline"),
            ("silenced", false, "quiet: the silence `works` covers it"),
            ("muted", false, "quiet for now: the mute time `always`"),
            ("stored", false, "stored only"),
            ("empty", false, "told to nobody: the receiver `empty` has no webhooks and no e-mails"),
            ("missing", false, "stored only: there is no receiver `default`"),
            ("fans", false, "acted on at once, told to nobody"),
            ("fans", true, "quiet: its device is offline"),
        ] {
            let labels = Labels::from([("a".to_owned(), a.to_owned())]);
            let explanation = explain(&configuration, &labels, inhibited, Timestamp::from_micros(1));
            assert_eq!(explanation.ways[0].verdict, expected);
        }
        let acts = |labels: &[(&str, &str)]| {
            let labels = labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            explain(&configuration, &labels, false, Timestamp::from_micros(1)).ways.remove(0).acts
        };
        assert_eq!(acts(&[("a", "fans"), ("device_id", "fan-01")]), ["set to fan-01", "stop to oven-01", "scene night"]);
        // A notification without a device, and one of a command: that must not go round.
        assert_eq!(acts(&[("a", "fans")]), ["stop to oven-01", "scene night"]);
        assert_eq!(acts(&[("a", "fans"), ("kind", "command")]), Vec::<String>::new());
    }
}
