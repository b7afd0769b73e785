//! What event streams there are.

use serde::{Deserialize, Serialize};

/// What a stream, and a ticket for one, shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Watched {
    #[default]
    Notifications,
    Devices,
}
