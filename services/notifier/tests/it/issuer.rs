//! An issuer of tokens: its published keys, and what it signs.

use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::RsaKeyPair;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::task::JoinSet;

pub(crate) struct SigningKey {
    id: String,
    algorithm: Algorithm,
    key: EncodingKey,
}

impl SigningKey {
    pub(crate) fn rsa(id: &str) -> Self {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        // Of PKCS #8 the last part is the key as PKCS #1, which this takes.
        let pkcs8 = pair.as_der().unwrap();
        let pkcs1 = &pkcs8.as_ref()[26..];
        Self { id: id.to_owned(), algorithm: Algorithm::RS256, key: EncodingKey::from_rsa_der(pkcs1) }
    }

    pub(crate) fn elliptic(id: &str) -> Self {
        let pair = rcgen::KeyPair::generate().unwrap();
        Self { id: id.to_owned(), algorithm: Algorithm::ES256, key: EncodingKey::from_ec_der(&pair.serialize_der()) }
    }

    fn published(&self) -> Value {
        let mut key = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        key.common.key_id = Some(self.id.clone());
        serde_json::to_value(key).unwrap()
    }

    pub(crate) fn sign(&self, claims: &Value) -> String {
        let header = Header { kid: Some(self.id.clone()), ..Header::new(self.algorithm) };
        encode(&header, claims, &self.key).unwrap()
    }

    /// What anyone can read of it.
    pub(crate) fn modulus(&self) -> String {
        self.published()["n"].as_str().unwrap().to_owned()
    }
}

#[derive(Clone, Default)]
struct Shared {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<Mutex<usize>>,
    is_down: Arc<Mutex<bool>>,
    url: Arc<Mutex<String>>,
}

pub(crate) struct Issuer {
    shared: Shared,
    pub(crate) url: String,
    _server: JoinSet<()>,
}

impl Issuer {
    pub(crate) async fn start(keys: &[&SigningKey]) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let shared = Shared { url: Arc::new(Mutex::new(url.clone())), ..Shared::default() };
        let router = Router::new().route("/.well-known/openid-configuration", get(describe)).route("/keys", get(publish));
        let router = router.with_state(shared.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let issuer = Self { shared, url, _server: server };
        issuer.publishes(keys);
        issuer
    }

    pub(crate) fn publishes(&self, keys: &[&SigningKey]) {
        *self.shared.keys.lock().unwrap() = keys.iter().map(|key| key.published()).collect();
    }

    pub(crate) fn goes(&self, down: bool) {
        *self.shared.is_down.lock().unwrap() = down;
    }

    /// How often it was asked where its keys are, though it did not answer.
    pub(crate) fn asked(&self) -> usize {
        *self.shared.asked.lock().unwrap()
    }

    /// Claims of someone who may read and write, for a minute; `change` has the last word.
    pub(crate) fn claims(&self, change: &Value) -> Value {
        let mut claims = json!({
            "iss": self.url, "aud": ["fieldwatch", "other"], "sub": "anna", "exp": now() + 60, "tenant": "default",
            "scope": "openid fieldwatch:read fieldwatch:write"
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        claims
    }
}

pub(crate) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

async fn describe(State(shared): State<Shared>) -> Result<Json<Value>, StatusCode> {
    *shared.asked.lock().unwrap() += 1;
    up(&shared)?;
    let url = shared.url.lock().unwrap().clone();
    Ok(Json(json!({ "issuer": url, "jwks_uri": format!("{url}/keys") })))
}

async fn publish(State(shared): State<Shared>) -> Result<Json<Value>, StatusCode> {
    up(&shared)?;
    Ok(Json(json!({ "keys": *shared.keys.lock().unwrap() })))
}

fn up(shared: &Shared) -> Result<(), StatusCode> {
    if *shared.is_down.lock().unwrap() { Err(StatusCode::BAD_GATEWAY) } else { Ok(()) }
}
