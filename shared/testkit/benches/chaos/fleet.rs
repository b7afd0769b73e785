//! The suite's services as processes, and the lines between them and their servers.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use testkit::chaos::{Act, Replicas};
use testkit::ordeal::{Anomaly, Line, REPLICAS};
use testkit::{Api, Cable, Kit, Process, Suite, free_port};

use crate::disk::Disk;
use crate::stream::KEEP_ALIVE;

/// Ended processes are started again as soon as this.
const LOOK: Duration = Duration::from_millis(50);

pub(crate) struct Fleet {
    pub(crate) suite: Suite,
    /// One for each replica of the notifier.
    pub(crate) apis: Vec<Api>,
    members: BTreeMap<(&'static str, usize), Replicas>,
    undrained: Vec<Anomaly>,
    lines: Lines,
    environment: Vec<(String, String)>,
}

struct Lines {
    kafka: Vec<Cable>,
    postgres: Cable,
    registry: Cable,
    mqtt: Cable,
}

impl Fleet {
    /// `brokers`: of each the listener that advertises a proxy's port, and that port.
    pub(crate) async fn start(brokers: &[(String, String)], disk: &Disk) -> Self {
        let suite = Suite::new(Kit::with_all_topics().await).await;
        let lines = Lines::plug(&suite, brokers).await;
        let proxies: Vec<&str> = brokers.iter().map(|(_, proxy)| proxy.as_str()).collect();
        let spool = disk.spool().display().to_string();
        let suite = suite.with(&[
            ("FIELDWATCH__KAFKA__BROKERS", &proxies.join(",")),
            ("FIELDWATCH__REGISTRY__URL", &lines.registry.url),
            ("MQTT_BRIDGE__MQTT__URL", &lines.mqtt.url),
            ("MQTT_BRIDGE__SPOOL__FOLDER", &spool),
            ("MQTT_BRIDGE__SPOOL__SIZE", disk.limit()),
            ("NOTIFIER__DATABASE__URL", &lines.postgres.url),
            ("NOTIFIER__SSE__KEEP_ALIVE", KEEP_ALIVE),
            ("OUTBOX_RELAY__DATABASE__URL", &lines.postgres.url),
        ]);
        let environment = suite.environment().to_vec();
        let mut fleet = Self { suite, apis: Vec::new(), members: BTreeMap::new(), undrained: Vec::new(), lines, environment };
        for (service, count) in REPLICAS {
            for number in 0..count {
                let (environment, listen) = fleet.environment_of_one_more();
                if service == "notifier" {
                    fleet.apis.push(Api::at(&listen));
                }
                fleet.members.insert((service, number), Replicas::start(service, &environment, 1).await);
            }
        }
        fleet
    }

    /// With an API of its own, should it be a notifier; where that listens.
    fn environment_of_one_more(&self) -> (Vec<(String, String)>, String) {
        let listen = format!("127.0.0.1:{}", free_port());
        let mut environment = self.environment.clone();
        environment.push(("NOTIFIER__API__LISTEN".to_owned(), listen.clone()));
        (environment, listen)
    }

    pub(crate) async fn act(&mut self, service: &'static str, number: usize, act: Act) {
        self.member(service, number).act(0, act).await;
    }

    fn member(&mut self, service: &'static str, number: usize) -> &mut Replicas {
        self.members.get_mut(&(service, number)).expect("a replica that runs")
    }

    pub(crate) fn admin_port(&mut self, service: &'static str, number: usize) -> u16 {
        self.member(service, number).process(0).admin_port()
    }

    /// Lets time pass. What ends by itself is started again, as its supervisor would.
    pub(crate) async fn pass(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.members.values_mut().for_each(Replicas::revive);
            tokio::time::sleep(LOOK.min(end.saturating_duration_since(Instant::now()))).await;
        }
    }

    /// SIGTERM to one after the other; each is ready again before the next goes.
    pub(crate) async fn roll(&mut self) {
        for name in self.members.keys().copied().collect::<Vec<_>>() {
            self.drain(name).await;
            let process = self.member(name.0, name.1).process(0);
            process.restart();
            process.ready().await;
        }
    }

    /// It has to finish what it began and exit with 0.
    async fn drain(&mut self, (service, number): (&'static str, usize)) {
        let process = self.member(service, number).process(0);
        process.signal("TERM");
        if process.ended().await.code() != Some(0) {
            self.undrained.push(Anomaly::Undrained { replica: format!("{service} {number}") });
        }
    }

    /// One replica more comes every half second, the oldest of those goes by SIGTERM or kill -9 in turn, and none is awaited.
    pub(crate) async fn storm(&mut self, service: &'static str, time: Duration) {
        let (end, mut more, mut count) = (Instant::now() + time, Vec::<Process>::new(), 0);
        while Instant::now() < end {
            more.push(Process::spawn(service, &self.environment_of_one_more().0));
            self.pass(Duration::from_millis(500)).await;
            count += 1;
            if more.len() > 2 {
                let mut oldest = more.remove(0);
                if count % 2 == 0 {
                    oldest.signal("TERM");
                    oldest.ended().await;
                } else {
                    oldest.kill();
                }
            }
        }
        for mut one in more {
            one.signal("TERM");
            one.ended().await;
        }
    }

    pub(crate) fn line(&self, line: Line) -> Vec<&Cable> {
        match line {
            Line::Kafka => self.lines.kafka.iter().collect(),
            Line::Postgres => vec![&self.lines.postgres],
            Line::Registry => vec![&self.lines.registry],
            Line::Mqtt => vec![&self.lines.mqtt],
        }
    }

    /// How often services ended although nobody asked them to.
    pub(crate) fn deaths(&self) -> Vec<String> {
        let deaths = self.members.iter().flat_map(|((service, number), replicas)| {
            replicas.deaths().iter().map(move |death| format!("{service} {number} ended with {}", death.status))
        });
        deaths.collect()
    }

    /// SIGTERM to one after the other; which replicas have ever failed to drain.
    pub(crate) async fn terminate(mut self) -> Vec<Anomaly> {
        for name in self.members.keys().copied().collect::<Vec<_>>() {
            self.drain(name).await;
        }
        self.undrained
    }
}

impl Lines {
    async fn plug(suite: &Suite, brokers: &[(String, String)]) -> Self {
        let variable = |wanted: &str| {
            let found = suite.environment().iter().find(|(name, _)| name == wanted);
            found.map(|(_, value)| value.clone()).expect("a variable of the suite")
        };
        let mut kafka = Vec::new();
        for (listener, proxy) in brokers {
            kafka.push(Cable::plug_at(proxy, listener).await);
        }
        Self {
            kafka,
            postgres: Cable::plug(&variable("NOTIFIER__DATABASE__URL")).await,
            registry: Cable::plug(&variable("FIELDWATCH__REGISTRY__URL")).await,
            mqtt: Cable::plug(&variable("MQTT_BRIDGE__MQTT__URL")).await,
        }
    }
}
