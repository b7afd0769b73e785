//! Receivers: who is told, by which webhooks and e-mails.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Receiver {
    /// Names of webhooks; each gets every delivery.
    pub webhooks: Vec<String>,
    /// Names of e-mails, likewise.
    #[serde(default)]
    pub emails: Vec<String>,
    /// Whether ends are told too.
    #[serde(default = "yes")]
    pub send_resolved: bool,
    /// A delivery every minute, so that its absence is noticed (a dead man's switch).
    #[serde(default)]
    pub heartbeat: bool,
}

fn yes() -> bool {
    true
}
