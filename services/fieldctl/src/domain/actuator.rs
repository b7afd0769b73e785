//! A synthetic device that takes commands: it carries each out once, however often it is told, and answers as it behaves.

use std::collections::BTreeMap;
use std::str::FromStr;

use events::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::payload::seconds;

/// Commands a device remembers having carried out.
const REMEMBERED: usize = 10_000;

/// How a device takes commands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Behaviour {
    /// Answers when the controller has given up.
    Late,
    /// Answers twice.
    Twice,
    /// Does something else, and says so.
    Wrong,
    /// Neither does it nor answers.
    Never,
    /// Says that it cannot.
    Error,
    #[default]
    Obey,
}

/// How many devices behave how. The first devices of the fleet are late, the next ones answer twice, then come wrong, never
/// and error; the rest obeys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Misbehaviour(BTreeMap<Behaviour, usize>);

impl Misbehaviour {
    /// Of the device with this number, from 0.
    pub(crate) fn of(&self, device: usize) -> Behaviour {
        let mut upto = 0;
        let within = |(behaviour, count): (&Behaviour, &usize)| {
            upto += *count;
            (device < upto).then_some(*behaviour)
        };
        self.0.iter().find_map(within).unwrap_or_default()
    }
}

impl FromStr for Misbehaviour {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut counts = BTreeMap::new();
        for part in text.split(',') {
            let wrong = || format!("`{part}` is not late, twice, wrong, never or error, `=` and a number");
            let (name, count) = part.split_once('=').ok_or_else(wrong)?;
            let behaviour = match name {
                "late" => Behaviour::Late,
                "twice" => Behaviour::Twice,
                "wrong" => Behaviour::Wrong,
                "never" => Behaviour::Never,
                "error" => Behaviour::Error,
                _ => return Err(wrong()),
            };
            counts.insert(behaviour, count.parse().map_err(|_| wrong())?);
        }
        Ok(Self(counts))
    }
}

/// What a device is told on `devices/<id>/commands`.
#[derive(Deserialize)]
struct Order {
    command_id: String,
    name: String,
    #[serde(default)]
    arguments: Map<String, Value>,
    #[serde(default)]
    attempt: i64,
    #[serde(default)]
    expires_at: Option<String>,
}

/// What came of an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Deed {
    Executed,
    /// Carried out before, and only answered again.
    Repeated,
    Expired,
    /// By a device that never does, or cannot.
    Ignored,
    /// Not an order at all.
    Unreadable,
}

/// A line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Noted {
    pub(crate) at: String,
    pub(crate) device_id: String,
    pub(crate) command_id: String,
    pub(crate) name: String,
    pub(crate) attempt: i64,
    pub(crate) deed: Deed,
}

/// What a device says, and how often; `late`: not yet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) state: Vec<u8>,
    pub(crate) times: usize,
    pub(crate) late: bool,
}

#[derive(Debug)]
pub(crate) struct Actuator {
    device_id: String,
    behaviour: Behaviour,
    state: Map<String, Value>,
    /// In the order they came.
    executed: Vec<String>,
}

impl Actuator {
    pub(crate) fn new(device_id: String, behaviour: Behaviour) -> Self {
        Self { device_id, behaviour, state: Map::new(), executed: Vec::new() }
    }

    /// Takes an order at `now`: what came of it, and the answer if there is one.
    pub(crate) fn take(&mut self, payload: &[u8], now: Timestamp) -> (Noted, Option<Answer>) {
        let Ok(order) = serde_json::from_slice::<Order>(payload) else { return (self.noted(None, Deed::Unreadable, now), None) };
        let expires_at = order.expires_at.as_deref().and_then(Timestamp::from_rfc3339);
        if expires_at.is_some_and(|expires_at| expires_at <= now) {
            return (self.noted(Some(order), Deed::Expired, now), None);
        }
        let answer = |state, times, late| Some(Answer { state, times, late });
        match self.behaviour {
            Behaviour::Never => return (self.noted(Some(order), Deed::Ignored, now), None),
            Behaviour::Error => {
                let says = self.says(&order.command_id, Some("the actuator does not move"), now);
                return (self.noted(Some(order), Deed::Ignored, now), answer(says, 1, false));
            }
            Behaviour::Late | Behaviour::Twice | Behaviour::Wrong | Behaviour::Obey => {}
        }
        let deed = if self.executed.contains(&order.command_id) { Deed::Repeated } else { self.execute(&order) };
        let says = self.says(&order.command_id, None, now);
        let times = if self.behaviour == Behaviour::Twice { 2 } else { 1 };
        (self.noted(Some(order), deed, now), answer(says, times, self.behaviour == Behaviour::Late))
    }

    /// `set` makes the arguments part of the state; of any other name only the answer tells.
    fn execute(&mut self, order: &Order) -> Deed {
        if order.name == "set" {
            let done = |value: &Value| if self.behaviour == Behaviour::Wrong { another(value) } else { value.clone() };
            let changes: Vec<(String, Value)> = order.arguments.iter().map(|(name, value)| (name.clone(), done(value))).collect();
            self.state.extend(changes);
        }
        if self.executed.len() == REMEMBERED {
            self.executed.remove(0);
        }
        self.executed.push(order.command_id.clone());
        Deed::Executed
    }

