//! Escalations: whom to tell when nobody acknowledges.

use serde::{Deserialize, Serialize};

use super::period::Period;

/// Steps of an escalation at most.
const MOST: usize = 20;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// In their order; each counts from when it was opened, raised or brought back.
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    pub after: Period,
    pub receiver: String,
}

impl Escalation {
    /// The step that follows `done` of them.
    pub fn step(&self, done: usize) -> Option<&Step> {
        self.steps.get(done)
    }

    pub fn mistakes(&self) -> Vec<(String, String)> {
        let mut mistakes = Vec::new();
        if self.steps.is_empty() || self.steps.len() > MOST {
            mistakes.push(("/steps".to_owned(), format!("are not 1 to {MOST}")));
        }
        for (index, pair) in self.steps.windows(2).enumerate() {
            if pair[1].after <= pair[0].after {
                mistakes.push((format!("/steps/{}/after", index + 1), "is not after the step before".to_owned()));
            }
        }
        mistakes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_follow_each_other() {
        let good: Escalation = serde_json::from_value(serde_json::json!({ "steps": [
            { "after": "5m", "receiver": "on-call" }, { "after": "15m", "receiver": "manager" }
        ]}))
        .unwrap();
        assert_eq!(good.mistakes(), []);
        assert_eq!(good.step(1).map(|step| step.receiver.as_str()), Some("manager"));
        assert_eq!(good.step(2), None);
        let swapped = Escalation { steps: good.steps.into_iter().rev().collect() };
        assert_eq!(swapped.mistakes()[0].0, "/steps/1/after");
        assert_eq!(Escalation { steps: Vec::new() }.mistakes()[0].0, "/steps");
    }
}
