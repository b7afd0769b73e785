//! From a payload's bytes to a [`Document`](crate::domain::Document). Whatever the bytes are: an answer or a reject,
//! never a panic, never more memory than a few times the payload's.

mod json;
mod status;

pub use json::{json, nested_json, number};
pub use status::text_or_json;

#[cfg(test)]
mod fuzz;
