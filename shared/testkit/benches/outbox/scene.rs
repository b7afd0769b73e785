//! A database, a topic and a relay, each of its own, and what is done with them.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use sqlx::PgPool;
use stream::admin::{Admin, Topic};
use testkit::bench::{Percentiles, Throughput, Usage, metric, watch};
use testkit::{Database, Process, eventually_within};

use crate::load::{Arrivals, BATCH, Found, Steady, headers, latencies, write};

const PARTITIONS: i32 = 12;
const LONG: Duration = Duration::from_mins(3);
/// Until caches are warm and plans are made nothing is measured.
const WARM_UP: Duration = Duration::from_secs(3);

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

    async fn relay(&self) -> Process {
        let environment = [
            ("FIELDWATCH__KAFKA__BROKERS", testkit::environment("FIELDWATCH__KAFKA__BROKERS")),
            ("OUTBOX_RELAY__DATABASE__URL", self.database.url.clone()),
        ];
        Process::start("outbox-relay", &environment.map(|(name, value)| (name.to_owned(), value))).await
    }

    /// Everything is there before the relay is.
    pub(crate) async fn drain(self, rows: u32) -> Throughput {
        let insert = "INSERT INTO outbox (event_id, aggregate_type, aggregate_id, type, topic, payload, headers)
                      SELECT gen_random_uuid(), 'notification', 'n-' || n % 10000, 'fieldwatch.notification.v1', $1,
                             decode(repeat('78', 200), 'hex'), $2
                      FROM generate_series(1, $3) n";
        let backlog = sqlx::query(insert).bind(&self.topic).bind(sqlx::types::Json(headers())).bind(rows as i32);
        backlog.execute(&self.pool).await.unwrap();
        sqlx::raw_sql("VACUUM ANALYZE outbox").execute(&self.pool).await.unwrap();
        let relay = self.relay().await;
        let port = relay.admin_port();
        let published = async || metric(port, "fieldwatch_outbox_rows_total", &["outcome=\"published\""]).await as u64;
        let drained = watch(relay.pid(), u64::from(rows), published).await;
        self.end(relay).await;
        drained
    }

    pub(crate) async fn steady(self, steady: Steady) -> Found {
        let relay = self.relay().await;
        let arrivals = Arrivals::of(&self.topic);
        write(&self.pool, &self.topic, steady.rate, WARM_UP).await;
        self.until_empty().await;
        let mut snapshot = self.pool.begin().await.unwrap();
        if steady.snapshot {
            let see = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; SELECT count(*) FROM outbox";
            sqlx::raw_sql(see).execute(&mut *snapshot).await.unwrap();
        }
        let (began, before, seen) = (Instant::now(), Usage::of(relay.pid()).unwrap(), arrivals.count.load(Ordering::Relaxed));
        let commits = write(&self.pool, &self.topic, steady.rate, Duration::from_secs(steady.seconds)).await;
        let (took, after) = (began.elapsed().as_secs_f64(), Usage::of(relay.pid()).unwrap());
        let relayed = arrivals.count.load(Ordering::Relaxed) - seen;
        let left = self.count("SELECT count(*) FROM outbox").await;
        sqlx::raw_sql("SELECT pg_stat_force_next_flush()").execute(&self.pool).await.unwrap();
        let dead_tuples = self.count("SELECT n_dead_tup FROM pg_stat_user_tables WHERE relname = 'outbox'").await;
        snapshot.rollback().await.unwrap();
        self.until_empty().await;
        let written = commits.len() as u64 * u64::from(BATCH);
        let arrived = arrivals.count.clone();
        eventually_within(LONG, "all has come", || async { (arrived.load(Ordering::Relaxed) >= seen + written).then_some(()) }).await;
        let arrivals = arrivals.all();
        let latency = Percentiles::of(latencies(&commits, &arrivals[seen as usize..])).unwrap();
        self.end(relay).await;
        let cpu_percent = (after.cpu_seconds - before.cpu_seconds) / took * 100.0;
        Found { written: written as f64 / took, relayed: relayed as f64 / took, latency, cpu_percent, dead_tuples, left }
    }

    pub(crate) async fn kill(self) -> Killed {
        let mut relay = self.relay().await;
        let arrivals = Arrivals::of(&self.topic);
        let (pool, topic) = (self.pool.clone(), self.topic.clone());
        let writing = tokio::spawn(async move { write(&pool, &topic, 5_000, Duration::from_secs(12)).await });
        tokio::time::sleep(Duration::from_secs(4)).await;
        let killed = Instant::now();
        relay.kill();
        relay.restart();
        relay.ready().await;
        let commits = writing.await.unwrap();
        self.until_empty().await;
        let written = commits.len() as u64 * u64::from(BATCH);
        eventually_within(LONG, "all has come", || async { (arrivals.count.load(Ordering::Relaxed) >= written).then_some(()) }).await;
        let arrivals = arrivals.all();
        let different: HashSet<u64> = arrivals.iter().map(|(event, _)| *event).collect();
        // What was on its way when the relay died still comes at once; the longest gap is its absence.
        let gaps = arrivals.windows(2).filter(|pair| pair[1].1 > killed).map(|pair| pair[1].1 - pair[0].1);
        self.end(relay).await;
        Killed {
            flowing_after: gaps.max().unwrap_or_default().as_secs_f64(),
            duplicates: (arrivals.len() - different.len()) as u64,
            lost: written - different.len() as u64,
        }
    }

    async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question).fetch_one(&self.pool).await.unwrap()
    }

    async fn until_empty(&self) {
        let left = "SELECT count(*) FROM (SELECT FROM outbox LIMIT 1) AS one";
        eventually_within(LONG, "the outbox is empty", || async { (self.count(left).await == 0).then_some(()) }).await;
    }

    async fn end(&self, relay: Process) {
        assert_eq!(relay.terminate().await, Some(0));
        Admin::connect(&testkit::kafka_config()).unwrap().delete(std::slice::from_ref(&self.topic)).await.unwrap();
    }
}
