use std::fs::read_to_string;
use std::process::Command;

use serde::Serialize;

/// Where figures were measured: without it they say nothing.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    pub cpu: String,
    pub cores: usize,
    pub memory_mib: u64,
    /// Load average of the last minute before measuring: above a few tenths, only ratios of the same run count.
    pub load: f64,
    /// Commit of this tree; `+` when files differ from it.
    pub commit: String,
}

impl Machine {
    pub fn this() -> Self {
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_default();
        let memory = field("/proc/meminfo", "MemTotal").and_then(|size| size.split(' ').next()?.parse::<u64>().ok());
        let load = read_to_string("/proc/loadavg").ok().and_then(|line| line.split(' ').next()?.parse().ok());
        Self {
            cpu,
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory.unwrap_or_default() / 1024,
            load: load.unwrap_or_default(),
            commit: commit().unwrap_or_else(|| "unknown".to_owned()),
        }
    }
}

fn field(file: &str, name: &str) -> Option<String> {
    let text = read_to_string(file).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn commit() -> Option<String> {
    let git = |arguments: &[&str]| {
        let output = Command::new("git").arg("-C").arg(env!("CARGO_MANIFEST_DIR")).args(arguments).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = !git(&["status", "--porcelain"])?.is_empty();
    Some(format!("{}{}", git(&["rev-parse", "--short", "HEAD"])?, if changed { "+" } else { "" }))
}
