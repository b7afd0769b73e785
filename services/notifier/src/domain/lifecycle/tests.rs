use events::{AlertState, DeviceState, DeviceStatus, Notification, NotificationState, Severity, TemperatureAlert};

use super::examples::{at, cause, firing, later, next_excursion};
use super::*;

/// Applies alerts a second apart and returns the versions they made.
fn replay(subject: &mut Subject, alerts: &[TemperatureAlert]) -> Vec<Notification> {
    let apply = |(second, alert): (usize, &TemperatureAlert)| subject.apply(&Signal::of_alert(alert).unwrap(), &cause(second as i64));
    alerts.iter().enumerate().filter_map(apply).collect()
}

fn states(versions: &[Notification]) -> Vec<(i64, NotificationState, i64, &str)> {
    versions.iter().map(|made| (made.version, made.state, made.occurrences, made.change.action.as_str())).collect()
}

use NotificationState::{Acknowledged, Open, Resolved, Snoozed};

#[test]
fn an_excursion_opens_folds_and_resolves_one_notification() {
    let made = replay(
        &mut Subject::default(),
        &[firing(), later(AlertState::Firing, 5), later(AlertState::NoData, 7), later(AlertState::Resolved, 9)],
    );
    assert_eq!(states(&made), [(1, Open, 1, "opened"), (2, Open, 2, "folded"), (3, Open, 3, "folded"), (4, Resolved, 3, "resolved")]);
    assert!(made.iter().all(|version| version.notification_id == made[0].notification_id));
    assert_eq!((made[3].opened_at, made[3].resolved_at), (at(0), Some(at(9))));
    assert_eq!(made[3].title, made[0].title);
    assert_eq!(made[0].links["runbook"], "https://runbooks.example.com/high-temperature");
}

#[test]
fn the_next_excursion_is_another_notification() {
    let made = replay(&mut Subject::default(), &[firing(), later(AlertState::Resolved, 5), next_excursion(10)]);
    assert_eq!(states(&made), [(1, Open, 1, "opened"), (2, Resolved, 1, "resolved"), (1, Open, 1, "opened")]);
    assert_ne!(made[0].notification_id, made[2].notification_id);
    assert_eq!(
        (made[0].links.get("previous"), &made[2].links["previous"]),
        (None, &format!("/v1/notifications/{}", made[0].notification_id))
    );
}

#[test]
fn what_came_before_stays_named_while_events_are_folded_in() {
    let again = TemperatureAlert { changed_at: at(11), ..next_excursion(10) };
    let made = replay(&mut Subject::default(), &[firing(), later(AlertState::Resolved, 5), next_excursion(10), again]);
    assert_eq!(made[3].links, made[2].links);
}

#[test]
fn an_excursion_whose_end_was_lost_is_joined_by_the_next_one() {
    let second = next_excursion(10);
    let over = TemperatureAlert { state: AlertState::Resolved, changed_at: at(12), ..second.clone() };
    let made = replay(&mut Subject::default(), &[firing(), second, over]);
    assert_eq!(states(&made), [(1, Open, 1, "opened"), (2, Open, 2, "folded"), (3, Resolved, 2, "resolved")]);
}

#[test]
fn a_late_event_changes_nothing() {
    let mut subject = Subject::default();
    replay(&mut subject, &[firing(), later(AlertState::Firing, 5), later(AlertState::Resolved, 9), next_excursion(20)]);
    let before = subject.clone();
    let late = [firing(), later(AlertState::Firing, 5), later(AlertState::Firing, 30), later(AlertState::Resolved, 30)];
    assert_eq!(replay(&mut subject, &late), []);
    assert_eq!(subject, before);
}

#[test]
fn a_trigger_that_comes_after_its_end_opens_nothing() {
    let mut subject = Subject::default();
    assert_eq!(replay(&mut subject, &[later(AlertState::Resolved, 9), firing()]), []);
    assert_eq!(subject.current, None);
}

#[test]
fn an_end_counts_though_the_device_clock_is_behind_the_silence() {
    let made = replay(&mut Subject::default(), &[firing(), later(AlertState::NoData, 3_600), later(AlertState::Resolved, 60)]);
    assert_eq!(states(&made)[2], (3, Resolved, 2, "resolved"));
}

#[test]
fn silence_opens_when_nothing_is_open() {
    let made = replay(&mut Subject::default(), &[later(AlertState::NoData, 0)]);
    assert_eq!(states(&made), [(1, Open, 1, "opened")]);
}

#[test]
fn a_rise_in_severity_ends_a_snooze_and_keeps_an_acknowledgement() {
    let critical = TemperatureAlert { severity: Severity::Critical, ..later(AlertState::Firing, 5) };
    for (state, expected) in [(Snoozed, Open), (Acknowledged, Acknowledged)] {
        let mut subject = Subject::default();
        replay(&mut subject, &[firing()]);
        subject.current.as_mut().unwrap().state = state;
        let made = replay(&mut subject, std::slice::from_ref(&critical));
        assert_eq!((made[0].state, made[0].severity, made[0].change.action.as_str()), (expected, Severity::Critical, "raised"));
    }
}

#[test]
fn what_someone_resolved_comes_back_only_with_a_higher_severity() {
    let mut subject = Subject::default();
    replay(&mut subject, &[firing()]);
    subject.current.as_mut().unwrap().state = Resolved;
    assert_eq!(replay(&mut subject, &[later(AlertState::Firing, 5)]), []);
    let critical = TemperatureAlert { severity: Severity::Critical, ..later(AlertState::Firing, 6) };
    assert_eq!(states(&replay(&mut subject, &[critical])), [(2, Open, 2, "raised")]);
}

#[test]
fn a_severity_of_a_later_release_keeps_the_known_one() {
    let unknown = TemperatureAlert { severity: Severity::Unknown, ..later(AlertState::Firing, 5) };
    let made = replay(&mut Subject::default(), &[firing(), unknown]);
    assert_eq!(made[1].severity, Severity::Warning);
}

#[test]
fn a_device_is_offline_until_it_is_online_again() {
    let mut subject = Subject::default();
    let mut report = |state, seconds| {
        let reason = "will".to_owned();
        let status = DeviceStatus { tenant: "default".into(), device_id: "sensor-01".into(), state, reason, changed_at: at(seconds) };
        subject.apply(&Signal::of_status(&status).unwrap(), &cause(seconds)).map(|made| (made.version, made.state))
    };
    assert_eq!(report(DeviceState::Online, 1), None);
    assert_eq!(report(DeviceState::Offline, 2), Some((1, Open)));
    assert_eq!(report(DeviceState::Offline, 3), Some((2, Open)));
    assert_eq!(report(DeviceState::Online, 4), Some((3, Resolved)));
    assert_eq!(report(DeviceState::Offline, 3), None);
    assert_eq!(report(DeviceState::Offline, 5), Some((1, Open)));
}

#[test]
fn updated_at_never_goes_back() {
    let mut subject = Subject::default();
    subject.apply(&Signal::of_alert(&firing()).unwrap(), &cause(100));
    let made = subject.apply(&Signal::of_alert(&later(AlertState::Firing, 5)).unwrap(), &cause(50)).unwrap();
    assert_eq!(made.updated_at, at(100));
}
