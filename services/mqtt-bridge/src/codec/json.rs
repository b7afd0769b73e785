//! JSON. A key that stands there twice is refused: which of the two was meant, nobody knows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::{Document, Field, Members, Reason, Reject};

/// What a custom error of a deserializer begins with, to be recognised in its text.
const DUPLICATE: &str = "duplicate key";

/// Reads one JSON object, one level deep: what is nested is skipped, however deep.
pub fn json(payload: &[u8]) -> Result<Document<'_>, Reject> {
    let text = utf8(payload)?;
    serde_json::from_str(text).map(|Object::<false>(members)| Document::Object(members)).map_err(|error| explained(text, &error))
}

/// Reads a JSON object or array with all that is in it, at most 127 levels deep.
pub fn nested_json(payload: &[u8]) -> Result<Document<'_>, Reject> {
    let text = utf8(payload)?;
    match serde_json::from_str(text) {
        Ok(Value::<true>(Field::Object(members))) => Ok(Document::Object(members)),
        Ok(Value(Field::Array(elements))) => Ok(Document::Array(elements)),
        Ok(_) => Err(Reject::new(Reason::NotAnObject, "the payload is JSON, but neither object nor array")),
        Err(error) => Err(explained(text, &error)),
    }
}

/// Reads a plain number, as the member `value`.
pub fn number(payload: &[u8]) -> Result<Document<'_>, Reject> {
    let text = utf8(payload)?.trim();
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(Document::Object(vec![("value".into(), Field::Number(number))])),
        Ok(number) => Err(Reject::new(Reason::NotFinite, format!("the payload is {number}"))),
        Err(_) => Err(Reject::new(Reason::WrongType, format!("`{}` is no number", shown(text)))),
    }
}

/// The payload as text; empty is refused.
pub(super) fn utf8(payload: &[u8]) -> Result<&str, Reject> {
    if payload.is_empty() {
        return Err(Reject::new(Reason::Empty, "the payload is empty"));
    }
    std::str::from_utf8(payload).map_err(|error| Reject::new(Reason::NotUtf8, error.to_string()))
}

fn explained(text: &str, error: &serde_json::Error) -> Reject {
    let detail = error.to_string();
    if detail.starts_with(DUPLICATE) {
        return Reject::new(Reason::DuplicateKey, detail);
    }
    if detail.starts_with("number out of range") || at_not_a_number(text, error) {
        return Reject::new(Reason::NotFinite, detail);
    }
    if !text.trim_start().starts_with('{') && serde_json::from_str::<IgnoredAny>(text).is_ok() {
        return Reject::new(Reason::NotAnObject, "the payload is JSON, but no object");
    }
    Reject::new(Reason::NotJson, detail)
}

/// Many encoders write NaN and Infinity, which JSON does not have.
fn at_not_a_number(text: &str, error: &serde_json::Error) -> bool {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let rest = line.get(error.column().saturating_sub(2)..).unwrap_or_default().trim_start_matches([' ', ':', '[', '-', '+']);
    rest.get(..3).is_some_and(|word| word.eq_ignore_ascii_case("nan") || word.eq_ignore_ascii_case("inf"))
}

fn shown(text: &str) -> String {
    text.chars().take(64).collect::<String>().escape_debug().to_string()
}

struct Object<'a, const NESTED: bool>(Members<'a>);

impl<'de, const NESTED: bool> Deserialize<'de> for Object<'de, NESTED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Map<const NESTED: bool>;

        impl<'de, const NESTED: bool> Visitor<'de> for Map<NESTED> {
            type Value = Object<'de, NESTED>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                members::<A, NESTED>(map).map(Object)
            }
        }

        deserializer.deserialize_map(Map::<NESTED>)
    }
}

fn members<'de, A: MapAccess<'de>, const NESTED: bool>(mut map: A) -> Result<Members<'de>, A::Error> {
    let mut members: Members<'de> = Vec::with_capacity(4);
    let mut seen = std::collections::HashSet::new();
    let mut duplicate = None;
    while let Some(Text(key)) = map.next_key()? {
        let Value::<NESTED>(field) = map.next_value()?;
        // A few members are compared one by one, many are looked up.
        let known = if members.len() < 16 {
            members.iter().any(|(known, _)| *known == key)
        } else {
            if seen.is_empty() {
                seen.extend(members.iter().map(|(known, _)| known.clone()));
            }
            !seen.insert(key.clone())
        };
        if known {
            duplicate.get_or_insert_with(|| shown(&key));
        } else {
            members.push((key, field));
        }
    }
    // Only now: what is no JSON at all is told first.
    duplicate.map_or(Ok(members), |key| Err(A::Error::custom(format!("{DUPLICATE} `{key}`"))))
}

/// A string, borrowed from the payload where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::<false>::deserialize(deserializer).and_then(|Value(field)| match field {
            Field::Text(text) => Ok(Self(text)),
            other => Err(D::Error::custom(format!("a key is {}", other.kind()))),
        })
    }
}

/// Any JSON value; what is nested is skipped, unless asked for.
struct Value<'a, const NESTED: bool>(Field<'a>);

impl<'de, const NESTED: bool> Deserialize<'de> for Value<'de, NESTED> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<const NESTED: bool>;

        impl<'de, const NESTED: bool> Visitor<'de> for Any<NESTED> {
            type Value = Value<'de, NESTED>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
                Ok(Value(Field::Other("a boolean")))
            }

            fn visit_i64<E>(self, number: i64) -> Result<Self::Value, E> {
                Ok(Value(Field::Integer(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Self::Value, E> {
                Ok(Value(i64::try_from(number).map_or(Field::Number(number as f64), Field::Integer)))
            }

            fn visit_f64<E>(self, number: f64) -> Result<Self::Value, E> {
                Ok(Value(Field::Number(number)))
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Value(Field::Text(Cow::Borrowed(text))))
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Value(Field::Text(Cow::Owned(text.to_owned()))))
            }

            fn visit_unit<E>(self) -> Result<Self::Value, E> {
                Ok(Value(Field::Null))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
                if NESTED {
                    let mut elements = Vec::new();
                    while let Some(Value::<NESTED>(element)) = sequence.next_element()? {
                        elements.push(element);
                    }
                    return Ok(Value(Field::Array(elements)));
                }
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value(Field::Other("an array")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                if NESTED {
                    return Ok(Value(Field::Object(members::<A, NESTED>(map)?)));
                }
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value(Field::Other("an object")))
            }
        }

        deserializer.deserialize_any(Any::<NESTED>)
    }
}
