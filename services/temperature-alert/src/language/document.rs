//! The file as people write it; nothing is checked here but its form.

use events::Labels;
use serde::Deserialize;

use super::Spanned;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Document {
    pub(crate) rules: Vec<Rule>,
    /// How long a device may be silent before it counts as retired.
    pub(crate) forget_after: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Rule {
    pub(super) id: Spanned<String>,
    pub(super) metric: Spanned<String>,

    #[serde(default)]
    pub(super) devices: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) groups: Vec<String>,
    #[serde(default)]
    pub(super) attributes: Labels,

    pub(super) above: Option<Spanned<f64>>,
    pub(super) below: Option<Spanned<f64>>,
    pub(super) clear: Option<Spanned<f64>>,
    pub(super) severity: Spanned<String>,
    pub(super) ladder: Option<Vec<Step>>,
    pub(super) r#for: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    pub(super) change_over: Option<Spanned<String>>,
    pub(super) repeat: Option<Repeat>,
    pub(super) no_data: Option<Spanned<String>>,
    pub(super) flapping: Option<Flapping>,
    #[serde(default)]
    pub(super) overrides: Vec<Override>,

    pub(super) schedule: Option<Schedule>,
    pub(super) max_active: Option<Spanned<u32>>,
    #[serde(default)]
    pub(super) labels: Labels,
    #[serde(default)]
    pub(super) label_attributes: Vec<String>,
    pub(super) summary: Option<Spanned<String>>,
    pub(super) runbook_url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) at: Spanned<f64>,
    pub(super) clear: Option<Spanned<f64>>,
    pub(super) severity: Spanned<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Repeat {
    pub(super) count: Spanned<u16>,
    pub(super) of: Spanned<u16>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flapping {
    pub(super) count: Spanned<u16>,
    pub(super) within: Spanned<String>,
    pub(super) calm: Option<Spanned<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Schedule {
    /// Monday to Sunday when absent.
    pub(super) days: Option<Vec<Spanned<String>>>,
    pub(super) from: Option<Spanned<String>>,
    pub(super) to: Option<Spanned<String>>,
    pub(super) time_zone: Spanned<String>,
}

/// What is different for some devices.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Override {
    pub(super) devices: Vec<Spanned<String>>,
    #[serde(default)]
    pub(super) off: bool,
    pub(super) above: Option<Spanned<f64>>,
    pub(super) below: Option<Spanned<f64>>,
    pub(super) clear: Option<Spanned<f64>>,
    pub(super) severity: Option<Spanned<String>>,
    pub(super) ladder: Option<Vec<Step>>,
    pub(super) r#for: Option<Spanned<String>>,
    pub(super) keep_firing_for: Option<Spanned<String>>,
    pub(super) no_data: Option<Spanned<String>>,
}
