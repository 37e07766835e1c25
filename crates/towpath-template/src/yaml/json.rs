//! JSON in which a repeated key is an error, with the line and column that serde_json knows.

use std::cell::RefCell;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use crate::SyntaxError;

pub(super) enum JsonError {
    /// The text is not JSON; it might still be YAML.
    NotJson(SyntaxError),
    /// The text is JSON, and refused.
    Refused(SyntaxError),
}

pub(super) fn read(text: &str) -> Result<Value, JsonError> {
    let refusal = RefCell::new(None);
    let path = RefCell::new(Vec::new());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let strict = Strict {
        refusal: &refusal,
        path: &path,
    };
    let result = deserializer
        .deserialize_any(strict)
        .and_then(|value| deserializer.end().map(|()| value));
    result.map_err(|error| {
        let (line, column) = (error.line(), error.column());
        if let Some((what, fix)) = refusal.take() {
            return JsonError::Refused(SyntaxError {
                line,
                column,
                what,
                fix,
            });
        }
        let text = error.to_string();
        let what = text.split(" at line ").next().unwrap_or(&text);
        JsonError::NotJson(SyntaxError {
            line,
            column,
            what: format!("this is not JSON: {what}"),
            fix: "repair the JSON there, or just before; a template may also be YAML".to_owned(),
        })
    })
}

#[derive(Clone, Copy)]
struct Strict<'a> {
    refusal: &'a RefCell<Option<(String, String)>>,
    path: &'a RefCell<Vec<String>>,
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
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

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                *self.refusal.borrow_mut() =
                    Some(super::read::repeated(&key, &self.path.borrow(), None));
                return Err(A::Error::custom("repeated key"));
            }
            self.path.borrow_mut().push(key.clone());
            map.insert(key, entries.next_value_seed(self)?);
            self.path.borrow_mut().pop();
        }
        Ok(Value::Object(map))
    }
}
