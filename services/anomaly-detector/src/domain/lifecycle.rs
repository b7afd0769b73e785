//! When an anomaly opens and closes: one of each per excursion, not one per reading.
//!
//! This is what has been announced of a key, and nothing else, so it can be stored with every announcement. It opens at a
//! score above `open_above` and closes at the `close_after`th reading in a row whose score is at or below `close_below`.
//! Between the two thresholds an open anomaly stays open and a closed one closed. For `dead_time` after it closed only a
//! score above its highest opens another: the aftermath of one excursion is not the next one.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Thresholds {
    pub open_above: f32,
    pub close_below: f32,
    pub close_after: u32,
    /// Between `measured_at` of the reading that closed and of the one that may open.
    pub dead_time_micros: i64,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self { open_above: 0.8, close_below: 0.4, close_after: 5, dead_time_micros: 0 }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Excursion {
    pub started_at_micros: i64,
    /// The highest score so far.
    pub peak_score: f32,
    calm: u32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Transition {
    Opened(Excursion),
    Closed(Excursion),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Lifecycle {
    open: Option<Excursion>,
    last: Option<Past>,
}

/// The excursion before.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Past {
    closed_at_micros: i64,
    peak_score: f32,
}

impl Lifecycle {
    /// `at_micros` is when the reading was measured, `score` what it scored, 0 to 1.
    pub fn on_score(&mut self, at_micros: i64, score: f32, thresholds: &Thresholds) -> Option<Transition> {
        let Some(excursion) = &mut self.open else {
            if score <= thresholds.open_above || self.is_aftermath(at_micros, score, thresholds) {
                return None;
            }
            let excursion = Excursion { started_at_micros: at_micros, peak_score: score, calm: 0 };
            self.open = Some(excursion);
            return Some(Transition::Opened(excursion));
        };
        excursion.peak_score = excursion.peak_score.max(score);
        excursion.calm = if score <= thresholds.close_below { excursion.calm + 1 } else { 0 };
        if excursion.calm >= thresholds.close_after.max(1) { self.close(at_micros) } else { None }
    }

    fn is_aftermath(&self, at_micros: i64, score: f32, thresholds: &Thresholds) -> bool {
        self.last
            .is_some_and(|last| at_micros.saturating_sub(last.closed_at_micros) < thresholds.dead_time_micros && score <= last.peak_score)
    }

    /// Closes what is open for another reason than a score: the device has been silent for long, or is retired.
    pub fn close(&mut self, at_micros: i64) -> Option<Transition> {
        let excursion = self.open.take()?;
        self.last = Some(Past { closed_at_micros: at_micros, peak_score: excursion.peak_score });
        Some(Transition::Closed(excursion))
    }

    pub fn open(&self) -> Option<&Excursion> {
        self.open.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: i64 = 1_000_000;

    fn run_with(thresholds: &Thresholds, scores: &[f32]) -> Vec<Transition> {
        let mut lifecycle = Lifecycle::default();
        let at = |i: usize| i as i64 * SECOND;
        scores.iter().enumerate().filter_map(|(i, s)| lifecycle.on_score(at(i), *s, thresholds)).collect()
    }

    fn run(scores: &[f32]) -> Vec<Transition> {
        run_with(&Thresholds::default(), scores)
    }

    #[test]
    fn an_excursion_of_many_readings_opens_once_and_closes_once() {
        let transitions = run(&[0.1, 0.9, 0.95, 0.7, 0.99, 0.3, 0.2, 0.2, 0.1, 0.1, 0.1, 0.1]);
        let [Transition::Opened(opened), Transition::Closed(closed)] = transitions[..] else {
            panic!("{transitions:?}");
        };
        assert_eq!(opened.started_at_micros, 1_000_000);
        assert_eq!(closed.started_at_micros, 1_000_000);
        assert!((closed.peak_score - 0.99).abs() < 1e-6);
    }

    #[test]
    fn a_score_at_the_threshold_does_not_open() {
        assert!(run(&[0.8, 0.8, 0.8]).is_empty());
    }

    #[test]
    fn calm_must_be_uninterrupted_to_close() {
        let transitions = run(&[0.9, 0.1, 0.1, 0.1, 0.1, 0.6, 0.1, 0.1, 0.1, 0.1]);
        assert_eq!(transitions.len(), 1, "{transitions:?}");
    }

    #[test]
    fn within_the_dead_time_only_a_higher_score_opens_another() {
        let thresholds = Thresholds { close_after: 1, dead_time_micros: 10 * SECOND, ..Thresholds::default() };
        let opened_at = |scores: &[f32]| {
            let transitions = run_with(&thresholds, scores);
            let opened =
                transitions.iter().filter_map(|t| if let Transition::Opened(e) = t { Some(e.started_at_micros / SECOND) } else { None });
            opened.collect::<Vec<_>>()
        };
        // Closed at 1: the next as high opens at 11, and not at 10.
        let mut scores = [0.9_f32; 12];
        scores[1] = 0.1;
        assert_eq!(opened_at(&scores), [0, 11]);
        assert_eq!(opened_at(&scores[..11]), [0]);
        scores[4] = 0.95;
        assert_eq!(opened_at(&scores), [0, 4]);
    }

    #[test]
    fn closing_what_is_not_open_does_nothing() {
        let mut lifecycle = Lifecycle::default();
        assert_eq!(lifecycle.close(0), None);
        lifecycle.on_score(0, 0.9, &Thresholds::default());
        assert!(lifecycle.close(1).is_some());
        assert_eq!(lifecycle.close(2), None);
    }

    proptest! {
        #[test]
        fn opened_and_closed_alternate_whatever_the_scores(scores in prop::collection::vec(0.0_f32..=1.0, 0..300), dead in 0..20_i64) {
            let mut open = false;
            for transition in run_with(&Thresholds { dead_time_micros: dead * SECOND, ..Thresholds::default() }, &scores) {
                match transition {
                    Transition::Opened(_) => prop_assert!(!open),
                    Transition::Closed(_) => prop_assert!(open),
                }
                open = !open;
            }
        }
    }
}
