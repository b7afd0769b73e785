//! What can be decided without asking anything: synthetic devices, dead letters, schema differences, the probe's plan.

pub(crate) mod actuator;
pub(crate) mod capacity;
pub(crate) mod dead_letter;
pub(crate) mod device;
pub(crate) mod episode;
pub(crate) mod fleet;
pub(crate) mod instant;
pub(crate) mod outcome;
pub(crate) mod pace;
pub(crate) mod payload;
pub(crate) mod percentile;
pub(crate) mod probe_plan;
pub(crate) mod random;
pub(crate) mod schema_difference;
pub(crate) mod server_sent;
pub(crate) mod synthetic;
