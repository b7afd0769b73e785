//! Someone who has deliveries posted to, and answers as a test wants.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::post;
use serde_json::{Value, json};
use testkit::eventually;
use tokio::task::JoinSet;

use crate::world::Replica;

#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Status(u16),
    /// With `Retry-After`.
    Later(u16, &'static str),
    Redirect(String),
    /// None at all.
    Hang,
}

/// A delivery as it came.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    pub(crate) at: std::time::Instant,
}

impl Received {
    pub(crate) fn id(&self) -> &str {
        self.headers["webhook-id"].to_str().unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    pub(crate) fn is_signed_with(&self, secret: &str) -> bool {
        let headers: axum::http::HeaderMap = self.headers.clone();
        standardwebhooks::Webhook::new(secret).unwrap().verify(&self.body, &headers).is_ok()
    }

    /// Devices of its notifications, sorted.
    pub(crate) fn devices(&self) -> Vec<String> {
        let mut devices: Vec<String> =
            self.json()["notifications"].as_array().unwrap().iter().map(|n| n["device_id"].as_str().unwrap().to_owned()).collect();
        devices.sort();
        devices
    }
}

#[derive(Clone, Default)]
struct Shared {
    received: Arc<Mutex<Vec<Received>>>,
    answers: Arc<Mutex<VecDeque<Answer>>>,
}

pub(crate) struct Endpoint {
    shared: Shared,
    pub(crate) url: String,
    /// Ends with it.
    _server: JoinSet<()>,
}

impl Endpoint {
    pub(crate) async fn start() -> Self {
        let shared = Shared::default();
        let router = Router::new().fallback(post(take)).with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { shared, url, _server: server }
    }

    /// What it answers next, one by one; afterwards 204.
    pub(crate) fn answers(&self, answers: &[Answer]) {
        self.shared.answers.lock().unwrap().extend(answers.iter().cloned());
    }

    pub(crate) fn received(&self) -> Vec<Received> {
        self.shared.received.lock().unwrap().clone()
    }

    /// The deliveries, when there are that many.
    pub(crate) async fn deliveries(&self, count: usize) -> Vec<Received> {
        let what = format!("{count} deliveries");
        eventually(&what, || async { Some(self.received()).filter(|received| received.len() >= count) }).await
    }

    /// Configures it as the webhook `hook` of the receiver `ops`, told of everything after a moment. Returns the secret.
    pub(crate) async fn configure(&self, replica: &Replica, routes: Value) -> String {
        let made = replica.put("/v1/webhooks/hook", &json!({ "url": self.url })).await;
        replica.put("/v1/receivers/ops", &json!({ "webhooks": ["hook"] })).await;
        replica.put("/v1/routes", &routes).await;
        made["secret"].as_str().unwrap().to_owned()
    }
}

/// Everything to `ops`, quickly.
pub(crate) fn quickly() -> Value {
    json!({ "receiver": "ops", "group_by": ["kind"], "group_wait": "300ms", "group_interval": "400ms", "repeat_interval": "1h" })
}

async fn take(State(shared): State<Shared>, headers: HeaderMap, body: Bytes) -> Response {
    shared.received.lock().unwrap().push(Received { headers, body, at: std::time::Instant::now() });
    let answer = shared.answers.lock().unwrap().pop_front();
    match answer.unwrap_or(Answer::Status(204)) {
        Answer::Status(status) => StatusCode::from_u16(status).unwrap().into_response(),
        Answer::Later(status, after) => (StatusCode::from_u16(status).unwrap(), [("retry-after", after)]).into_response(),
        Answer::Redirect(location) => (StatusCode::TEMPORARY_REDIRECT, [("location", location)]).into_response(),
        Answer::Hang => {
            tokio::time::sleep(Duration::from_mins(1)).await;
            StatusCode::OK.into_response()
        }
    }
}
