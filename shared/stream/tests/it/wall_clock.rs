//! An operator that goes by the wall clock, and hears of keys nobody knows.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use events::codec::SchemaId;
use events::{AlertReason, AlertState, DeviceStatus, Reading, Severity, TemperatureAlert, Timestamp, topics};
use proptest::prelude::*;
use serde::{Deserialize, Serialize};
use stream::operator::driver::{Driver, Said};
use stream::operator::{Operator, Outputs, State};
use stream::{EventWriter, Failure};
use testkit::clocked::{self, Step};
use testkit::{Kit, capture, eventually};
use tokio::sync::watch;

use crate::operator::{Running, STAGE, TOPICS, config, reading, start_writing, status};

/// Says of a device that was asked (a reading) whether it answered (a status) within `patience`.
pub(crate) struct Waiting {
    patience: Duration,
}

#[derive(Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Asked {
    until: Option<Timestamp>,
    answer: String,
}

impl State for Asked {
    const FORMAT: u8 = 1;

    fn is_idle(&self) -> bool {
        *self == Self::default()
    }
}

fn said(device: &str, summary: &str, at: Timestamp) -> TemperatureAlert {
    TemperatureAlert {
        tenant: "default".into(),
        alert_id: "waiting".into(),
        rule_id: "waiting".into(),
        rule_version: "1".into(),
        device_id: device.into(),
        group_id: None,
        state: AlertState::Firing,
        severity: Severity::Info,
        reason: AlertReason::Crossed,
        metric: "temperature".into(),
        value: None,
        unit: "Cel".into(),
        threshold: None,
        clear_threshold: None,
        evidence: Vec::new(),
        started_at: at,
        changed_at: at,
        summary: summary.into(),
        labels: events::Labels::default(),
        runbook_url: None,
    }
}

impl Operator for Waiting {
    type Event = Reading;
    type Notice = DeviceStatus;
    type State = Asked;

    const STAGE: &'static str = STAGE;
    const HEARS_OF_NEW_KEYS: bool = true;
    const WALL_CLOCK: bool = true;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn on_event(&self, key: &str, _: &Reading, state: &mut Asked, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        let now = outputs.now();
        // Nothing is said by whoever is asked already: that, too, must not be met by a replay at another time.
        if state.until.replace(now.saturating_add(self.patience)).is_some() {
            return Ok(());
        }
        outputs.emit(&said(key, &format!("asked, was {:?}", state.answer), now))
    }

    fn due(&self, state: &Asked) -> Option<Timestamp> {
        state.until
    }

    fn on_time(&self, key: &str, due: Timestamp, state: &mut Asked, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        assert!(outputs.now() >= due);
        state.until = None;
        outputs.emit(&said(key, "no answer", due))
    }

    fn on_notice(&self, key: &str, notice: &DeviceStatus, state: &mut Asked, outputs: &mut Outputs<'_>) -> Result<bool, Failure> {
        if state.answer == notice.reason {
            return Ok(false);
        }
        state.answer.clone_from(&notice.reason);
        if state.until.take().is_some() {
            outputs.emit(&said(key, &format!("answered {}", notice.reason), outputs.now()))?;
        }
        Ok(true)
    }
}

fn driver() -> Driver<Waiting> {
    let writer = EventWriter::new("test", &testkit::kafka_config()).with_id::<TemperatureAlert>(SchemaId(1)).unwrap();
    Driver::new(Waiting { patience: Duration::from_mins(1) }, writer)
}

fn at(second: i64) -> Timestamp {
    reading("", second, 0.0).received_at
}

fn answer(device: &str, reason: &str) -> DeviceStatus {
    status(device, reason.into(), at(0))
}

fn summaries(said: &[Said]) -> Vec<String> {
    let schema = events::codec::WriterSchema::parse(<TemperatureAlert as events::Event>::SCHEMA.json).unwrap();
    let read = |said: &Said| schema.decode::<TemperatureAlert>(events::codec::unframe(&said.value).unwrap().1).unwrap();
    said.iter().map(read).map(|alert| format!("{} {}", alert.device_id, alert.summary)).collect()
}

