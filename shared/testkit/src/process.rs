use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use crate::eventually_within;

/// A port nobody listens on just now.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port").port()
}

/// A built binary of this workspace: beside the test's own executable.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("the test's own path");
    let folder = test.ancestors().find(|folder| folder.join("deps").is_dir()).expect("a target folder");
    let path = folder.join(name);
    assert!(path.exists(), "{name} is not built: run `cargo build --workspace` first");
    path
}

/// A process of the suite; killed on drop.
pub struct Process {
    name: String,
    command: Vec<(String, String)>,
    path: PathBuf,
    arguments: Vec<String>,
    admin_port: u16,
    child: Child,
}

impl Process {
    /// Starts a service with `environment` and waits until it is ready.
    pub async fn start(name: &str, environment: &[(String, String)]) -> Self {
        let mut process = Self::spawn(name, environment);
        process.ready().await;
        process
    }

    /// Starts a service that may never be ready.
    pub fn spawn(name: &str, environment: &[(String, String)]) -> Self {
        Self::spawn_with(name, &[], environment)
    }

    /// With arguments on its command line.
    pub fn spawn_with(name: &str, arguments: &[&str], environment: &[(String, String)]) -> Self {
        let admin_port = free_port();
        let own = name.to_uppercase().replace('-', "_");
        let mut command = environment.to_vec();
        command.push((format!("{own}__ADMIN__LISTEN"), format!("127.0.0.1:{admin_port}")));
        let path = binary(name);
        let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        let child = spawn(&path, &arguments, &command);
        Self { name: name.to_owned(), command, path, arguments, admin_port, child }
    }

    pub fn admin_port(&self) -> u16 {
        self.admin_port
    }

    /// What the admin port answers; empty while it does not.
    pub async fn admin(&self, path: &str) -> String {
        let url = format!("http://127.0.0.1:{}/{path}", self.admin_port);
        match reqwest::get(&url).await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(_) => String::new(),
        }
    }

    /// SIGSTOP: not a line of it runs until [`resume`](Self::resume).
    pub fn pause(&self) {
        self.signal("STOP");
    }

    /// SIGCONT
    pub fn resume(&self) {
        self.signal("CONT");
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the service says it is ready.
    pub async fn ready(&mut self) {
        let url = format!("http://127.0.0.1:{}/ready", self.admin_port);
        let (name, child) = (&self.name, &mut self.child);
        let started = std::time::Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                panic!("{name} ended with {status} before it was ready");
            }
            if reqwest::get(&url).await.is_ok_and(|answer| answer.status().is_success()) {
                return;
            }
            assert!(started.elapsed() < Duration::from_mins(1), "{name} is not ready after 60 s");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// `kill -9`
    pub fn kill(&mut self) {
        self.child.kill().expect("the process can be killed");
        self.child.wait().expect("the process ends");
    }

    /// Starts again after [`kill`](Self::kill), without waiting.
    pub fn restart(&mut self) {
        self.child = spawn(&self.path, &self.arguments, &self.command);
    }

    /// Sends a signal, by its name without SIG.
    pub fn signal(&self, signal: &str) {
        Command::new("kill").args(["-s", signal, &self.child.id().to_string()]).status().expect("kill runs");
    }

    /// How the process ended, if it did.
    pub fn exit_status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for the end, at most the 25 s every service keeps.
    pub async fn ended(&mut self) -> ExitStatus {
        let (what, child) = (format!("{} ends", self.name), &mut self.child);
        eventually_within(Duration::from_secs(25), &what, || {
            let ended = child.try_wait().ok().flatten();
            async move { ended }
        })
        .await
    }

    /// SIGTERM, then its exit code, at most 25 s later.
    pub async fn terminate(mut self) -> Option<i32> {
        self.signal("TERM");
        self.ended().await.code()
    }
}

fn spawn(path: &PathBuf, arguments: &[String], environment: &[(String, String)]) -> Child {
    Command::new(path)
        .args(arguments)
        .envs(environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(if crate::logs_are_shown() { Stdio::inherit() } else { Stdio::null() })
        .spawn()
        .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
