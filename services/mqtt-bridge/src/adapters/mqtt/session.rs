//! The one task that reads from the broker and writes acknowledgements to it.
//!
//! An acknowledgement leaves only on the connection its message came on: packet ids begin anew with every connection, and
//! a late one would acknowledge another message. What was not acknowledged comes again.

use std::pin::pin;
use std::time::{Duration, SystemTime};

use events::Timestamp;
use service::{HealthCheck, Shutdown};
use stream::Failure;
use stream::failure::backoff;
use telemetry::metrics::{GaugeF64, gauge};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, Interval};

use crate::adapters::Intake;
use crate::adapters::message::MqttMessage;
use crate::adapters::mqtt::client::{Connection, Incoming, Received, Requests as _};
use crate::adapters::mqtt::options;
use crate::adapters::mqtt::release::{Epoch, Release};

const BEAT: Duration = Duration::from_secs(5);

/// A session with the broker, over any number of connections.
pub struct Session<C: Connection> {
    requests: C::Requests,
    connection: C,
    epoch: Epoch,
    link: Link,
    /// Empty: the bridge says nothing of itself.
    status_topic: String,
    /// How long the broker may be away before nothing is known of its devices; `None`: for ever.
    unknown_after: Option<Duration>,
    releases: UnboundedReceiver<Release>,
    /// A release for which the client has no room just now.
    held: Option<Release>,
    check: HealthCheck,
    beat: Interval,
    connected: GaugeF64,
}

/// Where the connection to the broker stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Link {
    /// There was none yet: the broker does not know this session.
    New,
    Up,
    Down {
        at: Instant,
        since: Timestamp,
    },
    /// For so long that its devices were called unknown.
    GivenUp,
}

enum Next {
    Incoming(Incoming),
    Lost(Failure),
    /// The service has to stop.
    Stop,
    /// Everything taken is acknowledged, and nothing is taken any more.
    AllReleased,
    /// The broker is away too long, since then.
    Away(Timestamp),
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

impl<C: Connection> Session<C> {
    pub fn new(
        (requests, connection): (C::Requests, C),
        name: &str,
        status_topic: String,
        unknown_after: Option<Duration>,
        releases: UnboundedReceiver<Release>,
        check: HealthCheck,
    ) -> Self {
        Self {
            requests,
            connection,
            epoch: Epoch::first(),
            link: Link::New,
            status_topic,
            unknown_after,
            releases,
            held: None,
            check,
            beat: tokio::time::interval(BEAT),
            connected: gauge("fieldwatch_mqtt_connected", &[("connection", name)]),
        }
    }

