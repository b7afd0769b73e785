//! The door to the devices: publishes at `QoS` 2 over a connection of its own, and tells of each message when the broker
//! has it (PUBCOMP).
//!
//! Messages leave in the order they came. What was not confirmed when the connection was lost is told as Transient, to be
//! published again: at least once.

use std::collections::{HashMap, VecDeque};
use std::pin::pin;
use std::time::Duration;

use service::HealthCheck;
use stream::failure::backoff;
use stream::{Failure, Poison};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Interval;

use super::client::{Connection, Incoming, Published, Requests as _};
use super::options::Purpose;
use super::{version3, version5};
use crate::config::{MqttConfig, MqttVersion};

const BEAT: Duration = Duration::from_secs(5);
const LEAVE_WITHIN: Duration = Duration::from_secs(1);

type Told = oneshot::Sender<Result<(), Failure>>;
type Asked = (Published, Told);

/// Where messages are handed in.
pub struct Doorway {
    asks: mpsc::UnboundedSender<Asked>,
}

impl Doorway {
    /// Hands a message in; what is received tells what became of it.
    pub fn publish(&self, message: Published) -> oneshot::Receiver<Result<(), Failure>> {
        let (told, outcome) = oneshot::channel();
        // Without a door nobody holds the other end, which says the same.
        let _ = self.asks.send((message, told));
        outcome
    }
}

/// The door in the version that is configured.
pub enum AnyDoor {
    Version3(Box<Door<version3::Connection3>>),
    Version5(Box<Door<version5::Connection5>>),
}

impl AnyDoor {
    /// Connects when it runs.
    pub fn new(config: &MqttConfig, check: HealthCheck) -> Result<(Doorway, Self), Failure> {
        let client_id = format!("{}-commands", config.client_id);
        let config = MqttConfig { status_topic: String::new(), ..config.clone() };
        let (asks, asked) = mpsc::unbounded_channel();
        let door = match config.version {
            MqttVersion::V3 => {
                let client = version3::client(&config, &client_id, Purpose::Give, std::iter::empty())?;
                Self::Version3(Box::new(Door::new(client, asked, check)))
            }
            MqttVersion::V5 => {
                let client = version5::client(&config, &client_id, Purpose::Give, std::iter::empty())?;
                Self::Version5(Box::new(Door::new(client, asked, check)))
            }
        };
        Ok((Doorway { asks }, door))
    }

    /// Publishes until its doorway is gone.
    pub async fn run(self) -> Result<(), Failure> {
        match self {
            Self::Version3(door) => door.run().await,
            Self::Version5(door) => door.run().await,
        }
    }
}

pub struct Door<C: Connection> {
    requests: C::Requests,
    connection: C,
    asked: mpsc::UnboundedReceiver<Asked>,
    open: bool,
    /// Given to the client, in order, and not written yet.
    queued: VecDeque<Told>,
    /// By packet id.
    under_way: HashMap<u16, Told>,
    check: HealthCheck,
    beat: Interval,
}

impl<C: Connection> Door<C> {
    fn new((requests, connection): (C::Requests, C), asked: mpsc::UnboundedReceiver<Asked>, check: HealthCheck) -> Self {
        let beat = tokio::time::interval(BEAT);
        Self { requests, connection, asked, open: false, queued: VecDeque::new(), under_way: HashMap::new(), check, beat }
    }

    async fn run(mut self) -> Result<(), Failure> {
        let mut attempt = 0;
        while let Some(incoming) = self.next().await {
            match incoming {
                Ok(Incoming::Connected { .. }) => {
                    attempt = 0;
                    self.open = true;
                    self.check.ready();
                }
                Ok(incoming) => {
                    if let Some(problem) = self.hear(incoming) {
                        self.close(&problem);
                    }
                }
                Err(Failure::Fatal(problem)) => return Err(Failure::Fatal(problem)),
                Err(lost) => {
                    self.close(&lost);
                    lost.note("mqtt-commands");
                    tokio::time::sleep(backoff(attempt, u64::from(std::process::id()))).await;
                    attempt += 1;
                }
            }
        }
        self.leave().await;
        Ok(())
    }

    /// What becomes of the messages that were handed in. Returns why the connection cannot go on, when it cannot.
    fn hear(&mut self, incoming: Incoming) -> Option<Failure> {
        match incoming {
            Incoming::Sent(packet_id) => {
                if let Some(told) = self.queued.pop_front() {
                    self.under_way.insert(packet_id, told);
                }
            }
            Incoming::Completed(packet_id) => self.tell(packet_id, Ok(())),
            Incoming::Refused { packet_id, for_good, problem } => {
                let failure = if for_good { Poison::new("refused_by_broker", &*problem).into() } else { Failure::transient(&problem) };
                self.tell(packet_id, Err(failure));
                return Some(Failure::transient(problem));
            }
            Incoming::Connected { .. } | Incoming::Message(_) | Incoming::Subscribed(_) | Incoming::Left | Incoming::Other => {}
        }
        None
    }

