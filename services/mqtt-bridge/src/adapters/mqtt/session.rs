//! The one task that reads from the broker and writes acknowledgements to it.
//!
//! An acknowledgement leaves only on the connection its message came on: packet ids begin anew with every connection, and
//! a late one would acknowledge another message. What was not acknowledged comes again.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use rumqttc::Outgoing;
use rumqttc::v5::mqttbytes::QoS;
use rumqttc::v5::mqttbytes::v5::{ConnAck, Filter, Packet, Publish};
use rumqttc::v5::{AsyncClient, ConnectionError, Event, EventLoop, MqttState};
use service::{HealthCheck, Shutdown};
use stream::Failure;
use stream::failure::backoff;
use telemetry::metrics::{GaugeF64, gauge};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Interval;

use crate::adapters::Intake;
use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::release::{Epoch, Release};
use crate::adapters::mqtt::{failure, options};
use crate::config::MqttConfig;
use crate::domain::{MAIN_CONNECTION, Routes};

const BEAT: Duration = Duration::from_secs(5);

/// A session with the broker, over any number of connections.
pub struct Session {
    client: AsyncClient,
    connection: EventLoop,
    epoch: Epoch,
    /// Whether the broker has ever known this session.
    known: bool,
    filters: Vec<Filter>,
    /// Empty: the bridge says nothing of itself.
    status_topic: String,
    releases: UnboundedReceiver<Release>,
    /// A release for which the client has no room just now.
    held: Option<Release>,
    check: HealthCheck,
    beat: Interval,
    connected: GaugeF64,
}

#[expect(clippy::large_enum_variant, reason = "lives for one turn of the loop; a box would cost an allocation a message")]
enum Next {
    Event(Event),
    Lost(ConnectionError),
    /// The service has to stop.
    Stop,
    /// Everything taken is acknowledged, and nothing is taken any more.
    AllReleased,
}

/// How far a stop has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Taking,
    /// Takes nothing more; writes the acknowledgements that are still to come.
    Releasing,
    /// Everything is acknowledged.
    Leaving,
    /// The broker is told.
    Left,
}

impl Session {
    /// A session as configured, for the routes of one connection; connects when it runs.
    pub fn new(
        config: &MqttConfig,
        routes: &Routes,
        name: &str,
        releases: UnboundedReceiver<Release>,
        check: HealthCheck,
    ) -> Result<Self, Failure> {
        let main = name == MAIN_CONNECTION;
        let client_id = if main { config.client_id.clone() } else { format!("{}-{name}", config.client_id) };
        let mut config = config.clone();
        if !main {
            // One of the connections speaks for the bridge.
            config.status_topic.clear();
        }
        let (client, mut connection) = options::client(&config, &client_id)?;
        expect_any_pubrel(&mut connection.state);
        Ok(Self {
            client,
            connection,
            epoch: Epoch::first(),
            known: false,
            filters: options::subscriptions(routes.of_connection(name), &config.shared_group),
            status_topic: config.status_topic,
            releases,
            held: None,
            check,
            beat: tokio::time::interval(BEAT),
            connected: gauge("fieldwatch_mqtt_connected", &[("connection", name)]),
        })
    }

    /// Hands every message to `intake` until the service stops and what was taken is acknowledged.
    pub async fn run(mut self, intake: Intake, shutdown: Shutdown) -> Result<(), Failure> {
        let mut intake = Some(intake);
        let mut phase = Phase::Taking;
        let mut attempt = 0;
        loop {
            if phase == Phase::Leaving {
                // Without room behind the acknowledgements it is asked again after the next event.
                let left = self.tell(options::OFFLINE).and_then(|()| self.client.try_disconnect().map_err(Failure::transient));
                phase = left.map_or(Phase::Leaving, |()| Phase::Left);
            }
            match self.next(phase, &shutdown).await {
                Next::Event(Event::Incoming(Packet::Publish(publish))) => {
                    if let Some(intake) = &mut intake {
                        self.take(intake, publish, self.epoch, &shutdown).await?;
                    }
                }
                Next::Event(Event::Incoming(Packet::ConnAck(connack))) => {
                    attempt = 0;
                    self.connected(&connack)?;
                }
                Next::Event(Event::Incoming(Packet::SubAck(suback))) => {
                    failure::of_subscriptions(&suback, self.filters.iter().map(|filter| filter.path.as_str()))?;
                    self.check.ready();
                    self.tell(options::ONLINE)?;
                }
                Next::Event(Event::Outgoing(Outgoing::Disconnect)) => return Ok(()),
                Next::Event(_) => {}
                // What is not acknowledged now comes again on the next start.
                Next::Lost(_) if phase != Phase::Taking => return Ok(()),
                Next::Lost(error) => {
                    // Not to be acknowledged: the epoch their releases bear is over once `lost` returns.
                    let epoch = self.epoch;
                    for publish in self.lost(&error)? {
                        if let Some(intake) = &mut intake {
                            self.take(intake, publish, epoch, &shutdown).await?;
                        }
                    }
                    tokio::select! {
                        () = tokio::time::sleep(backoff(attempt, u64::from(std::process::id()))) => {}
                        () = shutdown.cancelled() => return Ok(()),
                    }
                    attempt += 1;
                }
                Next::Stop => {
                    // With the intake gone, the last acknowledgement closes the releases.
                    intake = None;
                    phase = Phase::Releasing;
                }
                Next::AllReleased => phase = Phase::Leaving,
            }
        }
    }