    /// Hands every message to `intake` until the service stops and what was taken is acknowledged.
    pub async fn run(mut self, intake: Intake, shutdown: Shutdown) -> Result<(), Failure> {
        let mut intake = Some(intake);
        let mut phase = Phase::Taking;
        let mut attempt = 0;
        loop {
            if phase == Phase::Leaving {
                // Without room behind the acknowledgements it is asked again after the next event.
                let left = self.tell(options::OFFLINE).and_then(|()| self.requests.disconnect());
                phase = left.map_or(Phase::Leaving, |()| Phase::Left);
            }
            match self.next(phase, &shutdown).await {
                Next::Incoming(Incoming::Message(received)) => {
                    if let Some(intake) = &mut intake {
                        self.take(intake, received, self.epoch, &shutdown).await?;
                    }
                }
                Next::Incoming(Incoming::Connected { session_present }) => {
                    attempt = 0;
                    self.connected(session_present)?;
                }
                Next::Incoming(Incoming::Subscribed(answer)) => {
                    answer?;
                    self.check.ready();
                    self.tell(options::ONLINE)?;
                }
                Next::Incoming(Incoming::Left) => return Ok(()),
                // Of what the bridge says of itself.
                Next::Incoming(Incoming::Sent(_) | Incoming::Completed(_) | Incoming::Refused { .. } | Incoming::Other) => {}
                // What is not acknowledged now comes again on the next start.
                Next::Lost(_) if phase != Phase::Taking => return Ok(()),
                Next::Lost(failure) => {
                    // Not to be acknowledged: the epoch their releases bear is over once `lost` returns.
                    let epoch = self.epoch;
                    for received in self.lost(failure)? {
                        if let Some(intake) = &mut intake {
                            self.take(intake, received, epoch, &shutdown).await?;
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
                Next::Away(since) => {
                    self.link = Link::GivenUp;
                    if let Some(intake) = &mut intake {
                        self.accept(intake, MqttMessage::broker_lost(since), None, &shutdown).await?;
                    }
                }
            }
        }
    }

    /// Waits for what comes next, writing acknowledgements meanwhile. The client's poll is not cancelled by them: it could
    /// lose what it was about to write.
    async fn next(&mut self, phase: Phase, shutdown: &Shutdown) -> Next {
        let Self { connection, requests, releases, held, epoch, link, unknown_after, .. } = self;
        let give_up = async {
            match (*link, *unknown_after) {
                (Link::Down { at, since }, Some(longest)) => {
                    tokio::time::sleep_until(at + longest).await;
                    since
                }
                _ => std::future::pending().await,
            }
        };
        // The client reads ten messages for each acknowledgement it writes: after an outage they pile up, and wait here.
        let mut acknowledge = |release: Release| {
            let current = release.epoch == *epoch;
            (current && !requests.acknowledge(&release)).then_some(release)
        };
        *held = held.take().and_then(&mut acknowledge);
        let open = matches!(phase, Phase::Taking | Phase::Releasing);
        let (mut poll, mut give_up) = (pin!(connection.next()), pin!(give_up));
        loop {
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if phase == Phase::Taking => return Next::Stop,
                release = releases.recv(), if open && held.is_none() => match release {
                    Some(release) => *held = acknowledge(release),
                    None => return Next::AllReleased,
                },
                since = &mut give_up => return Next::Away(since),
                incoming = &mut poll => return incoming.map_or_else(Next::Lost, Next::Incoming),
                _ = self.beat.tick() => self.check.beat(),
            }
        }
    }

    async fn take(&mut self, intake: &mut Intake, received: Received, epoch: Epoch, shutdown: &Shutdown) -> Result<(), Failure> {
        let release = Release::of(&received, epoch);
        self.accept(intake, received.message, release, shutdown).await
    }

    async fn accept(
        &mut self,
        intake: &mut Intake,
        message: MqttMessage,
        release: Option<Release>,
        shutdown: &Shutdown,
    ) -> Result<(), Failure> {
        let mut taking = pin!(intake.take(message, release));
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
    fn connected(&mut self, session_present: bool) -> Result<(), Failure> {
        if self.link != Link::New && !session_present {
            tracing::warn!("the broker has forgotten the session: what was published meanwhile is lost");
        }
        tracing::info!(session_present, "connected to the MQTT broker");
        self.link = Link::Up;
        self.connected.set(1.0);
        self.check.not_ready("subscribing");
        self.requests.subscribe()
    }

    /// Says of the bridge what it is.
    fn tell(&self, status: &str) -> Result<(), Failure> {
        if self.status_topic.is_empty() { Ok(()) } else { self.requests.publish(&self.status_topic, status) }
    }

    /// Forgets the connection. Returns what had been read from it.
    fn lost(&mut self, failure: Failure) -> Result<Vec<Received>, Failure> {
        self.connected.set(0.0);
        self.check.not_ready(failure.to_string());
        if matches!(failure, Failure::Fatal(_)) {
            return Err(failure);
        }
        failure.note("mqtt");
        if self.link == Link::Up {
            self.link = Link::Down { at: Instant::now(), since: SystemTime::now().into() };
        }
        self.epoch = self.epoch.next();
        let message = |incoming| if let Incoming::Message(message) = incoming { Some(message) } else { None };
        Ok(self.connection.start_over().into_iter().filter_map(message).collect())
    }
}
