//! The notification API as an operator asks it: JSON, an API key, problems told in a line.

use std::time::Duration;

use anyhow::{Context as _, bail};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;
use service::Secret;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Api {
    http: reqwest::Client,
    base: Url,
    key: Secret,
}

/// The URL below which the API is.
pub(crate) fn base(api: &str) -> anyhow::Result<Url> {
    Url::parse(&format!("{}/v1/", api.trim_end_matches('/'))).with_context(|| format!("`{api}` is no URL"))
}

/// A client for that URL.
pub(crate) fn client(url: &Url) -> anyhow::Result<reqwest::Client> {
    let mut client = reqwest::Client::builder().connect_timeout(Duration::from_secs(5));
    // A proxy for the world outside has no way to this machine.
    if matches!(url.host_str(), Some("localhost" | "127.0.0.1" | "[::1]")) {
        client = client.no_proxy();
    }
    Ok(client.build()?)
}

impl Api {
    pub(crate) fn new(api: &str, key: Secret) -> anyhow::Result<Self> {
        let base = base(api)?;
        Ok(Self { http: client(&base)?, base, key })
    }

    /// `segments` make the path; whatever they hold.
    fn request(&self, method: Method, segments: &[&str], query: &[(&str, String)]) -> RequestBuilder {
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        self.http.request(method, url).timeout(PATIENCE).bearer_auth(self.key.expose())
    }

    pub(crate) async fn get(&self, segments: &[&str], query: &[(&str, String)]) -> anyhow::Result<Value> {
        answer(self.request(Method::GET, segments, query)).await
    }

    /// Sent again under its own key by whoever repeats it.
    pub(crate) async fn post(&self, segments: &[&str], body: Option<&Value>, idempotency_key: &str) -> anyhow::Result<Value> {
        let request = self.request(Method::POST, segments, &[]).header("Idempotency-Key", idempotency_key);
        answer(body.into_iter().fold(request, RequestBuilder::json)).await
    }
}

async fn answer(request: RequestBuilder) -> anyhow::Result<Value> {
    let response = request.send().await.context("the API cannot be reached")?;
    let (status, url) = (response.status(), response.url().clone());
    let text = response.text().await?;
    let body: Value = serde_json::from_str(&text).unwrap_or_default();
    if status.is_success() {
        return Ok(body);
    }
    let mistakes = body["errors"].as_array().into_iter().flatten();
    let place = |mistake: &Value| ["pointer", "parameter", "header"].iter().find_map(|place| mistake[place].as_str()).map(str::to_owned);
    let mistakes = mistakes.map(|mistake| {
        format!("; {} {}", place(mistake).unwrap_or_default(), mistake["detail"].as_str().unwrap_or_default()).trim_end().to_owned()
    });
    let detail = body["detail"].as_str().unwrap_or_else(|| text.trim()).to_owned() + &mistakes.collect::<String>();
    bail!("{url} answers {status}: {detail}")
}
