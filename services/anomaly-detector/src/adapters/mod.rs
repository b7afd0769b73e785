//! What the detector needs from outside: the ONNX Runtime library, a model folder, and the network made of both.

mod model;
mod runtime;
mod scorer;

pub(crate) use model::sha256;
pub use model::{Manifest, Model, ModelError};
pub use runtime::{Runtime, RuntimeError};
pub use scorer::{BATCH, Contribution, InferenceFailed, Scorer};
