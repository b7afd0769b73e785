//! The secrets of webhooks at rest. Each opens only for the tenant and the name it was sealed for.

pub use service::sealing::Unsealable;
use service::sealing::{SealingConfig, SealingKeys};

/// Seals with the current key, opens with it or the one before; without a key it seals and opens nothing.
pub struct Vault {
    keys: SealingKeys,
}

impl Vault {
    pub fn new(config: &SealingConfig) -> anyhow::Result<Self> {
        Ok(Self { keys: config.keys("secrets", "secrets").map_err(|mistake| anyhow::anyhow!("{mistake}"))? })
    }

    pub fn seal(&self, context: &[&str], secret: &[u8]) -> Result<Vec<u8>, Unsealable> {
        self.keys.seal(&associated(context), secret)
    }

    pub fn open(&self, context: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        self.keys.open(&associated(context), sealed)
    }

    /// Whether a sealed text is under the current key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys.is_current(sealed)
    }
}

/// Each part with its length, so that parts do not run into each other.
fn associated(context: &[&str]) -> Vec<u8> {
    let part = |part: &&str| [&(part.len() as u64).to_be_bytes()[..], part.as_bytes()].concat();
    context.iter().flat_map(part).collect()
}

#[cfg(test)]
mod tests {
    use service::Secret;

    use super::*;

    #[test]
    fn a_secret_opens_only_where_it_belongs() {
        let config = SealingConfig { key: Secret::new("a".repeat(32)), ..SealingConfig::default() };
        let vault = Vault::new(&config).unwrap();
        let sealed = vault.seal(&["default", "ops"], b"whsec_x").unwrap();
        assert_eq!(vault.open(&["default", "ops"], &sealed), Ok(b"whsec_x".to_vec()));
        assert_eq!(vault.open(&["acme", "ops"], &sealed), Err(Unsealable::Forged));
        assert_eq!(vault.open(&["defaulto", "ps"], &sealed), Err(Unsealable::Forged));
    }
}
