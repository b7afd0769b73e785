//! What the binary does with files: `features` and `score`, each a function from a reader to a writer.

mod error;
mod features;
mod readings;
mod score;

pub use error::CommandError;
pub use features::features;
pub use readings::OnBadLine;
pub use score::{ScoreOptions, score};
