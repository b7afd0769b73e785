/// What a process has used so far, from /proc.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    pub cpu_seconds: f64,
    pub rss_mib: f64,
    pub peak_rss_mib: f64,
}

impl Usage {
    /// `None` once the process has ended.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // After the command's name in parentheses: utime and stime are the 12th and 13th, in ticks of 10 ms.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let ticks = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let mib = |name| {
            let kib: f64 = status.lines().find_map(|line| line.strip_prefix(name))?.trim().trim_end_matches(" kB").parse().ok()?;
            Some(kib / 1024.0)
        };
        Some(Self { cpu_seconds: ticks / 100.0, rss_mib: mib("VmRSS:")?, peak_rss_mib: mib("VmHWM:")? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_works_uses_more_and_one_that_is_not_has_no_usage() {
        let started = std::time::Instant::now();
        while Usage::of(std::process::id()).unwrap().cpu_seconds < 0.05 {
            assert!(started.elapsed().as_secs() < 30, "this loop uses the CPU");
        }
        let usage = Usage::of(std::process::id()).unwrap();
        assert!(usage.rss_mib > 1.0 && usage.peak_rss_mib >= usage.rss_mib);
        assert_eq!(Usage::of(u32::MAX), None);
    }
}
