//! Common parts of the benchmarks (`benches/`): load, a process's CPU and memory, percentiles, tables and JSON.
//!
//! A benchmark measures programs from outside, each in a process of its own, several in one run so that ratios hold
//! whatever the machine does. Its figures go to a [`Report`]; `scripts/bench NAME` runs it.

mod figures;
mod load;
mod machine;
mod report;
mod scrape;
mod usage;
mod watch;

pub use figures::{Percentiles, Spread};
pub use load::{Load, Preloaded, Walk, header_set, preload, producer};
pub use machine::Machine;
pub use report::{Report, Target};
pub use scrape::metric;
pub use usage::Usage;
pub use watch::{Throughput, watch};