    /// Waits for what comes next, and hands in what is asked meanwhile. The client's poll is not cancelled by that: it could
    /// lose what it was about to write. `None`: the doorway is gone.
    async fn next(&mut self) -> Option<Result<Incoming, Failure>> {
        let Self { requests, connection, asked, open, queued, check, beat, .. } = self;
        let mut poll = pin!(connection.next());
        loop {
            tokio::select! {
                biased;
                ask = asked.recv() => {
                    let (message, told) = ask?;
                    let handed_in = if *open { requests.command(message) } else { Err(Failure::transient("no connection to the MQTT broker")) };
                    match handed_in {
                        Ok(()) => queued.push_back(told),
                        failed => tell(told, failed),
                    }
                }
                incoming = &mut poll => return Some(incoming),
                _ = beat.tick() => check.beat(),
            }
        }
    }

    fn tell(&mut self, packet_id: u16, outcome: Result<(), Failure>) {
        if let Some(told) = self.under_way.remove(&packet_id) {
            tell(told, outcome);
        }
    }

    /// Gives the connection up: whoever still waits is told why. A broker that refuses a message may close the connection at
    /// once, so that its refusal comes with the end; unheard, the message would be tried, and refused, for ever.
    fn close(&mut self, why: &Failure) {
        self.open = false;
        self.check.not_ready(why.to_string());
        for unread in self.connection.start_over() {
            self.hear(unread);
        }
        let waiting = self.queued.drain(..).chain(self.under_way.drain().map(|(_, told)| told));
        waiting.for_each(|told| tell(told, Err(Failure::transient(why))));
    }

    async fn leave(&mut self) {
        let left =
            async { while self.requests.disconnect().is_ok() && !matches!(self.connection.next().await, Ok(Incoming::Left) | Err(_)) {} };
        // Whether the broker hears of it or not: there is nothing under way that anybody waits for.
        let _ = tokio::time::timeout(LEAVE_WITHIN, left).await;
    }
}

fn tell(told: Told, outcome: Result<(), Failure>) {
    // Whoever asked may have given up.
    let _ = told.send(outcome);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::mqtt::client::Requests;
    use crate::adapters::mqtt::release::Release;

    /// Says what a test says, and has read more than it said when it ends.
    struct Scripted {
        script: mpsc::UnboundedReceiver<Result<Incoming, Failure>>,
        unread: Vec<Incoming>,
    }

    struct Hears(mpsc::UnboundedSender<()>);

    impl Connection for Scripted {
        type Requests = Hears;

        async fn next(&mut self) -> Result<Incoming, Failure> {
            match self.script.recv().await {
                Some(incoming) => incoming,
                None => std::future::pending().await,
            }
        }

        fn start_over(&mut self) -> Vec<Incoming> {
            std::mem::take(&mut self.unread)
        }
    }

    impl Requests for Hears {
        fn acknowledge(&self, _: &Release) -> bool {
            true
        }

        fn subscribe(&self) -> Result<(), Failure> {
            Ok(())
        }

        fn publish(&self, _: &str, _: &str) -> Result<(), Failure> {
            Ok(())
        }

        fn command(&self, _: Published) -> Result<(), Failure> {
            self.0.send(()).map_err(Failure::fatal)
        }

        fn disconnect(&self) -> Result<(), Failure> {
            Err(Failure::transient("gone"))
        }
    }

    #[tokio::test]
    async fn a_refusal_that_comes_with_the_end_of_its_connection_is_heard() {
        let (says, script) = mpsc::unbounded_channel();
        let (hears, mut handed_in) = mpsc::unbounded_channel();
        let (asks, asked) = mpsc::unbounded_channel();
        let refused = Incoming::Refused { packet_id: 1, for_good: true, problem: "not authorized".into() };
        let unread = vec![Incoming::Sent(1), Incoming::Sent(2), refused, Incoming::Completed(2)];
        let door = Door::new((Hears(hears), Scripted { script, unread }), asked, service::Health::default().check("door"));
        let doorway = Doorway { asks };
        let message = || Published { topic: "t".into(), payload: Vec::new(), expires_in: Duration::ZERO, user_properties: Vec::new() };
        let test = async {
            says.send(Ok(Incoming::Connected { session_present: false })).unwrap();
            // Until the door knows that it is open.
            let mut first = doorway.publish(message());
            while tokio::time::timeout(Duration::from_millis(10), handed_in.recv()).await.is_err() {
                first = doorway.publish(message());
            }
            let second = doorway.publish(message());
            handed_in.recv().await.unwrap();
            says.send(Err(Failure::transient("closed"))).unwrap();
            assert!(matches!(first.await.unwrap(), Err(Failure::Poison(poison)) if poison.reason == "refused_by_broker"));
            assert!(second.await.unwrap().is_ok());
        };
        tokio::select! {
            ended = door.run() => ended.unwrap(),
            () = test => {}
        }
    }
}
