//! One rule on one metric of one device, from normal through pending, firing and recovering back to normal, or silent.
//!
//! Durations are differences of `measured_at`, evaluated on readings. At most one alert is open at a time; each open alert
//! ends in one RESOLVED, and silence never ends it.

use std::collections::VecDeque;
use std::time::Duration;

use events::{AlertReason, AlertState, Labels, Severity, Timestamp};
use serde::{Deserialize, Serialize};

use super::alert::{About, Change, Said};
use super::outlet::Outlet;
use super::rules::{Flapping, Repeat, Settings};

/// Readings kept of the window of a rate of change; the rest is thinned out evenly.
const WINDOW_SAMPLES: u32 = 64;

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Sample {
    pub at: Timestamp,
    pub value: f64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub enum Phase {
    #[default]
    Normal,
    /// Beyond the threshold; for too short a time, outside of the schedule, or over the cap.
    Pending {
        since: Sample,
    },
    Firing,
    /// Back behind the clear threshold, for too short a time.
    Recovering {
        since: Sample,
    },
    /// No readings; the alert, if any, is `NO_DATA`.
    Silent,
}

/// An alert that was announced and not resolved.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub started_at: Timestamp,
    pub severity: Severity,
    /// It began as `NO_DATA`.
    pub(super) silent: bool,
    /// Its changes are no longer announced one by one.
    pub flapping: bool,
    /// What its end says when the rule is gone by then.
    pub(super) version: String,
    pub(super) labels: Labels,
    pub(super) runbook_url: Option<String>,
}

/// What is kept of a rule that is not at rest.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Excursion {
    pub rule: String,
    /// Where the rule stands in the device's selection.
    #[serde(skip)]
    pub(super) slot: usize,
    pub phase: Phase,
    pub alert: Option<Open>,
    /// Step of the ladder.
    step: u8,
    /// When the latest alerts began; only where flapping is watched.
    starts: Vec<Timestamp>,
    /// Readings beyond the threshold among the last ones, with how many readings ago; only for a repeat count.
    breaches: VecDeque<(u16, Sample)>,
    /// Readings of the window; only for a rate of change.
    window: VecDeque<Sample>,
    /// Silence may not be announced before.
    pub(super) not_before: Option<Timestamp>,
}

impl Excursion {
    pub(super) fn new(rule: &str, slot: usize) -> Self {
        Self { rule: rule.to_owned(), slot, ..Self::default() }
    }

    /// An alert that was open in the previous format.
    pub(super) fn firing_since(rule: String, started_at: Timestamp) -> Self {
        let alert = Open {
            started_at,
            severity: Severity::Unknown,
            silent: false,
            flapping: false,
            version: String::new(),
            labels: Labels::new(),
            runbook_url: None,
        };
        Self { rule, phase: Phase::Firing, alert: Some(alert), ..Self::default() }
    }

    /// Nothing a new state would not say.
    pub(super) fn is_over(&self) -> bool {
        self.phase == Phase::Normal
            && self.alert.is_none()
            && self.starts.is_empty()
            && self.breaches.is_empty()
            && self.window.is_empty()
            && self.not_before.is_none()
    }

    /// Takes a reading that is newer than all before it.
    pub(super) fn observe(&mut self, now: Sample, about: &About<'_>, outlet: &mut dyn Outlet) {
        let settings = about.settings;
        self.not_before = None;
        let measure = self.measure(now, settings.change_over);
        if self.phase == Phase::Silent {
            // An alert's id is made of when it began: one that begins now would have that of the silence.
            let began_now = self.alert.as_ref().is_some_and(|open| open.silent && open.started_at == now.at);
            self.hear(now, measure, about, outlet);
            if began_now {
                return;
            }
        }
        let Some(measure) = measure else { return };
        let crosses = settings.crosses(measure.value);
        let crosses = settings.repeat.map_or(crosses, |repeat| self.repeats(repeat, crosses, now));
        if crosses && self.phase == Phase::Normal {
            let since = self.breaches.front().map_or(now, |(_, first)| *first);
            self.phase = Phase::Pending { since };
        }
        let clears = settings.clears(measure.value);
        match self.phase {
            Phase::Pending { .. } if !crosses => self.phase = Phase::Normal,
            Phase::Pending { since } if now.at.since(since.at) >= settings.wait => self.fire(since, now, measure, about, outlet),
            Phase::Firing if clears => {
                self.phase = Phase::Recovering { since: now };
                self.recover(now, now, measure, about, outlet);
            }
            Phase::Recovering { since } if clears => self.recover(since, now, measure, about, outlet),
            Phase::Firing | Phase::Recovering { .. } => {
                self.phase = Phase::Firing;
                self.climb(now, measure, about, outlet);
            }
            Phase::Normal | Phase::Pending { .. } | Phase::Silent => {}
        }
        if let Some(Flapping { within, .. }) = settings.flapping {
            self.starts.retain(|start| now.at.since(*start) <= within);
        } else {
            self.starts.clear();
        }
    }

