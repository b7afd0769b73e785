use events::DeviceKey;

use crate::domain::{Document, Limits, Message, Metrics, Outcome, Place, Reason, Reject, TopicFilter, readings, status};

const LONGEST_ID: usize = 256;

/// Reads a payload's bytes; the seam for further encodings.
pub type Decode = for<'a> fn(&'a [u8]) -> Result<Document<'a>, Reject>;

/// How the messages of one topic filter are read.
#[derive(Clone, Debug)]
pub struct Route {
    pub name: String,
    pub filter: TopicFilter,
    /// Its messages come over this connection.
    pub connection: String,
    pub decode: Decode,
    /// Never of the payload: a device must not choose its tenant.
    pub tenant: Place,
    pub device: Place,
    pub group: Place,
    pub time: Place,
    pub sequence: Place,
    pub shape: Shape,
}

/// What a payload holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One value of one metric.
    Value { metric: String, value: Place },
    /// An object; every number in it that has no other meaning is a metric's value.
    Metrics,
    /// Whether the device is connected.
    Status,
}

impl Route {
    /// What the message says.
    pub fn read(&self, message: &Message<'_>, metrics: &Metrics, limits: &Limits) -> Result<Outcome, Reject> {
        // Known before the payload is looked at, if the topic tells: also what cannot be read is some device's.
        let by_topic = self.device.of_topic(message.topic).map(|id| self.key(message.topic, id)).transpose()?;
        let whose = |reject: Reject| match &by_topic {
            Some(device) => reject.of(device),
            None => reject,
        };
        if message.payload.len() > limits.payload {
            let detail = format!("{} bytes; the limit is {}", message.payload.len(), limits.payload);
            return Err(whose(Reject::new(Reason::Oversized, detail)));
        }
        let document = (self.decode)(message.payload).map_err(whose)?;
        let device = match by_topic {
            Some(device) => device,
            None => self.device_of_payload(message.topic, &document)?,
        };
        let read = match &self.shape {
            Shape::Value { metric, value } => readings::one(self, metric, value, &device, message, &document, metrics, limits),
            Shape::Metrics => readings::many(self, &device, message, &document, metrics, limits),
            Shape::Status => status::read(self, &device, message, &document, limits),
        };
        read.map_err(|reject| reject.of(&device))
    }

    fn device_of_payload(&self, topic: &str, document: &Document<'_>) -> Result<DeviceKey, Reject> {
        let member = self.device.member().unwrap_or_default();
        match self.device.text(topic, document) {
            Ok(Some(id)) => self.key(topic, &id),
            Ok(None) => Err(Reject::new(Reason::MissingField, format!("`{member}` is missing"))),
            Err(kind) => Err(Reject::new(Reason::WrongType, format!("`{member}` is {kind}, not a text"))),
        }
    }

    fn key(&self, topic: &str, device_id: &str) -> Result<DeviceKey, Reject> {
        // A slash would make one tenant's key look like another's.
        let fits = |id: &str| (1..=LONGEST_ID).contains(&id.len()) && !id.contains(|c: char| c.is_control() || c == '/');
        let tenant = self.tenant.of_topic(topic).unwrap_or_default();
        if fits(tenant) && fits(device_id) {
            return Ok(DeviceKey::new(tenant, device_id));
        }
        let shown: String = device_id.chars().take(64).collect();
        let detail = format!("`{}` cannot name a device: 1 to {LONGEST_ID} bytes, no `/`, no control characters", shown.escape_debug());
        Err(Reject::new(Reason::BadDeviceId, detail))
    }

    /// Members that are not a metric's value.
    pub(super) fn is_reserved(&self, member: &str) -> bool {
        [&self.device, &self.group, &self.time, &self.sequence].into_iter().any(|place| place.member() == Some(member))
    }
}
