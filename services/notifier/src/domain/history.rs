//! Which points a device's history is given in.

use std::time::Duration;

use events::Timestamp;

use super::period::Period;

/// Points of an answer at most.
pub const MOST: u64 = 2_000;
/// Points of an answer whose step nobody asked for, at most.
const PLOTTED: u64 = 500;
/// What is looked back when no beginning is given.
const BACK: Duration = Duration::from_hours(24);
/// Steps that are chosen from, in seconds.
const STEPS: [u64; 7] = [60, 300, 900, 3_600, 10_800, 21_600, 86_400];

/// `from..to` in steps since 1970; `from` is the beginning of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    pub from: Timestamp,
    pub to: Timestamp,
    pub step: Period,
}

/// What a history was asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Asked {
    pub from: Option<Timestamp>,
    pub to: Option<Timestamp>,
    pub step: Option<Period>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAGrid {
    #[error("is not after `from`")]
    Empty,
    #[error("is not a whole number of seconds")]
    NotWholeSeconds,
    #[error("gives more than {MOST} points: ask for {least} or more")]
    TooFine { least: Period },
}

impl Grid {
    /// The last day in 500 points at most, as far as nothing else is asked for.
    pub fn new(asked: Asked, now: Timestamp) -> Result<Self, NotAGrid> {
        let to = asked.to.unwrap_or(now);
        let from = asked.from.unwrap_or_else(|| to.saturating_sub(BACK));
        if from >= to {
            return Err(NotAGrid::Empty);
        }
        let seconds = (i128::from(to.as_micros()) - i128::from(from.as_micros())) as u128;
        let seconds = u64::try_from(seconds.div_ceil(1_000_000)).unwrap_or(u64::MAX);
        let step = match asked.step.map(Period::duration) {
            None => coarse(seconds, PLOTTED),
            Some(step) if step.subsec_nanos() != 0 => return Err(NotAGrid::NotWholeSeconds),
            Some(step) if seconds.div_ceil(step.as_secs()) > MOST => {
                return Err(NotAGrid::TooFine { least: Period::from_secs(coarse(seconds, MOST)) });
            }
            Some(step) => step.as_secs(),
        };
        let micros = i64::try_from(step).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let from = Timestamp::from_micros(from.as_micros().div_euclid(micros).saturating_mul(micros));
        Ok(Self { from, to, step: Period::from_secs(step) })
    }
}

/// The shortest step that gives so many points at most.
fn coarse(seconds: u64, most: u64) -> u64 {
    let enough = |step: &u64| seconds.div_ceil(*step) <= most;
    let days = || seconds.div_ceil(most).div_ceil(86_400) * 86_400;
    STEPS.into_iter().find(enough).unwrap_or_else(days)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_millis(second * 1_000)
    }

    fn grid(from: Option<i64>, to: Option<i64>, step: Option<&str>) -> Result<(i64, i64, u64), NotAGrid> {
        let step = step.map(|step| step.parse().unwrap());
        let grid = Grid::new(Asked { from: from.map(at), to: to.map(at), step }, at(1_000_000))?;
        Ok((grid.from.as_millis() / 1_000, grid.to.as_millis() / 1_000, grid.step.duration().as_secs()))
    }

    #[test]
    fn the_last_day_is_given_when_nothing_is_asked_for() {
        assert_eq!(grid(None, None, None), Ok((913_500, 1_000_000, 300)));
    }

    #[test]
    fn the_step_grows_with_what_is_asked_for_and_the_beginning_is_one_of_a_step() {
        assert_eq!(grid(Some(90), Some(3_000), None), Ok((60, 3_000, 60)));
        assert_eq!(grid(Some(0), Some(30 * 86_400), None), Ok((0, 30 * 86_400, 10_800)));
        assert_eq!(grid(Some(0), Some(3_650 * 86_400), None), Ok((0, 3_650 * 86_400, 8 * 86_400)));
        assert_eq!(grid(Some(100), Some(200), Some("1m 30s")), Ok((90, 200, 90)));
        assert_eq!(grid(Some(-100), Some(200), Some("90s")), Ok((-180, 200, 90)));
    }

    #[test]
    fn what_gives_no_points_or_too_many_is_refused() {
        assert_eq!(grid(Some(5), Some(5), None), Err(NotAGrid::Empty));
        assert_eq!(grid(Some(0), Some(100), Some("1500ms")), Err(NotAGrid::NotWholeSeconds));
        let least = "5m".parse().unwrap();
        assert_eq!(grid(Some(0), Some(86_400 * 2), Some("1m")), Err(NotAGrid::TooFine { least }));
        assert_eq!(NotAGrid::TooFine { least }.to_string(), "gives more than 2000 points: ask for 5m or more");
        let widest = Asked { from: Some(Timestamp::from_micros(i64::MIN)), to: Some(Timestamp::from_micros(i64::MAX)), step: None };
        assert!(Grid::new(widest, at(0)).is_ok());
    }
}
