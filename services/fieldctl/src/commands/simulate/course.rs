//! How long a simulation runs, how fast, and what time its devices have meanwhile.

use std::time::Duration;

use events::Timestamp;

use super::Arguments;
use crate::context::wrong_usage;
use crate::domain::pace::Pace;

#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Course {
    pub(crate) pace: Pace,
    /// Device time of the first reading.
    pub(crate) start: Timestamp,
    /// Device time between two readings of the fleet.
    pub(crate) interval: Duration,
    pub(crate) count: Option<u64>,
    pub(crate) duration: Option<Duration>,
}

impl Course {
    /// Devices live in the present: their time begins now, or so long ago that it ends now.
    pub(crate) fn of(arguments: &Arguments, now: Timestamp) -> anyhow::Result<Self> {
        let (count, duration) = (arguments.count, arguments.duration);
        let usual = f64::from(arguments.devices);
        let pace = match arguments.rate {
            Some(rate) => Pace::PerSecond(rate),
            None if count.is_some() => Pace::Unpaced,
            None => Pace::PerSecond(usual),
        };
        let clock_rate = if let Pace::PerSecond(rate) = pace { rate } else { usual };
        let interval = Duration::try_from_secs_f64(arguments.speedup / clock_rate)?;
        let mut course = Self { pace, start: now, interval, count, duration };
        if pace == Pace::Unpaced || arguments.speedup > 1.0 {
            let messages = course.messages().ok_or_else(|| wrong_usage("--speedup needs --count or --duration"))?;
            let device_time = Duration::try_from_secs_f64(interval.as_secs_f64() * messages as f64)?;
            let clock_time = pace.due(messages);
            course.start = now.saturating_sub(device_time.saturating_sub(clock_time));
        }
        Ok(course)
    }

    /// How many messages it will be, if that is known.
    pub(crate) fn messages(&self) -> Option<u64> {
        let by_duration = match (self.pace, self.duration) {
            (Pace::PerSecond(rate), Some(duration)) => Some((rate * duration.as_secs_f64()).ceil() as u64),
            _ => None,
        };
        self.count.into_iter().chain(by_duration).min()
    }
}

/// For people.
impl std::fmt::Display for Course {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.pace {
            Pace::PerSecond(rate) => write!(f, "{rate} readings a second")?,
            Pace::Unpaced => write!(f, "as fast as they go")?,
        }
        match self.messages() {
            Some(messages) => write!(f, ", {messages} messages"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_769_847_330_000);

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn course(line: &str) -> anyhow::Result<Course> {
        let arguments = Line::try_parse_from(std::iter::once("simulate").chain(line.split_whitespace()))?.arguments;
        Course::of(&arguments, NOW)
    }

    #[test]
    fn a_burst_ends_now() {
        let burst = course("--devices 20 --count 2000 --excursions").unwrap();
        let expected = Course {
            pace: Pace::Unpaced,
            start: NOW.saturating_sub(Duration::from_secs(100)),
            interval: Duration::from_millis(50),
            count: Some(2_000),
            duration: None,
        };
        assert_eq!(burst, expected);
    }

    #[test]
    fn without_an_end_device_time_is_the_clock() {
        let endless = course("--devices 50 --rate 20").unwrap();
        assert_eq!((endless.start, endless.interval, endless.messages()), (NOW, Duration::from_millis(50), None));
    }

    #[test]
    fn a_day_in_a_minute_ends_now() {
        let day = course("--rate 10 --duration 1m --speedup 1440").unwrap();
        assert_eq!(day.messages(), Some(600));
        assert_eq!(day.start, NOW.saturating_sub(Duration::from_mins(1_439)));
        assert!(course("--rate 10 --speedup 1440").unwrap_err().is::<crate::context::WrongUsage>());
    }

    #[test]
    fn the_sooner_end_counts() {
        assert_eq!(course("--rate 10 --duration 1m --count 50").unwrap().messages(), Some(50));
    }
}
