//! A sound run, and each anomaly made on purpose in it.

use super::*;

const DEVICE: &str = "chaos-00";
const OTHER: &str = "chaos-01";

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(1_770_000_000_000 + second * 1_000)
}

/// One device has two excursions and repeats a reading; the other has one that goes on.
fn sound() -> Observed {
    let message = |device: &str, sequence, value| Message { device: device.to_owned(), sequence, measured_at: at(sequence), value };
    let logged = |device: &str, sequence| Logged { device: device.to_owned(), sequence };
    let announced = |device: &str, second, state| Announced {
        alert_id: format!("{device}/{second}"),
        device: device.to_owned(),
        started_at: at(second),
        state,
    };
    let listed = |id: &str, device: &str, second, is_resolved| Listed {
        id: id.to_owned(),
        version: if is_resolved { 2 } else { 1 },
        alert_of: Some(device.to_owned()),
        opened_at: at(second),
        is_resolved,
    };
    let shown = |id: &str, version| Shown::Version { notification: id.to_owned(), version };
    Observed {
        published: vec![
            message(DEVICE, 1, 30.0),
            message(OTHER, 1, 20.0),
            message(DEVICE, 2, 20.0),
            message(DEVICE, 1, 30.0),
            message(OTHER, 2, 31.0),
            message(DEVICE, 3, 29.0),
            message(DEVICE, 4, 27.0),
        ],
        logged: vec![
            logged(DEVICE, 1),
            logged(DEVICE, 2),
            logged(DEVICE, 1),
            logged(DEVICE, 3),
            logged(OTHER, 1),
            logged(OTHER, 2),
            // Sent again after an acknowledgement was lost.
            logged(DEVICE, 3),
            logged(DEVICE, 4),
        ],
        announced: vec![
            announced(DEVICE, 1, AlertState::Firing),
            announced(DEVICE, 1, AlertState::Resolved),
            announced(OTHER, 2, AlertState::Firing),
            announced(DEVICE, 3, AlertState::Firing),
            announced(DEVICE, 3, AlertState::Resolved),
        ],
        listed: vec![listed("n1", DEVICE, 1, true), listed("n2", OTHER, 2, false), listed("n3", DEVICE, 3, true)],
        shown: vec![shown("n1", 1), shown("n1", 2), shown("n2", 1), shown("n3", 1), shown("n1", 2), shown("n3", 2)],
    }
}

/// What is found once `spoil` has had its way with a sound run.
fn found(spoil: impl FnOnce(&mut Observed)) -> Vec<Anomaly> {
    let mut observed = sound();
    spoil(&mut observed);
    anomalies(&observed)
}

#[test]
fn a_sound_run_has_no_anomaly_with_repeats_in_the_log_and_on_the_stream() {
    assert_eq!(found(|_| {}), []);
}

#[test]
fn a_reading_that_is_not_in_its_topic_is_lost() {
    let lost = Anomaly::LostReading { device: DEVICE.into(), sequence: 2 };
    assert_eq!(found(|run| run.logged.retain(|logged| *logged != Logged { device: DEVICE.into(), sequence: 2 })), [lost]);
}

#[test]
fn an_alert_that_is_never_announced_is_lost() {
    let lost = Anomaly::LostAlert { device: OTHER.into(), started_at: at(2) };
    assert_eq!(found(|run| run.announced.retain(|alert| alert.device != OTHER)), [lost]);
}

#[test]
fn an_alert_that_the_api_does_not_list_is_a_lost_notification() {
    let lost = Anomaly::LostNotification { device: OTHER.into(), started_at: at(2) };
    assert_eq!(found(|run| run.listed.retain(|listed| listed.id != "n2")), [lost]);
}

#[test]
fn an_alert_that_fires_or_resolves_twice_is_a_duplicate() {
    for (place, state) in [(0, "FIRING"), (1, "RESOLVED")] {
        let again = Anomaly::DuplicateAlert { device: DEVICE.into(), started_at: at(1), state };
        assert_eq!(found(|run| run.announced.push(run.announced[place].clone())), [again]);
    }
}

#[test]
fn two_notifications_of_one_alert_are_a_duplicate() {
    let again = Anomaly::DuplicateNotification { device: DEVICE.into(), started_at: at(1) };
    let second = |run: &mut Observed| {
        let listed = Listed { id: "n4".into(), version: 1, ..run.listed[0].clone() };
        run.listed.push(listed);
        run.shown.push(Shown::Version { notification: "n4".into(), version: 1 });
    };
    assert_eq!(found(second), [again]);
}

#[test]
fn a_reading_after_one_that_was_published_later_is_reordered() {
    let reordered = Anomaly::Reordered { device: DEVICE.into(), sequence: 1, after: 2 };
    assert_eq!(found(|run| run.logged.swap(0, 1)), [reordered]);
}

#[test]
fn a_reading_that_was_published_late_is_not_reordered_in_the_log() {
    let swapped = |run: &mut Observed| {
        run.published.swap(2, 5);
        run.logged = run.published.iter().map(|message| Logged { device: message.device.clone(), sequence: message.sequence }).collect();
    };
    assert!(!found(swapped).iter().any(|anomaly| matches!(anomaly, Anomaly::Reordered { .. })));
}

#[test]
fn a_notification_or_its_last_version_that_the_stream_never_showed_is_unseen() {
    let unseen = |notification: &str, version| Anomaly::Unseen { notification: notification.into(), version };
    let hide = |hidden: Shown| move |run: &mut Observed| run.shown.retain(|shown| *shown != hidden);
    let version = |notification: &str, version| Shown::Version { notification: notification.into(), version };
    assert_eq!(found(hide(version("n2", 1))), [unseen("n2", 1)]);
    assert_eq!(found(hide(version("n1", 2))), [unseen("n1", 2)]);
}

#[test]
fn an_alert_that_never_resolves_although_its_reading_came_down_is_stuck() {
    let stuck = [Anomaly::StuckAlert { device: DEVICE.into(), started_at: at(3) }];
    assert_eq!(found(|run| drop(run.announced.pop())), stuck);
    assert_eq!(found(|run| run.listed[2].is_resolved = false), stuck);
}

#[test]
fn an_alert_or_a_notification_that_no_reading_calls_for_is_a_phantom() {
    let phantom = [Anomaly::Phantom { device: OTHER.into(), started_at: at(1) }];
    let alert = Announced { alert_id: "phantom".into(), device: OTHER.into(), started_at: at(1), state: AlertState::Firing };
    assert_eq!(found(|run| run.announced.push(alert)), phantom);
    let notification = |run: &mut Observed| {
        run.listed.push(Listed { alert_of: Some(OTHER.into()), opened_at: at(1), ..run.listed[0].clone() });
    };
    assert_eq!(found(notification), phantom);
}

#[test]
fn a_notification_of_another_kind_is_no_phantom() {
    let other = |run: &mut Observed| {
        run.listed.push(Listed { id: "n4".into(), version: 1, alert_of: None, ..run.listed[0].clone() });
        run.shown.push(Shown::Version { notification: "n4".into(), version: 1 });
    };
    assert_eq!(found(other), []);
}

#[test]
fn a_version_that_the_stream_passed_over_is_a_gap() {
    let gap = Anomaly::Gap { notification: "n3".into(), shown: 0, next: 2 };
    assert_eq!(found(|run| drop(run.shown.remove(3))), [gap]);
}

#[test]
fn a_stream_that_begins_anew_when_it_is_resumed_is_told() {
    assert_eq!(found(|run| run.shown.insert(2, Shown::BeganAnew)), [Anomaly::BeganAnew]);
}
