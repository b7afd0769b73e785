//! Query parameters: repeated where that makes sense, checked, and none that is not known.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use events::{DeviceState, HealthState, NotificationState, Severity, Timestamp};

use super::problem::{Mistake, Problem};
use crate::domain::devices::DeviceFilter;
use crate::domain::filter::Filter;

/// The parameters of a request; taking one by one, then [`finish`](Self::finish).
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    pairs: Vec<(String, String)>,
    mistakes: Vec<Mistake>,
}

impl<S: Sync> FromRequestParts<S> for Parameters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unreadable =
            |error: axum::extract::rejection::QueryRejection| Problem::invalid(vec![Mistake::parameter("", error.body_text())]);
        let Query(pairs) = Query::try_from_uri(&parts.uri).map_err(unreadable)?;
        Ok(Self::new(pairs))
    }
}

impl Parameters {
    pub(super) fn new(pairs: Vec<(String, String)>) -> Self {
        let nul = |(name, value): &&(String, String)| name.contains('\0') || value.contains('\0');
        let mistakes = pairs.iter().filter(nul).map(|(name, _)| Mistake::parameter(name, "holds the character NUL")).collect();
        Self { pairs, mistakes }
    }

    /// The parameters but `except`, as one text that is the same whatever their order.
    pub(super) fn fingerprint(&self, except: &[&str]) -> String {
        let mut pairs: Vec<&(String, String)> = self.pairs.iter().filter(|(name, _)| !except.contains(&name.as_str())).collect();
        pairs.sort();
        let text = |(name, value): &&(String, String)| format!("{}:{name}={}:{value}", name.len(), value.len());
        pairs.iter().map(text).collect::<Vec<_>>().join(";")
    }

    /// Every value of a parameter.
    pub(super) fn many(&mut self, name: &str) -> Vec<String> {
        self.pairs.extract_if(.., |(given, _)| given.as_str() == name).map(|(_, value)| value).collect()
    }

    /// Every value of a parameter, read; what cannot be read is a mistake.
    pub(super) fn many_as<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Vec<T> {
        let values = self.many(name);
        values.iter().filter_map(|value| self.read(name, value, expected, &read)).collect()
    }

    /// The value of a parameter that is given once at most.
    pub(super) fn one(&mut self, name: &str) -> Option<String> {
        let mut values = self.many(name);
        if values.len() > 1 {
            self.mistakes.push(Mistake::parameter(name, "is given more than once"));
        }
        values.pop()
    }

    /// The value of a parameter that has to be given.
    pub(super) fn required(&mut self, name: &str) -> String {
        let value = self.one(name).filter(|value| !value.is_empty());
        value.unwrap_or_else(|| {
            self.mistakes.push(Mistake::parameter(name, "is required"));
            String::new()
        })
    }

    pub(super) fn one_as<T>(&mut self, name: &str, expected: &str, read: impl Fn(&str) -> Option<T>) -> Option<T> {
        let value = self.one(name)?;
        self.read(name, &value, expected, &read)
    }

    fn read<T>(&mut self, name: &str, value: &str, expected: &str, read: &impl Fn(&str) -> Option<T>) -> Option<T> {
        let read = read(value);
        if read.is_none() {
            self.mistakes.push(Mistake::parameter(name, format!("is not {expected}")));
        }
        read
    }

    /// Between 1 and 200; 50 when not given.
    pub(super) fn limit(&mut self) -> usize {
        let within = |text: &str| text.parse().ok().filter(|limit| (1..=200).contains(limit));
        self.one_as("limit", "a number from 1 to 200", within).unwrap_or(50)
    }

    /// What lists are filtered by.
    pub(super) fn filter(&mut self) -> Filter {
        let states = self.many_as("state", "one of OPEN, ACKNOWLEDGED, SNOOZED, RESOLVED", |text| {
            symbol(text).filter(|state| *state != NotificationState::Unknown)
        });
        let since = self.one_as("since", "a time like 2026-01-31T08:15:30Z", time);
        let until = self.one_as("until", "a time like 2026-01-31T08:15:30Z", time);
        let text = self.one("q").filter(|text| !text.is_empty());
        Filter { states, since, until, text, ..self.stream_filter() }
    }

