use events::DeviceKey;

use crate::domain::{
    Conversion, Document, Field, Limits, Members, Message, Metrics, Outcome, Place, Reason, Reject, TopicFilter, readings, state, status,
};

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
    /// Where the payload has an array whose elements are read each like a message of its own.
    pub each: Option<Each>,
    /// What to do with the values of metrics that are sent in another unit.
    pub conversions: Vec<(String, Conversion)>,
}

/// Where an array is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Each {
    Payload,
    Member(String),
}

/// What a payload holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Shape {
    /// One value of one metric.
    Value { metric: Place, value: Place },
    /// An object; every number in it that has no other meaning is a metric's value.
    Metrics,
    /// Whether the device is connected.
    Status,
    /// What the device reports of itself.
    State,
}

impl Route {
    /// What the message says.
    pub fn read(&self, message: &Message<'_>, metrics: &Metrics, limits: &Limits) -> Result<Outcome, Reject> {
        // Known before the payload is looked at, if the topic tells: also what cannot be read is some device's.
        let by_topic = self.device.of_topic(message.topic).map(|id| self.key(message.topic, &id)).transpose()?;
        let whose = |reject: Reject| match &by_topic {
            Some(device) => reject.of(device),
            None => reject,
        };
        let (largest, keeps_larger) = match self.shape {
            Shape::State => (limits.state, false),
            Shape::Value { .. } | Shape::Metrics | Shape::Status => (limits.payload, limits.keeps_larger),
        };
        if message.payload.len() > largest {
            if let (true, Some(device)) = (keeps_larger, &by_topic) {
                return Ok(Outcome::Large(device.clone()));
            }
            let detail = format!("{} bytes; the limit is {largest}", message.payload.len());
            return Err(whose(Reject::new(Reason::Oversized, detail)));
        }
        let document = (self.decode)(message.payload).map_err(whose)?;
        let Some(each) = &self.each else {
            return self.read_document(by_topic, message, &document, metrics, limits);
        };
        let mut all = Vec::new();
        for element in self.elements(each, document).map_err(whose)? {
            match self.read_document(by_topic.clone(), message, &element, metrics, limits)? {
                Outcome::Readings(readings) => all.extend(readings),
                other @ (Outcome::Status(_) | Outcome::State(_) | Outcome::Large(_)) => return Ok(other),
            }
            if all.len() > limits.readings {
                return Err(whose(Reject::new(Reason::TooManyReadings, format!("more than {} in one message", limits.readings))));
            }
        }
        if all.is_empty() {
            return Err(whose(Reject::new(Reason::NoMetrics, "the array is empty")));
        }
        Ok(Outcome::Readings(all))
    }

    fn read_document(
        &self,
        by_topic: Option<DeviceKey>,
        message: &Message<'_>,
        document: &Document<'_>,
        metrics: &Metrics,
        limits: &Limits,
    ) -> Result<Outcome, Reject> {
        let device = match by_topic {
            Some(device) => device,
            None => self.device_of_payload(message.topic, document)?,
        };
        let read = match &self.shape {
            Shape::Value { metric, value } => readings::one(self, metric, value, &device, message, document, metrics, limits),
            Shape::Metrics => readings::many(self, &device, message, document, metrics, limits),
            Shape::Status => status::read(self, &device, message, document, limits),
            Shape::State => state::read(self, &device, message, document, limits),
        };
        read.map_err(|reject| reject.of(&device))
    }

    /// The elements of an array, each with what the object around it says for all of them.
    fn elements<'a>(&self, each: &Each, document: Document<'a>) -> Result<Vec<Document<'a>>, Reject> {
        let (array, around) = match (each, document) {
            (Each::Payload, Document::Array(elements)) => (elements, Vec::new()),
            (Each::Member(name), document @ Document::Object(_)) => match document.field(name) {
                Some(Field::Array(elements)) => {
                    let elements = elements.clone();
                    let Document::Object(members) = document else { return Ok(Vec::new()) };
                    let around = members.into_iter().filter(|(member, _)| self.is_reserved(member)).collect();
                    (elements, around)
                }
                Some(other) => return Err(Reject::new(Reason::WrongType, format!("`{name}` is {}, not an array", other.kind()))),
                None => return Err(Reject::new(Reason::MissingField, format!("`{name}` is missing"))),
            },
            (Each::Payload, _) => return Err(Reject::new(Reason::NotAnArray, "the payload is no array")),
            (Each::Member(_), _) => return Err(Reject::new(Reason::NotAnObject, "the payload is no object")),
        };
        let with_around = |element| match element {
            Field::Object(mut members) => {
                let missing: Members<'a> = around.iter().filter(|(name, _)| !members.iter().any(|(own, _)| own == name)).cloned().collect();
                members.extend(missing);
                Ok(Document::Object(members))
            }
            other => Err(Reject::new(Reason::WrongType, format!("an element is {}, not an object", other.kind()))),
        };
        array.into_iter().map(with_around).collect()
    }

    fn device_of_payload(&self, topic: &str, document: &Document<'_>) -> Result<DeviceKey, Reject> {
        let member = self.device.members().next().unwrap_or_default();
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
        if fits(&tenant) && fits(device_id) {
            return Ok(DeviceKey::new(&*tenant, device_id));
        }
        let shown: String = device_id.chars().take(64).collect();
        let detail = format!("`{}` cannot name a device: 1 to {LONGEST_ID} bytes, no `/`, no control characters", shown.escape_debug());
        Err(Reject::new(Reason::BadDeviceId, detail))
    }

    /// Members that are not a metric's value.
    pub(super) fn is_reserved(&self, member: &str) -> bool {
        [&self.device, &self.group, &self.time, &self.sequence].into_iter().any(|place| place.members().any(|reserved| reserved == member))
    }

    /// A metric's value in the metric's own unit.
    pub(super) fn converted(&self, metric: &str, value: f64) -> f64 {
        let conversion = self.conversions.iter().find(|(name, _)| name == metric);
        conversion.map_or(value, |(_, conversion)| conversion.of(value))
    }
}
