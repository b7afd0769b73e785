//! What devices do about a notification that opens: the commands and scenes of the receivers it is routed to.
//!
//! Guarantees: the same opening gives the same ids, so that whoever decides again decides nothing new; what became of a
//! command never leads to commands, or they would go round.

use events::identity::uuid_of;
use events::{Command, Labels, Notification, Timestamp};

use super::configuration::Configuration;
use super::instruction::{GOOD_FOR, Issuing, can_be_told};
use super::matcher::labels_of;
use super::routing::destinations;
use super::scene::Running;
use super::signal::kind;
use super::suppression::suppressor;

/// Changes that may be acted on: it opened, or got worse and so took a route it had not taken.
pub const ACTED_ON: [&str; 3] = ["opened", "raised", "reopened"];

/// What is to be done.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reaction {
    pub commands: Vec<Command>,
    pub scenes: Vec<Running>,
}

/// Whether notifications with these labels may be acted on at all.
pub fn may_act(labels: &Labels) -> bool {
    labels.get("kind").map(String::as_str) != Some(kind::COMMAND)
}

/// The reaction to a notification that was opened by its version `opening`. What is silenced, inhibited or muted `now` is
/// not acted on, later neither.
pub fn reaction(
    configuration: &Configuration,
    notification: &Notification,
    opening: i64,
    offline: &[Notification],
    now: Timestamp,
) -> Reaction {
    let labels = labels_of(notification);
    let mut reaction = Reaction::default();
    if !may_act(&labels) || suppressor(notification, &labels, &configuration.silences, offline, now).is_some() {
        return reaction;
    }
    for destination in destinations(&configuration.routes, &labels) {
        let Some(receiver) = configuration.receivers.get(&destination.receiver).filter(|receiver| receiver.acts()) else { continue };
        if !destination.muted_by(&configuration.mute_times, now).is_empty() {
            continue;
        }
        let tenant = notification.tenant.clone();
        let issuing = Issuing { tenant, by: format!("route:{}", destination.receiver), at: now, scene_id: None };
        let id =
            |what: &str, which: &str| uuid_of(what, &[&notification.notification_id, &opening.to_string(), &destination.receiver, which]);
        for (index, command) in receiver.commands.iter().enumerate() {
            let device = command.device_id.as_ref().or(notification.device_id.as_ref()).filter(|device| can_be_told(device));
            let issued = device.map(|device| command.command(id("route-command", &index.to_string()), device, GOOD_FOR, &issuing));
            reaction.commands.extend(issued);
        }
        for name in &receiver.scenes {
            let Some(scene) = configuration.scenes.get(name) else { continue };
            let scene_id = id("route-scene", name);
            let id_of = |index: usize| uuid_of("scene-command", &[&scene_id.to_string(), &index.to_string()]);
            reaction.scenes.push(scene.run(name, scene_id, &issuing, id_of, None));
        }
    }
    reaction
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::lifecycle::Subject;
    use crate::domain::lifecycle::examples::{at, cause};
    use crate::domain::signal::Signal;

    fn anomaly(confidence: f64) -> Notification {
        let example: events::Anomaly = serde_json::from_str(include_str!("../../../../schemas/golden/anomaly-1.json")).unwrap();
        let anomaly = events::Anomaly { confidence, ..example };
        Subject::default().apply(&Signal::of_anomaly(&anomaly).unwrap(), &cause(0)).unwrap()
    }

    fn configuration(more: &serde_json::Value) -> Configuration {
        let mut whole = json!({
            "receivers": { "cooling": { "commands": [{ "name": "set", "arguments": { "fan": "on" }, "desired_state": { "fan": "on" } }], "scenes": ["safe"] } },
            "scenes": { "safe": { "members": [{ "device_id": "oven-01", "name": "stop" }, { "device_id": "door-01", "name": "open" }] } },
            "routes": { "receiver": "none", "routes": [{ "matchers": ["kind=\"anomaly\"", "confidence>0.7"], "receiver": "cooling" }] }
        });
        whole.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let configuration: Configuration = serde_json::from_value(whole).unwrap();
        assert_eq!(configuration.mistakes(), []);
        configuration
    }

    #[test]
    fn what_a_model_is_sure_of_is_acted_on_and_the_same_opening_has_the_same_ids() {
        let configuration = configuration(&json!({}));
        let sure = anomaly(0.71);
        let first = reaction(&configuration, &sure, 1, &[], at(5));
        let [command] = first.commands.as_slice() else { panic!("{first:?}") };
        assert_eq!((command.device_id.as_str(), command.issued_by.as_str()), ("sensor-01", "route:cooling"));
        assert_eq!((command.arguments.as_str(), command.issued_at, command.expires_at), (r#"{"fan":"on"}"#, at(5), at(65)));
        assert_eq!((first.scenes.len(), first.scenes[0].commands.len(), first.scenes[0].run.name.as_str()), (1, 2, "safe"));

        let again = reaction(&configuration, &sure, 1, &[], at(9));
        let reopened = reaction(&configuration, &sure, 4, &[], at(9));
        let ids = |reaction: &Reaction| {
            let commands = reaction.commands.iter().chain(reaction.scenes.iter().flat_map(|scene| &scene.commands));
            commands.map(|command| command.command_id).collect::<Vec<_>>()
        };
        assert_eq!(ids(&first), ids(&again));
        assert!(ids(&first).iter().all(|id| !ids(&reopened).contains(id)));
        assert_eq!(reaction(&configuration, &anomaly(0.7), 1, &[], at(5)), Reaction::default());
    }

    #[test]
    fn what_is_quiet_and_what_became_of_a_command_is_not_acted_on() {
        let silence = json!({ "matchers": ["kind=anomaly"], "starts_at": "1970-01-01T00:00:00Z", "ends_at": "2100-01-01T00:00:00Z" });
        let silenced = configuration(&json!({ "silences": { "works": silence } }));
        assert_eq!(reaction(&silenced, &anomaly(0.9), 1, &[], at(5)), Reaction::default());
        let muted = configuration(&json!({
            "mute_times": { "always": { "intervals": [{ "weekdays": ["monday:sunday"] }] } },
            "routes": { "receiver": "none", "routes": [{ "matchers": ["kind=anomaly"], "receiver": "cooling", "mute_times": ["always"] }] }
        }));
        assert_eq!(reaction(&muted, &anomaly(0.9), 1, &[], at(5)), Reaction::default());
        let everything = configuration(&json!({ "routes": { "receiver": "cooling" } }));
        let failed = Notification { kind: kind::COMMAND.to_owned(), ..anomaly(0.9) };
        assert_eq!(reaction(&everything, &failed, 1, &[], at(5)), Reaction::default());
        assert_eq!(reaction(&everything, &anomaly(0.1), 1, &[], at(5)).commands.len(), 1);
    }
}
