//! A record as read from a topic, and where it stood.

use events::headers;
use events::trace::TraceContext;
use rdkafka::Message;
use rdkafka::message::{BorrowedMessage, Headers as _};
use serde::{Deserialize, Serialize};

/// Where a record stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Position {
    pub topic: String,
    pub partition: i32,
    pub offset: i64,
}

/// A record, owned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub position: Position,
    /// Milliseconds since the Unix epoch.
    pub timestamp: Option<i64>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Record {
    pub(crate) fn from_message(message: &BorrowedMessage<'_>) -> Self {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec))).collect()
        });
        Self {
            position: Position { topic: message.topic().to_owned(), partition: message.partition(), offset: message.offset() },
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    /// A header's text; `None` when absent or not UTF-8.
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        std::str::from_utf8(value.as_deref()?).ok()
    }

    pub fn cause(&self) -> Cause {
        Cause::from_headers(|name| self.header(name).map(str::to_owned))
    }
}

/// What an event passes on to the events it causes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cause {
    /// `ce_id` of the event.
    pub event_id: Option<String>,
    /// `ce_id` of the first event of the chain.
    pub correlation_id: Option<String>,
    pub trace: Option<TraceContext>,
}

impl Cause {
    pub(crate) fn of(message: &BorrowedMessage<'_>) -> Self {
        let Some(headers) = message.headers() else { return Self::default() };
        Self::from_headers(|name| {
            let value = headers.iter().find(|header| header.key == name)?.value?;
            std::str::from_utf8(value).ok().map(str::to_owned)
        })
    }

    fn from_headers(text: impl Fn(&str) -> Option<String>) -> Self {
        let trace = text(headers::TRACEPARENT).and_then(|parent| parent.parse::<TraceContext>().ok()).map(|mut trace| {
            trace.state = text(headers::TRACESTATE);
            trace
        });
        let event_id = text(headers::CE_ID);
        let correlation_id = text(headers::CORRELATION_ID).or_else(|| event_id.clone());
        Self { event_id, correlation_id, trace }
    }
}
