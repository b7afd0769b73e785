use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand::{Rng, SeedableRng};

use super::Disturbed;

/// What stands between services and a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// To all brokers at a time.
    Kafka,
    Postgres,
    Registry,
    /// Between the MQTT broker and the bridge.
    Mqtt,
}

/// A server that can be away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Server {
    /// One of three, from 0.
    Broker(usize),
    Registry,
    Postgres,
}

/// One thing that is wrong for a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of a service's replica.
    Kill(&'static str, usize),
    /// SIGSTOP, then SIGCONT.
    Pause(&'static str, usize),
    /// SIGTERM to every replica of every service, one after the other; each is back before the next goes.
    Roll,
    /// Further replicas of a service come and go as fast as they can.
    Storm(&'static str),
    /// `kill -9`, for Postgres the fast shutdown.
    Away(Server),
    /// SIGSTOP of a Kafka broker, then SIGCONT.
    Frozen(usize),
    /// Connections break and none is made.
    Cut(Line),
    /// Connections stay, and nothing comes through.
    Held(Line),
    /// Everything comes so many milliseconds late, in each direction.
    Slow(Line, u64),
    /// Kafka cannot be reached, and where the bridge spools meanwhile is full.
    DiskFull,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// Since the step before was recovered from.
    pub after: Duration,
    pub fault: Fault,
    pub hold: Duration,
    /// A service that is killed in the middle of it.
    pub beside: Option<(&'static str, usize)>,
}

/// A named set of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub disturbed: Disturbed,
    kinds: &'static [Kind],
    /// Now and then two faults at a time.
    mixed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Kill,
    Pause,
    Roll,
    Storm,
    Broker,
    Network,
    Registry,
    Postgres,
    Disk,
}

/// Services and how many of each run. One bridge: the messages of a device have one way.
pub const REPLICAS: [(&str, usize); 6] =
    [("mqtt-bridge", 1), ("temperature-alert", 2), ("anomaly-detector", 1), ("notifier", 2), ("outbox-relay", 2), ("device-commands", 1)];

/// Those of a consumer group.
const GROUPS: [&str; 3] = ["temperature-alert", "anomaly-detector", "notifier"];
/// What recovering takes about, for a schedule that fits into its time.
const RECOVERY: Duration = Duration::from_secs(4);
const CALM: Disturbed = Disturbed { publishes: false, clocks: false };

pub const SCENARIOS: [Scenario; 12] = [
    only("kill", "kill -9 of services", &[Kind::Kill]),
    only("pause", "SIGSTOP of services, longer than their sessions now and then", &[Kind::Pause]),
    only("rolling", "SIGTERM to every replica, one after the other", &[Kind::Roll]),
    only("rebalance", "replicas that come and go: one rebalance after the other", &[Kind::Storm]),
    only("brokers", "kill -9 and SIGSTOP of one Kafka broker of three", &[Kind::Broker]),
    only("network", "connections to Kafka, Postgres, registry and MQTT cut, held and slow", &[Kind::Network]),
    only("registry", "the schema registry away", &[Kind::Registry]),
    only("postgres", "Postgres stopped and started", &[Kind::Postgres]),
    only("disk", "Kafka out of reach and the bridge's spool on a disk that is full", &[Kind::Disk]),
    Scenario { disturbed: Disturbed { publishes: false, clocks: true }, ..only("clock", "devices whose clocks jump", &[]) },
    Scenario {
        disturbed: Disturbed { publishes: true, clocks: false },
        ..only("publishes", "messages published twice and out of order", &[])
    },
    Scenario {
        name: "all",
        about: "all of these, two at a time now and then",
        disturbed: Disturbed { publishes: true, clocks: true },
        kinds: &[Kind::Kill, Kind::Pause, Kind::Roll, Kind::Storm, Kind::Broker, Kind::Network, Kind::Registry, Kind::Postgres, Kind::Disk],
        mixed: true,
    },
];

const fn only(name: &'static str, about: &'static str, kinds: &'static [Kind]) -> Scenario {
    Scenario { name, about, disturbed: CALM, kinds, mixed: false }
}

impl Scenario {
    pub fn named(name: &str) -> Option<&'static Self> {
        SCENARIOS.iter().find(|scenario| scenario.name == name)
    }
}

/// Faults one after the other: each ends, and the suite recovers, before the next begins. Made from its seed alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    pub seed: u64,
    pub scenario: &'static Scenario,
    pub steps: Vec<Step>,
}

impl Schedule {
    /// As many faults as fit into about `span`, at least one; each kind of the scenario once before any comes again.
    pub fn new(seed: u64, scenario: &'static Scenario, span: Duration) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut steps, mut left, mut filled) = (Vec::new(), Vec::new(), Duration::ZERO);
        while !scenario.kinds.is_empty() && (filled < span || steps.is_empty()) {
            if left.is_empty() {
                left.extend_from_slice(scenario.kinds);
                left.shuffle(&mut random);
            }
            let kind = left.pop().unwrap_or(scenario.kinds[0]);
            let (fault, hold) = fault(kind, &mut random);
            let is_service = matches!(kind, Kind::Kill | Kind::Pause | Kind::Roll | Kind::Storm);
            let beside = (scenario.mixed && !is_service && random.random_ratio(1, 2)).then(|| replica(&mut random));
            let after = millis(random.random_range(500..3_000));
            filled += after + hold + RECOVERY;
            steps.push(Step { after, fault, hold, beside });
        }
        Self { seed, scenario, steps }
    }
}

