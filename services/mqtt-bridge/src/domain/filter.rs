use std::fmt;
use std::str::FromStr;

/// An MQTT topic filter: levels, `+` for one level, a last `#` for any number of levels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicFilter(String);

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadFilter {
    #[error("is empty")]
    Empty,
    #[error("has `#` elsewhere than alone in the last level")]
    HashNotLast,
    #[error("has `+` beside other characters of its level")]
    PlusNotAlone,
}

impl FromStr for TopicFilter {
    type Err = BadFilter;

    fn from_str(text: &str) -> Result<Self, BadFilter> {
        if text.is_empty() {
            return Err(BadFilter::Empty);
        }
        let mut levels = text.split('/').peekable();
        while let Some(level) = levels.next() {
            if level.contains('#') && (level != "#" || levels.peek().is_some()) {
                return Err(BadFilter::HashNotLast);
            }
            if level.contains('+') && level != "+" {
                return Err(BadFilter::PlusNotAlone);
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl TopicFilter {
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// MQTT 5, section 4.7: `a/#` matches `a`; a wildcard in the first level does not match `$SYS/…`.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && !self.0.starts_with('$') {
            return false;
        }
        let mut topic = topic.split('/');
        for level in self.0.split('/') {
            match (level, topic.next()) {
                ("#", _) => return true,
                ("+", Some(_)) => {}
                (level, Some(found)) if level == found => {}
                _ => return false,
            }
        }
        topic.next().is_none()
    }
}

impl fmt::Display for TopicFilter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(filter: &str, topic: &str) -> bool {
        filter.parse::<TopicFilter>().unwrap().matches(topic)
    }

    #[test]
    fn wildcards_match_as_the_specification_says() {
        for (filter, topic) in [
            ("iot/sensor/temperature", "iot/sensor/temperature"),
            ("devices/+/telemetry", "devices/d-1/telemetry"),
            ("devices/+/telemetry", "devices//telemetry"),
            ("sport/#", "sport"),
            ("sport/#", "sport/tennis/player1"),
            ("#", "any/thing"),
            ("+/+", "/finance"),
            ("$SYS/#", "$SYS/broker"),
        ] {
            assert!(matches(filter, topic), "{filter} has to match {topic}");
        }
        for (filter, topic) in [
            ("iot/sensor/temperature", "iot/sensor"),
            ("iot/sensor", "iot/sensor/temperature"),
            ("devices/+/telemetry", "devices/a/b/telemetry"),
            ("devices/+/telemetry", "devices/d-1/status"),
            ("+", "/finance"),
            ("#", "$SYS/broker"),
            ("+/broker", "$SYS/broker"),
        ] {
            assert!(!matches(filter, topic), "{filter} must not match {topic}");
        }
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        for (filter, problem) in [
            ("", BadFilter::Empty),
            ("a/#/b", BadFilter::HashNotLast),
            ("a/b#", BadFilter::HashNotLast),
            ("a/b+/c", BadFilter::PlusNotAlone),
        ] {
            assert_eq!(filter.parse::<TopicFilter>(), Err(problem), "{filter}");
        }
    }
}
