//! What can go wrong, by what has to be done about it. Adapters classify their client's errors here, once.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::Duration;

use rdkafka::error::{KafkaError, RDKafkaErrorCode};

/// A failure, and with it what the runtime does.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A dependency says "later": retried with backoff, the partition paused.
    #[error("{0}")]
    Transient(String),
    /// This record can never succeed: dead-letter queue.
    #[error(transparent)]
    Poison(#[from] Poison),
    /// The process is wrong: commits nothing more, drains, exits non-zero.
    #[error("{0}")]
    Fatal(String),
}

/// Why a record can never succeed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {detail}")]
pub struct Poison {
    /// A short code: `bad_magic`, `schema_unknown`, `not_json`, …
    pub reason: &'static str,
    pub detail: String,
}

impl Poison {
    pub fn new(reason: &'static str, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}

impl Failure {
    pub fn transient(problem: impl std::fmt::Display) -> Self {
        Self::Transient(problem.to_string())
    }

    pub fn fatal(problem: impl std::fmt::Display) -> Self {
        Self::Fatal(problem.to_string())
    }

    /// Label of the failure metrics.
    pub fn class(&self) -> &'static str {
        match self {
            Self::Transient(_) => "transient",
            Self::Poison(_) => "poison",
            Self::Fatal(_) => "fatal",
        }
    }

    /// Counts and logs the failure; called where it is handled, once.
    pub fn note(&self, what: &str) {
        telemetry::metrics::counter("fieldwatch_failures", &[("class", self.class())]).inc();
        match self {
            Self::Fatal(problem) => tracing::error!(what, problem, "cannot go on"),
            Self::Transient(problem) => tracing::warn!(what, problem, "will be tried again"),
            Self::Poison(poison) => tracing::warn!(what, reason = poison.reason, detail = poison.detail, "to the dead-letter queue"),
        }
    }
}

impl From<service::SecretUnreadable> for Failure {
    fn from(error: service::SecretUnreadable) -> Self {
        Self::fatal(error)
    }
}

impl From<KafkaError> for Failure {
    fn from(error: KafkaError) -> Self {
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::ClientConfig(..) | KafkaError::ClientCreation(_)) {
            return Self::fatal(error);
        }
        match code {
            Some(Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::InvalidRecord | Code::InvalidMessage) => {
                Self::Poison(Poison::new("not_accepted_by_kafka", error.to_string()))
            }
            Some(
                Code::Fatal
                | Code::Fenced
                | Code::SaslAuthenticationFailed
                | Code::Authentication
                | Code::TopicAuthorizationFailed
                | Code::GroupAuthorizationFailed
                | Code::ClusterAuthorizationFailed
                | Code::TransactionalIdAuthorizationFailed
                | Code::UnsupportedVersion
                | Code::PolicyViolation,
            ) => Self::fatal(error),
            _ => Self::transient(error),
        }
    }
}

/// Exponential backoff, half of it jitter. The same try of the same `salt` waits equally long; replicas differ by theirs.
pub fn backoff(attempt: u32, salt: u64) -> Duration {
    const FIRST_MS: u64 = 50;
    const LONGEST_MS: u64 = 5_000;
    let half = (FIRST_MS << attempt.min(10)).min(LONGEST_MS) / 2;
    let mut jitter = DefaultHasher::new();
    (attempt, salt).hash(&mut jitter);
    Duration::from_millis(half + jitter.finish() % (half + 1))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn waits_double_up_to_five_seconds_and_replicas_do_not_wait_alike() {
        for (attempt, longest) in [(0, 50), (1, 100), (5, 1_600), (6, 3_200), (7, 5_000), (1_000, 5_000)] {
            let waits: BTreeSet<u128> = (0..200).map(|salt| backoff(attempt, salt).as_millis()).collect();
            let (Some(shortest), Some(found)) = (waits.first(), waits.last()) else { panic!("no wait") };
            assert!((longest / 2..longest * 11 / 20).contains(shortest), "{shortest} ms of try {attempt}");
            assert!((longest * 19 / 20..=longest).contains(found), "{found} ms of try {attempt}");
            assert!(waits.len() > 20, "{} different waits of try {attempt}", waits.len());
        }
        assert_eq!(backoff(3, 7), backoff(3, 7));
        let first = (0..200).map(|salt| backoff(0, salt).as_millis());
        assert_eq!(first.collect::<BTreeSet<_>>(), (25..=50).collect());
    }

    #[test]
    fn each_failure_is_counted_by_its_class() {
        let counted = |class| telemetry::metrics::counter("fieldwatch_failures", &[("class", class)]).get();
        for (failure, class) in [
            (Failure::transient("away"), "transient"),
            (Poison::new("not_json", "a comma").into(), "poison"),
            (Failure::fatal("fenced"), "fatal"),
        ] {
            let before = counted(class);
            failure.note("test");
            assert_eq!(failure.class(), class);
            assert!(counted(class) > before, "{class}");
        }
    }

    #[test]
    fn a_record_too_large_is_poison_and_a_broken_broker_is_not() {
        let too_large = KafkaError::MessageProduction(RDKafkaErrorCode::MessageSizeTooLarge);
        assert!(matches!(Failure::from(too_large), Failure::Poison(_)));
        let away = KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut);
        assert!(matches!(Failure::from(away), Failure::Transient(_)));
        let denied = KafkaError::MessageProduction(RDKafkaErrorCode::TopicAuthorizationFailed);
        assert!(matches!(Failure::from(denied), Failure::Fatal(_)));
    }
}
