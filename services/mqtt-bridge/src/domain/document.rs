use std::borrow::Cow;

/// Members by name; names are unique, the order is the payload's.
pub type Members<'a> = Vec<(Cow<'a, str>, Field<'a>)>;

/// A payload as its codec read it.
#[derive(Clone, Debug, PartialEq)]
pub enum Document<'a> {
    Object(Members<'a>),
    Array(Vec<Field<'a>>),
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
    /// Only where the route looks into it.
    Object(Members<'a>),
    /// Only where the route looks into it.
    Array(Vec<Field<'a>>),
    /// What cannot be used: `a boolean`, `an array`, `an object`.
    Other(&'static str),
}

impl<'a> Document<'a> {
    /// The named member, or with a leading `/` what the JSON pointer (RFC 6901) leads to; null counts as absent.
    pub fn field(&self, name: &str) -> Option<&Field<'a>> {
        let Self::Object(members) = self else { return None };
        let found = match name.strip_prefix('/') {
            None => member(members, name)?,
            Some(pointer) => {
                let mut steps = pointer.split('/').map(|step| step.replace("~1", "/").replace("~0", "~"));
                let first = member(members, &steps.next()?)?;
                steps.try_fold(first, |field, step| field.step(&step))?
            }
        };
        Some(found).filter(|field| **field != Field::Null)
    }
}

fn member<'d, 'a>(members: &'d Members<'a>, name: &str) -> Option<&'d Field<'a>> {
    members.iter().find(|(key, _)| key == name).map(|(_, field)| field)
}

impl<'a> Field<'a> {
    fn step(&self, step: &str) -> Option<&Field<'a>> {
        match self {
            Self::Object(members) => member(members, step),
            Self::Array(elements) => elements.get(step.parse::<usize>().ok()?),
            _ => None,
        }
    }

    /// What it is, for people.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Integer(_) | Self::Number(_) => "a number",
            Self::Text(_) => "a text",
            Self::Null => "null",
            Self::Object(_) => "an object",
            Self::Array(_) => "an array",
            Self::Other(kind) => kind,
        }
    }

    pub fn number(&self) -> Option<f64> {
        match self {
            Self::Integer(value) => Some(*value as f64),
            Self::Number(value) => Some(*value),
            Self::Text(_) | Self::Null | Self::Object(_) | Self::Array(_) | Self::Other(_) => None,
        }
    }
}
