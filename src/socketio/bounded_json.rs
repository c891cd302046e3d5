//! Parses what a client sends, into few values.
//!
//! Why it exists: each value of a parsed text takes 32 bytes, however short it is in the text, so that a message of 64 KB could
//! become 2 MB. No message that means something to us has more than a few.
//! Guarantees that at most [`MAX_VALUES`] are ever made, and so that they are nested no deeper.

use std::fmt;

use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

/// Of one message: its values, those inside them included.
const MAX_VALUES: usize = 64;

/// Why a text is not taken. The words are the client's to see.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadJson {
    #[error("the arguments are not valid JSON")]
    Malformed,
    #[error("the arguments have more than {MAX_VALUES} values")]
    TooMany,
}

/// The elements of an array.
///
/// # Errors
/// It is none, or has too many values.
pub(super) fn array(text: &str) -> Result<Vec<Value>, BadJson> {
    match parsed(text, None)? {
        Value::Array(elements) => Ok(elements),
        _ => Err(BadJson::Malformed),
    }
}

/// An object with those of its members that are `wanted`. All others are passed over.
///
/// # Errors
/// It is none, or the wanted ones have too many values.
pub(super) fn object(text: &str, wanted: &'static [&'static str]) -> Result<Value, BadJson> {
    let value = parsed(text, Some(wanted))?;
    value.is_object().then_some(value).ok_or(BadJson::Malformed)
}

fn parsed(text: &str, wanted: Option<&'static [&'static str]>) -> Result<Value, BadJson> {
    let mut left = MAX_VALUES;
    let mut json = serde_json::Deserializer::from_str(text);
    let few = Few {
        left: &mut left,
        wanted,
    };
    let value = few.deserialize(&mut json).and_then(|value| {
        json.end()?;
        Ok(value)
    });
    value.map_err(|_| {
        if left == 0 {
            BadJson::TooMany
        } else {
            BadJson::Malformed
        }
    })
}

/// One value, and how many more there may be.
struct Few<'a> {
    left: &'a mut usize,
    /// The members of an object that are kept; `None`: all.
    wanted: Option<&'static [&'static str]>,
}

impl<'de> DeserializeSeed<'de> for Few<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, json: D) -> Result<Value, D::Error> {
        if *self.left == 0 {
            return Err(D::Error::custom("too many values"));
        }
        *self.left -= 1;
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Few<'_> {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element_seed(Few {
            left: &mut *self.left,
            wanted: None,
        })? {
            values.push(value);
        }
        Ok(values.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let mut values = Map::new();
        while let Some(key) = map.next_key::<String>()? {
            if self
                .wanted
                .is_some_and(|wanted| !wanted.contains(&key.as_str()))
            {
                map.next_value::<IgnoredAny>()?;
                continue;
            }
            let value = map.next_value_seed(Few {
                left: &mut *self.left,
                wanted: None,
            })?;
            values.insert(key, value);
        }
        Ok(values.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_it_takes_is_what_the_text_says() {
        let text = r#"["a", -1, 18446744073709551615, 1.5, null, true, {"b": [{}, "\u00e9"]}]"#;
        let expected: Vec<Value> = serde_json::from_str(text).expect("JSON");
        assert_eq!(array(text), Ok(expected));
        for malformed in [
            "",
            "[",
            "[1,]",
            "{}",
            "[1] 2",
            "\"a\"",
            "[\"\\ud800\"]",
            "[1e999]",
        ] {
            assert_eq!(array(malformed), Err(BadJson::Malformed), "{malformed}");
        }
    }

    #[test]
    fn so_many_values_and_no_more() {
        let with = |values: usize| format!("[{}]", vec!["0"; values].join(","));
        assert!(array(&with(MAX_VALUES - 1)).is_ok());
        for many in [MAX_VALUES, 30_000] {
            assert_eq!(array(&with(many)), Err(BadJson::TooMany));
        }
        for deep in [MAX_VALUES, 30_000] {
            let nested = format!("{}{}", "[".repeat(deep), "]".repeat(deep));
            let ended = array(&nested).map(|_| ());
            let allowed = if deep == MAX_VALUES {
                Ok(())
            } else {
                Err(BadJson::TooMany)
            };
            assert_eq!(ended, allowed, "{deep}");
        }
    }

    #[test]
    fn members_that_are_not_wanted_count_for_nothing() {
        let many = vec!["0"; 1_000].join(",");
        let text = format!(
            r#"{{"pid":"a","more":[{many}],"deep":{}1{}}}"#,
            "[".repeat(500),
            "]".repeat(500)
        );
        assert_eq!(object(&text, &["pid", "offset"]), Ok(json!({ "pid": "a" })));
        let text = format!(r#"{{"pid":[{many}]}}"#);
        assert_eq!(object(&text, &["pid"]), Err(BadJson::TooMany));
        for none in ["", "null", "[]", "1", "{} {}"] {
            assert_eq!(object(none, &["pid"]), Err(BadJson::Malformed), "{none}");
        }
    }
}
