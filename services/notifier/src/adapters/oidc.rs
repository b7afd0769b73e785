//! Tokens of a configured issuer (`OpenID` Connect; JWTs as RFC 7519 and RFC 8725 want them checked).
//!
//! Only signatures by the issuer's published keys count, by the algorithms that are configured. The keys are kept: an
//! issuer that cannot be reached keeps nobody out whose token is signed by a known one. One that is not known is asked for,
//! but no more often than is configured, however many come with it.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use events::{DEFAULT_TENANT, Timestamp};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::jwk::{Jwk, JwkSet, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use crate::config::OidcConfig;
use crate::domain::access::{Principal, Scope};
use crate::domain::symbol;

/// How long the issuer has for an answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Characters of a tenant, or of a name.
const LONGEST: usize = 200;

/// Why a token opens nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAccepted {
    #[error("{0}")]
    Refused(&'static str),
    /// Whether it is good cannot be told now.
    #[error("the issuer's keys cannot be read")]
    Unreachable,
}

pub struct Oidc {
    config: OidcConfig,
    validations: Vec<(Algorithm, Validation)>,
    http: reqwest::Client,
    keys: RwLock<Arc<Keys>>,
    /// Held while the keys are fetched; when that was tried last, and whether it succeeded.
    fetching: Mutex<Option<(Instant, bool)>>,
}

#[derive(Default)]
struct Keys {
    set: Vec<Jwk>,
    read: Option<Instant>,
}

#[derive(Deserialize)]
struct Discovered {
    issuer: String,
    jwks_uri: String,
}

#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error("it describes itself as {0}")]
    OtherIssuer(String),
}

impl Oidc {
    /// From the configuration; `None` where no issuer is named.
    pub fn new(config: &OidcConfig) -> reqwest::Result<Option<Self>> {
        if config.issuer.is_empty() {
            return Ok(None);
        }
        let http = reqwest::Client::builder().timeout(PATIENCE).redirect(reqwest::redirect::Policy::none()).build()?;
        let validation = |algorithm: &Algorithm| {
            let mut validation = Validation::new(*algorithm);
            validation.set_issuer(&[&config.issuer]);
            validation.set_audience(&[&config.audience]);
            validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
            validation.validate_nbf = true;
            validation.leeway = config.leeway.as_secs();
            (*algorithm, validation)
        };
        let validations = config.algorithms.iter().map(validation).collect();
        Ok(Some(Self { config: config.clone(), validations, http, keys: RwLock::default(), fetching: Mutex::default() }))
    }

    /// Whose token this is, if it is good.
    pub async fn authenticate(&self, token: &str) -> Result<Principal, NotAccepted> {
        let header = decode_header(token).map_err(|_| NotAccepted::Refused("This is neither an API key nor a token."))?;
        let validation = self.validations.iter().find(|(algorithm, _)| *algorithm == header.alg);
        let (algorithm, validation) = validation.ok_or(NotAccepted::Refused("The token's algorithm is not accepted."))?;
        let key = self.key(header.kid.as_deref(), *algorithm).await?;
        let token = decode::<Map<String, Value>>(token, &key, validation).map_err(|error| refused(error.kind()))?;
        self.principal(&Value::Object(token.claims))
    }

    /// The key that signs by this id and algorithm. Without an id, the only one there is.
    async fn key(&self, id: Option<&str>, algorithm: Algorithm) -> Result<DecodingKey, NotAccepted> {
        let keys = self.keys();
        let mut found = keys.find(id, algorithm);
        if found.is_none() || keys.read.is_none_or(|read| read.elapsed() > self.config.keep_keys) {
            // Of those whose key is known one asks whether it still is, the others go on.
            let reached = match (found.is_some(), self.fetching.try_lock()) {
                (true, Err(_)) => true,
                (_, Ok(fetching)) => self.fetch(fetching).await,
                (false, Err(_)) => self.fetch(self.fetching.lock().await).await,
            };
            found = self.keys().find(id, algorithm);
            if found.is_none() && !reached {
                return Err(NotAccepted::Unreachable);
            }
        }
        found.ok_or(NotAccepted::Refused("The token is signed by a key that its issuer does not have."))
    }

    fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Fetches the keys, if that was not tried just now; whether it succeeded.
    async fn fetch(&self, mut fetching: tokio::sync::MutexGuard<'_, Option<(Instant, bool)>>) -> bool {
        if let Some((_, succeeded)) = fetching.filter(|(tried, _)| tried.elapsed() < self.config.refetch) {
            return succeeded;
        }
        let fetched = self.fetched().await;
        *fetching = Some((Instant::now(), fetched.is_ok()));
        match fetched {
            Ok(set) => {
                let keys = Keys { set: set.keys, read: Some(Instant::now()) };
                *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
                true
            }
            Err(error) => {
                tracing::warn!(issuer = self.config.issuer, %error, "the issuer's keys cannot be read; those that are known stay");
                false
            }
        }
    }

    async fn fetched(&self) -> Result<JwkSet, NotFetched> {
        let address = if self.config.jwks_url.is_empty() { self.discovered().await? } else { self.config.jwks_url.clone() };
        Ok(self.http.get(address).send().await?.error_for_status()?.json().await?)
    }

    /// Where the issuer says its keys are; it has to name itself as it is named here (`OpenID` Connect Discovery, 4.3).
    async fn discovered(&self) -> Result<String, NotFetched> {
        let address = format!("{}/.well-known/openid-configuration", self.config.issuer.trim_end_matches('/'));
        let discovered: Discovered = self.http.get(address).send().await?.error_for_status()?.json().await?;
        if discovered.issuer == self.config.issuer { Ok(discovered.jwks_uri) } else { Err(NotFetched::OtherIssuer(discovered.issuer)) }
    }

    fn principal(&self, claims: &Value) -> Result<Principal, NotAccepted> {
        let text = |claim: &str| claim_of(claims, claim).and_then(Value::as_str).and_then(named);
        let subject = text("sub").ok_or(NotAccepted::Refused("The token names no subject."))?;
        let tenant = if self.config.tenant_claim.is_empty() { Some(DEFAULT_TENANT.to_owned()) } else { text(&self.config.tenant_claim) };
        let tenant = tenant.ok_or(NotAccepted::Refused("The token names no tenant."))?;
        let granted = words(claim_of(claims, &self.config.scope_claim));
        let grants = [(Scope::Read, &self.config.read), (Scope::Write, &self.config.write), (Scope::Admin, &self.config.admin)];
        let scopes = grants.into_iter().filter(|(_, by)| by.iter().any(|by| granted.contains(&by.as_str()))).map(|(scope, _)| scope);
        let expires = claims["exp"].as_f64().unwrap_or_default();
        Ok(Principal {
            key_id: events::identity::uuid_of("token", &[&self.config.issuer, &tenant, &subject]),
            name: text(&self.config.name_claim).unwrap_or(subject),
            tenant,
            scopes: scopes.collect(),
            until: Some(Timestamp::from_micros((expires * 1e6) as i64).saturating_add(self.config.leeway)),
        })
    }
}

impl Keys {
    fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<DecodingKey> {
        let fits = |key: &&Jwk| {
            key.common.public_key_use.as_ref().is_none_or(|is| *is == PublicKeyUse::Signature)
                && key.common.key_algorithm.is_none_or(|is| symbol(&is) == symbol(&algorithm))
        };
        let mut fitting = self.set.iter().filter(fits);
        let key = match id {
            Some(id) => fitting.find(|key| key.common.key_id.as_deref() == Some(id)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        };
        DecodingKey::from_jwk(key?).ok().filter(|key| key.family().algorithms().contains(&algorithm))
    }
}

fn refused(kind: &ErrorKind) -> NotAccepted {
    NotAccepted::Refused(match kind {
        ErrorKind::ExpiredSignature => "The token has expired.",
        ErrorKind::ImmatureSignature => "The token is not good yet.",
        ErrorKind::InvalidAudience => "The token is for another audience.",
        ErrorKind::InvalidIssuer => "The token is of another issuer.",
        ErrorKind::MissingRequiredClaim(_) => "The token lacks one of the claims exp, iss, aud and sub.",
        _ => "The token is not good.",
    })
}

/// By its name, or by a JSON pointer like `/realm_access/roles`.
fn claim_of<'a>(claims: &'a Value, claim: &str) -> Option<&'a Value> {
    if claim.starts_with('/') { claims.pointer(claim) } else { claims.get(claim) }
}

/// What a claim grants: words with spaces between them, or a list of them.
fn words(claim: Option<&Value>) -> Vec<&str> {
    match claim {
        Some(Value::String(text)) => text.split_ascii_whitespace().collect(),
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    }
}

fn named(text: &str) -> Option<String> {
    let good = !text.is_empty() && text.chars().count() <= LONGEST && !text.chars().any(char::is_control);
    good.then(|| text.to_owned())
}
