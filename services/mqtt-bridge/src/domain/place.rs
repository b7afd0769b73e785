use std::borrow::Cow;
use std::str::FromStr;

use crate::domain::{Document, Field};

/// Where a route finds something: `payload:NAME` (a member) or `payload:/a/b` (a JSON pointer), `topic:N` (a level of the
/// topic, from 1), a template of these in braces (`{topic:2}-{payload:probe}`), or any other text, meant as it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    Payload(String),
    Topic(usize),
    Fixed(String),
    Template(Vec<Place>),
}

#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadPlace {
    #[error("names no member after `payload:`")]
    NoMember,
    #[error("has no level number from 1 after `topic:`")]
    NoLevel,
    #[error("has a brace without its other, or one within another")]
    Braces,
}

impl FromStr for Place {
    type Err = BadPlace;

    fn from_str(text: &str) -> Result<Self, BadPlace> {
        if !text.contains(['{', '}']) {
            return Self::simple(text);
        }
        let (mut parts, mut rest) = (Vec::new(), text);
        while let Some((fixed, opened)) = rest.split_once('{') {
            let (inside, behind) = opened.split_once('}').ok_or(BadPlace::Braces)?;
            if fixed.contains('}') || inside.contains('{') {
                return Err(BadPlace::Braces);
            }
            parts.extend((!fixed.is_empty()).then(|| Self::Fixed(fixed.to_owned())));
            parts.push(Self::simple(inside)?);
            rest = behind;
        }
        if rest.contains('}') {
            return Err(BadPlace::Braces);
        }
        parts.extend((!rest.is_empty()).then(|| Self::Fixed(rest.to_owned())));
        Ok(Self::Template(parts))
    }
}

impl Place {
    fn simple(text: &str) -> Result<Self, BadPlace> {
        if let Some(member) = text.strip_prefix("payload:") {
            return if member.is_empty() { Err(BadPlace::NoMember) } else { Ok(Self::Payload(member.to_owned())) };
        }
        match text.strip_prefix("topic:") {
            Some(level) => level.parse().ok().filter(|level| *level > 0).map(Self::Topic).ok_or(BadPlace::NoLevel),
            None => Ok(Self::Fixed(text.to_owned())),
        }
    }

    /// The member of the payload it names, and nothing else.
    pub fn member(&self) -> Option<&str> {
        match self {
            Self::Payload(member) => Some(member),
            Self::Topic(_) | Self::Fixed(_) | Self::Template(_) => None,
        }
    }

    /// All members of the payload it looks at.
    pub fn members(&self) -> impl Iterator<Item = &str> {
        let parts = match self {
            Self::Template(parts) => parts.as_slice(),
            one => std::slice::from_ref(one),
        };
        parts.iter().filter_map(Self::member)
    }

    /// Whether it looks into what is nested.
    pub fn is_nested(&self) -> bool {
        self.members().any(|member| member.starts_with('/'))
    }

    /// What stands there as far as the topic alone tells.
    pub fn of_topic<'a>(&'a self, topic: &'a str) -> Option<Cow<'a, str>> {
        match self {
            Self::Topic(level) => topic.split('/').nth(level - 1).map(Cow::Borrowed),
            Self::Fixed(text) => Some(Cow::Borrowed(text)),
            Self::Payload(_) => None,
            Self::Template(parts) => parts.iter().map(|part| part.of_topic(topic)).collect::<Option<String>>().map(Cow::Owned),
        }
    }

    /// The member it names in `document`.
    pub fn of_payload<'d, 'a>(&self, document: &'d Document<'a>) -> Option<&'d Field<'a>> {
        document.field(self.member()?)
    }

    /// The text that stands there; a number in the payload is taken as its digits. `Err`: it is something else.
    pub fn text<'a>(&'a self, topic: &'a str, document: &'a Document<'_>) -> Result<Option<Cow<'a, str>>, &'static str> {
        if let Self::Template(parts) = self {
            let texts = parts.iter().map(|part| part.text(topic, document)).collect::<Result<Option<Vec<_>>, _>>()?;
            return Ok(texts.map(|texts| Cow::Owned(texts.concat())));
        }
        match self.of_payload(document) {
            Some(Field::Text(text)) => Ok(Some(Cow::Borrowed(text))),
            Some(Field::Integer(number)) => Ok(Some(Cow::Owned(number.to_string()))),
            Some(other) => Err(other.kind()),
            None => Ok(self.of_topic(topic)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_member_a_level_a_template_or_a_fixed_text() {
        assert_eq!("payload:device_id".parse(), Ok(Place::Payload("device_id".into())));
        assert_eq!("topic:2".parse(), Ok(Place::Topic(2)));
        assert_eq!("default".parse(), Ok(Place::Fixed("default".into())));
        let parts = vec![Place::Topic(2), Place::Fixed("-".into()), Place::Payload("/probe/id".into())];
        assert_eq!("{topic:2}-{payload:/probe/id}".parse(), Ok(Place::Template(parts)));
        assert_eq!("topic:0".parse::<Place>(), Err(BadPlace::NoLevel));
        assert_eq!("topic:two".parse::<Place>(), Err(BadPlace::NoLevel));
        assert_eq!("payload:".parse::<Place>(), Err(BadPlace::NoMember));
        for text in ["{topic:1", "topic:1}", "{{topic:1}}", "{topic:1}}", "a}{topic:1}"] {
            assert_eq!(text.parse::<Place>(), Err(BadPlace::Braces), "{text}");
        }
    }

    #[test]
    fn a_level_is_counted_from_one() {
        let topic = "devices/d-1/telemetry";
        assert_eq!(Place::Topic(2).of_topic(topic).as_deref(), Some("d-1"));
        assert_eq!(Place::Topic(4).of_topic(topic), None);
        assert_eq!("{topic:1}:{topic:2}".parse::<Place>().unwrap().of_topic(topic).as_deref(), Some("devices:d-1"));
    }
}
