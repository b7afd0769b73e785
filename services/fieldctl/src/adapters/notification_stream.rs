//! The notification stream as a dashboard reads it: an API key, server-sent events, resumed where it broke.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use futures::StreamExt;
use reqwest::Url;
use reqwest::header::ACCEPT;
use service::Secret;
use tokio::sync::mpsc;

use super::api;
use crate::domain::server_sent::{Frame, Parser};

const RECONNECT_PAUSE: Duration = Duration::from_millis(200);

pub(crate) struct NotificationStream {
    http: reqwest::Client,
    url: Url,
    key: Secret,
    last_id: String,
}

/// An event, and when its last byte came.
pub(crate) type Arrived = (Instant, Frame);

impl NotificationStream {
    pub(crate) fn new(api: &str, key: Secret) -> anyhow::Result<Self> {
        let url = api::base(api)?.join("notifications/stream")?;
        Ok(Self { http: api::client(&url)?, url, key, last_id: String::new() })
    }

    /// Opens the stream; what a key without access or another service there answers is an error.
    pub(crate) async fn open(&mut self) -> anyhow::Result<reqwest::Response> {
        let mut request = self.http.get(self.url.clone()).bearer_auth(self.key.expose()).header(ACCEPT, "text/event-stream");
        if !self.last_id.is_empty() {
            request = request.header("Last-Event-ID", &self.last_id);
        }
        let response = request.send().await.with_context(|| format!("{} cannot be reached", self.url))?;
        if !response.status().is_success() {
            let status = response.status();
            bail!("{} answers {status}: {}", self.url, response.text().await.unwrap_or_default().trim());
        }
        Ok(response)
    }

    /// Sends every event until nobody wants them any more; a stream that ends is opened again. Counts how often.
    pub(crate) async fn follow(mut self, first: reqwest::Response, to: mpsc::UnboundedSender<Arrived>) -> u64 {
        let mut response = Some(first);
        let mut reconnects = 0;
        while !to.is_closed() {
            if let Some(response) = response.take() {
                self.read(response, &to).await;
            }
            tokio::select! {
                () = to.closed() => break,
                () = tokio::time::sleep(RECONNECT_PAUSE) => {}
            }
            reconnects += 1;
            response = self.open().await.ok();
        }
        reconnects
    }

    async fn read(&mut self, response: reqwest::Response, to: &mpsc::UnboundedSender<Arrived>) {
        let (mut bytes, mut parser) = (response.bytes_stream(), Parser::default());
        loop {
            let chunk = tokio::select! {
                () = to.closed() => return,
                chunk = bytes.next() => chunk,
            };
            // A stream that breaks is one that ends: it is resumed.
            let Some(Ok(chunk)) = chunk else { return };
            let at = Instant::now();
            for frame in parser.push(&chunk) {
                if !frame.id.is_empty() {
                    self.last_id.clone_from(&frame.id);
                }
                if to.send((at, frame)).is_err() {
                    return;
                }
            }
        }
    }
}
