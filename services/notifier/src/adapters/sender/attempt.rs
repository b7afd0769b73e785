//! One attempt: sign and post, or mail, and what the answer means.

use std::time::{Duration, Instant, SystemTime};

use events::Timestamp;
use reqwest::{Client, Response, StatusCode, Url, header};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use super::Sender;
use crate::adapters::db::Due;
use crate::adapters::endpoint_secret::EndpointSecret;
use crate::adapters::guard::{Clients, Refused};
use crate::adapters::mailer::Mailer;
use crate::domain::email::Email;
use crate::domain::retry::{Outcome, Verdict, verdict};
use crate::domain::webhook::{Format, Webhook};

/// Where deliveries go.
pub(super) enum Target {
    Webhook { webhook: Webhook, secret: EndpointSecret },
    Email(Email),
}

impl Target {
    pub(super) fn concurrency(&self) -> u32 {
        match self {
            Self::Webhook { webhook, .. } => webhook.concurrency,
            Self::Email(email) => email.concurrency,
        }
    }

    pub(super) fn rate_per_second(&self) -> f64 {
        match self {
            Self::Webhook { webhook, .. } => webhook.rate_per_second,
            Self::Email(email) => email.rate_per_second,
        }
    }
}

/// How an attempt went.
pub(super) struct Attempted {
    pub due: Due,
    pub at: Timestamp,
    pub duration: Duration,
    pub verdict: Verdict,
    pub status: Option<u16>,
    /// In words, where there was no good answer. Nothing of a webhook's body: it may be from where callers cannot look.
    pub error: Option<String>,
}

pub(super) async fn attempt(sender: &Sender, target: &Target, due: Due) -> Attempted {
    let at = Timestamp::from(SystemTime::now());
    let started = Instant::now();
    let (verdict, status, error) = match target {
        Target::Webhook { webhook, secret } => answered(post(&sender.clients, webhook, secret, &due, at).await, at),
        Target::Email(email) => mail(&sender.mailer, email, &due).await,
    };
    Attempted { due, at, duration: started.elapsed(), verdict, status, error }
}

type Ending = (Verdict, Option<u16>, Option<String>);

fn answered(answer: Result<Response, String>, at: Timestamp) -> Ending {
    match answer {
        Ok(response) => {
            let status = response.status();
            let outcome = Outcome::Answered { status: status.as_u16(), retry_after: retry_after(&response, at) };
            (verdict(outcome), Some(status.as_u16()), (!status.is_success()).then(|| told(status)))
        }
        Err(problem) => (verdict(Outcome::Unanswered), None, Some(problem)),
    }
}

async fn mail(mailer: &Mailer, email: &Email, due: &Due) -> Ending {
    let Some(recipient) = due.recipient.as_ref().filter(|recipient| email.to.contains(recipient)) else {
        return (Verdict::Refused, None, Some("the address is no longer in the list".to_owned()));
    };
    match mailer.mail(due.delivery_id, recipient, &due.body).await {
        Ok(code) => (Verdict::Delivered, Some(code), None),
        Err(problem) => {
            let verdict = if problem.for_good { Verdict::Refused } else { Verdict::Failed };
            (verdict, problem.code, Some(problem.in_words))
        }
    }
}

async fn post(clients: &Clients, webhook: &Webhook, secret: &EndpointSecret, due: &Due, at: Timestamp) -> Result<Response, String> {
    let (client, url) = clients.of(secret.address(webhook)).map_err(|refused| format!("the URL {refused}"))?;
    let request = client_request(client, url, due);
    let request = match webhook.format {
        Format::Slack => request,
        Format::Standard => {
            let id = due.delivery_id.to_string();
            let signature = secret.signatures(&id, at, due.body.as_bytes()).map_err(|error| error.to_string())?;
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
