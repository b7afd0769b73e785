//! The batch step: whatever is prepared together, the outputs are those of one event after another.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use events::{Reading, Timestamp};
use serde::{Deserialize, Serialize};
use stream::Failure;
use stream::operator::{NoNotice, Operator, Outputs, State};
use testkit::Kit;

use crate::operator::{STAGE, TOPICS, caught_up, config, reading, said, start_operator, status};

/// Says the how-manyeth reading since its last silence each is; counted in the batch step.
#[derive(Default)]
pub(crate) struct Counting<const BATCH: usize> {
    /// The most events prepared together.
    pub(crate) most: Arc<AtomicUsize>,
}

#[derive(Default, Serialize, Deserialize)]
pub(crate) struct Counted {
    readings: u64,
    last: Option<Timestamp>,
    #[serde(skip)]
    prepared: Option<u64>,
}

impl State for Counted {
    const FORMAT: u8 = 1;
}

impl<const BATCH: usize> Operator for Counting<BATCH> {
    type Event = Reading;
    type Notice = NoNotice;
    type State = Counted;

    const STAGE: &'static str = STAGE;
    const BATCH: usize = BATCH;

    fn received_at(&self, reading: &Reading) -> Timestamp {
        reading.received_at
    }

    fn prepare(&self, batch: &mut [(&Reading, Counted)]) -> Result<(), Failure> {
        self.most.fetch_max(batch.len(), Ordering::Relaxed);
        for (_, state) in batch {
            state.readings += 1;
            state.prepared = Some(state.readings);
        }
        Ok(())
    }

    fn on_event(&self, key: &str, reading: &Reading, state: &mut Counted, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        if BATCH == 1 {
            state.readings += 1;
            state.prepared = Some(state.readings);
        }
        state.last = Some(reading.received_at);
        let count = state.prepared.take();
        outputs.emit(&status(key, format!("{count:?}"), reading.received_at))
    }

    fn due(&self, state: &Counted) -> Option<Timestamp> {
        state.last.map(|last| last.saturating_add(Duration::from_mins(1)))
    }

    fn on_time(&self, key: &str, now: Timestamp, state: &mut Counted, outputs: &mut Outputs<'_>) -> Result<(), Failure> {
        *state = Counted::default();
        outputs.emit(&status(key, "silent".into(), now))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_is_prepared_together_and_says_what_one_event_after_another_says() {
    let kit = Kit::with_topics(&TOPICS).await;
    let devices: Vec<String> = (10..40).map(|number| format!("sensor-{number}")).collect();
    let readings: Vec<Reading> = (0..10).flat_map(|at| devices.iter().map(move |device| reading(device, at, 1.0))).collect();
    kit.publish(&readings).await;
    let operator = Counting::<16>::default();
    let most = Arc::clone(&operator.most);
    let running = start_operator(&kit, operator, config(2));
    caught_up(&kit).await;
    running.stop();
    let expected = devices.iter().flat_map(|device| (1..=10).map(move |count| (device.clone(), format!("{:?}", Some(count)))));
    assert_eq!(said(&kit).await, expected.collect::<Vec<_>>());
    let most = most.load(Ordering::Relaxed);
    assert!((5..=16).contains(&most), "{most} at a time");
}
