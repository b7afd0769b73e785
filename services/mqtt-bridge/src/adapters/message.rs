use std::borrow::Cow;
use std::str::FromStr;

use bytes::Bytes;
use events::Timestamp;
use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;

use serde::{Deserialize, Serialize};
use stream::Failure;

use crate::domain::Message;

/// What a message weighs beside its own bytes: its records' headers and bookkeeping, as the bridge's memory grows by them.
const OVERHEAD: usize = 5 << 10;

/// No topic of a broker's: they hold no NUL.
const BROKER_LOST: &str = "\0broker-lost";

/// A message as the broker delivered it.
#[derive(Clone, Debug, PartialEq)]
pub struct MqttMessage {
    pub topic: String,
    pub payload: Bytes,
    pub qos: u8,
    pub retained: bool,
    pub user_properties: Vec<(String, String)>,
    /// As the publisher said (MQTT 5).
    pub content_type: Option<String>,
    pub received_at: Timestamp,
}

impl MqttMessage {
    /// The bridge's word to itself, in line with what came before: the broker is away since `at`.
    pub fn broker_lost(at: Timestamp) -> Self {
        Self {
            topic: BROKER_LOST.to_owned(),
            payload: Bytes::new(),
            // Nobody waits for its acknowledgement; still it is not to be dropped.
            qos: 1,
            retained: false,
            user_properties: Vec::new(),
            content_type: None,
            received_at: at,
        }
    }

    pub fn is_broker_lost(&self) -> bool {
        self.topic == BROKER_LOST
    }

    pub fn message(&self) -> Message<'_> {
        Message { topic: &self.topic, payload: &self.payload, retained: self.retained, received_at: self.received_at }
    }

    /// The publisher's trace context, where it sent one that can be read.
    pub fn trace(&self) -> Option<TraceContext> {
        let mut context = TraceContext::from_str(self.user_property(TRACEPARENT)?).ok()?;
        context.state = self.user_property(TRACESTATE).map(str::to_owned);
        Some(context)
    }

    fn user_property(&self, name: &str) -> Option<&str> {
        self.user_properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }
}

/// A message on disk. New fields go into a new format: what an earlier release wrote has to be read.
#[derive(Serialize, Deserialize)]
enum OnDisk<'a> {
    V1 {
        topic: Cow<'a, str>,
        payload: &'a [u8],
        qos: u8,
        retained: bool,
        user_properties: Cow<'a, [(String, String)]>,
        received_at_micros: i64,
    },
    V2 {
        topic: Cow<'a, str>,
        payload: &'a [u8],
        qos: u8,
        retained: bool,
        user_properties: Cow<'a, [(String, String)]>,
        content_type: Option<Cow<'a, str>>,
        received_at_micros: i64,
    },
}

impl stream::source::Message for MqttMessage {
    fn size(&self) -> usize {
        let properties: usize = self.user_properties.iter().map(|(name, value)| name.len() + value.len()).sum();
        let content_type = self.content_type.as_ref().map_or(0, String::len);
        self.payload.len() + self.topic.len() + properties + content_type + OVERHEAD
    }

    fn is_best_effort(&self) -> bool {
        self.qos == 0
    }

    fn to_bytes(&self) -> Result<Vec<u8>, Failure> {
        let on_disk = OnDisk::V2 {
            topic: Cow::Borrowed(&self.topic),
            payload: &self.payload,
            qos: self.qos,
            retained: self.retained,
            user_properties: Cow::Borrowed(&self.user_properties),
            content_type: self.content_type.as_deref().map(Cow::Borrowed),
            received_at_micros: self.received_at.as_micros(),
        };
        postcard::to_stdvec(&on_disk).map_err(Failure::fatal)
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (topic, payload, qos, retained, user_properties, content_type, received_at_micros) = match postcard::from_bytes(bytes).ok()? {
            OnDisk::V1 { topic, payload, qos, retained, user_properties, received_at_micros } => {
                (topic, payload, qos, retained, user_properties, None, received_at_micros)
            }
            OnDisk::V2 { topic, payload, qos, retained, user_properties, content_type, received_at_micros } => {
                (topic, payload, qos, retained, user_properties, content_type, received_at_micros)
            }
        };
        Some(Self {
            topic: topic.into_owned(),
            payload: Bytes::copy_from_slice(payload),
            qos,
            retained,
            user_properties: user_properties.into_owned(),
            content_type: content_type.map(Cow::into_owned),
            received_at: Timestamp::from_micros(received_at_micros),
        })
    }
}

#[cfg(test)]
mod tests {
    use stream::source::Message as _;

    use super::*;

    #[test]
    fn a_message_on_disk_in_the_first_format_is_read() {
        let first = OnDisk::V1 {
            topic: "t".into(),
            payload: b"p",
            qos: 1,
            retained: false,
            user_properties: Cow::Owned(vec![("k".into(), "v".into())]),
            received_at_micros: 7,
        };
        let bytes = b"\x00\x01t\x01p\x01\x00\x01\x01k\x01v\x0e";
        assert_eq!(postcard::to_stdvec(&first).unwrap(), bytes, "the format of what is on disks must not change");
        let message = MqttMessage::from_bytes(bytes).unwrap();
        assert_eq!((message.topic.as_str(), message.user_properties.len(), message.content_type), ("t", 1, None));
        assert_eq!(message.received_at, Timestamp::from_micros(7));
    }

    mod fuzz {
        use super::*;

        #[test]
        fn bytes_on_disk_are_a_message_that_is_written_the_same_or_none() {
            let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/on-disk");
            testkit::fuzz::fuzz("on-disk", &corpus, |bytes| {
                let message = MqttMessage::from_bytes(bytes)?;
                let written = message.to_bytes().unwrap();
                let properties = message.user_properties.len().min(4);
                let place = (message.qos.min(3), message.retained, properties, message.content_type.is_some(), message.topic.is_empty());
                assert_eq!(MqttMessage::from_bytes(&written), Some(message));
                Some(place)
            });
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(32))]
        #[test]
        fn a_message_comes_back_from_disk_as_it_was(
            topic: String, payload: Vec<u8>, qos in 0_u8..3, retained: bool,
            user_properties: Vec<(String, String)>, content_type: Option<String>, at in 0_i64..4_000_000_000_000_000,
        ) {
            let (payload, received_at) = (payload.into(), Timestamp::from_micros(at));
            let message = MqttMessage { topic, payload, qos, retained, user_properties, content_type, received_at };
            proptest::prop_assert_eq!(MqttMessage::from_bytes(&message.to_bytes().unwrap()), Some(message));
        }
    }
}
