//! `[group]`: how sensors are judged by their group, and what is fused.

use std::time::Duration;

use serde::Deserialize;
use service::Mistake;

use super::WindowConfig;
use crate::domain::group::{DriftRule, DriftRules, FusionRules, GroupRules, Signal};
use crate::domain::lifecycle::Thresholds;

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupConfig {
    pub enabled: bool,
    #[serde(with = "humantime_serde")]
    pub health_window: Duration,
    pub commission_days: usize,
    pub drift_rule: DriftRule,
    pub cusum_k: f64,
    pub cusum_h: f64,
    pub heal_days: u8,
    #[serde(with = "humantime_serde")]
    pub stuck_after: Duration,
    #[serde(with = "humantime_serde")]
    pub fusion_window: Duration,
    #[serde(with = "humantime_serde")]
    pub memory: Duration,
    pub open_above: f32,
    pub close_below: f32,
    pub close_after: u32,
    pub signals: Vec<Signal>,
}

impl GroupConfig {
    pub fn rules(&self) -> GroupRules {
        let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        // A quarter of a day.
        let least_slots = (21_600_000_000 / micros(self.health_window).max(1)).max(1) as u32;
        GroupRules {
            health_window_micros: micros(self.health_window),
            fusion_window_micros: micros(self.fusion_window),
            drift: DriftRules {
                rule: self.drift_rule,
                commission_days: self.commission_days,
                k: self.cusum_k,
                h: self.cusum_h,
                heal_days: self.heal_days,
                least_slots,
            },
            stuck_after_micros: micros(self.stuck_after),
            fusion: FusionRules {
                signals: self.signals.clone(),
                thresholds: Thresholds {
                    open_above: self.open_above,
                    close_below: self.close_below,
                    close_after: self.close_after,
                    dead_time_micros: 0,
                },
                memory_micros: micros(self.memory),
            },
        }
    }

    pub(super) fn check(&self, windows: &[WindowConfig], mistakes: &mut Vec<Mistake>) {
        if !self.enabled {
            return;
        }
        let mut wrong = |key: String, problem: String| mistakes.push(Mistake::new(format!("group.{key}"), problem));
        for (key, length) in [("health_window", self.health_window), ("fusion_window", self.fusion_window)] {
            if !windows.iter().any(|window| window.length == length) {
                wrong(key.to_owned(), "no window of [aggregates] has this length".to_owned());
            }
        }
        if !(0.0..=self.open_above).contains(&self.close_below) {
            wrong("close_below".to_owned(), format!("{} is not between 0 and open_above ({})", self.close_below, self.open_above));
        }
        for (i, signal) in self.signals.iter().enumerate() {
            if !(signal.from.is_finite() && signal.full.is_finite() && (signal.full - signal.from).abs() > 0.0) {
                wrong(format!("signals[{i}].full"), "must be another number than from".to_owned());
            }
            if !(0.0..=1.0).contains(&signal.weight) {
                wrong(format!("signals[{i}].weight"), format!("{} is not between 0 and 1", signal.weight));
            }
        }
    }
}
