//! JSON objects. A key that stands there twice is refused: which of the two was meant, nobody knows.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::domain::{Document, Field, Reason, Reject};

/// Reads one JSON object, one level deep.
pub fn json(payload: &[u8]) -> Result<Document<'_>, Reject> {
    let text = utf8(payload)?;
    match serde_json::from_str::<Object<'_>>(text) {
        Ok(Object { duplicate: Some(key), .. }) => Err(Reject::new(Reason::DuplicateKey, format!("`{}` stands there twice", shown(&key)))),
        Ok(Object { fields, duplicate: None }) => Ok(Document::Object(fields)),
        Err(error) => Err(explained(text, &error)),
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

struct Object<'a> {
    fields: Vec<(Cow<'a, str>, Field<'a>)>,
    duplicate: Option<String>,
}

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Members;

        impl<'de> Visitor<'de> for Members {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut object = Object { fields: Vec::with_capacity(4), duplicate: None };
                let mut seen = std::collections::HashSet::new();
                while let Some(Text(key)) = map.next_key()? {
                    let Value(field) = map.next_value()?;
                    // A few members are compared one by one, many are looked up.
                    let known = if object.fields.len() < 16 {
                        object.fields.iter().any(|(known, _)| *known == key)
                    } else {
                        if seen.is_empty() {
                            seen.extend(object.fields.iter().map(|(known, _)| known.clone()));
                        }
                        !seen.insert(key.clone())
                    };
                    if known {
                        object.duplicate.get_or_insert_with(|| key.into_owned());
                    } else {
                        object.fields.push((key, field));
                    }
                }
                Ok(object)
            }
        }

        deserializer.deserialize_map(Members)
    }
}

/// A string, borrowed from the payload where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Value::deserialize(deserializer).and_then(|Value(field)| match field {
            Field::Text(text) => Ok(Self(text)),
            other => Err(D::Error::custom(format!("a key is {}", other.kind()))),
        })
    }
}

/// Any JSON value; what is nested is skipped, however deep.
struct Value<'a>(Field<'a>);

impl<'de> Deserialize<'de> for Value<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Value<'de>;

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
                while sequence.next_element::<IgnoredAny>()?.is_some() {}
                Ok(Value(Field::Other("an array")))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
                Ok(Value(Field::Other("an object")))
            }
        }

        deserializer.deserialize_any(Any)
    }
}
