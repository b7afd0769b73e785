//! What talks to the outside.

mod readings;

pub use readings::Readings;
