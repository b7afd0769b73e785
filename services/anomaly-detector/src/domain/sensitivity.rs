//! How sure the detector has to be of which device: thresholds of its own for each entry that names it, the first that
//! does. A score means the same everywhere, so a threshold is all a device's sensitivity needs.

use super::lifecycle::Thresholds;

/// Thresholds of some devices and metrics.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// Device ids; `*` stands for any text.
    pub devices: Vec<String>,
    /// Empty: every metric.
    pub metrics: Vec<String>,
    /// 1 opens nothing.
    pub open_above: f32,
    pub close_below: f32,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Sensitivity {
    usual: Thresholds,
    entries: Vec<Entry>,
}

impl Sensitivity {
    pub fn new(usual: Thresholds, entries: Vec<Entry>) -> Self {
        Self { usual, entries }
    }

    pub fn of(&self, device_id: &str, metric: &str) -> Thresholds {
        let entry = self.entries.iter().find(|entry| entry.selects(device_id, metric));
        entry.map_or(self.usual, |entry| Thresholds { open_above: entry.open_above, close_below: entry.close_below, ..self.usual })
    }
}

impl Entry {
    fn selects(&self, device_id: &str, metric: &str) -> bool {
        self.devices.iter().any(|pattern| matches(pattern, device_id))
            && (self.metrics.is_empty() || self.metrics.iter().any(|m| m == metric))
    }
}

fn matches(pattern: &str, name: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else { return pattern == name };
    let Some(mut name) = name.strip_prefix(head) else { return false };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let tail = parts.pop().unwrap_or_default();
    for part in parts {
        // The first place is as good as any: what follows is matched in what is left.
        let Some(at) = name.find(part) else { return false };
        name = &name[at + part.len()..];
    }
    name.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(devices: &[&str], metrics: &[&str], open_above: f32) -> Entry {
        let own = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Entry { devices: own(devices), metrics: own(metrics), open_above, close_below: 0.1 }
    }

    #[test]
    fn the_first_entry_that_names_device_and_metric_decides() {
        let usual = Thresholds::default();
        let sensitivity = Sensitivity::new(
            usual,
            vec![entry(&["cold-1"], &["humidity"], 1.0), entry(&["cold-*", "oven"], &[], 0.95), entry(&["*"], &["motion"], 0.9)],
        );
        let open_above = |device, metric| sensitivity.of(device, metric).open_above;
        for (device, metric, expected) in
            [("cold-1", "humidity", 1.0), ("cold-1", "temperature", 0.95), ("oven", "motion", 0.95), ("sensor", "motion", 0.9)]
        {
            assert!((open_above(device, metric) - expected).abs() < f32::EPSILON, "{device} {metric}");
        }
        assert_eq!(sensitivity.of("sensor", "temperature"), usual);
    }

    #[test]
    fn a_star_is_any_text() {
        for (pattern, name) in [("*", ""), ("a", "a"), ("a*", "a"), ("*b*", "abc"), ("a*b*c", "aXbYbZc"), ("**", "x"), ("a*a", "aa")] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [("", "a"), ("a", "A"), ("a*", "ba"), ("a*a", "a"), ("a*b*c", "acb")] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }
}
