//! Carries out a schedule. A fault ends when what it took away is let back: a process is continued or begins to start, a
//! line is free. Recovered is who has shown the notifications of marker readings that were published at that moment, by
//! devices of every partition.

use std::time::{Duration, Instant, SystemTime};

use events::Timestamp;
use testkit::bench::metric;
use testkit::chaos::Act;
use testkit::ordeal::{Anomaly, Fault, Line, Message, Schedule, Server, Step};

use crate::devices::Devices;
use crate::disk::Disk;
use crate::fleet::Fleet;
use crate::servers::Servers;
use crate::stream::Dashboard;

/// Devices of one recovery: more than a topic has partitions, so that each is most likely among theirs.
const MARKERS: usize = 8;
const PATIENCE: Duration = Duration::from_mins(2);
const LOOK: Duration = Duration::from_millis(20);

pub(crate) struct Nemesis<'a> {
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) servers: &'a Servers,
    pub(crate) disk: &'a Disk,
    pub(crate) devices: &'a Devices,
    pub(crate) dashboard: &'a Dashboard,
    /// Which connection of the devices has the markers.
    pub(crate) connection: usize,
    pub(crate) markers: usize,
}

pub(crate) struct Suffered {
    pub(crate) step: Step,
    /// Since the run began.
    pub(crate) at: Duration,
    /// None within two minutes.
    pub(crate) recovery: Option<Duration>,
    /// What else is to be known of it.
    pub(crate) note: String,
}

impl Nemesis<'_> {
    pub(crate) async fn follow(&mut self, schedule: &Schedule) -> (Vec<Suffered>, Vec<Anomaly>) {
        let (began, mut suffered, mut anomalies) = (Instant::now(), Vec::new(), Vec::new());
        for step in &schedule.steps {
            if matches!(step.fault, Fault::Away(Server::Broker(_)) | Fault::Frozen(_)) {
                self.servers.in_sync(&self.fleet.suite.kit).await;
            }
            self.fleet.pass(step.after).await;
            let at = began.elapsed();
            let mut note = self.inflict(step).await;
            let servers = self.servers;
            let restart = async {
                let Fault::Away(_) = step.fault else { return };
                let began = Instant::now();
                servers.start().await;
                note = format!("answers after {:.1} s", began.elapsed().as_secs_f64());
            };
            let (recovery, ()) = tokio::join!(self.recovery(), restart);
            eprintln!("{:.1} s: {step}: recovered after {recovery:?} {note}", at.as_secs_f64());
            if recovery.is_none() {
                anomalies.push(Anomaly::NoRecovery { fault: step.fault.to_string() });
            }
            suffered.push(Suffered { step: step.clone(), at, recovery, note });
        }
        (suffered, anomalies)
    }

    /// Until what it takes away may come back; a server has to be started then.
    async fn inflict(&mut self, step: &Step) -> String {
        let mut note = String::new();
        match step.fault {
            Fault::Kill(service, replica) => self.without(step, service, replica, Act::Kill, Act::Start).await,
            Fault::Pause(service, replica) => self.without(step, service, replica, Act::Pause, Act::Continue).await,
            Fault::Roll => self.fleet.roll().await,
            Fault::Storm(service) => self.fleet.storm(service, step.hold).await,
            Fault::Away(server) => {
                self.servers.stop(server).await;
                self.hold(step).await;
            }
            Fault::Frozen(broker) => {
                self.servers.freeze(broker, true);
                self.hold(step).await;
                self.servers.freeze(broker, false);
            }
            Fault::Cut(line) => {
                self.fleet.line(line).iter().for_each(|cable| cable.set(false));
                self.hold(step).await;
                self.fleet.line(line).iter().for_each(|cable| cable.set(true));
            }
            Fault::Held(line) => {
                self.fleet.line(line).iter().for_each(|cable| cable.hold(true));
                self.hold(step).await;
                self.fleet.line(line).iter().for_each(|cable| cable.hold(false));
            }
            Fault::Slow(line, late) => {
                self.fleet.line(line).iter().for_each(|cable| cable.delay(Duration::from_millis(late)));
                self.hold(step).await;
                self.fleet.line(line).iter().for_each(|cable| cable.delay(Duration::ZERO));
            }
            Fault::DiskFull => {
                self.disk.fill();
                self.fleet.line(Line::Kafka).iter().for_each(|cable| cable.set(false));
                self.hold(step).await;
                let full = metric(self.fleet.admin_port("mqtt-bridge", 0), "fieldwatch_mqtt_spool_full", &[]).await;
                note = String::from(if full > 0.0 { "the spool was full" } else { "the spool was not full" });
                self.disk.empty();
                self.fleet.line(Line::Kafka).iter().for_each(|cable| cable.set(true));
            }
        }
        note
    }

    async fn without(&mut self, step: &Step, service: &'static str, replica: usize, away: Act, back: Act) {
        self.fleet.act(service, replica, away).await;
        self.hold(step).await;
        self.fleet.act(service, replica, back).await;
    }

    /// As long as the fault lasts; whom it takes beside it is back before its end.
    async fn hold(&mut self, step: &Step) {
        let Some((service, replica)) = step.beside else { return self.fleet.pass(step.hold).await };
        self.fleet.pass(step.hold / 3).await;
        self.fleet.act(service, replica, Act::Kill).await;
        self.fleet.pass(step.hold / 3).await;
        self.fleet.act(service, replica, Act::Start).await;
        self.fleet.pass(step.hold / 3).await;
    }

    /// From now until every marker is on the stream; each then comes down again.
    pub(crate) async fn recovery(&mut self) -> Option<Duration> {
        let ended = Instant::now();
        let at = Timestamp::from_millis(Timestamp::from(SystemTime::now()).as_millis());
        let markers: Vec<String> = (0..MARKERS).map(|number| format!("marker-{:03}", self.markers + number)).collect();
        self.markers += MARKERS;
        for device in &markers {
            self.devices.publish(self.connection, Message { device: device.clone(), sequence: 1, measured_at: at, value: 30.0 }).await;
        }
        let mut last = None;
        while ended.elapsed() < PATIENCE && last.is_none() {
            self.fleet.pass(LOOK).await;
            let opened: Option<Vec<Instant>> = markers.iter().map(|device| self.dashboard.opened(device, at)).collect();
            last = opened.and_then(|opened| opened.into_iter().max());
        }
        let down = at.saturating_add(Duration::from_millis(1));
        for device in markers {
            self.devices.publish(self.connection, Message { device, sequence: 2, measured_at: down, value: 20.0 }).await;
        }
        last.map(|last| last.saturating_duration_since(ended))
    }
}
