//! Rules, checked: what `language` makes of a file.

use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::Duration;

use events::{Labels, Severity, identity};

use super::pattern::Pattern;
use super::schedule::Schedule;

/// A rule and how it differs for some devices.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    pub id: String,
    pub metric: String,
    pub devices: Vec<Pattern>,
    pub groups: Vec<String>,
    pub attributes: Labels,
    pub settings: Settings,
    /// The first whose pattern matches the device replaces `settings`; `None`: the rule is off there.
    pub overrides: Vec<(Vec<Pattern>, Option<Settings>)>,
    pub schedule: Option<Schedule>,
    pub max_active: Option<u32>,
    pub labels: Labels,
    /// Attributes of the reading that become labels.
    pub label_attributes: Vec<String>,
    pub summary: Option<String>,
    pub runbook_url: Option<String>,
}

/// What may differ from device to device.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    pub side: Side,
    /// Lowest first, in the direction of `side`; never empty. The first one begins and ends the alert.
    pub steps: Vec<Step>,
    pub wait: Duration,
    pub keep_firing: Duration,
    pub change_over: Option<Duration>,
    pub repeat: Option<Repeat>,
    pub no_data: Option<Duration>,
    pub flapping: Option<Flapping>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Above,
    Below,
}

/// A severity and the values between which it comes and goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub threshold: f64,
    pub clear: f64,
    pub severity: Severity,
}

/// `count` of the last `of` readings have to be beyond the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repeat {
    pub count: u16,
    pub of: u16,
}

/// The `count`th alert within `within` stays until nothing crossed for `calm`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flapping {
    pub count: u16,
    pub within: Duration,
    pub calm: Duration,
}

impl Side {
    /// Turns a value so that beyond is always above.
    pub fn turn(self, value: f64) -> f64 {
        match self {
            Self::Above => value,
            Self::Below => -value,
        }
    }
}

impl Settings {
    /// Whether a measure is beyond the threshold that begins an alert.
    pub fn crosses(&self, measure: f64) -> bool {
        self.side.turn(measure) > self.side.turn(self.steps[0].threshold)
    }

    /// Whether a measure is back at or behind the threshold that ends an alert.
    pub fn clears(&self, measure: f64) -> bool {
        self.side.turn(measure) <= self.side.turn(self.steps[0].clear)
    }

    /// The step a measure is on, coming from `current`: up at a step's threshold, down at its clear threshold.
    pub fn step(&self, measure: f64, current: usize) -> usize {
        let measure = self.side.turn(measure);
        let on = |(number, step): (usize, &Step)| {
            let limit = if number <= current { step.clear } else { step.threshold };
            (measure > self.side.turn(limit)).then_some(number)
        };
        self.steps.iter().enumerate().skip(1).filter_map(on).max().unwrap_or(0)
    }

    /// Waits for nothing and remembers nothing: a reading this side of the threshold leaves no trace.
    pub(super) fn remembers_readings(&self) -> bool {
        self.change_over.is_some()
    }
}

impl Rule {
    /// Changes with the definition, and only with it.
    fn version(&self) -> String {
        let id = identity::uuid_of("rule", &[&format!("{self:?}")]);
        id.simple().to_string().chars().take(12).collect()
    }

    /// What the rule means for a device, if it selects it at all: the number of its override plus one, or 0.
    pub(super) fn selects(&self, device: &str, group: Option<&str>, attributes: &Labels) -> Option<usize> {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(device));
        let selected = (self.devices.is_empty() || any(&self.devices))
            && (self.groups.is_empty() || group.is_some_and(|group| self.groups.iter().any(|wanted| wanted == group)))
            && self.attributes.iter().all(|(name, value)| attributes.get(name) == Some(value));
        if !selected {
            return None;
        }
        match self.overrides.iter().position(|(patterns, _)| any(patterns)) {
            None => Some(0),
            Some(number) => self.overrides[number].1.as_ref().map(|_| number + 1),
        }
    }

    /// The settings of what [`selects`](Self::selects) returned.
    pub(super) fn variant(&self, number: usize) -> &Settings {
        number.checked_sub(1).and_then(|number| self.overrides.get(number)?.1.as_ref()).unwrap_or(&self.settings)
    }
}

/// A checked set of rules, in the order of their file.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    versioned: Vec<(Rule, String)>,
    /// A device silent this long has its alerts resolved and is forgotten.
    forget_after: Duration,
    /// Attributes that any rule selects by or lists.
    attributes: Vec<String>,
    fingerprint: u64,
}

impl Rules {
    pub fn new(rules: Vec<Rule>, forget_after: Duration) -> Self {
        let rules: Vec<(Rule, String)> =
            rules.into_iter().map(|rule| (rule.version(), rule)).map(|(version, rule)| (rule, version)).collect();
        let names = rules.iter().flat_map(|(rule, _)| rule.attributes.keys().chain(&rule.label_attributes)).cloned();
        let attributes = names.collect::<BTreeSet<_>>().into_iter().collect();
        let mut hasher = DefaultHasher::new();
        forget_after.hash(&mut hasher);
        for (rule, version) in &rules {
            (&rule.id, version).hash(&mut hasher);
        }
        Self { versioned: rules, forget_after, attributes, fingerprint: hasher.finish().max(1) }
    }

    /// Every rule with its version.
    pub fn iter(&self) -> impl Iterator<Item = (&Rule, &str)> {
        self.versioned.iter().map(|(rule, version)| (rule, version.as_str()))
    }

    pub fn get(&self, number: usize) -> Option<(&Rule, &str)> {
        self.versioned.get(number).map(|(rule, version)| (rule, version.as_str()))
    }

    pub fn forget_after(&self) -> Duration {
        self.forget_after
    }

    pub(super) fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// Differs between different sets of rules; never 0.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
