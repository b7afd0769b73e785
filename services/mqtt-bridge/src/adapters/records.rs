//! Kafka records of what messages say, and of messages that say nothing.

use std::sync::Arc;

use events::headers::{TRACEPARENT, TRACESTATE};
use events::trace::TraceContext;
use events::{Blob, DeviceKey, Timestamp, topics};
use stream::{Cause, EventWriter, Failure, KafkaConfig, OutRecord, Poison, Record, dlq};
use telemetry::metrics::counter;
use tokio::sync::SetOnce;
use tokio::task::block_in_place;

use crate::NAME;
use crate::adapters::blobs::{self, BlobStore};
use crate::adapters::message::MqttMessage;
use crate::domain::Outcome;

const TOPIC: &str = "mqtt-topic";
const QOS: &str = "mqtt-qos";
const RETAIN: &str = "mqtt-retain";
const RECEIVED_AT: &str = "mqtt-received-at";
const CONTENT_TYPE: &str = "mqtt-content-type";
const USER_PROPERTY: &str = "mqtt-user-";
const USER_PROPERTIES_CUT: &str = "mqtt-user-cut";
/// On a sample: how many of its device were not kept since the one before.
const SUPPRESSED: &str = "mqtt-suppressed";

// The headers of a dead letter stay below the 64 KiB its topic allows beyond the payload.
const LONGEST_TOPIC: usize = 4_096;
const MOST_PROPERTIES: usize = 32;
const LONGEST_NAME: usize = 128;
const LONGEST_VALUE: usize = 1_024;

/// Of what a publisher said nothing about.
const ANY_BYTES: &str = "application/octet-stream";

/// Makes records.
#[derive(Clone)]
pub struct Records {
    writer: EventWriter,
    dead_letters: String,
    /// Where there is one.
    blobs: Option<Arc<dyn BlobStore>>,
}

/// Records, once the schema registry was reached.
#[derive(Clone, Default)]
pub struct RecordsLater(Arc<SetOnce<Records>>);

impl RecordsLater {
    pub fn set(&self, records: Records) {
        // Nobody sets it twice; if so, one is as good as the other.
        let _ = self.0.set(records);
    }

    pub async fn reached(&self) {
        self.0.wait().await;
    }

    pub fn get(&self) -> Result<&Records, Failure> {
        self.0.get().ok_or_else(|| Failure::transient("the schema registry has not been reached"))
    }
}

impl Records {
    pub fn new(writer: EventWriter, kafka: &KafkaConfig, blobs: Option<Arc<dyn BlobStore>>) -> Self {
        Self { writer, dead_letters: kafka.prefixed(&topics::dlq(NAME)), blobs }
    }

    /// Full name of the dead-letter topic.
    pub fn dead_letters(&self) -> &str {
        &self.dead_letters
    }

    /// The records of what a message says, in its order. What is too large for a record is kept before it is told of; where
    /// that fails, the message is Poison, for a dead letter that can be redriven.
    pub fn events(&self, received: &MqttMessage, outcome: &Outcome, trace: Option<&TraceContext>) -> Result<Vec<OutRecord>, Failure> {
        // Nothing of the suite caused what a device says: its event is the first of its chain.
        let first = Cause::default();
        match outcome {
            Outcome::Readings(readings) => readings.iter().map(|reading| self.writer.record(reading, &first, trace.cloned())).collect(),
            Outcome::Status(status) => Ok(vec![self.writer.record(status, &first, trace.cloned())?]),
            Outcome::State(state) => Ok(vec![self.writer.record(state, &first, trace.cloned())?]),
            Outcome::Large(device) => Ok(vec![self.writer.record(&self.keep(received, device)?, &first, trace.cloned())?]),
        }
    }

