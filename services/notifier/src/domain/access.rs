//! Who asks: a tenant's API key, or a token of the configured issuer, and what it may do.

use std::str::FromStr;

use events::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// What a key may do. Each is granted by itself; `admin` includes the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Scope {
    /// See notifications.
    Read,
    /// Change notifications.
    Write,
    /// Everything, keys and configuration included.
    Admin,
}

impl Scope {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a scope: read, write or admin")]
pub struct ScopeUnknown(String);

impl FromStr for Scope {
    type Err = ScopeUnknown;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        [Self::Read, Self::Write, Self::Admin].into_iter().find(|scope| scope.as_str() == text).ok_or_else(|| ScopeUnknown(text.to_owned()))
    }
}

/// An API key or a token that was recognised.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Principal {
    /// Of a token it is the same for every token of its subject.
    pub key_id: Uuid,
    /// Name of the key, or of the token's subject; stands as actor in every change it makes.
    pub name: String,
    pub tenant: String,
    pub scopes: Vec<Scope>,
    /// When the token ends; `None` for an API key, of which the database knows.
    pub until: Option<Timestamp>,
}

impl Principal {
    pub fn may(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope) || self.scopes.contains(&Scope::Admin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_admin_includes_other_scopes() {
        let with = |scopes: &[Scope]| Principal {
            key_id: Uuid::nil(),
            name: "k".into(),
            tenant: "default".into(),
            scopes: scopes.to_vec(),
            until: None,
        };
        assert!(with(&[Scope::Admin]).may(Scope::Write));
        assert!(!with(&[Scope::Write]).may(Scope::Read));
        assert!(!with(&[Scope::Read]).may(Scope::Admin));
    }

    #[test]
    fn a_scope_is_read_from_its_name() {
        assert_eq!("write".parse(), Ok(Scope::Write));
        assert_eq!("root".parse::<Scope>(), Err(ScopeUnknown("root".into())));
    }
}
