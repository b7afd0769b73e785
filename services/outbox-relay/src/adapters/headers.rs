//! A row's headers, read without building the object.
//!
//! A header is text; what a foreign writer put there instead is sent as its JSON, and a null not at all.

use std::borrow::Cow;
use std::fmt;

use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Gives each header of the JSON object `headers` to `take`, in its order.
pub(crate) fn for_each(headers: &str, take: impl FnMut(&str, &str)) -> Result<(), serde_json::Error> {
    serde_json::Deserializer::from_str(headers).deserialize_map(Object(take))
}

struct Object<F>(F);

impl<'de, F: FnMut(&str, &str)> Visitor<'de> for Object<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut headers: A) -> Result<(), A::Error> {
        while let Some((name, value)) = headers.next_entry::<Text<'de>, Text<'de>>()? {
            if let (Some(name), Some(value)) = (name.0, value.0) {
                self.0(&name, &value);
            }
        }
        Ok(())
    }
}

/// `None`: null.
struct Text<'de>(Option<Cow<'de, str>>);

impl Text<'_> {
    fn json(value: impl Into<Value>) -> Self {
        Self(Some(Cow::Owned(value.into().to_string())))
    }
}

impl<'de> Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyValue)
    }
}

struct AnyValue;

impl<'de> Visitor<'de> for AnyValue {
    type Value = Text<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Borrowed(text))))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Text<'de>, E> {
        Ok(Text(Some(Cow::Owned(text.to_owned()))))
    }

    fn visit_unit<E: Error>(self) -> Result<Text<'de>, E> {
        Ok(Text(None))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Text<'de>, E> {
        Ok(Text::json(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Text<'de>, E> {
        Ok(Text::json(value))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Text<'de>, E> {
        Ok(Text::json(value))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Text<'de>, E> {
        Ok(Text::json(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<Text<'de>, A::Error> {
        Ok(Text::json(Value::deserialize(SeqAccessDeserializer::new(seq))?))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Text<'de>, A::Error> {
        Ok(Text::json(Value::deserialize(MapAccessDeserializer::new(map))?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &str) -> Vec<(String, String)> {
        let mut read = Vec::new();
        for_each(headers, |name, value| read.push((name.to_owned(), value.to_owned()))).unwrap();
        read
    }

    #[test]
    fn text_is_sent_as_it_is() {
        let headers = read(r#"{"ce_id": "7", "quote\"d": "line\nbreak é"}"#);
        assert_eq!(headers, [("ce_id".to_owned(), "7".to_owned()), ("quote\"d".to_owned(), "line\nbreak é".to_owned())]);
    }

    #[test]
    fn what_is_no_text_is_sent_as_its_json() {
        let headers = read(r#"{"a": 7, "b": -1.5, "c": true, "d": null, "e": [1, "x"], "f": {"g": null}}"#);
        let values: Vec<&str> = headers.iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!(values, ["7", "-1.5", "true", r#"[1,"x"]"#, r#"{"g":null}"#]);
    }
}
