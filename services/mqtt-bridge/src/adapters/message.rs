use std::str::FromStr;

use bytes::Bytes;
use events::Timestamp;
use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;

use crate::domain::Message;

/// What a message weighs beside its own bytes: its records' headers and bookkeeping.
const OVERHEAD: usize = 256;

/// A message as the broker delivered it.
#[derive(Clone, Debug)]
pub struct MqttMessage {
    pub topic: String,
    pub payload: Bytes,
    pub qos: u8,
    pub retained: bool,
    pub user_properties: Vec<(String, String)>,
    pub received_at: Timestamp,
}

impl MqttMessage {
    pub fn message(&self) -> Message<'_> {
        Message { topic: &self.topic, payload: &self.payload, retained: self.retained, received_at: self.received_at }
    }

    /// The publisher's trace context, where it sent one that can be read.
    pub fn trace(&self) -> Option<TraceContext> {
        let mut context = TraceContext::from_str(self.user_property(TRACEPARENT)?).ok()?;
        context.state = self.user_property(TRACESTATE).map(str::to_owned);
        Some(context)
    }

    /// What it counts against the bytes in flight.
    pub fn size(&self) -> usize {
        let properties: usize = self.user_properties.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.payload.len() + self.topic.len() + properties + OVERHEAD
    }

    fn user_property(&self, name: &str) -> Option<&str> {
        self.user_properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}
