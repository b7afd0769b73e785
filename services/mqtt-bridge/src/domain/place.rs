use std::borrow::Cow;
use std::str::FromStr;

use crate::domain::{Document, Field};

/// Where a route finds something: `payload:NAME` (a member), `topic:N` (a level of the topic, from 1), or any other
/// text, which is meant as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Payload(String),
    Topic(usize),
    Fixed(String),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    #[error("names no member after `payload:`")]
    NoMember,
    #[error("has no level number from 1 after `topic:`")]
    NoLevel,
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if let Some(member) = text.strip_prefix("payload:") {
            return if member.is_empty() { Err(BadPlace::NoMember) } else { Ok(Self::Payload(member.to_owned())) };
        }
        match text.strip_prefix("topic:") {
            Some(level) => level.parse().ok().filter(|level| *level > 0).map(Self::Topic).ok_or(BadPlace::NoLevel),
            None => Ok(Self::Fixed(text.to_owned())),
        }
    }
}

impl Place {
    /// The member of the payload it names.
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::Payload(member) => Some(member),
            Self::Topic(_) | Self::Fixed(_) => None,
        }
    }

    /// What stands there as far as the topic alone tells.
    pub fn of_topic<'a>(&'a self, topic: &'a str) -> Option<&'a str> {
        match self {
            Self::Topic(level) => topic.split('/').nth(level - 1),
            Self::Fixed(text) => Some(text),
            Self::Payload(_) => None,
        }
    }

    /// The member it names in `document`.
    pub fn of_payload<'d, 'a>(&self, document: &'d Document<'a>) -> Option<&'d Field<'a>> {
        document.field(self.member()?)
    }

    /// The text that stands there; a number in the payload is taken as its digits. `Err`: it is something else.
    pub fn text<'a>(&'a self, topic: &'a str, document: &'a Document<'_>) -> Result<Option<Cow<'a, str>>, &'static str> {
        match self.of_payload(document) {
            Some(Field::Text(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Field::Integer(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Some(other) => Err(other.kind()),
            None => Ok(self.of_topic(topic).map(Cow::Borrowed)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_member_a_level_or_a_fixed_text() {
        assert_eq!("payload:device_id".parse(), Ok(Place::Payload("device_id".into())));
        assert_eq!("topic:2".parse(), Ok(Place::Topic(2)));
        assert_eq!("default".parse(), Ok(Place::Fixed("default".into())));
        assert_eq!("topic:0".parse::<Place>(), Err(BadPlace::NoLevel));
        assert_eq!("topic:two".parse::<Place>(), Err(BadPlace::NoLevel));
        assert_eq!("payload:".parse::<Place>(), Err(BadPlace::NoMember));
    }

    #[test]
    fn a_level_is_counted_from_one() {
        let topic = "devices/d-1/telemetry";
        assert_eq!(Place::Topic(2).of_topic(topic), Some("d-1"));
        assert_eq!(Place::Topic(4).of_topic(topic), None);
    }
}
