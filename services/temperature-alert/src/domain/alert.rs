//! What an alert says: who, which rule, since when, why, on which evidence, and one line for people.

use events::{AlertReason, AlertState, Evidence, Labels, Severity, TemperatureAlert, Timestamp, identity};

use super::excursion::{Open, Sample};
use super::outlet::Outlet;
use super::rules::{Rule, Settings, Side};

/// Label of the alert that fills the rule's cap.
const LABEL_CAP: &str = "max_active";

/// Whose metric it is.
#[derive(Clone, Copy)]
pub(super) struct Subject<'a> {
    pub(super) tenant: &'a str,
    pub(super) device_id: &'a str,
    pub(super) metric: &'a str,
    pub(super) unit: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) attributes: &'a Labels,
}

/// A metric of a device under a rule.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) subject: Subject<'a>,
    pub(super) rule: &'a Rule,
    pub(super) version: &'a str,
    pub(super) settings: &'a Settings,
}

/// How an alert changes.
#[derive(Clone, Copy)]
pub(super) struct Change {
    pub(super) state: AlertState,
    pub(super) reason: AlertReason,
    pub(super) at: Timestamp,
    pub(super) value: Option<f64>,
    pub(super) said: Said,
}

/// What the summary tells.
#[derive(Clone, Copy)]
pub(super) enum Said {
    /// Step of the ladder, and the measure that is beyond it.
    Beyond(usize, f64),
    Cleared(f64),
    Silent,
    Heard,
}

impl About<'_> {
    /// Opens an alert and counts it.
    pub(super) fn open(&self, started_at: Timestamp, severity: Severity, silent: bool, flapping: bool, outlet: &mut dyn Outlet) -> Open {
        outlet.count(&self.rule.id, 1);
        let listed = self.rule.label_attributes.iter().filter_map(|name| self.subject.attributes.get_key_value(name));
        let listed = listed.map(|(name, value)| (name.clone(), value.clone()));
        let mut labels: Labels = listed.chain(self.rule.labels.clone()).collect();
        if let Some(most) = self.rule.max_active.filter(|most| outlet.active(&self.rule.id) == i64::from(*most)) {
            labels.insert(LABEL_CAP.to_owned(), most.to_string());
        }
        let (version, runbook_url) = (self.version.to_owned(), self.rule.runbook_url.clone());
        Open { started_at, severity, silent, flapping, version, labels, runbook_url }
    }

    pub(super) fn alert(&self, open: &Open, change: Change, evidence: impl IntoIterator<Item = Sample>) -> TemperatureAlert {
        let mut readings: Vec<Evidence> = Vec::new();
        for Sample { at, value } in evidence {
            if readings.last().is_none_or(|last| last.at < at) {
                readings.push(Evidence { at, value });
            }
        }
        let step = match change.said {
            Said::Beyond(step, _) => self.settings.steps[step],
            Said::Cleared(_) | Said::Silent | Said::Heard => self.settings.steps[0],
        };
        let mut alert = end(&self.subject, &self.rule.id, open, change.reason, change.at);
        alert.summary = self.summary(&alert, open, &change, step.threshold);
        TemperatureAlert {
            rule_version: self.version.to_owned(),
            state: change.state,
            value: change.value,
            threshold: Some(step.threshold),
            clear_threshold: Some(step.clear),
            evidence: readings,
            runbook_url: self.rule.runbook_url.clone(),
            ..alert
        }
    }

    fn summary(&self, alert: &TemperatureAlert, open: &Open, change: &Change, threshold: f64) -> String {
        let Subject { device_id, metric, unit, .. } = self.subject;
        let (beyond, back) = match self.settings.side {
            Side::Above => ("above", "at or below"),
            Side::Below => ("below", "at or above"),
        };
        let over = self.settings.change_over.map(|window| format!(" change over {} of", Span(window)));
        let over = over.as_deref().unwrap_or_default();
        // A difference of floating point numbers is not worth its last digits.
        let rounded = |measure: f64| if over.is_empty() { measure } else { (measure * 1e6).round() / 1e6 };
        let line = match change.said {
            Said::Beyond(_, measure) => match &self.rule.summary {
                Some(template) => self.fill(template, alert, change.value, threshold, open.severity),
                None => format!("{device_id}: {metric}{over} {} {unit} is {beyond} {threshold} {unit}", rounded(measure)),
            },
            Said::Cleared(measure) => {
                let (measure, clear) = (rounded(measure), self.settings.steps[0].clear);
                format!("{device_id}: {metric}{over} {measure} {unit} is back {back} {clear} {unit}")
            }
            Said::Silent => {
                format!("{device_id}: no {metric} for {}", Span(self.settings.no_data.unwrap_or_default()))
            }
            Said::Heard => format!("{device_id}: {metric} is coming in again"),
        };
        let flapping = self.settings.flapping.filter(|_| open.flapping && change.reason == AlertReason::Suppressed);
        let flapping = flapping.map(|flapping| {
            let (within, calm) = (Span(flapping.within), Span(flapping.calm));
            format!("; flapping ({} times within {within}): stays until calm for {calm}", flapping.count)
        });
        let cap = open.labels.get(LABEL_CAP).filter(|_| change.reason == AlertReason::Crossed || change.said_silent());
        let cap = cap.map(|most| format!("; {most} alerts of this rule are active here: more are withheld until one is resolved"));
        line + flapping.as_deref().unwrap_or_default() + cap.as_deref().unwrap_or_default()
    }

    fn fill(&self, template: &str, alert: &TemperatureAlert, value: Option<f64>, threshold: f64, severity: Severity) -> String {
        let Subject { device_id, metric, unit, group, .. } = self.subject;
        let value = value.map_or_else(String::new, |value| value.to_string());
        [
            ("{device}", device_id),
            ("{group}", group.unwrap_or_default()),
            ("{metric}", metric),
            ("{unit}", unit),
            ("{value}", &value),
            ("{threshold}", &threshold.to_string()),
            ("{severity}", severity_name(severity)),
            ("{rule}", &alert.rule_id),
        ]
        .into_iter()
        .fold(template.to_owned(), |text, (placeholder, value)| text.replace(placeholder, value))
    }
}

