//! Replicas of a service under a seeded schedule of kills, pauses and restarts.
//!
//! A schedule is made from its seed alone, so printing it says what happened and the seed repeats it. A replica that
//! ends by itself is started again, as its supervisor would, and counted. All processes end when the replicas are dropped.

use std::fmt;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::Process;

/// What is done to a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// `kill -9`
    Kill,
    /// SIGTERM
    Terminate,
    /// After `Kill` or `Terminate`.
    Start,
    /// SIGSTOP
    Pause,
    /// SIGCONT
    Continue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the schedule's start.
    pub at: Duration,
    pub replica: usize,
    pub act: Act,
}

/// Which ways to take a replica away a schedule chooses from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Faults {
    /// kill -9, SIGTERM and SIGSTOP, at any moment.
    All,
    /// SIGTERM only: replicas come and go.
    Rolling,
}

/// Steps in the order of time; every replica is up again at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub seed: u64,
    pub replicas: usize,
    pub steps: Vec<Step>,
}

impl Schedule {
    /// 1–3 replicas; each is taken away for up to `away` at a time, again and again during `span`.
    pub fn new(seed: u64, faults: Faults, span: Duration, away: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let replicas = random.random_range(1..=3);
        let mut steps = Vec::new();
        for replica in 0..replicas {
            let mut at = random.random_range(span / 20..span / 2);
            while at < span {
                let (leave, back) = match (faults, random.random_range(0..4)) {
                    (Faults::All, 0 | 1) => (Act::Kill, Act::Start),
                    (Faults::All, 2) => (Act::Pause, Act::Continue),
                    _ => (Act::Terminate, Act::Start),
                };
                steps.push(Step { at, replica, act: leave });
                at += random.random_range(away / 20..away);
                steps.push(Step { at, replica, act: back });
                at += random.random_range(span / 10..span / 2);
            }
        }
        steps.sort_by_key(|step| step.at);
        Self { seed, replicas, steps }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "seed {}, {} replicas:", self.seed, self.replicas)?;
        self.steps.iter().try_for_each(|Step { at, replica, act }| write!(out, " {:.1}s {act:?} {replica}", at.as_secs_f64()))
    }
}

/// A replica that ended although nobody asked it to.
#[derive(Clone, Copy, Debug)]
pub struct Death {
    pub replica: usize,
    pub after: Duration,
    pub status: std::process::ExitStatus,
}

pub struct Replicas {
    running: Vec<Replica>,
    deaths: Vec<Death>,
    started: Instant,
}

struct Replica {
    process: Process,
    /// Taken away on purpose.
    away: bool,
}

impl Replicas {
    /// Starts `count` replicas of a service one after the other; each is ready before the next starts.
    pub async fn start(service: &str, environment: &[(String, String)], count: usize) -> Self {
        let mut replicas = Vec::with_capacity(count);
        for _ in 0..count {
            replicas.push(Replica { process: Process::start(service, environment).await, away: false });
        }
        Self { running: replicas, deaths: Vec::new(), started: Instant::now() }
    }

    /// Does what the schedule says, when it says.
    pub async fn follow(&mut self, schedule: &Schedule) {
        self.started = Instant::now();
        for step in &schedule.steps {
            while self.started.elapsed() < step.at {
                self.revive();
                tokio::time::sleep(Duration::from_millis(10).min(step.at.saturating_sub(self.started.elapsed()))).await;
            }
            self.act(step.replica, step.act).await;
        }
    }

    pub async fn act(&mut self, replica: usize, act: Act) {
        let Replica { process, away } = &mut self.running[replica];
        match act {
            Act::Kill => process.kill(),
            Act::Terminate => process.signal("TERM"),
            Act::Pause => process.signal("STOP"),
            Act::Continue => process.signal("CONT"),
            Act::Start => {
                process.ended().await;
                process.restart();
            }
        }
        *away = matches!(act, Act::Kill | Act::Terminate);
    }

    /// Starts again what ended by itself.
    pub fn revive(&mut self) {
        for (number, Replica { process, away }) in self.running.iter_mut().enumerate() {
            if let Some(status) = process.exit_status().filter(|_| !*away) {
                self.deaths.push(Death { replica: number, after: self.started.elapsed(), status });
                process.restart();
            }
        }
    }

    pub fn process(&mut self, replica: usize) -> &mut Process {
        &mut self.running[replica].process
    }

    pub fn deaths(&self) -> &[Death] {
        &self.deaths
    }

    /// SIGTERM to all; their exit codes.
    pub async fn terminate(self) -> Vec<Option<i32>> {
        let mut codes = Vec::with_capacity(self.running.len());
        for replica in &self.running {
            replica.process.signal("TERM");
        }
        for mut replica in self.running {
            codes.push(replica.process.ended().await.code());
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_secs(10);
    const AWAY: Duration = Duration::from_secs(3);

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
        assert_eq!(Schedule::new(7, Faults::All, SPAN, AWAY), Schedule::new(7, Faults::All, SPAN, AWAY));
        assert_ne!(Schedule::new(7, Faults::All, SPAN, AWAY).steps, Schedule::new(8, Faults::All, SPAN, AWAY).steps);
    }

    #[test]
    fn every_replica_that_is_taken_away_comes_back() {
        for (seed, faults) in (0..200).flat_map(|seed| [(seed, Faults::All), (seed, Faults::Rolling)]) {
            let schedule = Schedule::new(seed, faults, SPAN, AWAY);
            for replica in 0..schedule.replicas {
                let acts: Vec<Act> = schedule.steps.iter().filter(|step| step.replica == replica).map(|step| step.act).collect();
                assert!(!acts.is_empty() && acts.len().is_multiple_of(2), "{schedule}");
                for pair in acts.chunks(2) {
                    let sound = matches!(pair, [Act::Kill | Act::Terminate, Act::Start] | [Act::Pause, Act::Continue]);
                    assert!(sound, "{schedule}");
                }
            }
        }
    }

    #[test]
    fn every_fault_is_among_the_first_schedules() {
        let steps: Vec<Act> = (0..10).flat_map(|seed| Schedule::new(seed, Faults::All, SPAN, AWAY).steps).map(|step| step.act).collect();
        for act in [Act::Kill, Act::Terminate, Act::Pause] {
            assert!(steps.contains(&act), "{act:?}");
        }
    }
}
