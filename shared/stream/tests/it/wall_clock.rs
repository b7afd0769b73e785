//! An operator that goes by the wall clock, and hears of keys nobody knows.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use events::{AlertReason, AlertState, DeviceStatus, Reading, Severity, TemperatureAlert, Timestamp, topics};
use serde::{Deserialize, Serialize};
use stream::Failure;
use stream::operator::{Operator, Outputs, State};
use testkit::{Kit, capture, eventually};
use tokio::sync::watch;

use crate::operator::{Running, STAGE, TOPICS, config, reading, start_writing, status};

/// Says of a device that was asked (a reading) whether it answered (a status) within `patience`.
pub(crate) struct Waiting {
    pub(crate) patience: Duration,
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

pub(crate) fn answer(device: &str, reason: &str) -> DeviceStatus {
    status(device, reason.into(), reading("", 0, 0.0).received_at)
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
