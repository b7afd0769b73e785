//! One outbox, its topic, and relays that can be started, stopped and killed.

use std::sync::Arc;
use std::time::Duration;

use outbox_relay::adapters::postgres::Store;
use outbox_relay::app;
use outbox_relay::config::{Config, DEFAULTS};
use service::{Health, Shutdown, Supervisor, TaskFailed};
use sqlx::PgPool;
use stream::admin::{Admin, Topic};
use stream::tail::{From, Seen, Tail};
use stream::{KafkaConfig, Record};
use testkit::{Database, Kit, MockKafka, eventually};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, block_in_place};

use crate::log::Log;

/// Runs a test with each of its seeds, some at a time: most of a run is waiting. Each has a runtime of its own, for what is
/// dropped at a run's end blocks its thread.
pub(crate) async fn with_seeds<F: Future<Output = ()> + 'static>(test: fn(u64) -> F) {
    const AT_A_TIME: usize = 6;
    let places = Arc::new(Semaphore::new(AT_A_TIME));
    let mut runs = Vec::new();
    for seed in testkit::seeds() {
        let place = Arc::clone(&places).acquire_owned().await.unwrap();
        let run = move || {
            let _place = place;
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap().block_on(test(seed));
        };
        runs.push((seed, tokio::task::spawn_blocking(run)));
    }
    for (seed, run) in runs {
        assert!(run.await.is_ok(), "failed with seed {seed}");
    }
}

/// Leases so short that a killed relay is soon succeeded.
pub(crate) const SHORT_LEASES: [(&str, &str); 2] = [("OUTBOX_RELAY__LEASE__DURATION", "3s"), ("OUTBOX_RELAY__PUBLISH__TIMEOUT", "2s")];

pub(crate) struct Fixture {
    pub(crate) kit: Kit,
    pub(crate) database: Database,
    pub(crate) pool: PgPool,
    /// Full name of notifications.v1.
    pub(crate) topic: String,
}

impl Fixture {
    /// With the tables, and `written`: every row there ever was.
    pub(crate) async fn new() -> Self {
        let kit = Kit::with_topics(&["notifications.v1"]).await;
        let database = Database::create().await;
        let pool = database.pool().await;
        outbox::migrate(&pool).await.unwrap();
        let written = "
            CREATE TABLE written (id bigint PRIMARY KEY, aggregate_id text, payload bytea);
            CREATE FUNCTION remember() RETURNS trigger LANGUAGE plpgsql AS $$
            BEGIN INSERT INTO written VALUES (NEW.id, NEW.aggregate_id, NEW.payload); RETURN NEW; END $$;
            CREATE TRIGGER remember AFTER INSERT ON outbox FOR EACH ROW EXECUTE FUNCTION remember();";
        sqlx::raw_sql(written).execute(&pool).await.unwrap();
        let topic = kit.kafka.prefixed("notifications.v1");
        Self { kit, database, pool, topic }
    }

    /// One more topic, as wide as the first; its full name.
    pub(crate) async fn create_topic(&self, name: &str) {
        let wanted = Topic { name: name.to_owned(), partitions: 3, config: [].into() };
        Admin::connect(&self.kit.kafka).unwrap().apply(&[wanted], 1).await.unwrap();
    }

    /// With leases so long that a busy machine loses none.
    pub(crate) fn config(&self, overrides: &[(&str, &str)]) -> Config {
        let mut all = vec![
            ("OUTBOX_RELAY__DATABASE__URL", self.database.url.as_str()),
            ("OUTBOX_RELAY__LEASE__DURATION", "12s"),
            ("OUTBOX_RELAY__LEASE__RENEW_EVERY", "200ms"),
            ("OUTBOX_RELAY__PUBLISH__TIMEOUT", "10s"),
        ];
        all.extend_from_slice(overrides);
        testkit::config("outbox-relay", DEFAULTS, &all)
    }