    /// The value that is compared, and the reading it is a change from.
    fn measure(&mut self, now: Sample, change_over: Option<Duration>) -> Option<Measure> {
        let Some(window) = change_over else {
            self.window.clear();
            return Some(Measure { value: now.value, from: None });
        };
        while self.window.front().is_some_and(|sample| now.at.since(sample.at) > window) {
            self.window.pop_front();
        }
        let from = self.window.front().copied();
        if self.window.back().is_none_or(|last| now.at.since(last.at) >= window / WINDOW_SAMPLES) {
            self.window.push_back(now);
        }
        from.map(|from| Measure { value: now.value - from.value, from: Some(from) })
    }

    /// Whether enough of the last readings were beyond the threshold.
    fn repeats(&mut self, repeat: Repeat, crosses: bool, now: Sample) -> bool {
        for (age, _) in &mut self.breaches {
            *age += 1;
        }
        while self.breaches.front().is_some_and(|(age, _)| *age >= repeat.of) {
            self.breaches.pop_front();
        }
        if crosses {
            self.breaches.push_back((0, now));
        }
        self.breaches.len() >= usize::from(repeat.count)
    }

    fn fire(&mut self, since: Sample, now: Sample, measure: Measure, about: &About<'_>, outlet: &mut dyn Outlet) {
        if !about.rule.schedule.as_ref().is_none_or(|schedule| schedule.is_active(now.at)) || !admits(about, outlet) {
            return;
        }
        let flapping = about.settings.flapping.is_some_and(|Flapping { count, within, .. }| {
            self.starts.retain(|start| now.at.since(*start) <= within);
            self.starts.push(now.at);
            self.starts.len() >= usize::from(count)
        });
        let step = about.settings.step(measure.value, 0);
        self.step = step as u8;
        self.phase = Phase::Firing;
        let severity = about.settings.steps[step].severity;
        let open = about.open(since.at, severity, false, flapping, outlet);
        let reason = if flapping { AlertReason::Suppressed } else { AlertReason::Crossed };
        let mut evidence: Vec<Sample> = self.breaches.iter().map(|(_, sample)| *sample).collect();
        if evidence.is_empty() {
            evidence.extend(measure.from);
            evidence.push(since);
        }
        let change =
            Change { state: AlertState::Firing, reason, at: now.at, value: Some(now.value), said: Said::Beyond(step, measure.value) };
        outlet.announce(about.alert(&open, change, evidence.into_iter().chain([now])));
        self.alert = Some(open);
    }

    /// Follows the ladder. A flapping alert only climbs; outside of the schedule no alert does.
    fn climb(&mut self, now: Sample, measure: Measure, about: &About<'_>, outlet: &mut dyn Outlet) {
        let Some(open) = &mut self.alert else { return };
        let step = about.settings.step(measure.value, usize::from(self.step));
        let severity = about.settings.steps[step].severity;
        let rises = severity > open.severity;
        // An alert of the previous format does not know its severity; it was announced with the rule's.
        if open.severity == Severity::Unknown && step == 0 {
            open.severity = severity;
        }
        if severity == open.severity || (open.flapping && !rises) {
            return;
        }
        if rises && !about.rule.schedule.as_ref().is_none_or(|schedule| schedule.is_active(now.at)) {
            return;
        }
        self.step = step as u8;
        open.severity = severity;
        let said = Said::Beyond(step, measure.value);
        let reason = AlertReason::SeverityChanged;
        let change = Change { state: AlertState::Firing, reason, at: now.at, value: Some(now.value), said };
        outlet.announce(about.alert(open, change, measure.from.into_iter().chain([now])));
    }

