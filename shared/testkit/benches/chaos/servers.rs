//! The servers that `scripts/infra` started: taken away by their pids, brought back by `scripts/infra up`, which starts what
//! does not run and returns when all answer.

use std::path::{Path, PathBuf};
use std::time::Duration;

use testkit::ordeal::Server;
use testkit::{eventually, eventually_within};

pub(crate) struct Servers {
    /// Of `scripts/infra`: a file for each, with its pid.
    pub(crate) pids: PathBuf,
    pub(crate) infra: PathBuf,
}

fn name(server: Server) -> &'static str {
    match server {
        Server::Broker(number) => ["kafka", "kafka-2", "kafka-3"][number],
        Server::Registry => "registry",
        Server::Postgres => "postgres",
    }
}

impl Servers {
    /// Its death is awaited: `scripts/infra up` would take it for running. Postgres is asked to stop and the others are not.
    pub(crate) async fn stop(&self, server: Server) {
        let pid = self.pid(server);
        signal(&pid, if server == Server::Postgres { "INT" } else { "KILL" });
        eventually("a server ends", || {
            let stat = std::fs::read_to_string(Path::new("/proc").join(&pid).join("stat")).unwrap_or_default();
            let gone = stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with('Z'));
            async move { gone.then_some(()) }
        })
        .await;
    }

    pub(crate) fn freeze(&self, broker: usize, frozen: bool) {
        signal(&self.pid(Server::Broker(broker)), if frozen { "STOP" } else { "CONT" });
    }

    /// Starts what does not run.
    pub(crate) async fn start(&self) {
        let up = tokio::process::Command::new(&self.infra).arg("up").status().await.expect("scripts/infra runs");
        assert!(up.success(), "a server does not come back");
    }

    /// Waits until each partition has all of its replicas: the next broker may go then.
    pub(crate) async fn in_sync(&self, kit: &testkit::Kit) {
        eventually_within(Duration::from_mins(2), "every replica is in sync", || async {
            tokio::task::block_in_place(|| testkit::log::is_in_sync(kit)).then_some(())
        })
        .await;
    }

    fn pid(&self, server: Server) -> String {
        let file = self.pids.join(name(server));
        let text = std::fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        text.split(' ').next().unwrap_or_default().to_owned()
    }
}

fn signal(pid: &str, signal: &str) {
    let sent = std::process::Command::new("kill").args(["-s", signal, pid]).status().expect("kill runs");
    assert!(sent.success(), "{pid} cannot be sent {signal}");
}
