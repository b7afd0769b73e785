//! Rules as people write them, checked.

use std::collections::BTreeSet;

use events::{Labels, Severity, identity};
use serde::{Deserialize, Serialize};

/// A rule that fires above a threshold and resolves at or below another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    pub id: String,
    pub metric: String,
    /// A reading above this fires.
    pub above: f64,
    /// A reading at or below this resolves; absent: `above`.
    #[serde(default)]
    pub clear: Option<f64>,
    pub severity: Severity,
    #[serde(default)]
    pub labels: Labels,
    #[serde(default)]
    pub runbook_url: Option<String>,
}

impl Rule {
    pub fn clear_threshold(&self) -> f64 {
        self.clear.unwrap_or(self.above)
    }

    /// Changes with the definition, and only with it.
    pub fn version(&self) -> String {
        let id = identity::uuid_of("rule", &[&format!("{self:?}")]);
        id.simple().to_string().chars().take(12).collect()
    }
}

/// A checked set of rules.
#[derive(Clone, Debug, PartialEq)]
pub struct Rules {
    rules: Vec<(Rule, String)>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    rules: Vec<Rule>,
}

/// Why a file of rules is refused.
#[derive(Debug, thiserror::Error)]
pub enum RulesRefused {
    /// Names line and column.
    #[error("{0}")]
    Unreadable(#[from] serde_norway::Error),
    #[error("rule `{rule}`: {problem}")]
    Rule { rule: String, problem: String },
}

impl Rules {
    /// Reads YAML.
    pub fn parse(yaml: &str) -> Result<Self, RulesRefused> {
        let File { rules } = serde_norway::from_str(yaml)?;
        let mut ids = BTreeSet::new();
        for rule in &rules {
            let refuse = |problem: String| Err(RulesRefused::Rule { rule: rule.id.clone(), problem });
            if rule.id.is_empty() || !ids.insert(rule.id.clone()) {
                return refuse("its id is empty or used twice".into());
            }
            if !rule.above.is_finite() || !rule.clear_threshold().is_finite() {
                return refuse("thresholds have to be finite".into());
            }
            if rule.clear_threshold() > rule.above {
                return refuse(format!("clear ({}) is above the threshold that fires ({})", rule.clear_threshold(), rule.above));
            }
            if rule.severity == Severity::Unknown {
                return refuse("severity is one of INFO, WARNING, CRITICAL".into());
            }
        }
        Ok(Self { rules: rules.into_iter().map(|rule| (rule.version(), rule)).map(|(version, rule)| (rule, version)).collect() })
    }

    /// Rules for a metric, each with its version.
    pub fn of_metric(&self, metric: &str) -> impl Iterator<Item = (&Rule, &str)> {
        self.rules.iter().filter(move |(rule, _)| rule.metric == metric).map(|(rule, version)| (rule, version.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_line_and_column() {
        let problem = Rules::parse("rules:\n  - id: a\n    metric: temperature\n    abvoe: 28\n").unwrap_err().to_string();
        assert!(problem.contains("abvoe") && problem.contains("line 4"), "{problem}");
    }

    #[test]
    fn a_clear_threshold_above_the_firing_one_is_refused() {
        let problem = Rules::parse("rules: [{id: a, metric: t, above: 28, clear: 29, severity: WARNING}]").unwrap_err();
        assert_eq!(problem.to_string(), "rule `a`: clear (29) is above the threshold that fires (28)");
    }

    #[test]
    fn an_id_used_twice_is_refused() {
        let rule = "{id: a, metric: t, above: 28, severity: WARNING}";
        assert!(Rules::parse(&format!("rules: [{rule}, {rule}]")).is_err());
    }

    #[test]
    fn the_version_changes_with_the_definition() {
        let version = |above: &str| {
            let rules = Rules::parse(&format!("rules: [{{id: a, metric: t, above: {above}, severity: WARNING}}]")).unwrap();
            rules.of_metric("t").next().unwrap().1.to_owned()
        };
        assert_eq!(version("28"), version("28.0"));
        assert_ne!(version("28"), version("29"));
    }
}