    fn recover(&mut self, since: Sample, now: Sample, measure: Measure, about: &About<'_>, outlet: &mut dyn Outlet) {
        let calm = about.settings.flapping.filter(|_| self.alert.as_ref().is_some_and(|open| open.flapping)).map(|flapping| flapping.calm);
        let wait = calm.map_or(about.settings.keep_firing, |calm| calm.max(about.settings.keep_firing));
        if now.at.since(since.at) < wait {
            return;
        }
        // An alert's id is made of when it began: if this one ended at that very instant, another of it would have the same.
        if self.alert.as_ref().is_some_and(|open| open.started_at == now.at) {
            return;
        }
        self.phase = Phase::Normal;
        self.step = 0;
        self.breaches.clear();
        let Some(open) = self.alert.take() else { return };
        if open.flapping {
            self.starts.clear();
        }
        outlet.count(&self.rule, -1);
        let said = Said::Cleared(measure.value);
        let change = Change { state: AlertState::Resolved, reason: AlertReason::Cleared, at: now.at, value: Some(now.value), said };
        outlet.announce(about.alert(&open, change, [since, now]));
    }

    /// Readings came back. An alert that began in silence is over; another goes on where it was.
    fn hear(&mut self, now: Sample, measure: Option<Measure>, about: &About<'_>, outlet: &mut dyn Outlet) {
        self.phase = Phase::Normal;
        let Some(open) = &self.alert else { return };
        let change = |state, reason| Change { state, reason, at: now.at, value: Some(now.value), said: Said::Heard };
        if open.silent {
            outlet.count(&self.rule, -1);
            outlet.announce(about.alert(open, change(AlertState::Resolved, AlertReason::Cleared), [now]));
            self.alert = None;
            return;
        }
        self.phase = Phase::Firing;
        let ends_now = measure.is_some_and(|measure| about.settings.clears(measure.value)) && about.settings.keep_firing.is_zero();
        if !ends_now || open.flapping {
            outlet.announce(about.alert(open, change(AlertState::Firing, AlertReason::Crossed), [now]));
        }
    }

    /// No reading came for the rule's silence; `last` is the newest there was.
    pub(super) fn fall_silent(&mut self, now: Timestamp, last: Sample, about: &About<'_>, outlet: &mut dyn Outlet) {
        if self.alert.is_none()
            && let Some(schedule) = &about.rule.schedule
            && !schedule.is_active(now)
        {
            self.not_before = schedule.next_start(now).or(Some(Timestamp::from_micros(i64::MAX)));
            return;
        }
        self.not_before = None;
        self.phase = Phase::Silent;
        self.breaches.clear();
        self.window.clear();
        if self.alert.is_none() {
            if !admits(about, outlet) {
                return;
            }
            self.alert = Some(about.open(now, about.settings.steps[0].severity, true, false, outlet));
        }
        let Some(open) = &self.alert else { return };
        let change = Change { state: AlertState::NoData, reason: AlertReason::Silent, at: now, value: None, said: Said::Silent };
        outlet.announce(about.alert(open, change, [last]));
    }

    /// Whether silence was dealt with.
    pub(super) fn is_silent(&self) -> bool {
        self.phase == Phase::Silent
    }
}

/// What is compared with the thresholds.
#[derive(Clone, Copy)]
pub(super) struct Measure {
    pub(super) value: f64,
    /// The reading it is the change from.
    from: Option<Sample>,
}

/// Whether one more alert of the rule may become active.
fn admits(about: &About<'_>, outlet: &mut dyn Outlet) -> bool {
    about.rule.max_active.is_none_or(|most| outlet.active(&about.rule.id) < i64::from(most))
}

impl Settings {
    /// How long a rule of this kind has to see nothing to say so.
    pub(super) fn silent_after(&self, received_at: Timestamp) -> Option<Timestamp> {
        self.no_data.map(|silence| received_at.saturating_add(silence))
    }
}
