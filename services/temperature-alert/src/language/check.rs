//! From the document to rules: everything that can be wrong about it is said at once.

use std::collections::BTreeSet;
use std::time::Duration;

use events::Severity;
use jiff::civil::{Time, Weekday};
use serde_saphyr::Location;

use super::document::{self, Document};
use super::times::{days, duration, hour};
use super::{Mistake, Refused, Spanned};
use crate::domain::SOURCE_SILENT;
use crate::domain::rules::{Flapping, Repeat, Rule, Rules, Settings, Side, Step};
use crate::domain::{Pattern, schedule::Schedule};

const FORGET_AFTER: Duration = Duration::from_hours(30 * 24);
const MOST_READINGS: u16 = 100;
const PLACEHOLDERS: [&str; 8] = ["device", "group", "metric", "unit", "value", "threshold", "severity", "rule"];

pub(crate) fn rules(document: Document) -> Result<Rules, Refused> {
    let mut check = Check::default();
    let forget_after = check.duration(document.forget_after.as_ref()).unwrap_or(FORGET_AFTER);
    let mut ids = BTreeSet::new();
    let mut rules = Vec::with_capacity(document.rules.len());
    for rule in document.rules {
        if rule.id.value.is_empty() || !ids.insert(rule.id.value.clone()) {
            check.mistake(rule.id.referenced, format!("id `{}` is empty or used twice", rule.id.value));
        }
        if rule.id.value == SOURCE_SILENT {
            check.mistake(rule.id.referenced, format!("id `{SOURCE_SILENT}` is the service's own"));
        }
        rules.extend(check.rule(rule));
    }
    check.mistakes.sort_by_key(|mistake| (mistake.line, mistake.column));
    if check.mistakes.is_empty() { Ok(Rules::new(rules, forget_after)) } else { Err(Refused { mistakes: check.mistakes }) }
}

#[derive(Default)]
struct Check {
    mistakes: Vec<Mistake>,
}

/// What a rule and its overrides have in common.
struct Thresholds<'a> {
    above: Option<&'a Spanned<f64>>,
    below: Option<&'a Spanned<f64>>,
    clear: Option<&'a Spanned<f64>>,
    severity: &'a Spanned<String>,
    ladder: &'a [document::Step],
    place: Location,
}

impl Check {
    fn mistake(&mut self, at: Location, problem: impl Into<String>) {
        let mistake = Mistake::at(at, problem);
        // An override repeats what its rule says.
        if !self.mistakes.contains(&mistake) {
            self.mistakes.push(mistake);
        }
    }

    fn take<T>(&mut self, at: Location, checked: Result<T, String>) -> Option<T> {
        checked.map_err(|problem| self.mistake(at, problem)).ok()
    }

    fn duration(&mut self, text: Option<&Spanned<String>>) -> Option<Duration> {
        text.and_then(|text| self.take(text.referenced, duration(&text.value)))
    }

    fn rule(&mut self, rule: document::Rule) -> Option<Rule> {
        if rule.metric.value.is_empty() {
            self.mistake(rule.metric.referenced, "metric is empty");
        }
        let settings = self.settings(&rule, None);
        let mut overrides = Vec::with_capacity(rule.overrides.len());
        for other in &rule.overrides {
            if other.devices.is_empty() {
                self.mistake(rule.id.referenced, "an override names no devices");
            }
            let settings = if other.off { None } else { self.settings(&rule, Some(other)) };
            overrides.push((self.patterns(&other.devices), settings));
        }
        let schedule = rule.schedule.as_ref().and_then(|schedule| self.schedule(schedule));
        if let Some(most) = rule.max_active.as_ref().filter(|most| most.value == 0) {
            self.mistake(most.referenced, "max_active is at least 1");
        }
        if let Some(summary) = &rule.summary {
            self.summary(summary);
        }
        Some(Rule {
            devices: self.patterns(&rule.devices),
            id: rule.id.value,
            metric: rule.metric.value,
            groups: rule.groups,
            attributes: rule.attributes,
            settings: settings?,
            overrides,
            schedule,
            max_active: rule.max_active.map(|most| most.value),
            labels: rule.labels,
            label_attributes: rule.label_attributes,
            summary: rule.summary.map(|summary| summary.value),
            runbook_url: rule.runbook_url,
        })
    }