    /// What streams are filtered by: what does not change while a notification lives, and its severity.
    pub(super) fn stream_filter(&mut self) -> Filter {
        let severities = self
            .many_as("severity", "one of INFO, WARNING, CRITICAL", |text| symbol(text).filter(|severity| *severity != Severity::Unknown));
        let labels = self.many_as("label", "of the form name=value", |text| {
            text.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))
        });
        let [kinds, device_ids, group_ids] = ["kind", "device_id", "group_id"].map(|name| self.many(name));
        Filter { severities, kinds, device_ids, group_ids, labels, ..Filter::default() }
    }

    /// What devices are filtered by.
    pub(super) fn device_filter(&mut self) -> DeviceFilter {
        // A symbol that is not known reads as UNKNOWN: only the word itself means it.
        let states = self.many_as("status", "one of ONLINE, OFFLINE, RETIRED, UNKNOWN", |text| {
            symbol(text).filter(|state| *state != DeviceState::Unknown || text == "UNKNOWN")
        });
        let health = self.many_as("health", "one of HEALTHY, DRIFTING, STUCK, UNKNOWN", |text| {
            symbol(text).filter(|state| *state != HealthState::Unknown || text == "UNKNOWN")
        });
        let group_ids = self.many("group_id");
        let text = self.one("q").filter(|text| !text.is_empty());
        DeviceFilter { states, health, group_ids, text, ..DeviceFilter::default() }
    }

    /// What the stream of devices is filtered by; also by devices themselves.
    pub(super) fn device_stream_filter(&mut self) -> DeviceFilter {
        DeviceFilter { device_ids: self.many("device_id"), ..self.device_filter() }
    }

    /// Complains about everything that was wrong, and about what nobody asked for.
    pub(super) fn finish(mut self) -> Result<(), Problem> {
        let unknown = self.pairs.iter().map(|(name, _)| Mistake::parameter(name, "is not a parameter of this resource"));
        self.mistakes.extend(unknown);
        if self.mistakes.is_empty() { Ok(()) } else { Err(Problem::invalid(self.mistakes)) }
    }
}

fn symbol<T: serde::de::DeserializeOwned>(text: &str) -> Option<T> {
    serde_json::from_value(serde_json::Value::from(text)).ok()
}

pub(super) fn time(text: &str) -> Option<Timestamp> {
    Timestamp::from_rfc3339(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parameters(pairs: &[(&str, &str)]) -> Parameters {
        Parameters::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn filters_repeat() {
        let mut given =
            parameters(&[("state", "OPEN"), ("kind", "alert"), ("state", "SNOOZED"), ("label", "team=cold=chain"), ("limit", "200")]);
        let filter = given.filter();
        assert_eq!(filter.states, [NotificationState::Open, NotificationState::Snoozed]);
        assert_eq!(filter.kinds, ["alert"]);
        assert_eq!(filter.labels, [("team".to_owned(), "cold=chain".to_owned())]);
        assert_eq!(given.limit(), 200);
        assert!(given.finish().is_ok());
    }

    #[test]
    fn every_mistake_is_named() {
        let mut given = parameters(&[
            ("state", "open"),
            ("severity", "UNKNOWN"),
            ("since", "yesterday"),
            ("label", "team"),
            ("limit", "0"),
            ("q", "a"),
            ("q", "b"),
            ("nonsense", "1"),
            ("device_id", "a\0"),
        ]);
        given.filter();
        given.limit();
        let named: Vec<String> = given.clone().mistakes.into_iter().filter_map(|mistake| mistake.parameter).collect();
        assert_eq!(named, ["device_id", "state", "since", "q", "severity", "label", "limit"]);
        assert!(given.finish().is_err());
    }
}
