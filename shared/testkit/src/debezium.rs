//! Debezium Server with its outbox event router: what others publish an outbox with.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use sqlx::{AssertSqlSafe, PgPool, Row as _};
use tempfile::TempDir;

use crate::{eventually_within, free_port};

/// Set by `scripts/test --full debezium` and `scripts/bench outbox`: where Debezium Server is unpacked, and a Java for it.
const HOME: &str = "FIELDWATCH_TEST_DEBEZIUM";
const JAVA: &str = "FIELDWATCH_TEST_JAVA";

/// A server that publishes what is written to the outbox of one database, each event to `<prefix><its topic>`. Needs
/// `wal_level = logical` and a role that may replicate. Killed on drop.
pub struct Debezium {
    child: Child,
    folder: TempDir,
    pool: PgPool,
    slot: String,
}

impl Debezium {
    /// Whether there is one.
    pub fn is_there() -> bool {
        std::env::var_os(HOME).is_some()
    }

    /// Starts a server and waits until its slot is there: what is written from then on is published.
    pub async fn start(pool: &PgPool, url: &str, prefix: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let slot = format!("debezium_{}", uuid::Uuid::new_v4().simple());
        let url: reqwest::Url = url.parse().expect("a URL");
        let settings = settings(&url, &slot, &folder, prefix);
        std::fs::create_dir(folder.path().join("config")).expect("a folder");
        std::fs::write(folder.path().join("config/application.properties"), settings).expect("its settings are written");
        let child = spawn(&folder);
        let mut debezium = Self { child, folder, pool: pool.clone(), slot };
        debezium.active().await;
        debezium
    }

    /// Waits until it streams.
    pub async fn active(&mut self) {
        let log = self.folder.path().join("log");
        let (pool, slot, child) = (&self.pool, &self.slot, &mut self.child);
        eventually_within(Duration::from_mins(1), "Debezium Server streams", || {
            let ended = child.try_wait().ok().flatten();
            let log = &log;
            async move {
                assert!(ended.is_none(), "Debezium Server ended: {}", std::fs::read_to_string(log).unwrap_or_default());
                let active = sqlx::query("SELECT active FROM pg_replication_slots WHERE slot_name = $1").bind(slot);
                let row = active.fetch_optional(pool).await.expect("Postgres answers")?;
                row.get::<bool, _>(0).then_some(())
            }
        })
        .await;
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it has ended");
    }

    /// Starts again after [`kill`](Self::kill).
    pub fn restart(&mut self) {
        self.child = spawn(&self.folder);
    }

    /// Ends it, and gives up its slot: a database with one cannot be dropped.
    pub async fn end(mut self) {
        self.kill();
        let drop = format!("SELECT pg_drop_replication_slot('{}')", self.slot);
        let pool = &self.pool;
        eventually_within(Duration::from_secs(30), "the slot can be dropped", || async {
            sqlx::query(AssertSqlSafe(drop.clone())).execute(pool).await.ok().map(|_| ())
        })
        .await;
    }
}

impl Drop for Debezium {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(folder: &TempDir) -> Child {
    let home = PathBuf::from(crate::environment(HOME));
    let log = std::fs::File::create(folder.path().join("log")).expect("a log");
    Command::new(crate::environment(JAVA))
        .args(["-Xmx512m", "--add-opens", "java.base/java.lang=ALL-UNNAMED", "-cp"])
        .arg(format!("{}/runner.jar:{}/lib/*", home.display(), home.display()))
        .arg("io.debezium.server.Main")
        .current_dir(folder.path())
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a log"))
        .stderr(log)
        .spawn()
        .expect("Java starts")
}

/// As its documentation has it; `poll.interval.ms` of 10 is what makes it quick (500 by default).
fn settings(url: &reqwest::Url, slot: &str, folder: &TempDir, prefix: &str) -> String {
    let source = [
        ("connector.class", "io.debezium.connector.postgresql.PostgresConnector".to_owned()),
        ("offset.storage.file.filename", folder.path().join("offsets").display().to_string()),
        ("offset.flush.interval.ms", "1000".to_owned()),
        ("database.hostname", url.host_str().unwrap_or("127.0.0.1").to_owned()),
        ("database.port", url.port().unwrap_or(5432).to_string()),
        ("database.user", url.username().to_owned()),
        ("database.password", url.password().unwrap_or_default().to_owned()),
        ("database.dbname", url.path().trim_start_matches('/').to_owned()),
        ("topic.prefix", "outbox".to_owned()),
        ("plugin.name", "pgoutput".to_owned()),
        ("slot.name", slot.to_owned()),
        ("publication.name", slot.to_owned()),
        ("publication.autocreate.mode", "filtered".to_owned()),
        ("table.include.list", "public.outbox".to_owned()),
        ("snapshot.mode", "no_data".to_owned()),
        ("tombstones.on.delete", "false".to_owned()),
        ("poll.interval.ms", "10".to_owned()),
    ];
    let router = [
        ("type", "io.debezium.transforms.outbox.EventRouter".to_owned()),
        ("table.field.event.id", "event_id".to_owned()),
        ("table.field.event.key", "aggregate_id".to_owned()),
        ("table.field.event.type", "type".to_owned()),
        ("table.field.event.payload", "payload".to_owned()),
        ("route.by.field", "topic".to_owned()),
        // Its configuration would look for a property of that name.
        ("route.topic.replacement", format!("{prefix}\\\\${{routedByValue}}")),
    ];
    let producer = [
        ("bootstrap.servers", crate::environment("FIELDWATCH__KAFKA__BROKERS")),
        ("key.serializer", "org.apache.kafka.common.serialization.StringSerializer".to_owned()),
        ("value.serializer", "org.apache.kafka.common.serialization.ByteArraySerializer".to_owned()),
    ];
    let mut lines = vec![
        "quarkus.http.host=127.0.0.1".to_owned(),
        format!("quarkus.http.port={}", free_port()),
        "debezium.format.key=simplestring".to_owned(),
        "debezium.format.value=binary".to_owned(),
        "debezium.transforms=outbox".to_owned(),
        "debezium.sink.type=kafka".to_owned(),
    ];
    lines.extend(source.iter().map(|(name, value)| format!("debezium.source.{name}={value}")));
    lines.extend(router.iter().map(|(name, value)| format!("debezium.transforms.outbox.{name}={value}")));
    lines.extend(producer.iter().map(|(name, value)| format!("debezium.sink.kafka.producer.{name}={value}")));
    lines.join("\n")
}