fn fault(kind: Kind, random: &mut StdRng) -> (Fault, Duration) {
    let (fault, hold) = match kind {
        Kind::Kill => {
            let (service, replica) = replica(random);
            (Fault::Kill(service, replica), 0..4_000)
        }
        Kind::Pause => {
            let (service, replica) = replica(random);
            // Sessions of consumers last 6 s, leases of the relay 2.4 s.
            (Fault::Pause(service, replica), 500..10_000)
        }
        // It lasts as long as it takes.
        Kind::Roll => (Fault::Roll, 0..1),
        Kind::Storm => (Fault::Storm(GROUPS[random.random_range(0..GROUPS.len())]), 5_000..12_000),
        Kind::Broker if random.random_ratio(2, 3) => (Fault::Away(Server::Broker(random.random_range(0..3))), 1_000..10_000),
        // A broker that is silent for 9 s loses what it leads.
        Kind::Broker => (Fault::Frozen(random.random_range(0..3)), 2_000..14_000),
        Kind::Network => {
            let line = *[Line::Kafka, Line::Postgres, Line::Registry, Line::Mqtt].choose(random).unwrap_or(&Line::Kafka);
            match random.random_range(0..3) {
                0 => (Fault::Cut(line), 1_000..8_000),
                1 => (Fault::Held(line), 1_000..12_000),
                _ => (Fault::Slow(line, random.random_range(20..400)), 4_000..8_000),
            }
        }
        Kind::Registry => (Fault::Away(Server::Registry), 3_000..10_000),
        Kind::Postgres => (Fault::Away(Server::Postgres), 1_000..8_000),
        Kind::Disk => (Fault::DiskFull, 8_000..14_000),
    };
    (fault, millis(random.random_range(hold)))
}

/// Any of all that run.
fn replica(random: &mut StdRng) -> (&'static str, usize) {
    let all = REPLICAS.iter().flat_map(|(service, count)| (0..*count).map(move |number| (*service, number)));
    let all: Vec<(&'static str, usize)> = all.collect();
    all[random.random_range(0..all.len())]
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

impl fmt::Display for Fault {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(service, replica) => write!(out, "kill -9 {service} {replica}"),
            Self::Pause(service, replica) => write!(out, "pause {service} {replica}"),
            Self::Roll => write!(out, "rolling restart"),
            Self::Storm(service) => write!(out, "rebalances of {service}"),
            Self::Away(Server::Broker(number)) => write!(out, "kill -9 Kafka broker {number}"),
            Self::Away(Server::Registry) => write!(out, "kill -9 registry"),
            Self::Away(Server::Postgres) => write!(out, "stop Postgres"),
            Self::Frozen(number) => write!(out, "pause Kafka broker {number}"),
            Self::Cut(line) => write!(out, "cut {line:?}"),
            Self::Held(line) => write!(out, "hold {line:?}"),
            Self::Slow(line, late) => write!(out, "{line:?} {late} ms late"),
            Self::DiskFull => write!(out, "Kafka out of reach, spool full"),
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "after {:.1} s {} for {:.1} s", self.after.as_secs_f64(), self.fault, self.hold.as_secs_f64())?;
        self.beside.map_or(Ok(()), |(service, replica)| write!(out, ", beside it kill -9 {service} {replica}"))
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(out, "{} with seed {}: {}", self.scenario.name, self.seed, self.scenario.about)?;
        self.steps.iter().try_for_each(|step| writeln!(out, "  {step}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPAN: Duration = Duration::from_mins(2);

    #[test]
    fn a_seed_gives_the_same_schedule_again_and_another_seed_another() {
        let all = Scenario::named("all").unwrap();
        assert_eq!(Schedule::new(7, all, SPAN), Schedule::new(7, all, SPAN));
        assert_ne!(Schedule::new(7, all, SPAN).steps, Schedule::new(8, all, SPAN).steps);
    }

    #[test]
    fn every_scenario_fills_its_time_and_has_a_fault_however_short_that_is() {
        for scenario in SCENARIOS.iter().filter(|scenario| !scenario.kinds.is_empty()) {
            assert_eq!(Schedule::new(1, scenario, Duration::ZERO).steps.len(), 1, "{}", scenario.name);
            let schedule = Schedule::new(1, scenario, SPAN);
            let took: Duration = schedule.steps.iter().map(|step| step.after + step.hold + RECOVERY).sum();
            assert!((SPAN..SPAN + Duration::from_secs(25)).contains(&took), "{schedule}");
        }
    }

    #[test]
    fn all_has_each_kind_of_fault_before_any_comes_again() {
        let schedule = Schedule::new(3, Scenario::named("all").unwrap(), Duration::from_mins(10));
        let kind = |step: &Step| match step.fault {
            Fault::Away(Server::Broker(_)) | Fault::Frozen(_) => "broker".to_owned(),
            Fault::Cut(_) | Fault::Held(_) | Fault::Slow(..) => "network".to_owned(),
            fault => {
                format!("{fault:?}").split('(').next().unwrap_or_default().to_owned()
                    + if fault == Fault::Away(Server::Registry) { "R" } else { "" }
            }
        };
        let kinds: std::collections::BTreeSet<String> = schedule.steps[..9].iter().map(kind).collect();
        assert_eq!(kinds.len(), 9, "{schedule}");
    }
}