    /// Puts a payload into the blob store.
    fn keep(&self, received: &MqttMessage, device: &DeviceKey) -> Result<Blob, Poison> {
        let not_kept = |problem: String| Poison::new("blob_not_kept", problem);
        let store = self.blobs.as_ref().ok_or_else(|| not_kept("there is no blob store".into()))?;
        // Large by definition: reading and writing it both take long.
        let put = || {
            let sha256 = blobs::sha256(&received.payload);
            store.put(&sha256, &received.payload).map(|uri| (sha256, uri))
        };
        let (sha256, uri) = block_in_place(put).map_err(|error| not_kept(error.to_string()))?;
        counter("fieldwatch_mqtt_blobs", &[]).inc();
        Ok(Blob {
            tenant: device.tenant.clone(),
            device_id: device.device_id.clone(),
            uri,
            sha256,
            size: received.payload.len() as i64,
            content_type: received.content_type.clone().unwrap_or_else(|| ANY_BYTES.to_owned()),
            mqtt_topic: received.topic.clone(),
            received_at: received.received_at,
        })
    }

    /// The dead letter of a message: its payload untouched, with how it came and why it failed.
    pub fn dead_letter(
        &self,
        received: &MqttMessage,
        poison: &Poison,
        device: Option<&DeviceKey>,
        suppressed: u64,
        trace: Option<&TraceContext>,
    ) -> OutRecord {
        let topic = cut(&received.topic, LONGEST_TOPIC);
        let key = device.map_or_else(|| topic.to_owned(), DeviceKey::to_kafka_key);
        let mut out = OutRecord::new(&self.dead_letters, Some(key.into_bytes()), None)
            .header(TOPIC, Some(topic.as_bytes()))
            .header(QOS, Some(received.qos.to_string().as_bytes()))
            .header(RETAIN, Some(received.retained.to_string().as_bytes()))
            .header(RECEIVED_AT, Some(received.received_at.to_string().as_bytes()))
            .header(dlq::ATTEMPTS, Some(b"1"));
        if let Some(content_type) = &received.content_type {
            out = out.header(CONTENT_TYPE, Some(cut(content_type, LONGEST_VALUE).as_bytes()));
        }
        for (name, value) in received.user_properties.iter().take(MOST_PROPERTIES) {
            let name = format!("{USER_PROPERTY}{}", cut(name, LONGEST_NAME));
            out = out.header(&name, Some(cut(value, LONGEST_VALUE).as_bytes()));
        }
        let too_long = |(name, value): &(String, String)| name.len() > LONGEST_NAME || value.len() > LONGEST_VALUE;
        if received.user_properties.len() > MOST_PROPERTIES || received.user_properties.iter().any(too_long) {
            out = out.header(USER_PROPERTIES_CUT, Some(b"true"));
        }
        if suppressed > 0 {
            out = out.header(SUPPRESSED, Some(suppressed.to_string().as_bytes()));
        }
        if let Some(trace) = trace {
            out = out.header(TRACEPARENT, Some(trace.to_string().as_bytes()));
            if let Some(state) = &trace.state {
                out = out.header(TRACESTATE, Some(state.as_bytes()));
            }
        }
        dlq::with_value(dlq::described(out, NAME, poison), Some(received.payload.to_vec()))
    }
}

/// The message a dead letter was made of, as it came: the original time of receipt included.
pub(super) fn message_of(record: &Record) -> Result<MqttMessage, Poison> {
    if record.header(dlq::TRUNCATED).is_some() {
        return Err(Poison::new("truncated", "the payload was cut when it was put into the dead-letter queue"));
    }
    let topic = record.header(TOPIC).ok_or_else(|| Poison::new("not_from_mqtt", format!("there is no header {TOPIC}")))?;
    let received_at = record.header(RECEIVED_AT).and_then(Timestamp::from_rfc3339);
    let received_at = received_at.ok_or_else(|| Poison::new("not_from_mqtt", format!("there is no time in header {RECEIVED_AT}")))?;
    Ok(MqttMessage {
        topic: topic.to_owned(),
        payload: record.value.clone().unwrap_or_default().into(),
        qos: record.header(QOS).and_then(|qos| qos.parse().ok()).unwrap_or_default(),
        retained: record.header(RETAIN) == Some("true"),
        user_properties: Vec::new(),
        content_type: record.header(CONTENT_TYPE).map(str::to_owned),
        received_at,
    })
}

/// The beginning of `text`, at most `longest` bytes.
fn cut(text: &str, longest: usize) -> &str {
    &text[..text.floor_char_boundary(longest)]
}
