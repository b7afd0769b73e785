//! The windows of one device and metric: when they close, and when they are corrected.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::outlook::{Expected, Outlook};
use super::pane::Stats;
use super::rules::Rules;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Windows {
    /// By start; panes without readings are there only when a window that ends with them was said.
    panes: VecDeque<Pane>,
    /// The highest `measured_at`, once there was one.
    newest: Option<i64>,
    /// Windows that end up to here were said, if there was something in them.
    closed_to: i64,
    /// The next end of a window with readings in it, that was not said.
    next_end: Option<i64>,
    /// Some window has to be said again.
    corrected: bool,
    outlook: Outlook,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Pane {
    start: i64,
    stats: Stats,
    expected: Option<Expected>,
    /// Of the windows that end with this pane: how often each was said, and whether it changed since.
    said: Vec<Said>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Said {
    times: u16,
    changed: bool,
}

/// A window that closed, or is corrected.
#[derive(Clone, Debug, PartialEq)]
pub struct Closed {
    pub start: i64,
    pub end: i64,
    pub revision: i32,
    pub stats: Stats,
    /// Expected mean, and the band it should have stayed in.
    pub expected: Option<(f64, f64, f64)>,
}

/// What became of a reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    Folded,
    /// Further behind the newest reading than `late_limit`: nothing is corrected.
    TooLate,
}

impl Windows {
    /// Folds a reading in; windows whose end it passes close first.
    pub fn take(&mut self, at_micros: i64, value: f64, rules: &Rules, closed: &mut impl FnMut(Closed)) -> Fold {
        let start = at_micros.div_euclid(rules.pane) * rules.pane;
        match self.newest {
            None => self.closed_to = start,
            Some(newest) if at_micros < newest.saturating_sub(rules.late_limit) => return Fold::TooLate,
            Some(_) => self.pass(start, rules, closed),
        }
        self.newest = self.newest.max(Some(at_micros));
        self.pane(start).stats.push(at_micros, value);
        if start < self.closed_to {
            self.correct(start, rules);
        }
        self.next_end = self.find_next_end(rules);
        Fold::Folded
    }

    /// When time alone has something to do: a window's end, or at once where corrections wait. In the readings' own time.
    pub fn due(&self) -> Option<i64> {
        self.next_end.or(self.corrected.then_some(self.closed_to))
    }

    /// The newest reading's time.
    pub fn newest(&self) -> Option<i64> {
        self.newest
    }

    /// Says the corrections that wait and closes what ends at or before `to`, by the order of their ends.
    pub fn pass(&mut self, to: i64, rules: &Rules, closed: &mut impl FnMut(Closed)) {
        let to = to.div_euclid(rules.pane) * rules.pane;
        if to <= self.closed_to && !(self.corrected && to == self.closed_to) {
            return;
        }
        self.say_corrections(rules, closed);
        // Beyond the last pane's longest window there is nothing to say.
        let last = self.panes.back().map_or(to, |pane| pane.start + rules.longest).min(to);
        let mut end = self.closed_to;
        self.closed_to = self.closed_to.max(to);
        while end < last {
            end += rules.pane;
            self.foresee(end - rules.pane);
            for number in 0..rules.specs.len() {
                if end % rules.specs[number].every == 0 {
                    self.say(number, end, rules, closed);
                }
            }
        }
        self.prune(rules);
        self.next_end = self.find_next_end(rules);
    }

    /// A pane is whole: what was expected of it?
    fn foresee(&mut self, start: i64) {
        let Ok(place) = self.panes.binary_search_by_key(&start, |pane| pane.start) else { return };
        let pane = &mut self.panes[place];
        if pane.stats.count > 0 {
            pane.expected = self.outlook.push(start, pane.stats.mean);
        }
    }

    /// Says the window of that kind that ends there, if there is something in it.
    fn say(&mut self, number: usize, end: i64, rules: &Rules, closed: &mut impl FnMut(Closed)) {
        let start = end - rules.specs[number].length;
        let from = self.panes.partition_point(|pane| pane.start < start);
        let inside = || self.panes.iter().skip(from).take_while(|pane| pane.start < end);
        let mut stats = Stats::default();
        inside().for_each(|pane| stats.merge(&pane.stats));
        if stats.count == 0 {
            return;
        }
        let expected = mean_expectation(inside().filter_map(|pane| pane.expected.as_ref()));
        let said = self.said(number, end, rules);
        *said = Said { times: said.times.saturating_add(1), changed: false };
        closed(Closed { start, end, revision: i32::from(said.times) - 1, stats, expected });
    }

    fn said(&mut self, number: usize, end: i64, rules: &Rules) -> &mut Said {
        let pane = self.pane(end - rules.pane);
        pane.said.resize(rules.specs.len(), Said::default());
        &mut pane.said[number]
    }

    /// Notes every closed window that holds the pane, to be said again.
    fn correct(&mut self, start: i64, rules: &Rules) {
        for (number, spec) in rules.specs.iter().enumerate() {
            let mut end = spec.end_after(start);
            while end <= self.closed_to.min(start + spec.length) {
                self.said(number, end, rules).changed = true;
                self.corrected = true;
                end += spec.every;
            }
        }
    }

    fn say_corrections(&mut self, rules: &Rules, closed: &mut impl FnMut(Closed)) {
        if !std::mem::take(&mut self.corrected) {
            return;
        }
        let changed = |pane: &Pane| {
            let end = pane.start + rules.pane;
            let numbers = pane.said.iter().enumerate().filter(|(_, said)| said.changed).map(move |(number, _)| (number, end));
            numbers.collect::<Vec<_>>()
        };
        for (number, end) in self.panes.iter().flat_map(changed).collect::<Vec<_>>() {
            if number < rules.specs.len() {
                self.say(number, end, rules, closed);
            }
        }
    }

    fn pane(&mut self, start: i64) -> &mut Pane {
        let place = self.panes.partition_point(|pane| pane.start < start);
        if self.panes.get(place).is_none_or(|pane| pane.start != start) {
            self.panes.insert(place, Pane { start, ..Pane::default() });
        }
        &mut self.panes[place]
    }

    /// Drops panes that no window that can still be corrected holds.
    fn prune(&mut self, rules: &Rules) {
        let oldest = self.newest.unwrap_or(i64::MIN).saturating_sub(rules.late_limit).saturating_sub(rules.longest);
        while self.panes.front().is_some_and(|pane| pane.start + rules.pane <= oldest) {
            self.panes.pop_front();
        }
    }

    fn find_next_end(&self, rules: &Rules) -> Option<i64> {
        let last = self.panes.iter().rev().find(|pane| pane.stats.count > 0)?.start;
        let ends = rules.specs.iter().map(|spec| (spec.end_after(self.closed_to), spec.length));
        ends.filter(|(end, length)| end - length <= last).map(|(end, _)| end).min()
    }
}

fn mean_expectation<'a>(expected: impl Iterator<Item = &'a Expected>) -> Option<(f64, f64, f64)> {
    let (mut count, mut level, mut half) = (0.0, 0.0, 0.0);
    for one in expected {
        count += 1.0;
        level += one.level;
        half += one.half;
    }
    (count > 0.0).then(|| (level / count, (level - half) / count, (level + half) / count))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::domain::aggregates::WindowSpec;

    const MINUTE: i64 = 60_000_000;

    fn rules() -> Rules {
        let minutes = Duration::from_mins;
        Rules::new(vec![WindowSpec::new(minutes(1), minutes(1)), WindowSpec::new(minutes(15), minutes(5))], minutes(10)).unwrap()
    }

    fn run(windows: &mut Windows, readings: &[(i64, f64)]) -> Vec<Closed> {
        let (rules, mut closed) = (rules(), Vec::new());
        for (at, value) in readings {
            windows.take(*at, *value, &rules, &mut |window| closed.push(window));
        }
        closed
    }

    /// (start and end in minutes, revision, count).
    fn brief(closed: &[Closed]) -> Vec<(i64, i64, i32, u32)> {
        closed.iter().map(|c| (c.start / MINUTE, c.end / MINUTE, c.revision, c.stats.count)).collect()
    }

    fn every_twenty_seconds(minutes: i64) -> Vec<(i64, f64)> {
        (0..minutes * 3).map(|i| (i * MINUTE / 3, (i % 7) as f64)).collect()
    }

    #[test]
    fn tumbling_windows_do_not_overlap_and_sliding_ones_do() {
        let closed = run(&mut Windows::default(), &every_twenty_seconds(21));
        let (short, long): (Vec<_>, Vec<_>) = brief(&closed).into_iter().partition(|(start, end, ..)| end - start == 1);
        assert_eq!(short, (0..20).map(|m| (m, m + 1, 0, 3)).collect::<Vec<_>>());
        assert_eq!(long, [(-10, 5, 0, 15), (-5, 10, 0, 30), (0, 15, 0, 45), (5, 20, 0, 45)]);
    }

    #[test]
    fn a_late_reading_is_folded_in_and_its_windows_said_again_with_the_next_revision() {
        let mut windows = Windows::default();
        run(&mut windows, &every_twenty_seconds(21));
        let corrected = run(&mut windows, &[(16 * MINUTE + 1, 100.0), (16 * MINUTE + 2, 100.0), (21 * MINUTE, 0.0)]);
        // Both in one correction; the window that closes comes last.
        assert_eq!(brief(&corrected), [(16, 17, 1, 5), (5, 20, 1, 47), (20, 21, 0, 3)]);
        assert!((corrected[0].stats.max - 100.0).abs() < f64::EPSILON && corrected[0].stats.last < 7.0, "{corrected:?}");
    }

    #[test]
    fn behind_the_limit_nothing_is_corrected() {
        let mut windows = Windows::default();
        run(&mut windows, &every_twenty_seconds(21));
        let newest = windows.newest().unwrap();
        let fold = |at| windows.clone().take(at, 1.0, &rules(), &mut |_| {});
        assert_eq!([fold(newest - 10 * MINUTE - 1), fold(newest - 10 * MINUTE)], [Fold::TooLate, Fold::Folded]);
    }

    #[test]
    fn a_late_reading_of_an_empty_window_makes_its_first_revision() {
        let mut windows = Windows::default();
        run(&mut windows, &[(0, 1.0), (3 * MINUTE, 1.0)]);
        let said = run(&mut windows, &[(MINUTE, 2.0), (4 * MINUTE, 1.0)]);
        assert_eq!(brief(&said), [(1, 2, 0, 1), (3, 4, 0, 1)]);
    }

    #[test]
    fn time_alone_closes_the_windows_of_a_device_that_fell_silent() {
        let (mut windows, rules) = (Windows::default(), rules());
        run(&mut windows, &[(0, 1.0)]);
        let mut said = Vec::new();
        while let Some(due) = windows.due() {
            windows.pass(due, &rules, &mut |window| said.push(window));
        }
        assert_eq!(brief(&said), [(0, 1, 0, 1), (-10, 5, 0, 1), (-5, 10, 0, 1), (0, 15, 0, 1)]);
        // It speaks again, a little behind what was closed: a correction, said by time alone.
        run(&mut windows, &[(14 * MINUTE, 3.0)]);
        assert_eq!(windows.due(), Some(20 * MINUTE));
        said.clear();
        windows.pass(20 * MINUTE, &rules, &mut |window| said.push(window));
        assert_eq!(brief(&said), [(14, 15, 0, 1), (0, 15, 1, 2), (5, 20, 0, 1)]);
    }

    #[test]
    fn a_pause_of_years_is_passed_over_at_once() {
        let said = run(&mut Windows::default(), &[(0, 1.0), (40 * 365 * 24 * 60 * MINUTE, 1.0)]);
        assert_eq!(said.len(), 4);
    }

    #[test]
    fn a_steady_series_is_expected_where_it_is() {
        let said = run(&mut Windows::default(), &every_twenty_seconds(200));
        let (level, low, high) = said.last().unwrap().expected.unwrap();
        assert!(low < level && level < high && (level - 3.0).abs() < 1.0, "{level} {low} {high}");
    }

    proptest! {
        #[test]
        fn the_highest_revision_holds_every_reading_that_was_folded(
            steps in prop::collection::vec((0..90_i64, 0..1_200_i64, prop::bool::weighted(0.2)), 1..150),
        ) {
            let (rules, mut windows, mut said) = (rules(), Windows::default(), Vec::new());
            let (mut now, mut folded) = (0_i64, Vec::new());
            for (step, behind, late) in steps {
                now += step * 1_000_000;
                let at = if late { now - behind * 1_000_000 } else { now };
                if windows.take(at, 1.0, &rules, &mut |window| said.push(window)) == Fold::Folded {
                    folded.push(at);
                }
            }
            while let Some(due) = windows.due() {
                windows.pass(due, &rules, &mut |window| said.push(window));
            }
            let mut last = std::collections::BTreeMap::new();
            for window in &said {
                let before = last.insert((window.start, window.end), (window.revision, window.stats.count));
                prop_assert_eq!(window.revision, before.map_or(0, |(revision, _)| revision + 1));
            }
            for ((start, end), (_, count)) in last {
                let inside = folded.iter().filter(|at| (start..end).contains(*at)).count();
                prop_assert_eq!(count as usize, inside, "window {}..{}", start, end);
            }
        }
    }
}
