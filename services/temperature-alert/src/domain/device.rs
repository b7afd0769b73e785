//! One device: its metrics, what each rule makes of them, and when silence has to be looked at again.
//!
//! A reading is judged by `measured_at`, silence by `received_at`. Repeats, late and retained readings change no alert.
//! An ordinary reading allocates nothing: state is kept only for rules that are not at rest.

use events::{AlertReason, Arrival, Labels, Reading, SeenReadings, Timestamp, identity};
use serde::{Deserialize, Serialize};

use super::alert::{About, Subject, end};
use super::excursion::{Excursion, Sample};
use super::outlet::Outlet;
use super::rules::Rules;
use super::selection::Selection;

/// What is kept of a device.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Device {
    tenant: String,
    id: String,
    /// When any reading was received last, late ones too.
    heard_at: Option<Timestamp>,
    pub metrics: Vec<Metric>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    pub(super) unit: String,
    group: Option<String>,
    attributes: Labels,
    pub(super) seen: SeenReadings,
    /// The newest reading, and when it was received.
    pub last: Option<(Sample, Timestamp)>,
    /// When a rule has to look at its silence.
    silent_at: Option<Timestamp>,
    /// Rules that are not at rest, in the order of the selection.
    pub excursions: Vec<Excursion>,
    #[serde(skip)]
    selection: Selection,
}

impl Device {
    /// As the previous format kept it: without names.
    pub(super) fn restored(metrics: Vec<Metric>) -> Self {
        Self { metrics, ..Self::default() }
    }

    /// Takes a reading; changes of alerts go to `outlet`, in the order of the rules. `None`: a retained one, ignored.
    pub fn take(&mut self, reading: &Reading, rules: &Rules, outlet: &mut dyn Outlet) -> Option<Arrival> {
        if !reading.is_fresh() {
            return None;
        }
        // Of one key: where the ids are the same, so are the tenants.
        if self.id != reading.device_id {
            self.tenant.clone_from(&reading.tenant);
            self.id.clone_from(&reading.device_id);
        }
        self.heard_at = self.heard_at.max(Some(reading.received_at));
        let position = self.metrics.iter().position(|metric| metric.name == reading.metric);
        let position = position.unwrap_or_else(|| {
            self.metrics.push(Metric { name: reading.metric.clone(), ..Metric::default() });
            self.metrics.len() - 1
        });
        let arrival = self.metrics[position].seen.arrive(reading);
        if arrival == Arrival::New {
            self.metrics[position].observe(&self.tenant, &self.id, reading, rules, outlet);
        }
        Some(arrival)
    }

    /// When time has to be looked at again, if at all.
    pub fn due(&self, rules: &Rules) -> Option<Timestamp> {
        let forgotten_at = self.heard_at.map(|at| at.saturating_add(rules.forget_after()))?;
        Some(self.metrics.iter().filter_map(|metric| metric.silent_at).fold(forgotten_at, Timestamp::min))
    }

    /// Does what silence causes by `now`.
    pub fn pass(&mut self, key: &str, now: Timestamp, rules: &Rules, outlet: &mut dyn Outlet) {
        self.know(key);
        if self.heard_at.is_some_and(|at| at.saturating_add(rules.forget_after()) <= now) {
            return self.retire(key, now, outlet);
        }
        for metric in &mut self.metrics {
            metric.select(&self.tenant, &self.id, rules, now, outlet);
            metric.pass(&self.tenant, &self.id, now, rules, outlet);
        }
    }

    /// The device is gone: its alerts resolve, and nothing is known of it any more.
    pub fn retire(&mut self, key: &str, at: Timestamp, outlet: &mut dyn Outlet) {
        self.know(key);
        let at = self.heard_at.map_or(at, |heard_at| heard_at.max(at));
        for metric in &mut self.metrics {
            metric.end_all(&self.tenant, &self.id, AlertReason::DeviceRetired, at, outlet);
        }
        *self = Self::default();
    }

