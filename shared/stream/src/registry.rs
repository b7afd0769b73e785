//! The schema registry (Confluent-compatible API): our schemas' ids, and the schemas of ids we read.
//!
//! Four requests over HTTP instead of a client library: what an answer means (later, this record, this process) is
//! decided by its status, which the libraries there are do not pass on.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use events::codec::{SchemaId, WriterSchema};
use reqwest::{RequestBuilder, StatusCode};
use serde::{Deserialize, Serialize};

use service::{HealthCheck, Shutdown};

use crate::failure::backoff;
use crate::{Failure, Poison, RegistryConfig};

/// A registry client; clones share the cache.
#[derive(Clone)]
pub struct Registry {
    http: reqwest::Client,
    url: String,
    login: Option<(String, service::Secret)>,
    patience: Duration,
    known: Arc<RwLock<HashMap<SchemaId, Arc<WriterSchema>>>>,
}

#[derive(Serialize)]
struct Supplied<'a> {
    schema: &'a str,
    #[serde(rename = "schemaType")]
    schema_type: &'static str,
}

#[derive(Deserialize)]
struct Registered {
    id: u32,
}

#[derive(Deserialize)]
struct Stored {
    schema: String,
}

#[derive(Deserialize)]
struct Compatibility {
    is_compatible: bool,
    #[serde(default)]
    messages: Vec<String>,
}

#[derive(Deserialize)]
struct Refusal {
    #[serde(default)]
    message: String,
}

impl Registry {
    pub fn connect(config: &RegistryConfig) -> Result<Self, Failure> {
        let password = config.password.or_file(&config.password_file)?;
        let login = (!config.username.is_empty()).then(|| (config.username.clone(), password));
        let http = reqwest::Client::builder().timeout(config.timeout).build().map_err(Failure::fatal)?;
        let url = config.url.trim_end_matches('/').to_owned();
        Ok(Self { http, url, login, patience: Duration::ZERO, known: Arc::default() })
    }

    /// One that asks again for so long where what is wrong may pass: for who asks once and cannot come back.
    #[must_use]
    pub fn patient(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// Registers a schema under a subject; idempotent. A refusal is Fatal and says what the registry said.
    pub async fn register(&self, subject: &str, schema: &str) -> Result<SchemaId, Failure> {
        let request = self.http.post(format!("{}/subjects/{subject}/versions", self.url));
        let answer: Answer<Registered> = self.ask(request.json(&avro(schema))).await?;
        match answer {
            Answer::Ok(registered) => Ok(SchemaId(registered.id)),
            Answer::Refused(status, message) => Err(Failure::fatal(format!("schema registry refuses {subject} ({status}): {message}"))),
        }
    }

    /// Whether a schema could be registered; the reasons when it could not. A subject without versions takes any.
    pub async fn check(&self, subject: &str, schema: &str) -> Result<Vec<String>, Failure> {
        let request = self.http.post(format!("{}/compatibility/subjects/{subject}/versions?verbose=true", self.url));
        let answer: Answer<Compatibility> = self.ask(request.json(&avro(schema))).await?;
        match answer {
            Answer::Ok(compatibility) if compatibility.is_compatible => Ok(Vec::new()),
            Answer::Ok(compatibility) if compatibility.messages.is_empty() => Ok(vec!["incompatible".to_owned()]),
            Answer::Ok(compatibility) => Ok(compatibility.messages),
            Answer::Refused(StatusCode::NOT_FOUND, _) => Ok(Vec::new()),
            Answer::Refused(_, message) => Ok(vec![message]),
        }
    }

    /// Sets what a subject's versions have to be to each other, e.g. `FULL_TRANSITIVE`; it may be new. A refusal is Fatal.
    pub async fn set_compatibility(&self, subject: &str, level: &str) -> Result<(), Failure> {
        let request = self.http.put(format!("{}/config/{subject}", self.url)).json(&serde_json::json!({ "compatibility": level }));
        let answer: Answer<serde_json::Value> = self.ask(request).await?;
        match answer {
            Answer::Ok(_) => Ok(()),
            Answer::Refused(status, message) => {
                Err(Failure::fatal(format!("schema registry refuses {level} for {subject} ({status}): {message}")))
            }
        }
    }

    /// The schemas registered under a subject, oldest first; none when there is no such subject.
    pub async fn versions(&self, subject: &str) -> Result<Vec<String>, Failure> {
        let url = format!("{}/subjects/{subject}/versions", self.url);
        let refused = |status, message| Failure::fatal(format!("schema registry refuses {subject} ({status}): {message}"));
        let numbers = match self.ask::<Vec<u32>>(self.http.get(&url)).await? {
            Answer::Ok(numbers) => numbers,
            Answer::Refused(StatusCode::NOT_FOUND, _) => return Ok(Vec::new()),
            Answer::Refused(status, message) => return Err(refused(status, message)),
        };
        let mut schemas = Vec::with_capacity(numbers.len());
        for number in numbers {
            match self.ask::<Stored>(self.http.get(format!("{url}/{number}"))).await? {
                Answer::Ok(stored) => schemas.push(stored.schema),
                Answer::Refused(status, message) => return Err(refused(status, message)),
            }
        }
        Ok(schemas)
    }

    /// The schema of an id, from the cache where it is known.
    pub async fn schema(&self, id: SchemaId) -> Result<Arc<WriterSchema>, Failure> {
        if let Some(schema) = self.cached(id) {
            return Ok(schema);
        }
        let answer: Answer<Stored> = self.ask(self.http.get(format!("{}/schemas/ids/{}", self.url, id.0))).await?;
        let stored = match answer {
            Answer::Ok(stored) => stored,
            Answer::Refused(status, message) => {
                return Err(Poison::new("schema_unknown", format!("schema id {} ({status}): {message}", id.0)).into());
            }
        };
        let schema = WriterSchema::parse(&stored.schema).map_err(|error| Poison::new("schema_unusable", error.to_string()))?;
        let schema = Arc::new(schema);
        self.known.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::clone(&schema));
        Ok(schema)
    }

