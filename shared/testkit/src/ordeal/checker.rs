//! Histories in, anomalies out. Each comparison says what it may not find; repeats that at-least-once delivery allows, of
//! readings in their topic and of versions on the stream, are none.

use std::collections::{BTreeMap, BTreeSet};

use events::{AlertState, Timestamp};

use super::{Anomaly, Excursion, Message, excursions};

/// A reading in telemetry.readings.v1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub device: String,
    pub sequence: i64,
}

/// An event in alerts.temperature.v1, as a reader of what is committed sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    pub alert_id: String,
    pub device: String,
    pub started_at: Timestamp,
    pub state: AlertState,
}

/// A notification at the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    pub id: String,
    pub version: i64,
    /// Where it is one of an alert of temperature-alert: of which device.
    pub alert_of: Option<String>,
    pub opened_at: Timestamp,
    pub is_resolved: bool,
}

/// What the event stream showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shown {
    Version {
        notification: String,
        version: i64,
    },
    /// A snapshot in place of what was missed.
    BeganAnew,
}

/// All that is known after a run: histories in the order of each device, partition and connection.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Observed {
    /// As published; what was never acknowledged is not here.
    pub published: Vec<Message>,
    pub logged: Vec<Logged>,
    pub announced: Vec<Announced>,
    pub listed: Vec<Listed>,
    pub shown: Vec<Shown>,
}

/// Everything wrong with it.
pub fn anomalies(observed: &Observed) -> Vec<Anomaly> {
    let expected = excursions(&observed.published);
    let mut found = of_the_log(&observed.published, &observed.logged);
    found.extend(of_the_alerts(&expected, &observed.announced));
    found.extend(of_the_list(&expected, &observed.listed));
    found.extend(of_the_stream(&observed.listed, &observed.shown));
    // A stuck or invented alert is one thing, wherever it is seen.
    let mut once = BTreeSet::new();
    found.retain(|anomaly| once.insert(anomaly.clone()) || anomaly.is_duplicate());
    found
}

/// Each reading is there, and its first copy in its place.
fn of_the_log(published: &[Message], logged: &[Logged]) -> Vec<Anomaly> {
    let mut places = BTreeMap::<(&str, i64), usize>::new();
    for (place, message) in published.iter().enumerate() {
        places.entry((&message.device, message.sequence)).or_insert(place);
    }
    let (mut found, mut seen, mut furthest) = (Vec::new(), BTreeSet::new(), BTreeMap::<&str, (usize, i64)>::new());
    for Logged { device, sequence } in logged {
        let Some(place) = places.get(&(device.as_str(), *sequence)).copied() else { continue };
        if !seen.insert((device.as_str(), *sequence)) {
            continue;
        }
        match furthest.get(device.as_str()) {
            Some((ahead, after)) if place < *ahead => {
                found.push(Anomaly::Reordered { device: device.clone(), sequence: *sequence, after: *after });
            }
            _ => {
                furthest.insert(device, (place, *sequence));
            }
        }
    }
    let lost = places.keys().filter(|name| !seen.contains(*name));
    found.extend(lost.map(|(device, sequence)| Anomaly::LostReading { device: (*device).to_owned(), sequence: *sequence }));
    found
}

/// Each excursion fires once and resolves once, and nothing else does.
fn of_the_alerts(expected: &[Excursion], announced: &[Announced]) -> Vec<Anomaly> {
    let mut said = BTreeMap::<(&str, Timestamp), (usize, usize)>::new();
    for alert in announced {
        let (fired, resolved) = said.entry((&alert.device, alert.started_at)).or_default();
        match alert.state {
            AlertState::Firing => *fired += 1,
            AlertState::Resolved => *resolved += 1,
            AlertState::NoData | AlertState::Unknown => {}
        }
    }
    let mut found = Vec::new();
    for Excursion { device, started_at, ended } in expected {
        let (fired, resolved) = said.remove(&(device.as_str(), *started_at)).unwrap_or_default();
        let (device, started_at) = (device.clone(), *started_at);
        match fired {
            0 => found.push(Anomaly::LostAlert { device: device.clone(), started_at }),
            1 => {}
            _ => found.push(Anomaly::DuplicateAlert { device: device.clone(), started_at, state: "FIRING" }),
        }
        match resolved {
            0 if *ended && fired > 0 => found.push(Anomaly::StuckAlert { device, started_at }),
            0 | 1 => {}
            _ => found.push(Anomaly::DuplicateAlert { device, started_at, state: "RESOLVED" }),
        }
    }
    found.extend(said.into_keys().map(|(device, started_at)| Anomaly::Phantom { device: device.to_owned(), started_at }));
    found
}

/// Each excursion has one notification, which is resolved if it ended, and no alert has another.
fn of_the_list(expected: &[Excursion], listed: &[Listed]) -> Vec<Anomaly> {
    let mut of_alerts = BTreeMap::<(&str, Timestamp), Vec<&Listed>>::new();
    for notification in listed {
        if let Some(device) = &notification.alert_of {
            of_alerts.entry((device, notification.opened_at)).or_default().push(notification);
        }
    }
    let mut found = Vec::new();
    for Excursion { device, started_at, ended } in expected {
        let notifications = of_alerts.remove(&(device.as_str(), *started_at)).unwrap_or_default();
        let (device, started_at) = (device.clone(), *started_at);
        if notifications.len() > 1 {
            found.push(Anomaly::DuplicateNotification { device: device.clone(), started_at });
        }
        match notifications.first() {
            None => found.push(Anomaly::LostNotification { device, started_at }),
            Some(notification) if *ended && !notification.is_resolved => found.push(Anomaly::StuckAlert { device, started_at }),
            Some(_) => {}
        }
    }
    found.extend(of_alerts.into_keys().map(|(device, started_at)| Anomaly::Phantom { device: device.to_owned(), started_at }));
    found
}

/// Of each notification the stream showed every version, in order.
fn of_the_stream(listed: &[Listed], shown: &[Shown]) -> Vec<Anomaly> {
    let (mut found, mut highest) = (Vec::new(), BTreeMap::<&str, i64>::new());
    for event in shown {
        let Shown::Version { notification, version } = event else {
            found.push(Anomaly::BeganAnew);
            continue;
        };
        let last = highest.entry(notification).or_default();
        if *version > *last + 1 {
            found.push(Anomaly::Gap { notification: notification.clone(), shown: *last, next: *version });
        }
        *last = (*last).max(*version);
    }
    let unseen = listed.iter().filter(|listed| highest.get(listed.id.as_str()).is_none_or(|shown| *shown < listed.version));
    found.extend(unseen.map(|listed| Anomaly::Unseen { notification: listed.id.clone(), version: listed.version }));
    found
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
