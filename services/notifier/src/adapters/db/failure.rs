//! What an error of Postgres means for the work at hand.

use sqlx::Error;
use stream::{Failure, Poison};

/// Later (away, overloaded, in conflict), never (the data cannot be stored) or wrong (no access, no such table).
pub fn classify(error: &Error) -> Failure {
    match error {
        Error::Io(_) | Error::Tls(_) | Error::Protocol(_) | Error::PoolTimedOut | Error::PoolClosed | Error::WorkerCrashed => {
            Failure::transient(format!("postgres: {error}"))
        }
        Error::Database(refused) => {
            let code = refused.code().unwrap_or_default().into_owned();
            let problem = format!("postgres: {refused} ({code})");
            match code.get(..2) {
                // Connection, transaction rollback (deadlock), resources, locks, operator intervention, system.
                Some("08" | "40" | "53" | "55" | "57" | "58") => Failure::transient(problem),
                // Data exception, program limit exceeded (an index entry too long).
                Some("22" | "54") => Poison::new("not_accepted_by_postgres", problem).into(),
                _ => Failure::fatal(problem),
            }
        }
        _ => Failure::fatal(format!("postgres: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_out_of_reach_is_tried_again_and_a_wrong_query_is_not() {
        assert!(matches!(classify(&Error::PoolTimedOut), Failure::Transient(_)));
        assert!(matches!(classify(&Error::ColumnNotFound("tenant".into())), Failure::Fatal(_)));
    }
}