    /// The environment of a relay that is a process.
    pub(crate) fn environment(&self, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
        let brokers = testkit::environment("FIELDWATCH__KAFKA__BROKERS");
        let own = [
            ("FIELDWATCH__KAFKA__BROKERS", brokers.as_str()),
            ("OUTBOX_RELAY__DATABASE__URL", &self.database.url),
            ("OUTBOX_RELAY__LEASE__RENEW_EVERY", "200ms"),
        ];
        own.iter().chain(overrides).map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    pub(crate) fn store(&self) -> Store {
        Store::new(&self.config(&[]).database, 1).unwrap()
    }

    pub(crate) async fn relay(&self, overrides: &[(&str, &str)]) -> Relay {
        Relay::start(self.config(overrides)).await
    }

    pub(crate) async fn pending(&self) -> i64 {
        self.count("SELECT count(*) FROM outbox").await
    }

    pub(crate) async fn count(&self, question: &'static str) -> i64 {
        sqlx::query_scalar(question).fetch_one(&self.pool).await.unwrap()
    }

    pub(crate) async fn until_count(&self, what: &str, question: &'static str, wanted: i64) {
        eventually(what, || async { (self.count(question).await == wanted).then_some(()) }).await;
    }

    pub(crate) async fn until_empty(&self) {
        self.until_count("the outbox is empty", "SELECT count(*) FROM outbox", 0).await;
    }

    /// Every row there ever was, in id order: what each aggregate's log has to be.
    pub(crate) async fn written(&self) -> Log {
        let rows: Vec<(String, Vec<u8>)> =
            sqlx::query_as("SELECT aggregate_id, payload FROM written ORDER BY id").fetch_all(&self.pool).await.unwrap();
        rows.into_iter().collect()
    }

    /// (aggregate, payload) of every row that is not in the outbox any more.
    pub(crate) async fn deleted(&self) -> Vec<(String, Vec<u8>)> {
        let gone = "SELECT aggregate_id, payload FROM written WHERE NOT EXISTS (SELECT FROM outbox WHERE outbox.id = written.id)";
        sqlx::query_as(gone).fetch_all(&self.pool).await.unwrap()
    }

    /// What the topic holds now; more may come meanwhile.
    pub(crate) async fn published(&self) -> Log {
        Self::log(self.records(&self.topic).await)
    }

    /// The same, of a cluster that the test made for itself.
    pub(crate) async fn published_to(&self, kafka: &MockKafka) -> Log {
        let kafka = KafkaConfig { brokers: kafka.brokers(), ..self.kit.kafka.clone() };
        Self::log(read(&kafka, &self.topic).await)
    }

    fn log(records: Vec<Record>) -> Log {
        records.into_iter().map(|record| (String::from_utf8(record.key.unwrap()).unwrap(), record.value.unwrap())).collect()
    }

    /// The records `topic` holds now, each partition's in order.
    pub(crate) async fn records(&self, topic: &str) -> Vec<Record> {
        read(&self.kit.kafka, topic).await
    }

    /// Slots held by how many owners, e.g. `[32, 32]`; free ones are not counted.
    pub(crate) async fn shares(&self) -> Vec<i64> {
        let shares = "SELECT count(*) FROM outbox_lease WHERE owner IS NOT NULL AND expires_at > now() GROUP BY owner ORDER BY 1";
        sqlx::query_scalar(shares).fetch_all(&self.pool).await.unwrap()
    }

    pub(crate) async fn until_shares(&self, wanted: &[i64]) {
        eventually(&format!("slots are shared {wanted:?}"), || async { (self.shares().await == wanted).then_some(()) }).await;
    }
}

/// The records a topic holds now, each partition's in order.
async fn read(kafka: &KafkaConfig, topic: &str) -> Vec<Record> {
    // Opening and closing block their thread; relays and writers share it.
    let open = || {
        let tail = Tail::open(kafka, "testkit", topic, &From::Beginning).ok()?;
        let ends = tail.ends().ok()?;
        Some((tail, ends))
    };
    // A new client may ask a broker that is about to know the topic.
    let (mut tail, ends) = eventually("the topic can be read", || async { block_in_place(open) }).await;
    let mut records = Vec::new();
    let read = async {
        while tail.offsets().iter().any(|(partition, next)| *next < ends[partition]) {
            if let Ok(Seen::Record(record)) = tail.next().await {
                records.push(record);
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("the topic can be read");
    block_in_place(|| drop(tail));
    records
}

/// A relay inside the test.
pub(crate) struct Relay {
    pub(crate) health: Health,
    shutdown: Shutdown,
    task: JoinHandle<Result<(), TaskFailed>>,
}

impl Relay {
    async fn start(config: Config) -> Self {
        let (health, shutdown) = (Health::default(), Shutdown::new());
        let mut supervisor = Supervisor::new(shutdown.clone());
        app::start(config, &health, &mut supervisor).await.unwrap();
        Self { health, shutdown, task: tokio::spawn(supervisor.run()) }
    }

    pub(crate) async fn until_ready(&self) {
        eventually("the relay is ready", || async { self.health.not_ready().is_empty().then_some(()) }).await;
    }

    /// Waits until `check` says why it is not ready.
    pub(crate) async fn until_not_ready(&self, check: &str) -> String {
        let reason = |(name, reason): (String, String)| (name == check && reason != "starting").then_some(reason);
        eventually(&format!("{check} is not ready"), || async { self.health.not_ready().into_iter().find_map(reason) }).await
    }

    /// As SIGTERM.
    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        self.task.await.unwrap().unwrap();
    }

    /// Nothing is finished, nothing given back.
    pub(crate) async fn kill(self) {
        self.task.abort();
        assert!(self.task.await.is_err_and(|error| error.is_cancelled()));
    }

    pub(crate) async fn failure(self) -> String {
        self.task.await.unwrap().unwrap_err().to_string()
    }
}
