//! The exit status that tells what became of commands.

use serde_json::Value;

use crate::{FAILURE, SUCCESS};

const TIMED_OUT: u8 = 2;
const REFUSED: u8 = 3;
/// It has not ended yet.
const NOT_IN_TIME: u8 = 4;

/// Of one command's state.
pub(crate) fn status(state: &Value) -> u8 {
    match state.as_str() {
        Some("VERIFIED") => SUCCESS,
        Some("TIMED_OUT") => TIMED_OUT,
        Some("REFUSED") => REFUSED,
        Some("PENDING" | "ACCEPTED") => NOT_IN_TIME,
        _ => FAILURE,
    }
}

/// Of several: the first in this order that one of them has: not in time, failed, timed out, refused, verified.
pub(crate) fn status_of_all<'a>(commands: impl Iterator<Item = &'a Value>) -> u8 {
    let all: Vec<u8> = commands.map(|command| status(&command["state"])).collect();
    [NOT_IN_TIME, FAILURE, TIMED_OUT, REFUSED].into_iter().find(|status| all.contains(status)).unwrap_or(SUCCESS)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_status_of_several_is_that_of_the_one_to_look_at_first() {
        for (states, expected) in [
            (&["VERIFIED", "VERIFIED"][..], 0),
            (&["VERIFIED", "REFUSED"], 3),
            (&["REFUSED", "TIMED_OUT"], 2),
            (&["TIMED_OUT", "FAILED"], 1),
            (&["FAILED", "ACCEPTED"], 4),
        ] {
            let commands: Vec<Value> = states.iter().map(|state| json!({ "state": state })).collect();
            assert_eq!(status_of_all(commands.iter()), expected, "{states:?}");
        }
    }
}
