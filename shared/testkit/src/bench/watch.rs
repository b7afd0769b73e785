use std::time::{Duration, Instant};

use serde::Serialize;

use super::Usage;

/// How fast a process worked off what was there.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Throughput {
    pub per_second: f64,
    pub cpu_micros_each: f64,
    pub peak_rss_mib: f64,
}

/// Watches the process `pid` until it has taken `total`, of which `taken` tells. Counted from the first look at which it had
/// taken any: what starting up, joining a group and restoring cost is not in the figures.
pub async fn watch(pid: u32, total: u64, mut taken: impl AsyncFnMut() -> u64) -> Throughput {
    let deadline = Instant::now() + Duration::from_mins(20);
    let mut first = None;
    loop {
        let (now, count) = (Instant::now(), taken().await);
        let usage = Usage::of(pid).expect("the process that is measured runs");
        if count > 0 && count < total {
            first.get_or_insert((now, count, usage));
        }
        if count >= total {
            let (began, before, used) = first.expect("the load lasts longer than one look");
            let each = (count - before) as f64;
            return Throughput {
                per_second: each / (now - began).as_secs_f64(),
                cpu_micros_each: (usage.cpu_seconds - used.cpu_seconds) * 1e6 / each,
                peak_rss_mib: usage.peak_rss_mib,
            };
        }
        assert!(now < deadline, "{count} of {total} were taken within 20 minutes");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
