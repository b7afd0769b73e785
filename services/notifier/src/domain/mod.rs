//! What the notifier decides: which events make which notifications, who may change them, what a client has seen.
//!
//! Pure: no clock, no I/O, no Kafka or HTTP types.

pub mod access;
pub mod breaker;
pub mod command;
pub mod configuration;
pub mod course;
pub mod devices;
pub mod email;
pub mod escalation;
pub mod explanation;
pub mod external;
pub mod filter;
pub mod grouping;
pub mod history;
pub mod instruction;
pub mod lifecycle;
pub mod matcher;
pub mod mute_time;
pub mod pace;
pub mod period;
pub mod position;
pub mod rate;
pub mod reaction;
pub mod receiver;
pub mod repeats;
pub mod retry;
pub mod routing;
pub mod scene;
pub mod signal;
pub mod silence;
pub mod suppression;
pub mod watched;
pub mod webhook;

/// The symbol an enum has in Avro, e.g. `CRITICAL`.
pub(crate) fn symbol(of: &impl serde::Serialize) -> String {
    match serde_json::to_value(of) {
        Ok(serde_json::Value::String(symbol)) => symbol,
        _ => String::new(),
    }
}