    /// Takes other rules over: what no rule selects any longer is resolved, the rest keeps its state.
    pub fn reconcile(&mut self, key: &str, now: Timestamp, rules: &Rules, outlet: &mut dyn Outlet) {
        self.know(key);
        // The previous format did not keep it.
        self.heard_at.get_or_insert(now);
        for metric in &mut self.metrics {
            metric.select(&self.tenant, &self.id, rules, now, outlet);
            metric.look_again(rules);
        }
    }

    /// Rules with an active alert, each as often as it has one.
    pub fn active(&self) -> impl Iterator<Item = &str> {
        let excursions = self.metrics.iter().flat_map(|metric| &metric.excursions);
        excursions.filter(|excursion| excursion.alert.is_some()).map(|excursion| excursion.rule.as_str())
    }

    /// Nothing is known of it.
    pub fn is_unknown(&self) -> bool {
        self.metrics.is_empty()
    }

    /// The previous format did not keep the names; a key with them is `device` or `tenant/device`.
    fn know(&mut self, key: &str) {
        if self.id.is_empty() {
            let (tenant, device_id) = key.split_once('/').unwrap_or((events::DEFAULT_TENANT, key));
            debug_assert_eq!(identity::kafka_key(tenant, device_id), key);
            (self.tenant, self.id) = (tenant.to_owned(), device_id.to_owned());
        }
    }
}

impl Metric {
    /// As the previous format kept it.
    pub(super) fn restored(name: String, seen: SeenReadings, excursions: Vec<Excursion>) -> Self {
        Self { name, unit: events::UNIT_CELSIUS.to_owned(), seen, excursions, ..Self::default() }
    }

    fn observe(&mut self, tenant: &str, device_id: &str, reading: &Reading, rules: &Rules, outlet: &mut dyn Outlet) {
        let now = Sample { at: reading.measured_at, value: reading.value };
        let received_at = self.last.map_or(reading.received_at, |(_, before)| before.max(reading.received_at));
        self.last = Some((now, received_at));
        if self.unit != reading.unit {
            self.unit.clone_from(&reading.unit);
        }
        let moved = self.group != reading.group_id
            || rules.attributes().iter().any(|name| self.attributes.get(name) != reading.attributes.get(name));
        if moved {
            self.group.clone_from(&reading.group_id);
            self.attributes.clone_from(&reading.attributes);
            self.reselect(tenant, device_id, rules, now.at, outlet);
        } else {
            self.select(tenant, device_id, rules, now.at, outlet);
        }

        let mut next = 0;
        for slot in 0..self.selection.len() {
            let known = self.excursions.get(next).is_some_and(|excursion| excursion.slot == slot);
            if known || !self.selection.rests_at(slot, now.value) {
                next += usize::from(self.judge(slot, next, known, (tenant, device_id), now, rules, outlet));
            }
        }
        self.silent_at = self.selection.silence().map(|silence| received_at.saturating_add(silence));
    }

    /// Has one rule look at a reading; whether its state is kept, at `next`.
    #[expect(clippy::too_many_arguments, reason = "the parts of one borrow")]
    fn judge(
        &mut self,
        slot: usize,
        next: usize,
        known: bool,
        (tenant, device_id): (&str, &str),
        now: Sample,
        rules: &Rules,
        outlet: &mut dyn Outlet,
    ) -> bool {
        let Self { name, unit, group, attributes, excursions, selection, .. } = self;
        let Some((rule, version, settings)) = selection.rule(slot, rules) else { return known };
        if !known {
            excursions.insert(next, Excursion::new(&rule.id, slot));
        }
        let subject = Subject { tenant, device_id, metric: name, unit, group: group.as_deref(), attributes };
        excursions[next].observe(now, &About { subject, rule, version, settings }, outlet);
        let over = excursions[next].is_over();
        if over {
            excursions.remove(next);
        }
        !over
    }

