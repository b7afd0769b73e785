//! Whether the process lives (its loops move) and is ready (it can do its job).

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A loop that has not moved for this long is stuck.
const STUCK_AFTER: Duration = Duration::from_mins(1);

/// The checks of a process; clones share them.
#[derive(Clone, Default)]
pub struct Health {
    checks: Arc<Mutex<BTreeMap<String, Status>>>,
}

struct Status {
    beat: Option<Instant>,
    /// `None`: ready.
    not_ready: Option<String>,
}

/// One part's side of its check.
#[derive(Clone)]
pub struct HealthCheck {
    name: String,
    health: Health,
}

impl Health {
    /// Adds a check that is not ready until it says so.
    pub fn check(&self, name: impl Into<String>) -> HealthCheck {
        let name = name.into();
        self.with(|checks| checks.insert(name.clone(), Status { beat: None, not_ready: Some("starting".into()) }));
        HealthCheck { name, health: self.clone() }
    }

    /// The names of loops that stand still.
    pub fn stuck(&self) -> Vec<String> {
        self.with(|checks| {
            let stuck = |status: &Status| status.beat.is_some_and(|beat| beat.elapsed() > STUCK_AFTER);
            checks.iter().filter(|(_, status)| stuck(status)).map(|(name, _)| name.clone()).collect()
        })
    }

    /// What is not ready, and why.
    pub fn not_ready(&self) -> Vec<(String, String)> {
        self.with(|checks| checks.iter().filter_map(|(name, status)| Some((name.clone(), status.not_ready.clone()?))).collect())
    }

    fn with<T>(&self, use_checks: impl FnOnce(&mut BTreeMap<String, Status>) -> T) -> T {
        use_checks(&mut self.checks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl HealthCheck {
    /// The loop moves. Once it has beaten it must go on beating.
    pub fn beat(&self) {
        self.update(|status| status.beat = Some(Instant::now()));
    }

    pub fn ready(&self) {
        self.update(|status| status.not_ready = None);
    }

    pub fn not_ready(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.update(|status| status.not_ready = Some(reason));
    }

    fn update(&self, change: impl FnOnce(&mut Status)) {
        self.health.with(|checks| {
            if let Some(status) = checks.get_mut(&self.name) {
                change(status);
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ready_when_every_part_is() {
        let health = Health::default();
        let (kafka, postgres) = (health.check("kafka"), health.check("postgres"));
        kafka.ready();
        assert_eq!(health.not_ready(), [("postgres".to_owned(), "starting".to_owned())]);
        postgres.ready();
        assert!(health.not_ready().is_empty());
        kafka.not_ready("no broker answers");
        assert_eq!(health.not_ready(), [("kafka".to_owned(), "no broker answers".to_owned())]);
    }

    #[test]
    fn a_part_that_never_beat_is_not_stuck() {
        let health = Health::default();
        let check = health.check("loop");
        assert!(health.stuck().is_empty());
        check.beat();
        assert!(health.stuck().is_empty());
    }
}
