//! A database, a topic and a relay, each of its own, and what is done with them.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use sqlx::PgPool;
use stream::admin::{Admin, Topic};
use testkit::bench::{Percentiles, Throughput, Usage, watch};
use testkit::{Database, Debezium, Process, eventually_within};

use crate::bare;
use crate::load::{Arrivals, BATCH, Found, Steady, headers, latencies, write};

const PARTITIONS: i32 = 12;
const LONG: Duration = Duration::from_mins(3);
/// Until caches are warm and plans are made nothing is measured.
const WARM_UP: Duration = Duration::from_secs(3);

/// What publishes the outbox.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Publisher {
    Relay,
    Debezium,
}

enum Running {
    Relay(Process),
    Debezium(Debezium),
}

impl Running {
    fn pid(&self) -> u32 {
        match self {
            Self::Relay(relay) => relay.pid(),
            Self::Debezium(debezium) => debezium.pid(),
        }
    }

    fn kill(&mut self) {
        match self {
            Self::Relay(relay) => relay.kill(),
            Self::Debezium(debezium) => debezium.kill(),
        }
    }

    fn restart(&mut self) {
        match self {
            Self::Relay(relay) => relay.restart(),
            Self::Debezium(debezium) => debezium.restart(),
        }
    }

    async fn end(self) {
        match self {
            Self::Relay(relay) => assert_eq!(relay.terminate().await, Some(0)),
            Self::Debezium(debezium) => debezium.end().await,
        }
    }
}

pub(crate) struct Scene {
    database: Database,
    pool: PgPool,
    topic: String,
}

pub(crate) struct Killed {
    pub(crate) flowing_after: f64,
    pub(crate) duplicates: u64,
    pub(crate) lost: u64,
}

impl Scene {
    pub(crate) async fn new() -> Self {
        let database = Database::create().await;
        let pool = database.pool().await;
        outbox::migrate(&pool).await.unwrap();
        let topic = format!("bench-{}", uuid::Uuid::new_v4().simple());
        let wanted = Topic { name: topic.clone(), partitions: PARTITIONS, config: [].into() };
        Admin::connect(&testkit::kafka_config()).unwrap().apply(&[wanted], 1).await.unwrap();
        Self { database, pool, topic }
    }

    async fn start(&self, publisher: Publisher) -> Running {
        match publisher {
            Publisher::Relay => {
                let environment = [
                    ("FIELDWATCH__KAFKA__BROKERS", testkit::environment("FIELDWATCH__KAFKA__BROKERS")),
                    ("OUTBOX_RELAY__DATABASE__URL", self.database.url.clone()),
                ];
                let environment = environment.map(|(name, value)| (name.to_owned(), value));
                Running::Relay(Process::start("outbox-relay", &environment).await)
            }
            Publisher::Debezium => Running::Debezium(Debezium::start(&self.pool, &self.database.url, "").await),
        }
    }

    /// Everything is there before the publisher is, but for the slot that change data capture has to have before.
    pub(crate) async fn drain(self, publisher: Publisher, rows: u32) -> Throughput {
        let mut slot = None;
        if publisher == Publisher::Debezium {
            let mut running = self.start(publisher).await;
            running.kill();
            slot = Some(running);
        }
        self.fill(rows).await;
        let running = match slot {
            Some(mut running) => {
                running.restart();
                running
            }
            None => self.start(publisher).await,
        };
        let ends = Ends::of(&self.topic);
        let drained = watch(running.pid(), u64::from(rows), async || ends.sum()).await;
        self.end(running).await;
        drained
    }

    /// The same by loops that promise nothing. Rows a second.
    pub(crate) async fn drain_bare(self, rows: u32) -> f64 {
        self.fill(rows).await;
        let rate = bare::drain(&self.pool).await;
        self.forget().await;
        rate
    }

    async fn fill(&self, rows: u32) {
        let insert = "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers)
                      SELECT gen_random_uuid(), 'notification', 'n-' || n % 10000, 'fieldwatch.notification.v1', $1,
                             decode(repeat('78', 200), 'hex'), $2
                      FROM generate_series(1, $3) n";
        let backlog = sqlx::query(insert).bind(&self.topic).bind(sqlx::types::Json(headers())).bind(rows as i32);
        backlog.execute(&self.pool).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE outbox").execute(&self.pool).await.unwrap();
    }