    /// Repeats a request until the registry is reached; `None` when the service has to stop first.
    pub async fn until_reached<T, F>(
        &self,
        check: &HealthCheck,
        shutdown: &Shutdown,
        mut ask: impl FnMut() -> F,
    ) -> Result<Option<T>, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        for attempt in 0.. {
            match ask().await {
                Err(later @ Failure::Transient(_)) => {
                    later.note("schema registry");
                    check.not_ready(later.to_string());
                    tokio::select! {
                        () = tokio::time::sleep(backoff(attempt, u64::from(std::process::id()))) => {}
                        () = shutdown.cancelled() => break,
                    }
                }
                answer => {
                    check.ready();
                    return answer.map(Some);
                }
            }
        }
        Ok(None)
    }

    pub(crate) fn cached(&self, id: SchemaId) -> Option<Arc<WriterSchema>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// Sends a request, which may be repeated. Out of reach, overloaded or broken is Transient, no access Fatal, a refusal an
    /// answer.
    async fn ask<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>, Failure> {
        let began = Instant::now();
        for attempt in 0.. {
            let Some(again) = request.try_clone() else { break };
            match self.ask_once(again).await {
                Err(Failure::Transient(_)) if began.elapsed() < self.patience => {
                    tokio::time::sleep(backoff(attempt, u64::from(std::process::id()))).await;
                }
                answer => return answer,
            }
        }
        self.ask_once(request).await
    }

    async fn ask_once<T: serde::de::DeserializeOwned>(&self, request: RequestBuilder) -> Result<Answer<T>, Failure> {
        let request = match &self.login {
            Some((username, password)) => request.basic_auth(username, Some(password.expose())),
            None => request,
        };
        let later = |error: reqwest::Error| Failure::transient(format!("schema registry: {}", whole(&error)));
        let response = request.send().await.map_err(later)?;
        match response.status() {
            status if status.is_success() => Ok(Answer::Ok(response.json().await.map_err(later)?)),
            status @ (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN) => {
                Err(Failure::fatal(format!("schema registry denies access: {status}")))
            }
            status if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT => {
                Err(Failure::transient(format!("schema registry answers {status}")))
            }
            status => {
                let text = response.text().await.map_err(later)?;
                let message = serde_json::from_str::<Refusal>(&text).map_or(text, |refusal| refusal.message);
                Ok(Answer::Refused(status, message))
            }
        }
    }
}

#[cfg(test)]
impl Registry {
    /// One out of reach that knows these.
    pub(crate) fn knowing(schemas: &[(SchemaId, &str)]) -> Self {
        let known = schemas.iter().map(|(id, json)| (*id, Arc::new(WriterSchema::parse(json).unwrap()))).collect();
        let (http, url) = (reqwest::Client::builder().no_proxy().build().unwrap(), "http://127.0.0.1:1".to_owned());
        Self { http, url, login: None, patience: Duration::ZERO, known: Arc::new(RwLock::new(known)) }
    }
}

enum Answer<T> {
    Ok(T),
    Refused(StatusCode, String),
}

/// With what it came from, which of a failed request alone says why.
fn whole(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |error| error.source()).map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn avro(schema: &str) -> Supplied<'_> {
    Supplied { schema, schema_type: "AVRO" }
}

/// The subject of a topic's values.
pub fn subject(topic: &str) -> String {
    format!("{topic}-value")
}
