//! What happens to an operator that goes by the wall clock, step by step, with cuts between the steps.

use std::time::Duration;

use events::Timestamp;
use proptest::prelude::*;
use stream::operator::Operator;
use stream::operator::driver::{Driver, Said};

/// What happens at a time.
#[derive(Clone, Debug)]
pub enum Step<E, N> {
    Event(E),
    Notice(N),
    /// Nothing but that.
    Time,
}

/// Steps of an operator, each with its time.
pub type Steps<O> = [(Timestamp, Step<<O as Operator>::Event, <O as Operator>::Notice>)];

/// What happens to the process after a step.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    Nothing,
    Commit,
    Crash,
}

/// Any cut; mostly none.
pub fn cut() -> impl Strategy<Value = Cut> {
    prop_oneof![6 => Just(Cut::Nothing), 3 => Just(Cut::Commit), 2 => Just(Cut::Crash)]
}

/// Lets `steps` happen, each at its time, and one of `cuts` after each as long as there are some; returns all that was
/// said. After a crash everything since the last commit comes again, each step so much later as `restart` takes.
pub fn run<O: Operator>(mut driver: Driver<O>, steps: &Steps<O>, cuts: &[Cut], restart: Duration) -> Vec<Said> {
    let (mut at, mut committed, mut late) = (0, 0, Duration::ZERO);
    let mut cuts = cuts.iter();
    while let Some((time, step)) = steps.get(at) {
        driver.tick(time.saturating_add(late)).expect("the operator goes on");
        let outcome = match step {
            Step::Event(event) => {
                driver.append(event.clone());
                driver.process(1)
            }
            Step::Notice(notice) => driver.hear(notice),
            Step::Time => Ok(()),
        };
        outcome.expect("the operator goes on");
        at += 1;
        match cuts.next().unwrap_or(&Cut::Nothing) {
            Cut::Nothing => {}
            Cut::Commit => {
                driver.commit().expect("the operator goes on");
                committed = at;
            }
            Cut::Crash => {
                driver.crash().expect("the operator goes on");
                driver.drop_unprocessed();
                at = committed;
                late += restart;
            }
        }
    }
    driver.finish().expect("the operator goes on").to_vec()
}