    /// Selects anew if other rules are in force.
    fn select(&mut self, tenant: &str, device_id: &str, rules: &Rules, now: Timestamp, outlet: &mut dyn Outlet) {
        if !self.selection.is_of(rules) {
            self.reselect(tenant, device_id, rules, now, outlet);
        }
    }

    fn reselect(&mut self, tenant: &str, device_id: &str, rules: &Rules, now: Timestamp, outlet: &mut dyn Outlet) {
        let selection = Selection::of(rules, &self.name, device_id, self.group.as_deref(), &self.attributes);
        let (kept, gone): (Vec<_>, Vec<_>) = std::mem::take(&mut self.excursions)
            .into_iter()
            .map(|excursion| (selection.slot_of(&excursion.rule, rules), excursion))
            .partition(|(slot, _)| slot.is_some());
        self.excursions = gone.into_iter().map(|(_, excursion)| excursion).collect();
        self.end_all(tenant, device_id, AlertReason::RuleRemoved, now, outlet);
        for (slot, mut excursion) in kept {
            excursion.slot = slot.unwrap_or_default();
            self.excursions.push(excursion);
        }
        self.excursions.sort_by_key(|excursion| excursion.slot);
        self.selection = selection;
    }

    fn end_all(&mut self, tenant: &str, device_id: &str, reason: AlertReason, now: Timestamp, outlet: &mut dyn Outlet) {
        let Self { name, unit, group, attributes, .. } = &*self;
        let subject = Subject { tenant, device_id, metric: name, unit, group: group.as_deref(), attributes };
        for excursion in &self.excursions {
            if let Some(open) = &excursion.alert {
                outlet.count(&excursion.rule, -1);
                outlet.announce(end(&subject, &excursion.rule, open, reason, now));
            }
        }
        self.excursions.clear();
    }

    fn pass(&mut self, tenant: &str, device_id: &str, now: Timestamp, rules: &Rules, outlet: &mut dyn Outlet) {
        let Some((last, received_at)) = self.last else { return };
        let Self { name, unit, group, attributes, excursions, selection, .. } = self;
        let subject = Subject { tenant, device_id, metric: name, unit, group: group.as_deref(), attributes };
        for slot in 0..selection.len() {
            let Some((rule, version, settings)) = selection.rule(slot, rules) else { continue };
            if settings.silent_after(received_at).is_none_or(|at| at > now) {
                continue;
            }
            let place = excursions.partition_point(|excursion| excursion.slot < slot);
            if excursions.get(place).is_none_or(|excursion| excursion.slot != slot) {
                excursions.insert(place, Excursion::new(&rule.id, slot));
            }
            let excursion = &mut excursions[place];
            if !excursion.is_silent() && excursion.not_before.is_none_or(|at| at <= now) {
                excursion.fall_silent(now, last, &About { subject, rule, version, settings }, outlet);
            }
        }
        self.look_again(rules);
    }

    /// When the next rule has to look at this silence.
    fn look_again(&mut self, rules: &Rules) {
        let Some((_, received_at)) = self.last else { return };
        let due = |slot: usize| {
            let (.., settings) = self.selection.rule(slot, rules)?;
            let at = settings.silent_after(received_at)?;
            match self.excursions.iter().find(|excursion| excursion.slot == slot) {
                Some(excursion) if excursion.is_silent() => None,
                Some(excursion) => Some(at.max(excursion.not_before.unwrap_or(at))),
                None => Some(at),
            }
        };
        self.silent_at = (0..self.selection.len()).filter_map(due).min();
    }

    /// The rules that judge it, in order, each with its state where it is not at rest.
    pub fn judged<'a>(
        &'a self,
        rules: &'a Rules,
    ) -> impl Iterator<Item = (&'a super::Rule, &'a super::rules::Settings, Option<&'a Excursion>)> {
        (0..self.selection.len()).filter_map(move |slot| {
            let (rule, _, settings) = self.selection.rule(slot, rules)?;
            Some((rule, settings, self.excursions.iter().find(|excursion| excursion.slot == slot)))
        })
    }
}
