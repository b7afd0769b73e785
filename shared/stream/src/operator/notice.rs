//! For operators that hear of nothing beside their input.

use events::{Event, Schema, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// There is none.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub enum NoNotice {}

impl Event for NoNotice {
    const SCHEMA: Schema = Schema { file: "", name: "", ce_type: "", topic: "", json: "" };

    fn key(&self) -> String {
        match *self {}
    }

    fn event_id(&self) -> Uuid {
        match *self {}
    }

    fn time(&self) -> Timestamp {
        match *self {}
    }

    fn subject(&self) -> &str {
        match *self {}
    }
}
