//! The types, the files in `schemas/` and the payloads of earlier releases agree.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test panics")]

mod schemas;
