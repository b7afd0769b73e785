//! W3C trace context as it travels in headers and rows.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A `traceparent` (version 00) with its `tracestate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceContext {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
    pub state: Option<String>,
}

/// Not a W3C traceparent.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a W3C traceparent")]
pub struct NotATraceparent(String);

impl TraceContext {
    /// 32 hex digits, as shown in logs and answers.
    pub fn trace_id_hex(&self) -> String {
        format!("{:032x}", self.trace_id)
    }
}

impl FromStr for TraceContext {
    type Err = NotATraceparent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refuse = || NotATraceparent(text.chars().take(64).collect());
        let mut parts = text.split('-');
        let (Some(version), Some(trace), Some(span), Some(flags)) = (parts.next(), parts.next(), parts.next(), parts.next()) else {
            return Err(refuse());
        };
        let well_formed = version.len() == 2 && version != "ff" && trace.len() == 32 && span.len() == 16 && flags.len() == 2;
        let lower_hex = |part: &str| part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if !well_formed || ![version, trace, span, flags].into_iter().all(lower_hex) {
            return Err(refuse());
        }
        let trace_id = u128::from_str_radix(trace, 16).map_err(|_| refuse())?;
        let span_id = u64::from_str_radix(span, 16).map_err(|_| refuse())?;
        let flags = u8::from_str_radix(flags, 16).map_err(|_| refuse())?;
        if trace_id == 0 || span_id == 0 {
            return Err(refuse());
        }
        Ok(Self { trace_id, span_id, sampled: flags & 1 == 1, state: None })
    }
}

/// The `traceparent` header's text.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_traceparent_survives_the_way_there_and_back() {
        let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context: TraceContext = text.parse().unwrap();
        assert!(context.sampled);
        assert_eq!(context.to_string(), text);
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00",
            "00-0-0-0",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert!(text.parse::<TraceContext>().is_err(), "{text}");
        }
    }
}
