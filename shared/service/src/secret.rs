//! A value that is never printed.

use std::fmt;
use std::path::Path;

use serde::Deserialize;

/// A password, token or key.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

#[derive(Debug, thiserror::Error)]
#[error("secret file {path} cannot be read: {source}")]
pub struct SecretUnreadable {
    path: String,
    source: std::io::Error,
}

impl Secret {
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself; do not log it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What `file` holds, without surrounding white space; `self` when no file is named.
    pub fn or_file(&self, file: &str) -> Result<Self, SecretUnreadable> {
        if file.is_empty() {
            return Ok(self.clone());
        }
        let text = std::fs::read_to_string(Path::new(file)).map_err(|source| SecretUnreadable { path: file.to_owned(), source })?;
        Ok(Self(text.trim().to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_empty() { "(none)" } else { "***" })
    }
}
