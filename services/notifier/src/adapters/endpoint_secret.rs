//! What of a webhook is secret: what signs its deliveries, and an address that is itself one.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use events::Timestamp;
use serde::{Deserialize, Serialize};
use standardwebhooks::Webhook as Signature;

use super::vault::{Unsealable, Vault};
use crate::domain::webhook::{Format, Webhook};

/// As it is sealed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointSecret {
    /// Where the address is a secret.
    pub url: Option<String>,
    /// `whsec_` and base64.
    pub current: String,
    previous: Option<Previous>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Previous {
    secret: String,
    /// It signs until then.
    until: Timestamp,
}

/// A delivery could not be signed: the stored secret is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the webhook's secret cannot be used")]
pub struct NotSigned;

/// An address is shown by its host only, and nobody said the whole of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("is masked, and the whole of it is not known")]
pub struct AddressUnknown;

impl EndpointSecret {
    fn new() -> Self {
        Self { url: None, current: fresh(), previous: None }
    }

    /// What of a webhook is secret from now on: what was, else something new; and its address, where that is one. A
    /// document that was read says of such an address only its host: then it is the one beside it, or stays.
    pub fn of(webhook: &Webhook, before: Option<Self>, url_beside: Option<String>) -> Result<Self, AddressUnknown> {
        let mut secret = before.unwrap_or_else(Self::new);
        let url = url_beside.or_else(|| (!webhook.is_masked()).then(|| webhook.url.clone()));
        secret.url = match webhook.format {
            Format::Standard => None,
            Format::Slack => Some(url.or(secret.url).ok_or(AddressUnknown)?),
        };
        Ok(secret)
    }

    /// Where deliveries are posted to.
    pub fn address<'a>(&'a self, webhook: &'a Webhook) -> &'a str {
        self.url.as_deref().unwrap_or(&webhook.url)
    }

    /// A new secret; the one before signs along for a while, so that the receiver can change over without a gap.
    pub fn rotate(&mut self, now: Timestamp, overlap: Duration) {
        let secret = std::mem::replace(&mut self.current, fresh());
        self.previous = Some(Previous { secret, until: now.saturating_add(overlap) });
    }

    /// `webhook-signature`: one signature for each secret that is good.
    pub fn signatures(&self, id: &str, now: Timestamp, body: &[u8]) -> Result<String, NotSigned> {
        let previous = self.previous.iter().filter(|previous| now < previous.until).map(|previous| &previous.secret);
        let sign = |secret: &String| {
            let signature = Signature::new(secret).map_err(|_| NotSigned)?;
            signature.sign(id, now.as_micros() / 1_000_000, body).map_err(|_| NotSigned)
        };
        let signatures: Vec<String> = std::iter::once(&self.current).chain(previous).map(sign).collect::<Result<_, _>>()?;
        Ok(signatures.join(" "))
    }

    pub fn seal(&self, vault: &Vault, tenant: &str, webhook: &str) -> Result<Vec<u8>, Unsealable> {
        let text = serde_json::to_vec(self).map_err(|_| Unsealable::Forged)?;
        vault.seal(&["webhook", tenant, webhook], &text)
    }

    pub fn open(vault: &Vault, tenant: &str, webhook: &str, sealed: &[u8]) -> Result<Self, Unsealable> {
        let text = vault.open(&["webhook", tenant, webhook], sealed)?;
        serde_json::from_slice(&text).map_err(|_| Unsealable::Forged)
    }
}

fn fresh() -> String {
    format!("whsec_{}", STANDARD.encode(rand::random::<[u8; 32]>()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn a_signature_agrees_with_the_specification() {
        // The example of the Standard Webhooks reference libraries.
        let secret = EndpointSecret { url: None, current: "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".into(), previous: None };
        let signed = secret.signatures("msg_p5jXN8AQM9LWM0D4loKWxJek", at(1_614_265_330), br#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Ok("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn an_address_that_is_a_secret_stays_where_only_its_host_is_said() {
        let webhook = |url: &str, format| Webhook { format, ..serde_json::from_value(serde_json::json!({ "url": url })).unwrap() };
        let (whole, masked) = ("https://hooks.example.com/secret", "https://hooks.example.com/***");
        let known = EndpointSecret::of(&webhook(whole, Format::Slack), None, None).unwrap();
        let url = |webhook: &Webhook, before, beside: Option<&str>| {
            EndpointSecret::of(webhook, before, beside.map(str::to_owned)).map(|secret| secret.address(webhook).to_owned())
        };
        let read = webhook(masked, Format::Slack);
        assert_eq!(url(&read, Some(known.clone()), None).as_deref(), Ok(whole));
        assert_eq!(url(&read, Some(known.clone()), Some("https://a/")).as_deref(), Ok("https://a/"));
        assert_eq!(url(&read, None, None), Err(AddressUnknown));
        assert_eq!(url(&webhook("https://b/", Format::Standard), Some(known), None).as_deref(), Ok("https://b/"));
    }

    #[test]
    fn after_a_rotation_both_secrets_sign_for_a_while() {
        let mut secret = EndpointSecret::new();
        let before = secret.signatures("id", at(0), b"{}").unwrap();
        secret.rotate(at(0), Duration::from_mins(1));
        let both = secret.signatures("id", at(0), b"{}").unwrap();
        assert!(both.ends_with(&before) && both.split(' ').count() == 2, "{both}");
        assert_eq!(secret.signatures("id", at(60), b"{}").unwrap().split(' ').count(), 1);
    }
}