#[test]
fn a_timer_runs_by_the_wall_clock_whatever_the_events_say_of_time_and_once_whatever_is_cut() {
    let mut driver = driver();
    driver.tick(at(0)).unwrap();
    // Their own times are far ahead, and far behind.
    driver.append(reading("sensor-1", 1_000_000, 1.0));
    driver.append(reading("sensor-2", -1_000_000, 1.0));
    driver.process(2).unwrap();
    driver.tick(at(59)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(driver.said()), ["sensor-1 asked, was \"\"", "sensor-2 asked, was \"\""]);
    driver.tick(at(60)).unwrap();
    driver.crash().unwrap();
    driver.tick(at(61)).unwrap();
    driver.commit().unwrap();
    driver.crash().unwrap();
    driver.tick(at(200)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(&driver.said()[2..]), ["sensor-1 no answer", "sensor-2 no answer"]);
}

#[test]
fn no_timer_runs_in_a_backlog() {
    let mut driver = driver();
    driver.tick(at(0)).unwrap();
    (0..3).for_each(|number| driver.append(reading(&format!("sensor-{number}"), number, 1.0)));
    driver.process(1).unwrap();
    driver.tick(at(100)).unwrap();
    driver.process(1).unwrap();
    driver.tick(at(101)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(driver.said()), ["sensor-0 asked, was \"\"", "sensor-1 asked, was \"\""]);
    driver.process(1).unwrap();
    driver.tick(at(102)).unwrap();
    driver.commit().unwrap();
    assert_eq!(summaries(&driver.said()[2..]), ["sensor-2 asked, was \"\"", "sensor-0 no answer"]);
}

#[test]
fn what_is_heard_of_a_new_key_is_remembered_and_what_says_nothing_leaves_none_behind() {
    let mut driver = driver();
    driver.hear(&answer("sensor-1", "well")).unwrap();
    driver.hear(&answer("sensor-2", "")).unwrap();
    driver.commit().unwrap();
    assert_eq!(driver.keys(), (1, 1));
    driver.crash().unwrap();
    driver.append(reading("sensor-1", 0, 1.0));
    assert_eq!(summaries(driver.finish().unwrap()), ["sensor-1 asked, was \"well\""]);
}

fn steps() -> impl Strategy<Value = Vec<(Timestamp, Step<Reading, DeviceStatus>)>> {
    let step = (0..3_usize, 0..4_usize, prop_oneof![4 => 0..20_i64, 1 => 50..70_i64]);
    prop::collection::vec(step, 0..120).prop_map(|steps| {
        let mut now = 0;
        let step = |(device, what, passes): (usize, usize, i64)| {
            now += passes;
            let device = format!("sensor-{device}");
            let step = match what {
                0 | 1 => Step::Event(reading(&device, 0, 1.0)),
                2 => Step::Notice(answer(&device, ["well", "ill"][passes as usize % 2])),
                _ => Step::Time,
            };
            (at(now), step)
        };
        steps.into_iter().map(step).collect()
    })
}

proptest! {
    #[test]
    fn any_cut_gives_the_outputs_of_no_cut_at_the_same_times(steps in steps(), cuts in prop::collection::vec(clocked::cut(), 0..200)) {
        let uncut = clocked::run(driver(), &steps, &[], Duration::ZERO);
        prop_assert_eq!(clocked::run(driver(), &steps, &cuts, Duration::ZERO), uncut);
    }
}

const WITH_ALERTS: [&str; 6] = [TOPICS[0], TOPICS[1], TOPICS[2], TOPICS[3], TOPICS[4], topics::TEMPERATURE_ALERTS];

fn start(kit: &Kit, patience: Duration) -> Running {
    let own = kit.registry.clone();
    let (_, operators) = watch::channel(Arc::new(Waiting { patience }));
    start_writing(kit, kit.registry.clone(), operators, config(1), async move |writer| writer.with::<TemperatureAlert>(&own).await.unwrap())
}

