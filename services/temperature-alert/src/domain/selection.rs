//! Which rules judge a device's metric, worked out once and kept beside its state: an ordinary reading costs one
//! comparison a rule.

use std::time::Duration;

use events::Labels;

use super::rules::{Rule, Rules, Settings};

/// A rule as it applies to one metric of one device.
#[derive(Clone, Copy, Debug)]
struct Selected {
    /// 1, or -1 where below the threshold is beyond it.
    sign: f64,
    /// Times `sign`.
    threshold: f64,
    /// Every reading matters, not only those beyond the threshold.
    always: bool,
    rule: u32,
    variant: u32,
}

/// A cache: derived from the rules and what is known of the device, so no part of what is equal or stored.
#[derive(Clone, Debug, Default)]
pub(super) struct Selection {
    fingerprint: u64,
    selected: Vec<Selected>,
    /// The shortest silence any of them watches for.
    silence: Option<Duration>,
}

impl PartialEq for Selection {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Selection {
    pub(super) fn of(rules: &Rules, metric: &str, device: &str, group: Option<&str>, attributes: &Labels) -> Self {
        let select = |(number, (rule, _)): (usize, (&Rule, &str))| {
            let variant = (rule.metric == metric).then(|| rule.selects(device, group, attributes)).flatten()?;
            let settings = rule.variant(variant);
            Some(Selected {
                sign: settings.side.turn(1.0),
                threshold: settings.side.turn(settings.steps[0].threshold),
                always: settings.remembers_readings(),
                rule: number as u32,
                variant: variant as u32,
            })
        };
        let selected: Vec<Selected> = rules.iter().enumerate().filter_map(select).collect();
        let silences = selected.iter().filter_map(|selected| settings(rules, selected)?.2.no_data);
        Self { fingerprint: rules.fingerprint(), silence: silences.min(), selected }
    }

    /// Whether it was made of these rules.
    pub(super) fn is_of(&self, rules: &Rules) -> bool {
        self.fingerprint == rules.fingerprint()
    }

    pub(super) fn len(&self) -> usize {
        self.selected.len()
    }

    /// Whether a reading that finds a rule at rest leaves it there.
    pub(super) fn rests_at(&self, slot: usize, value: f64) -> bool {
        let Selected { sign, threshold, always, .. } = self.selected[slot];
        !always && sign * value <= threshold
    }

    pub(super) fn silence(&self) -> Option<Duration> {
        self.silence
    }

    /// The rule in a slot, its version, and its settings for this device.
    pub(super) fn rule<'r>(&self, slot: usize, rules: &'r Rules) -> Option<(&'r Rule, &'r str, &'r Settings)> {
        settings(rules, self.selected.get(slot)?)
    }

    pub(super) fn slot_of(&self, id: &str, rules: &Rules) -> Option<usize> {
        (0..self.len()).find(|slot| self.rule(*slot, rules).is_some_and(|(rule, ..)| rule.id == id))
    }
}

fn settings<'r>(rules: &'r Rules, selected: &Selected) -> Option<(&'r Rule, &'r str, &'r Settings)> {
    let (rule, version) = rules.get(selected.rule as usize)?;
    Some((rule, version, rule.variant(selected.variant as usize)))
}
