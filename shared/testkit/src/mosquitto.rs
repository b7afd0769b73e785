use std::fmt::Write as _;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use crate::{eventually, free_port};

/// A test's own MQTT broker, with limits that drop nothing.
pub struct Mosquitto {
    pub port: u16,
    folder: TempDir,
    child: Child,
}

impl Mosquitto {
    pub async fn start() -> Self {
        let (port, folder) = (free_port(), tempfile::tempdir().expect("a folder"));
        let mut config = String::new();
        for line in [
            format!("listener {port} 127.0.0.1"),
            "allow_anonymous true".into(),
            "persistence true".into(),
            format!("persistence_location {}/", folder.path().display()),
            "max_inflight_messages 0".into(),
            "max_queued_messages 0".into(),
            "message_size_limit 1048576".into(),
            "user root".into(),
        ] {
            writeln!(config, "{line}").expect("a string takes text");
        }
        std::fs::write(folder.path().join("mosquitto.conf"), config).expect("a configuration is written");
        let child = spawn(&folder);
        let broker = Self { port, folder, child };
        broker.reachable().await;
        broker
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
