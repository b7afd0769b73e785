//! What can go wrong, by what has to be done about it. Adapters classify their client's errors here, once.

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

/// Exponential backoff with full jitter, seeded by the number of tries so that it needs no clock and no randomness
/// source: replicas differ by `salt`.
pub fn backoff(attempt: u32, salt: u64) -> std::time::Duration {
    const FIRST_MS: u64 = 50;
    const LONGEST_MS: u64 = 5_000;
    let ceiling = (FIRST_MS << attempt.min(10)).min(LONGEST_MS);
    // splitmix64 step
    let mut mixed = salt.wrapping_add(u64::from(attempt).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed ^= mixed >> 27;
    std::time::Duration::from_millis(ceiling / 2 + mixed % (ceiling / 2 + 1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_bounded() {
        for salt in 0..100 {
            assert!(backoff(0, salt).as_millis() <= 50);
            assert!((2_500..=5_000).contains(&backoff(20, salt).as_millis()));
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
