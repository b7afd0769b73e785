//! Secrets and messages at rest: AES-256-GCM with a random nonce (AWS-LC), under a key from file or environment.
//!
//! A sealed text names its key, so that a new key takes over while the one before still opens; and it opens only where
//! it belongs: what it is for is authenticated with it.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::{Mistake, Secret};

/// Marks the layout: version, key id, nonce, ciphertext with tag.
const LAYOUT: u8 = 1;
const KEY_ID: usize = 4;
const HEADER: usize = 1 + KEY_ID + NONCE_LEN;
/// Characters a key has at least, so that it cannot be guessed.
const SHORTEST_KEY: usize = 32;

/// Which keys there are; none: nothing is sealed.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SealingConfig {
    pub key: Secret,
    pub key_file: String,
    /// Still opens what it sealed.
    pub previous_key: Secret,
    pub previous_key_file: String,
}

struct Key {
    id: [u8; KEY_ID],
    key: RandomizedNonceKey,
}

/// Seals with the current key, opens with it or the one before.
#[derive(Default)]
pub struct SealingKeys {
    keys: Vec<Key>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unsealable {
    #[error("no key is configured")]
    NoKey,
    #[error("it was sealed with a key that is not configured")]
    KeyUnknown,
    #[error("it was not sealed here for this")]
    Forged,
}

impl SealingConfig {
    /// The keys for one `purpose`: a text sealed for another does not open. `section` is where the configuration stands.
    pub fn keys(&self, section: &str, purpose: &str) -> Result<SealingKeys, Mistake> {
        let read = |name: &str, secret: &Secret, file: &str| {
            let at = |key: &str| format!("{section}.{key}");
            let given = secret.or_file(file).map_err(|error| Mistake::new(at(&format!("{name}_file")), error.to_string()))?;
            let fine = given.is_empty() || given.expose().len() >= SHORTEST_KEY;
            if fine { Ok(given) } else { Err(Mistake::new(at(name), format!("has fewer than {SHORTEST_KEY} characters"))) }
        };
        let current = read("key", &self.key, &self.key_file)?;
        let previous = read("previous_key", &self.previous_key, &self.previous_key_file)?;
        if current.is_empty() && !previous.is_empty() {
            return Err(Mistake::new(format!("{section}.previous_key"), format!("there is no {section}.key")));
        }
        let given = [current, previous].into_iter().filter(|secret| !secret.is_empty());
        let keys = given.map(|secret| Key::new(secret.expose().as_bytes(), purpose)).collect::<Option<_>>();
        Ok(SealingKeys { keys: keys.ok_or_else(|| Mistake::new(format!("{section}.key"), "cannot be used"))? })
    }
}

impl SealingKeys {
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// `text`, readable only with the key and only where `belonging` is the same.
    pub fn seal(&self, belonging: &[u8], text: &[u8]) -> Result<Vec<u8>, Unsealable> {
        let Key { id, key } = self.keys.first().ok_or(Unsealable::NoKey)?;
        let mut text = text.to_vec();
        let nonce = key.seal_in_place_append_tag(Aad::from(belonging), &mut text).map_err(|_| Unsealable::NoKey)?;
        Ok([&[LAYOUT][..], id, nonce.as_ref(), &text].concat())
    }

