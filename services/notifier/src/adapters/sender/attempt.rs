//! One attempt: sign, post, and what the answer means.

use std::time::{Duration, Instant, SystemTime};

use events::Timestamp;
use reqwest::{Client, Response, StatusCode, Url, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::adapters::db::Due;
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::adapters::guard::{Clients, Refused};
use crate::domain::retry::Outcome;
use crate::domain::webhook::{Format, Webhook};

/// Where deliveries go.
pub(super) struct Target {
    pub webhook: Webhook,
    pub secret: EndpointSecret,
}

/// How an attempt went.
pub(super) struct Attempted {
    pub due: Due,
    pub at: Timestamp,
    pub duration: Duration,
    pub outcome: Outcome,
    /// In words, where there was no good answer. Nothing of the answer's body: it may be from where callers cannot look.
    pub error: Option<String>,
}

pub(super) async fn attempt(clients: &Clients, target: &Target, due: Due) -> Attempted {
    let at = Timestamp::from(SystemTime::now());
    let started = Instant::now();
    let answer = post(clients, target, &due, at).await;
    let duration = started.elapsed();
    let (outcome, error) = match answer {
        Ok(response) => {
            let status = response.status();
            let error = (!status.is_success()).then(|| told(status));
            (Outcome::Answered { status: status.as_u16(), retry_after: retry_after(&response, at) }, error)
        }
        Err(problem) => (Outcome::Unanswered, Some(problem)),
    };
    Attempted { due, at, duration, outcome, error }
}

async fn post(clients: &Clients, target: &Target, due: &Due, at: Timestamp) -> Result<Response, String> {
    let address = target.secret.url.as_deref().unwrap_or(&target.webhook.url);
    let (client, url) = clients.of(address).map_err(|refused| format!("the URL {refused}"))?;
    let request = client_request(client, url, due);
    let request = match target.webhook.format {
        Format::Slack => request,
        Format::Standard => {
            let id = due.delivery_id.to_string();
            let signature = target.secret.signatures(&id, at, due.body.as_bytes()).map_err(|error| error.to_string())?;
            let seconds = at.as_micros() / 1_000_000;
            request.header("webhook-id", id).header("webhook-timestamp", seconds).header("webhook-signature", signature)
        }
    };
    request.send().await.map_err(|error| in_words(&error))
}

fn client_request(client: &Client, url: Url, due: &Due) -> reqwest::RequestBuilder {
    client.post(url).header(header::CONTENT_TYPE, "application/json").body(due.body.clone())
}

fn told(status: StatusCode) -> String {
    if status.is_redirection() {
        format!("answered {}, which is not followed", status.as_u16())
    } else {
        format!("answered {}", status.as_u16())
    }
}

/// The kind of failure; not its text, which names addresses.
fn in_words(error: &reqwest::Error) -> String {
    let mut source: Option<&dyn std::error::Error> = Some(error);
    while let Some(inner) = source {
        let wrapped = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if inner.is::<Refused>() || wrapped.is_some_and(<dyn std::error::Error + Send + Sync>::is::<Refused>) {
            return format!("the URL {}", Refused::Address);
        }
        source = inner.source();
    }
    let words = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection failed"
    };
    words.to_owned()
}

/// `Retry-After` in seconds, or as a date.
fn retry_after(response: &Response, now: Timestamp) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = OffsetDateTime::parse(text, &Rfc2822).ok()?;
    Some(Timestamp::from(date).since(now))
}