    /// Waits for what comes next, writing acknowledgements meanwhile. The client's poll is not cancelled by them: it could
    /// lose what it was about to write.
    async fn next(&mut self, phase: Phase, shutdown: &Shutdown) -> Next {
        let Self { connection, client, releases, held, epoch, .. } = self;
        // The client reads ten messages for each acknowledgement it writes: after an outage they pile up, and wait here.
        let mut acknowledge = |release: Release| {
            let current = release.epoch == *epoch;
            if current && client.try_ack(&release.publish()).is_err() { Some(release) } else { None }
        };
        *held = held.take().and_then(&mut acknowledge);
        let open = matches!(phase, Phase::Taking | Phase::Releasing);
        let mut poll = pin!(connection.poll());
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if phase == Phase::Taking => return Next::Stop,
                release = releases.recv(), if open && held.is_none() => match release {
                    Some(release) => *held = acknowledge(release),
                    None => return Next::AllReleased,
                },
                event = &mut poll => return event.map_or_else(Next::Lost, Next::Event),
                _ = self.beat.tick() => self.check.beat(),
            }
        }
    }

    async fn take(&mut self, intake: &mut Intake, publish: Publish, epoch: Epoch, shutdown: &Shutdown) -> Result<(), Failure> {
        let release = Release::of(&publish, epoch);
        let mut taking = pin!(intake.take(received(publish), release));
        loop {
            tokio::select! {
                biased;
                taken = &mut taking => return taken,
                // Not taken, so not acknowledged: it comes again.
                () = shutdown.cancelled() => return Ok(()),
                _ = self.beat.tick() => self.check.beat(),
            }
        }
    }

    /// Subscribes on every connection: whether the broker still knows the session or not.
    fn connected(&mut self, connack: &ConnAck) -> Result<(), Failure> {
        if self.known && !connack.session_present {
            tracing::warn!("the broker has forgotten the session: what was published meanwhile is lost");
        }
        tracing::info!(session_present = connack.session_present, "connected to the MQTT broker");
        self.known = true;
        self.connected.set(1.0);
        self.check.not_ready("subscribing");
        self.client.try_subscribe_many(self.filters.clone()).map_err(Failure::fatal)
    }

    /// Says of the bridge what it is.
    fn tell(&self, status: &str) -> Result<(), Failure> {
        if self.status_topic.is_empty() {
            return Ok(());
        }
        self.client.try_publish(&self.status_topic, QoS::AtLeastOnce, true, status.to_owned()).map_err(Failure::transient)
    }

    /// Forgets the connection. Returns what had been read from it: a broker that died may not send it again.
    fn lost(&mut self, error: &ConnectionError) -> Result<Vec<Publish>, Failure> {
        self.connected.set(0.0);
        let failure = failure::of_connection(error);
        self.check.not_ready(failure.to_string());
        if matches!(failure, Failure::Fatal(_)) {
            return Err(failure);
        }
        failure.note("mqtt");
        self.epoch = self.epoch.next();
        self.connection.pending.clear();
        let unread = std::mem::take(&mut self.connection.state.events);
        expect_any_pubrel(&mut self.connection.state);
        let messages = unread.into_iter().filter_map(|event| match event {
            Event::Incoming(Packet::Publish(publish)) => Some(publish),
            _ => None,
        });
        Ok(messages.collect())
    }
}

fn received(publish: Publish) -> MqttMessage {
    MqttMessage {
        topic: String::from_utf8_lossy(&publish.topic).into_owned(),
        payload: publish.payload,
        qos: publish.qos as u8,
        retained: publish.retain,
        user_properties: publish.properties.map(|properties| properties.user_properties).unwrap_or_default(),
        received_at: SystemTime::now().into(),
    }
}

/// Makes the client answer any PUBREL with PUBCOMP. It forgets with each connection which messages it sent a PUBREC for,
/// takes the broker's PUBREL for an error, closes the connection, and gets the same PUBREL again. A PUBREC is sent only
/// for what is in Kafka, so a PUBREL of whatever message may be answered.
fn expect_any_pubrel(state: &mut MqttState) {
    let mut publish = Publish { qos: QoS::ExactlyOnce, topic: "-".into(), ..Publish::default() };
    for packet_id in 1..=u16::MAX {
        publish.pkid = packet_id;
        // With acknowledgements by hand this only notes the packet id.
        let _ = state.handle_incoming_packet(Packet::Publish(publish.clone()));
        state.events.clear();
    }
}
