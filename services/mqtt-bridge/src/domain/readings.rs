//! Payloads that are measurements.

use events::{ATTRIBUTE_LATE, ATTRIBUTE_RETAINED, ATTRIBUTE_TIME, DeviceKey, Labels, Reading, Timestamp};

use crate::domain::time::measured_at;
use crate::domain::{Document, Field, Limits, Message, Metric, Metrics, Outcome, Place, Reason, Reject, Route};

/// What all readings of a message have in common.
struct Circumstances<'a> {
    device: &'a DeviceKey,
    group_id: Option<String>,
    measured_at: Timestamp,
    received_at: Timestamp,
    sequence: Option<i64>,
    attributes: Labels,
}

/// One value of one metric.
#[expect(clippy::too_many_arguments, reason = "each is one thing the message or its route says")]
pub(super) fn one(
    route: &Route,
    metric: &Place,
    value: &Place,
    device: &DeviceKey,
    message: &Message<'_>,
    document: &Document<'_>,
    metrics: &Metrics,
    limits: &Limits,
) -> Result<Outcome, Reject> {
    let metric =
        metric.text(message.topic, document).map_err(|kind| Reject::new(Reason::WrongType, format!("the metric is {kind}, not a text")))?;
    let metric = metric.ok_or_else(|| Reject::new(Reason::MissingField, "the metric is missing"))?;
    let name = value.member().unwrap_or(&metric);
    let field = value.of_payload(document).ok_or_else(|| Reject::new(Reason::MissingField, format!("`{name}` is missing")))?;
    let metric = metrics.named(&metric)?;
    let value = metric.checked(route.converted(&metric.name, number(name, field)?))?;
    Ok(Outcome::Readings(vec![Circumstances::of(route, device, message, document, limits)?.reading(&metric, value)]))
}

/// Every number that has no other meaning. Other members are passed over, unless they bear a known metric's name.
pub(super) fn many(
    route: &Route,
    device: &DeviceKey,
    message: &Message<'_>,
    document: &Document<'_>,
    metrics: &Metrics,
    limits: &Limits,
) -> Result<Outcome, Reject> {
    let Document::Object(fields) = document else {
        return Err(Reject::new(Reason::NotAnObject, "the payload is a text"));
    };
    let circumstances = Circumstances::of(route, device, message, document, limits)?;
    let mut readings = Vec::new();
    for (name, field) in fields.iter().filter(|(name, _)| !route.is_reserved(name)) {
        if field.number().is_none() && (metrics.known(name).is_none() || *field == Field::Null) {
            continue;
        }
        if readings.len() == limits.readings {
            return Err(Reject::new(Reason::TooManyReadings, format!("more than {} in one message", limits.readings)));
        }
        let metric = metrics.named(name)?;
        let value = metric.checked(route.converted(&metric.name, number(name, field)?))?;
        readings.push(circumstances.reading(&metric, value));
    }
    if readings.is_empty() {
        return Err(Reject::new(Reason::NoMetrics, "no member is a metric's value"));
    }
    Ok(Outcome::Readings(readings))
}

impl<'a> Circumstances<'a> {
    fn of(route: &Route, device: &'a DeviceKey, message: &Message<'_>, document: &Document<'_>, limits: &Limits) -> Result<Self, Reject> {
        let sent_at = route.time.of_payload(document).map(measured_at).transpose()?;
        let group_id = route.group.text(message.topic, document);
        let group_id = group_id.map_err(|kind| Reject::new(Reason::WrongType, format!("the group is {kind}, not a text")))?;
        let mut attributes = Labels::new();
        if sent_at.is_none() {
            attributes.insert(ATTRIBUTE_TIME.into(), "received".into());
        }
        if sent_at.is_some_and(|at| at.saturating_add(limits.late_after) < message.received_at) {
            attributes.insert(ATTRIBUTE_LATE.into(), "true".into());
        }
        if message.retained {
            attributes.insert(ATTRIBUTE_RETAINED.into(), "true".into());
        }
        Ok(Self {
            device,
            group_id: group_id.filter(|group| !group.is_empty()).map(std::borrow::Cow::into_owned),
            measured_at: not_too_far_ahead(sent_at.unwrap_or(message.received_at), message, limits)?,
            received_at: message.received_at,
            sequence: route.sequence.of_payload(document).map(sequence).transpose()?,
            attributes,
        })
    }

    fn reading(&self, metric: &Metric, value: f64) -> Reading {
        Reading {
            tenant: self.device.tenant.clone(),
            device_id: self.device.device_id.clone(),
            group_id: self.group_id.clone(),
            metric: metric.name.clone(),
            value,
            unit: metric.unit.clone(),
            measured_at: self.measured_at,
            received_at: self.received_at,
            sequence: self.sequence,
            attributes: self.attributes.clone(),
        }
    }
}

/// `at`, unless the device's clock is ahead of ours by more than allowed.
pub(super) fn not_too_far_ahead(at: Timestamp, message: &Message<'_>, limits: &Limits) -> Result<Timestamp, Reject> {
    if at > message.received_at.saturating_add(limits.max_future) {
        return Err(Reject::new(Reason::TooFarAhead, format!("{at} is {:?} ahead", at.since(message.received_at))));
    }
    Ok(at)
}

fn number(name: &str, field: &Field<'_>) -> Result<f64, Reject> {
    field.number().ok_or_else(|| Reject::new(Reason::WrongType, format!("`{name}` is {}, not a number", field.kind())))
}

fn sequence(field: &Field<'_>) -> Result<i64, Reject> {
    match field {
        Field::Integer(number) => Ok(*number),
        // Some encoders write every number with a fraction; beyond 2^53 that would not be exact.
        Field::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => Ok(*number as i64),
        other => Err(Reject::new(Reason::WrongType, format!("the sequence is {}, not a whole number", other.kind()))),
    }
}
