use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{eventually, free_port};

/// The configuration we ship, from its first line on.
const SHIPPED: &str = include_str!("../../../scripts/infra.d/mosquitto.conf");

/// A test's own MQTT broker, configured as the one we ship.
pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Mosquitto {
    pub async fn start() -> Self {
        Self::prepared("", |_| {}).await
    }

    /// With further lines, and what `prepare` puts into the broker's folder (@DATA@ in the lines).
    pub async fn prepared(lines: &str, prepare: impl FnOnce(&Path)) -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        prepare(folder.path());
        let config = format!("{SHIPPED}\nuser root\n{lines}\n")
            .replace("@MOSQUITTO_PORT@", &port.to_string())
            .replace("@DATA@", &folder.path().display().to_string());
        std::fs::write(folder.path().join("mosquitto.conf"), config).expect("a configuration is written");
        let child = spawn(&folder);
        let broker = Self { port, folder, child };
        broker.reachable().await;
        broker
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn url(&self) -> String {
        format!("mqtt://127.0.0.1:{}", self.port)
    }

    /// `kill -9`, then a new start from what it had persisted.
    pub async fn kill_and_restart(&mut self) {
        self.child.kill().expect("mosquitto can be killed");
        self.child.wait().expect("mosquitto ends");
        self.child = spawn(&self.folder);
        self.reachable().await;
    }

    async fn reachable(&self) {
        let port = self.port;
        eventually("mosquitto answers", || async move { tokio::net::TcpStream::connect(("127.0.0.1", port)).await.ok() }).await;
    }
}

fn spawn(folder: &TempDir) -> Child {
    Command::new(crate::environment("FIELDWATCH_TEST_MOSQUITTO"))
        .arg("-c")
        .arg(folder.path().join("mosquitto.conf"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("mosquitto starts")
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
