//! The programs that read the same topic, and how each is started, asked how far it is, and stopped.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use events::topics;
use testkit::bench::metric;
use testkit::{Kit, Process};

use crate::RULES;

pub(crate) const STAGE: &str = "temperature-alert";

/// What the service reads and writes; it refuses to start without one of them.
pub(crate) const TOPICS: [&str; 6] = [
    topics::READINGS,
    topics::DEVICE_STATUS,
    topics::TEMPERATURE_ALERTS,
    "dlq.temperature-alert.v1",
    "retry.temperature-alert.v1",
    "state.temperature-alert.v1",
];
/// What it writes.
pub(crate) const OUTPUTS: [&str; 2] = [topics::TEMPERATURE_ALERTS, "state.temperature-alert.v1"];

/// temperature-alert with the benchmark's rules, everything else as shipped.
pub(crate) async fn service(kit: &Kit, workers: usize) -> Process {
    let rules = std::env::temp_dir().join(format!("{}rules.yaml", kit.prefix()));
    let rule = |(number, (above, clear)): (usize, &(f64, f64))| {
        format!("  - {{id: rule-{number}, metric: temperature, above: {above:?}, clear: {clear:?}, severity: WARNING}}\n")
    };
    let text: String = RULES.iter().enumerate().map(rule).collect();
    std::fs::write(&rules, format!("rules:\n{text}")).expect("the rules are written");
    let environment = [
        ("FIELDWATCH__KAFKA__TOPIC_PREFIX", kit.prefix().to_owned()),
        ("TEMPERATURE_ALERT__RULES__FILE", rules.display().to_string()),
        ("TEMPERATURE_ALERT__OPERATOR__WORKERS", workers.to_string()),
    ];
    Process::start(STAGE, &environment.map(|(name, value)| (name.to_owned(), value))).await
}

/// Readings the service has taken.
pub(crate) async fn taken(admin_port: u16) -> u64 {
    metric(admin_port, "fieldwatch_messages_in_total", &[topics::READINGS]).await as u64
}

/// A program that prints `consumed N`; killed on drop.
pub(crate) struct Counting {
    child: Child,
    consumed: Arc<AtomicU64>,
}

impl Counting {
    pub(crate) fn bare(topic: &str) -> Self {
        let program = std::env::current_exe().expect("this program's path");
        Self::start(Command::new(program).arg("bare").arg(topic))
    }

    /// `store` is `rocksdb` or `memory`; `application` names its group, transactional ids and changelog.
    pub(crate) fn kafka_streams(
        java: &Path,
        folder: &Path,
        kit: &Kit,
        application: &str,
        output: &str,
        store: &str,
        threads: usize,
    ) -> Self {
        let schema = folder.join("reading.avsc");
        std::fs::write(&schema, <events::Reading as events::Event>::SCHEMA.json).expect("the schema is written");
        let classpath = format!("{}:{}/*", folder.join("classes").display(), folder.join("libs").display());
        let mut command = Command::new(java);
        // Two cores and 512 MiB are no server to the JVM, which would take its serial collector.
        command.args(["-Xms512m", "-Xmx512m", "-XX:+UseParallelGC", "-cp", &classpath, "fieldwatch.ThresholdAlerts"]);
        command.args([&kit.kafka.brokers, &kit.kafka.prefixed(topics::READINGS), output, application]).arg(schema);
        command.arg(folder.join("state").join(application)).arg(store).arg(threads.to_string());
        command.args(RULES.map(|(above, clear)| format!("{above}:{clear}")));
        Self::start(&mut command)
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the contender starts");
        let consumed = Arc::new(AtomicU64::new(0));
        let (lines, shared) = (BufReader::new(child.stdout.take().expect("a pipe")).lines(), Arc::clone(&consumed));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(count) = line.strip_prefix("consumed ").and_then(|count| count.parse().ok()) {
                    shared.store(count, Ordering::Relaxed);
                }
            }
        });
        Self { child, consumed }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn consumed(&self) -> u64 {
        self.consumed.load(Ordering::Relaxed)
    }

    /// SIGTERM, and its end.
    pub(crate) async fn terminate(mut self) {
        Command::new("kill").arg(self.child.id().to_string()).status().expect("kill runs");
        let child = &mut self.child;
        testkit::eventually("the contender ends", || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await;
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
