//! Opaque texts that only this suite can have made: payloads with a keyed hash (HMAC-SHA-256, RFC 2104).

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

const BLOCK: usize = 64;
/// Bytes of the hash that travel along.
const TAG: usize = 16;

/// Signs and opens tokens. A token is good only in the context it was made for.
#[derive(Clone)]
pub struct Signer {
    secret: Vec<u8>,
}

/// Not a token of this context, or not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a token made here for this")]
pub struct Forged;

impl Signer {
    pub fn new(secret: &[u8]) -> Self {
        Self { secret: secret.to_vec() }
    }

    /// The token of `payload`.
    pub fn sign(&self, context: &str, payload: &[u8]) -> String {
        let mut token = payload.to_vec();
        token.extend_from_slice(&self.tag(context, payload));
        URL_SAFE_NO_PAD.encode(token)
    }

    /// The payload of a token.
    pub fn open(&self, context: &str, token: &str) -> Result<Vec<u8>, Forged> {
        let mut bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| Forged)?;
        let length = bytes.len().checked_sub(TAG).ok_or(Forged)?;
        let tag = bytes.split_off(length);
        // Compared without an early end, so that time tells nothing of how much was right.
        let difference = self.tag(context, &bytes).iter().zip(&tag).fold(0, |difference, (ours, theirs)| difference | (ours ^ theirs));
        if difference == 0 { Ok(bytes) } else { Err(Forged) }
    }

    fn tag(&self, context: &str, payload: &[u8]) -> [u8; TAG] {
        let length = (context.len() as u64).to_be_bytes();
        let whole = hmac(&self.secret, &[&length, context.as_bytes(), payload]);
        let mut tag = [0; TAG];
        tag.copy_from_slice(&whole[..TAG]);
        tag
    }
}

fn hmac(secret: &[u8], message: &[&[u8]]) -> [u8; 32] {
    let mut key = [0_u8; BLOCK];
    if secret.len() > BLOCK {
        key[..32].copy_from_slice(&Sha256::digest(secret));
    } else {
        key[..secret.len()].copy_from_slice(secret);
    }
    let inner = message.iter().fold(Sha256::new_with_prefix(key.map(|byte| byte ^ 0x36)), Sha256::chain_update).finalize();
    Sha256::new_with_prefix(key.map(|byte| byte ^ 0x5C)).chain_update(inner).finalize().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
    }

    #[test]
    fn the_hash_agrees_with_rfc_4231() {
        assert_eq!(
            hex(&hmac(b"Jefe", &[b"what do ya want ", b"for nothing?"])),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex(&hmac(&[0xAA; 131], &[b"Test Using Larger Than Block-Size Key - Hash Key First"])),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn a_token_opens_only_unchanged_and_in_its_context() {
        let signer = Signer::new(b"secret");
        let token = signer.sign("list", b"payload");
        assert_eq!(signer.open("list", &token), Ok(b"payload".to_vec()));
        assert_eq!(signer.open("audit", &token), Err(Forged));
        assert_eq!(Signer::new(b"other").open("list", &token), Err(Forged));
        for position in 0..token.len() {
            let mut tampered = token.clone().into_bytes();
            tampered[position] = if tampered[position] == b'A' { b'B' } else { b'A' };
            assert_eq!(signer.open("list", std::str::from_utf8(&tampered).unwrap()), Err(Forged));
        }
        for nonsense in ["", "A", "!!!", "AAAA"] {
            assert_eq!(signer.open("list", nonsense), Err(Forged));
        }
    }

    mod fuzz {
        use super::*;

        #[test]
        fn only_what_was_signed_opens() {
            let (signer, corpus) = (Signer::new(b"secret"), std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/token"));
            testkit::fuzz::fuzz("token", &corpus, |bytes| {
                let payload = signer.open("list", std::str::from_utf8(bytes).ok()?).ok()?;
                assert!([b"payload".as_slice(), b""].contains(&payload.as_slice()), "{payload:?} was never signed");
                Some(payload.len())
            });
        }
    }
}
