//! Secrets at rest: AES-256-GCM with a random nonce (AWS-LC), under a key from file or environment.
//!
//! A sealed text names its key, so that a new key takes over while the one before still opens; and it opens only where
//! it belongs: tenant and name are authenticated with it.

use anyhow::Context as _;
use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use sha2::{Digest as _, Sha256};

use crate::config::SecretsConfig;

/// Marks the layout: version, key id, nonce, ciphertext with tag.
const LAYOUT: u8 = 1;
const KEY_ID: usize = 4;
const HEADER: usize = 1 + KEY_ID + NONCE_LEN;
/// Characters a key has at least, so that it cannot be guessed.
const SHORTEST_KEY: usize = 32;

struct Key {
    id: [u8; KEY_ID],
    key: RandomizedNonceKey,
}

/// Seals with the current key, opens with it or the one before.
pub struct Vault {
    keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    #[error("no key for secrets is configured (secrets.key_file)")]
    NoKey,
    #[error("it was sealed with a key that is not configured")]
    KeyUnknown,
    #[error("it was not sealed here for this")]
    Forged,
}

impl Vault {
    /// From the configuration; without a key it seals and opens nothing.
    pub fn new(config: &SecretsConfig) -> anyhow::Result<Self> {
        let given = [
            ("secrets.key", config.key.or_file(&config.key_file).context("secrets.key_file")?),
            ("secrets.previous_key", config.previous_key.or_file(&config.previous_key_file).context("secrets.previous_key_file")?),
        ];
        anyhow::ensure!(!given[0].1.is_empty() || given[1].1.is_empty(), "secrets.previous_key: there is no secrets.key");
        let mut keys = Vec::new();
        for (name, secret) in given.into_iter().filter(|(_, secret)| !secret.is_empty()) {
            anyhow::ensure!(secret.expose().len() >= SHORTEST_KEY, "{name}: has fewer than {SHORTEST_KEY} characters");
            keys.push(Key::new(secret.expose().as_bytes())?);
        }
        Ok(Self { keys })
    }

    pub fn seal(&self, context: &[&str], secret: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let Key { id, key } = self.keys.first().ok_or(Unsealable::NoKey)?;
        let mut text = secret.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(associated(context)), &mut text).map_err(|_| Unsealable::NoKey)?;
        Ok([&[LAYOUT][..], id, nonce.as_ref(), &text].concat())
    }

    pub fn open(&self, context: &[&str], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        if self.keys.is_empty() {
            return Err(Unsealable::NoKey);
        }
        let (header, text) = sealed.split_at_checked(HEADER).filter(|(header, _)| header[0] == LAYOUT).ok_or(Unsealable::Forged)?;
        let (id, nonce) = header[1..].split_at(KEY_ID);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Unsealable::KeyUnknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable::Forged)?;
        let mut text = text.to_vec();
        let opened = key.key.open_in_place(nonce, Aad::from(associated(context)), &mut text).map_err(|_| Unsealable::Forged)?;
        Ok(opened.to_vec())
    }

    /// Whether a sealed text is under the current key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys.first().is_some_and(|key| sealed.get(1..=KEY_ID) == Some(&key.id))
    }
}

impl Key {
    fn new(secret: &[u8]) -> anyhow::Result<Self> {
        let derive = |purpose: &[u8]| Sha256::new_with_prefix(purpose).chain_update(secret).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&derive(b"fieldwatch secrets key id")[..KEY_ID]);
        let key = RandomizedNonceKey::new(&AES_256_GCM, &derive(b"fieldwatch secrets key")).context("secrets.key cannot be used")?;
        Ok(Self { id, key })
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

    fn vault(key: &str, previous: &str) -> Vault {
        let secret = |text: &str| Secret::new(if text.is_empty() { String::new() } else { text.repeat(32) });
        let config =
            SecretsConfig { key: secret(key), key_file: String::new(), previous_key: secret(previous), previous_key_file: String::new() };
        Vault::new(&config).unwrap()
    }

    #[test]
    fn a_secret_opens_unchanged_and_only_where_it_belongs() {
        let vault = vault("a", "");
        let sealed = vault.seal(&["default", "ops"], b"whsec_x").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"whsec_x"));
        assert_eq!(vault.open(&["default", "ops"], &sealed), Ok(b"whsec_x".to_vec()));
        assert_eq!(vault.open(&["acme", "ops"], &sealed), Err(Unsealable::Forged));
        assert_eq!(vault.open(&["defaulto", "ps"], &sealed), Err(Unsealable::Forged));
        for position in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[position] ^= 1;
            assert!(vault.open(&["default", "ops"], &tampered).is_err(), "{position}");
        }
        assert_ne!(sealed, vault.seal(&["default", "ops"], b"whsec_x").unwrap());
    }

    #[test]
    fn a_new_key_takes_over_while_the_one_before_still_opens() {
        let sealed = vault("a", "").seal(&["x"], b"secret").unwrap();
        let both = vault("b", "a");
        assert_eq!(both.open(&["x"], &sealed), Ok(b"secret".to_vec()));
        assert!(!both.is_current(&sealed));
        let again = both.seal(&["x"], b"secret").unwrap();
        assert!(both.is_current(&again));
        let only_new = vault("b", "");
        assert_eq!(only_new.open(&["x"], &again), Ok(b"secret".to_vec()));
        assert_eq!(only_new.open(&["x"], &sealed), Err(Unsealable::KeyUnknown));
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        assert_eq!(vault("", "").seal(&["x"], b"secret"), Err(Unsealable::NoKey));
    }
}
