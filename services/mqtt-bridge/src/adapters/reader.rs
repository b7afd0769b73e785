//! One message after the other: read and turned into records.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use events::{DeviceKey, Timestamp, topics};
use stream::source::{Reader, Trail};
use stream::{Failure, OutRecord, Poison};
use telemetry::metrics::{Counter, Histogram, counter, histogram};
use telemetry::span::{MessageSpan, Operation};

use crate::NAME;
use crate::adapters::message::MqttMessage;
use crate::adapters::records::Records;
use crate::domain::{Decision, DeviceLimiter, DeviceLimits, Online, Outcome, Reject, RejectLimiter, Routes};

/// Label and span name of what no route has: topics are without bound.
const NO_ROUTE: &str = "(no route)";
const TOPIC_ATTRIBUTE: &str = "messaging.mqtt.topic";
/// Log lines about rejects, whoever sent them.
const LOGGED_PER_SECOND: u32 = 10;

/// Reads messages by today's routes.
pub struct MqttReader {
    routes: Routes,
    records: Records,
    devices: DeviceLimiter,
    online: Online,
    limiter: RejectLimiter,
    log_limiter: RejectLimiter,
    taken: HashMap<String, Counter>,
    sampled_out: Counter,
    processing: Histogram,
    ages: Arc<Ages>,
}

/// How old readings are when Kafka has them.
struct Ages {
    from_measured: Histogram,
    from_received: Histogram,
}

/// What accompanies a message until Kafka has its records.
pub struct MqttTrail {
    /// Of a reading: when it was measured and received.
    reading: Option<(Timestamp, Timestamp)>,
    ages: Arc<Ages>,
    /// Ends with the trail; kept only where it is recorded.
    _span: Option<MessageSpan>,
}

impl MqttReader {
    pub fn new(routes: Routes, records: Records, devices: DeviceLimits, rejects_per_second: u32) -> Self {
        let names = routes.iter().map(|route| route.name.as_str()).chain([NO_ROUTE]);
        let taken = names.map(|name| (name.to_owned(), counter("fieldwatch_messages_in", &[("topic", name)]))).collect();
        let age = |from| histogram("fieldwatch_end_to_end_seconds", &[("topic", topics::READINGS), ("from", from)]);
        Self {
            routes,
            records,
            devices: DeviceLimiter::new(devices),
            online: Online::default(),
            limiter: RejectLimiter::new(rejects_per_second),
            log_limiter: RejectLimiter::new(LOGGED_PER_SECOND),
            taken,
            sampled_out: counter("fieldwatch_mqtt_rejects_sampled_out", &[]),
            processing: histogram("fieldwatch_processing_seconds", &[("stage", NAME)]),
            ages: Arc::new(Ages { from_measured: age("measured_at"), from_received: age("received_at") }),
        }
    }

    fn trail(&self, reading: Option<(Timestamp, Timestamp)>, span: Option<MessageSpan>) -> MqttTrail {
        MqttTrail { reading, ages: Arc::clone(&self.ages), _span: span }
    }

    /// The devices of whom nothing is known while the broker is away.
    fn broker_lost(&mut self, received: &MqttMessage) -> Result<Vec<OutRecord>, Failure> {
        let unknown = self.online.lost(received.received_at);
        tracing::warn!(devices = unknown.len(), "without its broker the bridge knows nothing of the devices that were online");
        let records = unknown.into_iter().map(|status| self.records.events(received, &Outcome::Status(status), None));
        records.collect::<Result<Vec<_>, _>>().map(|records| records.concat())
    }

    /// The dead letter of a reject; none where its device has sent too many.
    fn rejected(&mut self, received: &MqttMessage, reject: Reject, span: &MessageSpan) -> Vec<OutRecord> {
        let whose = reject.device.as_ref().map_or_else(|| received.topic.clone(), DeviceKey::to_kafka_key);
        let suppressed = match self.limiter.decide(&whose, received.received_at) {
            Decision::Keep => 0,
            Decision::Sample { suppressed } => suppressed,
            Decision::Count => {
                self.sampled_out.inc();
                return Vec::new();
            }
        };
        span.fail(reject.reason.code());
        let poison = Poison::new(reject.reason.code(), reject.detail);
        vec![self.dead_letter(received, &poison, reject.device.as_ref(), suppressed, Some(span))]
    }

    /// A dead letter in a trace that is kept, linked to the message's own.
    fn dead_letter(
        &mut self,
        received: &MqttMessage,
        poison: &Poison,
        device: Option<&DeviceKey>,
        suppressed: u64,
        span: Option<&MessageSpan>,
    ) -> OutRecord {
        if self.log_limiter.decide(NAME, received.received_at) == Decision::Count {
            counter("fieldwatch_failures", &[("class", "poison")]).inc();
        } else {
            Failure::Poison(poison.clone()).note(&received.topic);
        }
        let message = span.and_then(MessageSpan::context);
        let span = MessageSpan::start_sampled(Operation::Publish, self.records.dead_letters(), message.as_ref());
        span.set(TOPIC_ATTRIBUTE, received.topic.clone());
        span.fail(poison.reason);
        self.records.dead_letter(received, poison, device, suppressed, span.context().as_ref())
    }
}

impl Reader for MqttReader {
    type Message = MqttMessage;
    type Trail = MqttTrail;

    fn read(&mut self, received: &MqttMessage) -> Result<(Vec<OutRecord>, MqttTrail), Failure> {
        if received.is_broker_lost() {
            return Ok((self.broker_lost(received)?, self.trail(None, None)));
        }
        let started = Instant::now();
        let interpreted = self.routes.interpret(&received.message());
        let (name, filter) = interpreted.route.map_or((NO_ROUTE, NO_ROUTE), |route| (&route.name, route.filter.as_str()));
        if let Some(taken) = self.taken.get(name) {
            taken.inc();
        }
        let span = MessageSpan::start_linked(Operation::Receive, filter, received.trace().as_ref());
        let context = span.context();
        let recorded = context.as_ref().is_some_and(|context| context.sampled);
        if recorded {
            span.set(TOPIC_ATTRIBUTE, received.topic.clone());
        }
        let (records, reading) = match interpreted.outcome.and_then(|outcome| self.devices.admit(outcome, started)) {
            Ok(outcome) => {
                let reading = match &outcome {
                    Outcome::Readings(readings) => readings.first().map(|reading| (reading.measured_at, reading.received_at)),
                    Outcome::Status(status) => {
                        self.online.heard(status);
                        None
                    }
                    Outcome::State(_) | Outcome::Large(_) => None,
                };
                match self.records.events(received, &outcome, context.as_ref()) {
                    Err(Failure::Poison(poison)) => (vec![self.dead_letter(received, &poison, None, 0, Some(&span))], None),
                    records => (records?, reading),
                }
            }
            Err(reject) => (self.rejected(received, reject, &span), None),
        };
        self.processing.observe(started.elapsed().as_secs_f64());
        Ok((records, self.trail(reading, recorded.then_some(span))))
    }

    fn refused(&mut self, received: &MqttMessage, poison: &Poison) -> (OutRecord, MqttTrail) {
        (self.dead_letter(received, poison, None, 0, None), self.trail(None, None))
    }
}

impl Trail for MqttTrail {
    fn delivered(self) {
        if let Some((measured_at, received_at)) = self.reading {
            let now = Timestamp::from(SystemTime::now());
            self.ages.from_measured.observe(now.since(measured_at).as_secs_f64());
            self.ages.from_received.observe(now.since(received_at).as_secs_f64());
        }
    }
}