    fn settings(&mut self, rule: &document::Rule, other: Option<&document::Override>) -> Option<Settings> {
        // A threshold of the override stands for both of the rule's, and its clear threshold with it.
        let own = other.filter(|other| other.above.is_some() || other.below.is_some());
        let (above, below, clear) = match own {
            Some(own) => (own.above.as_ref(), own.below.as_ref(), own.clear.as_ref()),
            None => (rule.above.as_ref(), rule.below.as_ref(), other.and_then(|other| other.clear.as_ref()).or(rule.clear.as_ref())),
        };
        let ladder = other.and_then(|other| other.ladder.as_deref()).or(rule.ladder.as_deref());
        let severity = other.and_then(|other| other.severity.as_ref()).unwrap_or(&rule.severity);
        let place = rule.id.referenced;
        let steps = self.steps(&Thresholds { above, below, clear, severity, ladder: ladder.unwrap_or_default(), place });
        let wait = self.duration(other.and_then(|other| other.r#for.as_ref()).or(rule.r#for.as_ref()));
        let keep = self.duration(other.and_then(|other| other.keep_firing_for.as_ref()).or(rule.keep_firing_for.as_ref()));
        let no_data = self.duration(other.and_then(|other| other.no_data.as_ref()).or(rule.no_data.as_ref()));
        let change_over = self.duration(rule.change_over.as_ref());
        let repeat = rule.repeat.as_ref().map(|repeat| self.repeat(repeat));
        let flapping = rule.flapping.as_ref().and_then(|flapping| self.flapping(flapping));
        let (side, steps) = steps?;
        let (wait, keep_firing) = (wait.unwrap_or_default(), keep.unwrap_or_default());
        Some(Settings { side, steps, wait, keep_firing, change_over, repeat, no_data, flapping })
    }

    fn steps(&mut self, given: &Thresholds<'_>) -> Option<(Side, Vec<Step>)> {
        let (side, threshold) = match (given.above, given.below) {
            (Some(above), None) => (Side::Above, above),
            (None, Some(below)) => (Side::Below, below),
            (None, None) => {
                self.mistake(given.place, "a rule needs above or below");
                return None;
            }
            (Some(_), Some(below)) => {
                self.mistake(below.referenced, "a rule has above or below, not both: write two rules");
                return None;
            }
        };
        let mut steps = vec![self.step(side, threshold, given.clear, given.severity)];
        for step in given.ladder {
            let next = self.step(side, &step.at, step.clear.as_ref(), &step.severity);
            let last = steps.last().copied().unwrap_or(next);
            if side.turn(next.threshold) <= side.turn(last.threshold) || side.turn(next.clear) < side.turn(steps[0].threshold) {
                let problem = format!("a step of the ladder lies beyond the one before ({}), also where it clears", last.threshold);
                self.mistake(step.at.referenced, problem);
            }
            if next.severity <= last.severity && next.severity != Severity::Unknown {
                self.mistake(step.severity.referenced, "a step of the ladder is more severe than the one before");
            }
            steps.push(next);
        }
        Some((side, steps))
    }

    fn step(&mut self, side: Side, threshold: &Spanned<f64>, clear: Option<&Spanned<f64>>, severity: &Spanned<String>) -> Step {
        for value in [Some(threshold), clear].into_iter().flatten().filter(|value| !value.value.is_finite()) {
            self.mistake(value.referenced, "a threshold is a finite number");
        }
        if let Some(clear) = clear.filter(|clear| side.turn(clear.value) > side.turn(threshold.value)) {
            let problem = format!("clear ({}) lies beyond the threshold that fires ({})", clear.value, threshold.value);
            self.mistake(clear.referenced, problem);
        }
        let found = match severity.value.as_str() {
            "INFO" => Severity::Info,
            "WARNING" => Severity::Warning,
            "CRITICAL" => Severity::Critical,
            other => {
                self.mistake(severity.referenced, format!("severity `{other}` is none of INFO, WARNING, CRITICAL"));
                Severity::Unknown
            }
        };
        Step { threshold: threshold.value, clear: clear.unwrap_or(threshold).value, severity: found }
    }

    fn repeat(&mut self, repeat: &document::Repeat) -> Repeat {
        let (count, of) = (repeat.count.value, repeat.of.value);
        if count == 0 || of < count || of > MOST_READINGS {
            self.mistake(repeat.count.referenced, format!("count is at least 1 and at most `of`, which is at most {MOST_READINGS}"));
        }
        Repeat { count, of }
    }

    fn flapping(&mut self, flapping: &document::Flapping) -> Option<Flapping> {
        let count = flapping.count.value;
        if !(2..=MOST_READINGS).contains(&count) {
            self.mistake(flapping.count.referenced, format!("count is 2 to {MOST_READINGS}"));
        }
        let within = self.duration(Some(&flapping.within));
        let calm = self.duration(flapping.calm.as_ref());
        let within = within?;
        Some(Flapping { count, within, calm: calm.unwrap_or(within) })
    }

    fn schedule(&mut self, schedule: &document::Schedule) -> Option<Schedule> {
        let mut on: Vec<Weekday> = Vec::new();
        for day in schedule.days.iter().flatten() {
            on.extend(self.take(day.referenced, days(&day.value)).into_iter().flatten());
        }
        if schedule.days.is_none() {
            on = Weekday::Monday.cycle_forward().take(7).collect();
        } else if schedule.days.as_ref().is_some_and(Vec::is_empty) {
            self.mistake(schedule.time_zone.referenced, "a schedule without days is never active");
        }
        let mut time = |text: Option<&Spanned<String>>| match text {
            Some(text) => self.take(text.referenced, hour(&text.value)),
            None => Some(Time::midnight()),
        };
        let (from, to) = (time(schedule.from.as_ref())?, time(schedule.to.as_ref())?);
        let zone = &schedule.time_zone;
        let unknown = || format!("`{}` is no time zone: write one like Europe/Berlin or UTC", zone.value);
        self.take(zone.referenced, Schedule::new(on, from, to, &zone.value).ok_or_else(unknown))
    }

    fn patterns(&mut self, patterns: &[Spanned<String>]) -> Vec<Pattern> {
        for empty in patterns.iter().filter(|pattern| pattern.value.is_empty()) {
            self.mistake(empty.referenced, "an empty pattern matches no device");
        }
        patterns.iter().map(|pattern| Pattern::new(pattern.value.clone())).collect()
    }

    fn summary(&mut self, summary: &Spanned<String>) {
        for piece in summary.value.split('{').skip(1) {
            let name = piece.split_once('}').map(|(name, _)| name);
            if !name.is_some_and(|name| PLACEHOLDERS.contains(&name)) {
                let problem = format!(
                    "`{{{}` is none of {{{}}}",
                    name.map_or(piece.to_owned(), |name| format!("{name}}}")),
                    PLACEHOLDERS.join("}, {")
                );
                self.mistake(summary.referenced, problem);
            }
        }
    }
}
