//! What so many devices at such a rate need.
//!
//! Costs were measured by `scripts/bench e2e` on two cores of a shared machine: the processor time of each at 1,000 and at 5,000
//! readings a second gives what a reading adds, at 33 and at 100 alerts a second what an alert adds, from its opening to its
//! end, and the rest is what it costs to be there. What comes alone costs more than what comes in crowds, so the cost grows less than
//! evenly: outside these rates, to either side, less is needed than planned. Memory for a device is a bound and no measurement: of
//! the detector what `scripts/bench anomaly` holds it to, of the others what their state takes, with room.

use events::partitioner::partition_of;

/// A core is planned to be used so far: the rest is for peaks, and for catching up after a stop.
const USED: f64 = 0.6;
/// A replica's share; more cores than that are more replicas.
const CORES_A_REPLICA: f64 = 1.0;
const MIB: f64 = 1_048_576.0;
const DAY: f64 = 86_400.0;
/// Of a reading in its topic, headers and framing included.
pub(crate) const READING_BYTES: f64 = 310.0;
/// Each reads every reading: temperature-alert, both stages of anomaly-detector, notifier.
pub(crate) const READERS: f64 = 4.0;
/// Of a topic, for good: what `schemas/topics.yaml` says.
pub(crate) const PARTITIONS: u32 = 12;

/// What one process costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Cost {
    pub(crate) name: &'static str,
    /// Cores, for being there and polling.
    pub(crate) idle_cores: f64,
    /// Of one core, for each reading.
    pub(crate) micros_a_reading: f64,
    /// Of one core, for each alert: it opens, is told of, and ends.
    pub(crate) micros_an_alert: f64,
    pub(crate) base_mib: f64,
    pub(crate) bytes_a_device: f64,
    /// Whether its work is spread over replicas by partitions of a topic.
    pub(crate) by_partition: bool,
}

pub(crate) const MEASURED: [Cost; 9] = [
    Cost::of("mqtt-bridge", [0.172, 24.0, 0.0], [20.0, 90.0], false),
    Cost::of("temperature-alert", [0.122, 6.0, 465.0], [21.0, 2_000.0], true),
    Cost::of("anomaly-detector", [0.025, 9.5, 0.0], [58.0, 16_000.0], true),
    Cost::of("notifier", [0.092, 5.0, 825.0], [40.0, 1_000.0], false),
    Cost::of("outbox-relay", [0.040, 0.0, 405.0], [16.0, 0.0], false),
    Cost::of("device-commands", [0.007, 0.0, 0.0], [25.0, 1_000.0], true),
    Cost::of("kafka", [0.543, 14.0, 975.0], [600.0, 0.0], false),
    Cost::of("mosquitto", [0.026, 16.0, 0.0], [16.0, 0.0], false),
    Cost::of("postgres", [0.141, 0.0, 1_620.0], [290.0, 0.0], false),
];

/// What one process needs.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Need {
    pub(crate) name: &'static str,
    /// Busy, all replicas together.
    pub(crate) cores: f64,
    pub(crate) replicas: u32,
    /// Of each replica, with half as much again.
    pub(crate) memory_mib: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Plan {
    pub(crate) needs: Vec<Need>,
    /// The fullest partition's share of the devices, and the mean.
    pub(crate) fullest: f64,
    /// How much of a worker the fullest partition takes, at the stage that works longest on a reading.
    pub(crate) fullest_worker: f64,
    /// Bytes a second into and out of Kafka, one copy.
    pub(crate) written: f64,
    pub(crate) read: f64,
    /// Bytes kept of readings in their seven days, one copy.
    pub(crate) kept: f64,
}

impl Plan {
    /// For `devices`, all of them together at `rate` readings and `alerts` alerts a second. Placement is that of devices named
    /// `sim-001`, `sim-002`, ….
    pub(crate) fn of(devices: u32, rate: f64, alerts: f64, partitions: u32) -> Self {
        let mut placed = vec![0_u32; partitions as usize];
        for number in 1..=devices {
            placed[partition_of(format!("sim-{number:03}").as_bytes(), partitions) as usize] += 1;
        }
        let fullest = f64::from(placed.iter().copied().max().unwrap_or_default()) / f64::from(devices);
        let longest = MEASURED.iter().filter(|cost| cost.by_partition).map(|cost| cost.micros_a_reading).fold(0.0, f64::max);
        Self {
            needs: MEASURED.iter().map(|cost| cost.need(devices, rate, alerts, partitions)).collect(),
            fullest,
            fullest_worker: rate * fullest * longest / 1e6,
            written: rate * READING_BYTES,
            read: rate * READING_BYTES * READERS,
            kept: rate * READING_BYTES * 7.0 * DAY,
        }
    }

    /// Whether a partition's worker keeps up, with what is kept free for peaks.
    pub(crate) fn is_possible(&self) -> bool {
        self.fullest_worker <= USED
    }
}

impl Cost {
    const fn of(
        name: &'static str,
        [idle_cores, micros_a_reading, micros_an_alert]: [f64; 3],
        [base_mib, bytes_a_device]: [f64; 2],
        by_partition: bool,
    ) -> Self {
        Self { name, idle_cores, micros_a_reading, micros_an_alert, base_mib, bytes_a_device, by_partition }
    }

    fn need(&self, devices: u32, rate: f64, alerts: f64, partitions: u32) -> Need {
        let added = (rate * self.micros_a_reading + alerts * self.micros_an_alert) / 1e6;
        let most = if self.by_partition { partitions } else { u32::MAX };
        let replicas = ((added / USED / CORES_A_REPLICA).ceil() as u32).clamp(1, most);
        let held = f64::from(devices) * self.bytes_a_device / MIB;
        // Of the notifier every replica knows every device.
        let held = if self.by_partition { held / f64::from(replicas) } else { held };
        let memory_mib = (self.base_mib + held) * 1.5;
        Need { name: self.name, cores: self.idle_cores * f64::from(replicas) + added, replicas, memory_mib }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_devices_readings_or_alerts_never_need_less() {
        let small = Plan::of(200, 300.0, 0.0, 12);
        let (more_devices, faster) = (Plan::of(20_000, 300.0, 0.0, 12), Plan::of(200, 30_000.0, 0.0, 12));
        let louder = Plan::of(200, 300.0, 100.0, 12);
        for (index, need) in small.needs.iter().enumerate() {
            assert!(more_devices.needs[index].memory_mib >= need.memory_mib, "{need:?}");
            for more in [&faster, &louder] {
                assert!(more.needs[index].cores >= need.cores && more.needs[index].replicas >= need.replicas, "{need:?}");
            }
        }
        assert!(faster.written > small.written && small.kept > 0.0);
    }

    #[test]
    fn a_rate_that_the_fullest_partition_cannot_do_is_said_to_be_impossible() {
        assert!(Plan::of(1_000, 10_000.0, 0.0, 12).is_possible());
        assert!(!Plan::of(1_000, 1_000_000.0, 0.0, 12).is_possible());
        assert!(!Plan::of(1, 100_000.0, 0.0, 12).is_possible(), "one device is one partition, whatever the rest could do");
    }

    #[test]
    fn few_devices_fill_partitions_unevenly_and_many_evenly() {
        let (few, many) = (Plan::of(24, 1.0, 0.0, 12).fullest, Plan::of(100_000, 1.0, 0.0, 12).fullest);
        assert!(few > 1.5 / 12.0 && (1.0 / 12.0..1.05 / 12.0).contains(&many), "{few} {many}");
    }
}
