//! What is done with models: compared on the log, exported for, trained anew on it.

mod compare;
mod history;
mod retrain;

pub use compare::{Comparison, Verdict};
pub use history::{History, export};
pub use retrain::{Retrain, retrain};
