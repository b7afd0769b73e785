use std::borrow::Cow;

/// A payload as its codec read it.
#[derive(Clone, Debug, PartialEq)]
pub enum Document<'a> {
    /// Names are unique; the order is the payload's.
    Object(Vec<(Cow<'a, str>, Field<'a>)>),
    Text(&'a str),
}

/// A member of an object.
#[derive(Clone, Debug, PartialEq)]
pub enum Field<'a> {
    Integer(i64),
    /// Finite.
    Number(f64),
    Text(Cow<'a, str>),
    Null,
    /// What cannot be used: `a boolean`, `an array`, `an object`.
    Other(&'static str),
}

impl<'a> Document<'a> {
    /// The named member; null counts as absent.
    pub fn field(&self, name: &str) -> Option<&Field<'a>> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(key, _)| key == name).map(|(_, field)| field).filter(|field| **field != Field::Null)
    }
}

impl Field<'_> {
    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Null => "null",
            Self::Other(kind) => kind,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(_) | Self::Null | Self::Other(_) => None,
        }
    }
}