    /// What it reports without having been told anything: only whose state is known is sent commands.
    pub(crate) fn reports(&self, now: Timestamp) -> Vec<u8> {
        Value::Object(self.report(now)).to_string().into_bytes()
    }

    fn says(&self, command_id: &str, error: Option<&str>, now: Timestamp) -> Vec<u8> {
        let mut report = self.report(now);
        report.insert("command_id".to_owned(), json!(command_id));
        report.extend(error.map(|error| ("error".to_owned(), json!(error))));
        Value::Object(report).to_string().into_bytes()
    }

    fn report(&self, now: Timestamp) -> Map<String, Value> {
        let mut report = self.state.clone();
        report.insert("timestamp".to_owned(), json!(seconds(now)));
        report
    }

    fn noted(&self, order: Option<Order>, deed: Deed, now: Timestamp) -> Noted {
        let (command_id, name, attempt) = order.map(|order| (order.command_id, order.name, order.attempt)).unwrap_or_default();
        Noted { at: now.to_string(), device_id: self.device_id.clone(), command_id, name, attempt, deed }
    }
}

fn another(value: &Value) -> Value {
    match value {
        Value::Bool(value) => json!(!value),
        Value::Number(number) => json!(number.as_f64().unwrap_or_default() + 1.0),
        _ => json!("something else"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_000);

    fn order(command_id: &str, attempt: i64) -> Vec<u8> {
        let expires_at = NOW.saturating_add(std::time::Duration::from_mins(1)).to_string();
        json!({ "command_id": command_id, "name": "set", "arguments": { "speed": 3, "on": true }, "attempt": attempt,
                "issued_at": NOW.to_string(), "expires_at": expires_at })
        .to_string()
        .into_bytes()
    }

    fn told(behaviour: Behaviour) -> (Deed, Option<(Value, usize, bool)>) {
        let (noted, answer) = Actuator::new("fan-01".into(), behaviour).take(&order("c1", 1), NOW);
        (noted.deed, answer.map(|answer| (serde_json::from_slice(&answer.state).unwrap(), answer.times, answer.late)))
    }

    #[test]
    fn each_behaviour_answers_in_its_way() {
        let done = json!({ "speed": 3, "on": true, "command_id": "c1", "timestamp": 1_769_847_330.0 });
        assert_eq!(told(Behaviour::Obey), (Deed::Executed, Some((done.clone(), 1, false))));
        assert_eq!(told(Behaviour::Late), (Deed::Executed, Some((done.clone(), 1, true))));
        assert_eq!(told(Behaviour::Twice), (Deed::Executed, Some((done, 2, false))));
        let wrong = json!({ "speed": 4.0, "on": false, "command_id": "c1", "timestamp": 1_769_847_330.0 });
        assert_eq!(told(Behaviour::Wrong), (Deed::Executed, Some((wrong, 1, false))));
        assert_eq!(told(Behaviour::Never), (Deed::Ignored, None));
        let error = json!({ "error": "the actuator does not move", "command_id": "c1", "timestamp": 1_769_847_330.0 });
        assert_eq!(told(Behaviour::Error), (Deed::Ignored, Some((error, 1, false))));
    }

    #[test]
    fn before_any_command_a_device_reports_what_it_is() {
        let reports = Actuator::new("fan-01".into(), Behaviour::Never).reports(NOW);
        assert_eq!(serde_json::from_slice::<Value>(&reports).unwrap(), json!({ "timestamp": 1_769_847_330.0 }));
    }

    #[test]
    fn what_comes_again_is_answered_and_not_done_again_and_what_expired_is_neither() {
        let mut device = Actuator::new("fan-01".into(), Behaviour::Obey);
        let deeds = [("c1", 1, NOW), ("c1", 2, NOW), ("c2", 1, NOW.saturating_add(std::time::Duration::from_mins(1)))].map(
            |(command_id, attempt, now)| {
                let (noted, answer) = device.take(&order(command_id, attempt), now);
                (noted.deed, noted.attempt, answer.is_some())
            },
        );
        assert_eq!(deeds, [(Deed::Executed, 1, true), (Deed::Repeated, 2, true), (Deed::Expired, 1, false)]);
        assert_eq!(device.take(b"\xff", NOW).0.deed, Deed::Unreadable);
    }

    #[test]
    fn the_first_devices_misbehave_in_a_fixed_order_and_the_rest_obeys() {
        let misbehaviour: Misbehaviour = "never=2,late=1,error=1".parse().unwrap();
        let behaviours: Vec<Behaviour> = (0..5).map(|device| misbehaviour.of(device)).collect();
        assert_eq!(behaviours, [Behaviour::Late, Behaviour::Never, Behaviour::Never, Behaviour::Error, Behaviour::Obey]);
        for wrong in ["", "late", "late=x", "sulking=1"] {
            assert!(wrong.parse::<Misbehaviour>().is_err(), "{wrong}");
        }
    }
}