    pub fn open(&self, belonging: &[u8], sealed: &[u8]) -> Result<Vec<u8>, Unsealable> {
        if self.keys.is_empty() {
            return Err(Unsealable::NoKey);
        }
        let (header, text) = sealed.split_at_checked(HEADER).filter(|(header, _)| header[0] == LAYOUT).ok_or(Unsealable::Forged)?;
        let (id, nonce) = header[1..].split_at(KEY_ID);
        let key = self.keys.iter().find(|key| key.id == id).ok_or(Unsealable::KeyUnknown)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| Unsealable::Forged)?;
        let mut text = text.to_vec();
        let length = key.key.open_in_place(nonce, Aad::from(belonging), &mut text).map_err(|_| Unsealable::Forged)?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Whether a sealed text is under the current key.
    pub fn is_current(&self, sealed: &[u8]) -> bool {
        self.keys.first().is_some_and(|key| sealed.get(1..=KEY_ID) == Some(&key.id))
    }
}

impl Key {
    fn new(secret: &[u8], purpose: &str) -> Option<Self> {
        let derive = |what: &str| Sha256::new_with_prefix(format!("fieldwatch {purpose} {what}")).chain_update(secret).finalize();
        let mut id = [0; KEY_ID];
        id.copy_from_slice(&derive("key id")[..KEY_ID]);
        Some(Self { id, key: RandomizedNonceKey::new(&AES_256_GCM, &derive("key")).ok()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(key: &str, previous: &str) -> SealingKeys {
        let secret = |text: &str| Secret::new(if text.is_empty() { String::new() } else { text.repeat(32) });
        let config = SealingConfig { key: secret(key), previous_key: secret(previous), ..SealingConfig::default() };
        config.keys("secrets", "secrets").unwrap()
    }

    #[test]
    fn a_text_opens_unchanged_and_only_where_it_belongs() {
        let keys = keys("a", "");
        let sealed = keys.seal(b"ops", b"whsec_x").unwrap();
        assert!(!sealed.windows(7).any(|window| window == b"whsec_x"));
        assert_eq!(keys.open(b"ops", &sealed), Ok(b"whsec_x".to_vec()));
        assert_eq!(keys.open(b"dev", &sealed), Err(Unsealable::Forged));
        for position in 0..sealed.len() {
            let mut tampered = sealed.clone();
            tampered[position] ^= 1;
            assert!(keys.open(b"ops", &tampered).is_err(), "{position}");
        }
        assert_ne!(sealed, keys.seal(b"ops", b"whsec_x").unwrap());
    }

    #[test]
    fn a_new_key_takes_over_while_the_one_before_still_opens() {
        let sealed = keys("a", "").seal(b"x", b"secret").unwrap();
        let both = keys("b", "a");
        assert_eq!(both.open(b"x", &sealed), Ok(b"secret".to_vec()));
        assert!(!both.is_current(&sealed));
        let again = both.seal(b"x", b"secret").unwrap();
        assert!(both.is_current(&again));
        let only_new = keys("b", "");
        assert_eq!(only_new.open(b"x", &again), Ok(b"secret".to_vec()));
        assert_eq!(only_new.open(b"x", &sealed), Err(Unsealable::KeyUnknown));
    }

    #[test]
    fn without_a_key_nothing_is_sealed() {
        let none = keys("", "");
        assert!(none.is_empty());
        assert_eq!(none.seal(b"x", b"secret"), Err(Unsealable::NoKey));
    }

    #[test]
    fn keys_for_one_purpose_do_not_open_what_is_for_another() {
        let config = SealingConfig { key: Secret::new("a".repeat(32)), ..SealingConfig::default() };
        let sealed = config.keys("secrets", "secrets").unwrap().seal(b"x", b"secret").unwrap();
        assert_eq!(config.keys("spool.encryption", "spool").unwrap().open(b"x", &sealed), Err(Unsealable::KeyUnknown));
    }

    #[test]
    fn a_key_that_could_be_guessed_or_cannot_be_read_is_a_mistake_in_its_place() {
        let mistake = |config: SealingConfig| config.keys("spool.encryption", "spool").err().map(|mistake| mistake.to_string()).unwrap();
        let short = SealingConfig { key: Secret::new("short"), ..SealingConfig::default() };
        assert_eq!(mistake(short), "spool.encryption.key: has fewer than 32 characters");
        let absent = SealingConfig { key_file: "/nowhere".into(), ..SealingConfig::default() };
        assert!(mistake(absent).starts_with("spool.encryption.key_file: secret file /nowhere"));
        let only_previous = SealingConfig { previous_key: Secret::new("b".repeat(32)), ..SealingConfig::default() };
        assert_eq!(mistake(only_previous), "spool.encryption.previous_key: there is no spool.encryption.key");
    }
}