    pub(crate) async fn steady(self, publisher: Publisher, steady: Steady) -> Found {
        let running = self.start(publisher).await;
        let arrivals = Arrivals::of(&self.topic);
        let warmed_up = write(&self.pool, &self.topic, steady.rate, WARM_UP).await.len() as u64 * u64::from(BATCH);
        until(&arrivals, warmed_up).await;
        let mut snapshot = self.pool.begin().await.unwrap();
        if steady.snapshot {
            let see = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox";
            sqlx::raw_sql(see).execute(&mut *snapshot).await.unwrap();
        }
        let (began, before, seen) = (Instant::now(), Usage::of(running.pid()).unwrap(), arrivals.count.load(Ordering::Relaxed));
        let commits = write(&self.pool, &self.topic, steady.rate, Duration::from_secs(steady.seconds)).await;
        let (took, after) = (began.elapsed().as_secs_f64(), Usage::of(running.pid()).unwrap());
        let relayed = arrivals.count.load(Ordering::Relaxed) - seen;
        let left = self.count("SELECT count(*) FROM outbox").await;
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&self.pool).await.unwrap();
        let dead_tuples = self.count("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox'").await;
        snapshot.rollback().await.unwrap();
        let written = commits.len() as u64 * u64::from(BATCH);
        until(&arrivals, seen + written).await;
        let arrivals = arrivals.all();
        let latency = Percentiles::of(latencies(&commits, &arrivals[seen as usize..])).unwrap();
        self.end(running).await;
        let cpu_percent = (after.cpu_seconds - before.cpu_seconds) / took * 100.0;
        Found { written: written as f64 / took, relayed: relayed as f64 / took, latency, cpu_percent, dead_tuples, left }
    }

    pub(crate) async fn kill(self, publisher: Publisher) -> Killed {
        let mut running = self.start(publisher).await;
        let arrivals = Arrivals::of(&self.topic);
        let (pool, topic) = (self.pool.clone(), self.topic.clone());
        let writing = tokio::spawn(async move { write(&pool, &topic, 5_000, Duration::from_secs(12)).await });
        tokio::time::sleep(Duration::from_secs(4)).await;
        let killed = Instant::now();
        running.kill();
        running.restart();
        let commits = writing.await.unwrap();
        let written = commits.len() as u64 * u64::from(BATCH);
        until(&arrivals, written).await;
        let arrivals = arrivals.all();
        let different: HashSet<u64> = arrivals.iter().map(|(event, _)| *event).collect();
        // What was on its way when the relay died still comes at once; the longest gap is its absence.
        let gaps = arrivals.windows(2).filter(|pair| pair[1].1 > killed).map(|pair| pair[1].1 - pair[0].1);
        self.end(running).await;
        Killed {
            flowing_after: gaps.max().unwrap_or_default().as_secs_f64(),
            duplicates: (arrivals.len() - different.len()) as u64,
            lost: written - different.len() as u64,
        }
    }

    async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question).fetch_one(&self.pool).await.unwrap()
    }

    async fn end(&self, running: Running) {
        running.end().await;
        self.forget().await;
    }

    async fn forget(&self) {
        Admin::connect(&testkit::kafka_config()).unwrap().delete(std::slice::from_ref(&self.topic)).await.unwrap();
    }
}

async fn until(arrivals: &Arrivals, count: u64) {
    eventually_within(LONG, "all has come", || async { (arrivals.count.load(Ordering::Relaxed) >= count).then_some(()) }).await;
}

/// How far a topic is written.
struct Ends {
    consumer: BaseConsumer,
    topic: String,
}

impl Ends {
    fn of(topic: &str) -> Self {
        let config = testkit::kafka_config().client("bench-ends").unwrap();
        Self { consumer: config.create().unwrap(), topic: topic.to_owned() }
    }

    fn sum(&self) -> u64 {
        let end = |partition| self.consumer.fetch_watermarks(&self.topic, partition, LONG).unwrap().1 as u64;
        tokio::task::block_in_place(|| (0..PARTITIONS).map(end).sum())
    }
}