async fn told(kit: &Kit, count: usize) -> Vec<String> {
    let mut alerts = capture(kit, topics::TEMPERATURE_ALERTS);
    let told: Vec<TemperatureAlert> = alerts.events(count).await;
    assert!(alerts.rest().await.is_empty());
    told.into_iter().map(|alert| format!("{} {}", alert.device_id, alert.summary)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_timer_runs_without_another_record_and_once_also_across_a_restart() {
    let kit = Kit::with_topics(&WITH_ALERTS).await;
    let running = start(&kit, Duration::from_millis(300));
    let asked_at = SystemTime::now();
    kit.publish(&[reading("sensor-1", 0, 1.0)]).await;
    assert_eq!(told(&kit, 2).await, ["sensor-1 asked, was \"\"", "sensor-1 no answer"]);
    assert!(asked_at.elapsed().unwrap() >= Duration::from_millis(300));
    running.stop();
    let again = start(&kit, Duration::from_millis(300));
    kit.publish(&[answer("sensor-1", "well")]).await;
    // Heard, and remembered: the next question says so.
    eventually("the answer is heard", || async {
        kit.publish(&[reading("sensor-1", 0, 1.0)]).await;
        let mut alerts = capture(&kit, topics::TEMPERATURE_ALERTS);
        let mut heard = false;
        for record in alerts.rest().await {
            heard |= alerts.event::<TemperatureAlert>(&record).await.summary == "asked, was \"well\"";
        }
        heard.then_some(())
    })
    .await;
    again.stop();
}

/// What was due while nobody ran was perhaps answered meanwhile: that is heard first, however much was said beside it.
#[tokio::test(flavor = "multi_thread")]
async fn a_timer_waits_for_what_was_said_before_the_partition_came() {
    let kit = Kit::with_topics(&WITH_ALERTS).await;
    let patience = Duration::from_secs(2);
    let running = start(&kit, patience);
    kit.publish(&[reading("sensor-1", 0, 1.0)]).await;
    assert_eq!(told(&kit, 1).await, ["sensor-1 asked, was \"\""]);
    let asked_at = SystemTime::now();
    running.stop();
    let noise: Vec<_> = (0..3_000).map(|number| answer("sensor-1", if number < 2_999 { "" } else { "well" })).collect();
    kit.publish(&noise).await;
    eventually("the timer is due", || async { (asked_at.elapsed().unwrap() > patience).then_some(()) }).await;
    let again = start(&kit, patience);
    assert_eq!(told(&kit, 2).await, ["sensor-1 asked, was \"\"", "sensor-1 answered well"]);
    again.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_waits_for_what_was_said_before_the_partition_came() {
    let kit = Kit::with_topics(&WITH_ALERTS).await;
    kit.publish(&[reading("sensor-1", 0, 1.0)]).await;
    let noise: Vec<_> = (0..3_000).map(|number| answer("sensor-1", if number < 2_999 { "ill" } else { "well" })).collect();
    kit.publish(&noise).await;
    let running = start(&kit, Duration::from_mins(1));
    assert_eq!(told(&kit, 1).await, ["sensor-1 asked, was \"well\""]);
    running.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_heard_of_a_new_key_is_kept_across_a_restart() {
    let kit = Kit::with_topics(&WITH_ALERTS).await;
    let running = start(&kit, Duration::from_mins(1));
    kit.publish(&[answer("sensor-7", "well")]).await;
    let state = kit.kafka.prefixed(&topics::state(STAGE));
    eventually("it is kept", || async {
        let kept = testkit::log::appended(&kit, &topics::state(STAGE));
        (!kept.is_empty()).then_some(())
    })
    .await;
    running.stop();
    assert!(state.ends_with("state.temperature-alert.v1"));
    let again = start(&kit, Duration::from_mins(1));
    kit.publish(&[reading("sensor-7", 0, 1.0)]).await;
    assert_eq!(told(&kit, 1).await, ["sensor-7 asked, was \"well\""]);
    again.stop();
}