impl Change {
    fn said_silent(&self) -> bool {
        matches!(self.said, Said::Silent)
    }
}

/// The alert's end for a reason outside of its rule, which may be gone.
pub(super) fn end(subject: &Subject<'_>, rule: &str, open: &Open, reason: AlertReason, at: Timestamp) -> TemperatureAlert {
    let Subject { tenant, device_id, metric, unit, group, .. } = *subject;
    let why = match reason {
        AlertReason::DeviceRetired => "the device counts as retired",
        _ => "the rule no longer applies",
    };
    TemperatureAlert {
        tenant: tenant.to_owned(),
        alert_id: identity::excursion_id("alert", tenant, rule, device_id, metric, open.started_at).to_string(),
        rule_id: rule.to_owned(),
        rule_version: open.version.clone(),
        device_id: device_id.to_owned(),
        group_id: group.map(str::to_owned),
        state: AlertState::Resolved,
        severity: open.severity,
        reason,
        metric: metric.to_owned(),
        value: None,
        unit: unit.to_owned(),
        threshold: None,
        clear_threshold: None,
        evidence: Vec::new(),
        started_at: open.started_at,
        changed_at: at,
        summary: format!("{device_id}: {why}"),
        labels: open.labels.clone(),
        runbook_url: open.runbook_url.clone(),
    }
}

/// As on the wire.
pub fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Info => "INFO",
        Severity::Warning => "WARNING",
        Severity::Critical => "CRITICAL",
        Severity::Unknown => "UNKNOWN",
    }
}

/// A duration for people: `1h 30m`.
pub struct Span(pub std::time::Duration);

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.0.as_secs();
        let mut gap = "";
        for (unit, seconds) in [("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)] {
            if rest >= seconds {
                write!(f, "{gap}{}{unit}", rest / seconds)?;
                (rest, gap) = (rest % seconds, " ");
            }
        }
        if gap.is_empty() { write!(f, "{}ms", self.0.as_millis()) } else { Ok(()) }
    }
}

/// Rule id of the alert of a silent source; no rule of a file may have it.
pub const SOURCE_SILENT: &str = "source-silent";

/// The alert of a whole partition without readings: the bridge or its broker is gone, and no device is to blame.
pub fn source_alert(partition: i32, since: Timestamp, speaks_at: Option<Timestamp>) -> TemperatureAlert {
    let device_id = format!("source-{partition}");
    let attributes = Labels::new();
    let tenant = events::DEFAULT_TENANT;
    let subject = Subject { tenant, device_id: &device_id, metric: "", unit: "", group: None, attributes: &attributes };
    let (version, labels) = (String::new(), Labels::from([("partition".to_owned(), partition.to_string())]));
    let open = Open { started_at: since, severity: Severity::Critical, silent: true, flapping: false, version, labels, runbook_url: None };
    let reason = if speaks_at.is_some() { AlertReason::Cleared } else { AlertReason::SourceSilent };
    let alert = end(&subject, SOURCE_SILENT, &open, reason, speaks_at.unwrap_or(since));
    if speaks_at.is_some() {
        return TemperatureAlert { summary: format!("readings of partition {partition} are coming in again"), ..alert };
    }
    let summary = format!("no readings in partition {partition} since {since}");
    TemperatureAlert { state: AlertState::NoData, summary, ..alert }
}
