//! The functions one by one.

use base64::Engine as _;
use serde_json::{Map, Value};

use super::substitution::{Part, parts};
use super::{Evaluation, Path, Result, cidr};
use crate::parameters::scalar_text;
use crate::suggest::did_you_mean;
use crate::template::kind;

impl Evaluation<'_> {
    /// `[condition, then, else]`
    pub(super) fn choose(&self, path: &Path<'_>, argument: &Value) -> Result<Option<Value>> {
        let Some([Value::String(condition), then, otherwise]) =
            argument.as_array().map(Vec::as_slice)
        else {
            return Err(path.fail("takes the name of a condition and two values"));
        };
        let Some(decided) = self.conditions.get(condition) else {
            let near = did_you_mean(condition, self.conditions.keys().map(String::as_str));
            return Err(path.fail(format!(
                "`{condition}` is no condition of this template{near}"
            )));
        };
        if *decided {
            self.value(&path.index(1), then)
        } else {
            self.value(&path.index(2), otherwise)
        }
    }

    /// `[resource, attribute]`, or both in one text with a dot
    pub(super) fn get_att(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let usage = || path.fail("takes a resource and an attribute");
        if let Some(dotted) = argument.as_str() {
            let (resource, attribute) = dotted.split_once('.').ok_or_else(usage)?;
            return self.attribute(path, resource, attribute);
        }
        let Some([resource, attribute]) = argument.as_array().map(Vec::as_slice) else {
            return Err(usage());
        };
        let resource = resource.as_str().ok_or_else(usage)?;
        let attribute = self.text(&path.index(1), attribute)?;
        self.attribute(path, resource, &attribute)
    }

    /// A text, or `[text, variables]`
    pub(super) fn sub(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let nothing = Map::new();
        let (text, variables) = match argument {
            Value::String(text) => (text, &nothing),
            Value::Array(arguments) => match arguments.as_slice() {
                [Value::String(text), Value::Object(variables)] => (text, variables),
                _ => {
                    return Err(
                        path.fail("takes a text, or a list of a text and a mapping of variables")
                    );
                }
            },
            _ => {
                return Err(
                    path.fail("takes a text, or a list of a text and a mapping of variables")
                );
            }
        };
        let mut result = String::new();
        for part in parts(text).map_err(|error| path.fail(error.what))? {
            let (name, value) = match part {
                Part::Text(text) => {
                    result += text;
                    continue;
                }
                Part::Literal(name) => {
                    result.extend(["${", name, "}"]);
                    continue;
                }
                Part::Reference(name) => match variables.get(name) {
                    Some(variable) => (name.to_owned(), self.value(&path.key(name), variable)?),
                    None => (name.to_owned(), self.reference(path, name)?),
                },
                Part::Attribute(resource, attribute) => {
                    let name = format!("{resource}.{attribute}");
                    match variables.get(&name) {
                        Some(variable) => (name, self.value(path, variable)?),
                        None => (name, Some(self.attribute(path, resource, attribute)?)),
                    }
                }
            };
            let Some(value) = value else {
                return Err(path.fail(format!("`${{{name}}}` has no value to put into a text")));
            };
            let Some(text) = scalar_text(&value) else {
                return Err(path.fail(format!(
                    "`${{{name}}}` is {}, and only a text fits here",
                    kind(&value)
                )));
            };
            result += &text;
        }
        Ok(result.into())
    }

    /// `[delimiter, list]`
    pub(super) fn join(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let Some([Value::String(delimiter), list]) = argument.as_array().map(Vec::as_slice) else {
            return Err(path.fail("takes a delimiter and a list"));
        };
        let items = self.list(&path.index(1), list)?;
        let texts: Option<Vec<String>> = items.iter().map(scalar_text).collect();
        let texts =
            texts.ok_or_else(|| path.fail("joins texts, and an item of the list is none"))?;
        Ok(texts.join(delimiter).into())
    }

    /// `[delimiter, text]`
    pub(super) fn split(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let Some([Value::String(delimiter), text]) = argument.as_array().map(Vec::as_slice) else {
            return Err(path.fail("takes a delimiter and a text"));
        };
        if delimiter.is_empty() {
            return Err(path.fail("needs a delimiter that is not empty"));
        }
        let text = self.text(&path.index(1), text)?;
        Ok(text.split(delimiter.as_str()).map(Value::from).collect())
    }

    /// `[index, list]`
    pub(super) fn select(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let Some([index, list]) = argument.as_array().map(Vec::as_slice) else {
            return Err(path.fail("takes an index and a list"));
        };
        let text = self.text(&path.index(0), index)?;
        let index: usize = text
            .parse()
            .map_err(|_| path.fail(format!("`{text}` is no index of a list")))?;
        let mut items = self.list(&path.index(1), list)?;
        if index >= items.len() {
            return Err(path.fail(format!(
                "has no item {index}: the list has {}, counted from 0",
                items.len()
            )));
        }
        Ok(items.swap_remove(index))
    }

    /// `[map, key, key]`, and `{DefaultValue}` as a fourth
    pub(super) fn find_in_map(&self, path: &Path<'_>, argument: &Value) -> Result<Option<Value>> {
        let (keys, options) = match argument.as_array().map(Vec::as_slice) {
            Some([map, first, second]) => ([map, first, second], None),
            Some([map, first, second, options]) => {
                ([map, first, second], options.get("DefaultValue"))
            }
            _ => return Err(path.fail("takes a mapping's name and two keys")),
        };
        let mut names = Vec::new();
        for (index, key) in keys.into_iter().enumerate() {
            names.push(self.text(&path.index(index), key)?);
        }
        let mut found: Option<&Value> = None;
        for (index, name) in names.iter().enumerate() {
            let map = if index == 0 {
                Some(self.template.mappings())
            } else {
                found.and_then(Value::as_object)
            };
            found = map.and_then(|map| map.get(name));
            if found.is_none() {
                if let Some(default) = options {
                    return self.value(&path.key("DefaultValue"), default);
                }
                let place = if index == 0 {
                    "Mappings".to_owned()
                } else {
                    format!("Mappings.{}", names[..index].join("."))
                };
                let near = did_you_mean(
                    name,
                    map.into_iter()
                        .flat_map(|map| map.keys().map(String::as_str)),
                );
                return Err(path.fail(format!("`{place}` has no key `{name}`{near}")));
            }
        }
        Ok(found.cloned())
    }

    pub(super) fn base64(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let text = self.text(path, argument)?;
        Ok(base64::engine::general_purpose::STANDARD
            .encode(text)
            .into())
    }

    pub(super) fn import(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let name = self.text(path, argument)?;
        let missing = || path.fail(format!("no stack exports `{name}`"));
        self.environment.export(&name).ok_or_else(missing)
    }

    /// A region, or an empty text for the stack's own
    pub(super) fn zones(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let mut region = self.text(path, argument)?;
        if region.is_empty() {
            let own = self.reference(path, "AWS::Region")?;
            region = own.as_ref().and_then(scalar_text).unwrap_or_default();
        }
        Ok(self.environment.zones(&region).into())
    }

    /// `[block, count, bits]`
    pub(super) fn cidr(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        let usage =
            || path.fail("takes an address block, a count and, if not 8, the number of host bits");
        let (block, count, bits) = match argument.as_array().map(Vec::as_slice) {
            Some([block, count]) => (block, count, None),
            Some([block, count, bits]) => (block, count, Some(bits)),
            _ => return Err(usage()),
        };
        let block = self.text(&path.index(0), block)?;
        let number = |index: usize, value: &Value| -> Result<u32> {
            self.text(&path.index(index), value)?
                .parse()
                .map_err(|_| usage())
        };
        let count = number(1, count)?;
        let bits = bits.map_or(Ok(8), |bits| number(2, bits))?;
        let blocks = cidr::divide(&block, count, bits).map_err(|what| path.fail(what))?;
        Ok(blocks.into())
    }

    pub(super) fn json_string(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        if !argument.is_object() && !argument.is_array() {
            return Err(path.fail("takes a mapping or a list"));
        }
        Ok(self
            .value(path, argument)?
            .unwrap_or(Value::Null)
            .to_string()
            .into())
    }

    pub(super) fn length(&self, path: &Path<'_>, argument: &Value) -> Result<Value> {
        Ok(self.list(path, argument)?.len().into())
    }

    /// An argument that must come to a text; numbers and booleans are written out.
    fn text(&self, path: &Path<'_>, argument: &Value) -> Result<String> {
        let value = self.value(path, argument)?.unwrap_or(Value::Null);
        scalar_text(&value)
            .ok_or_else(|| path.fail(format!("comes to {}, and a text is needed", kind(&value))))
    }

    /// An argument that must come to a list.
    fn list(&self, path: &Path<'_>, argument: &Value) -> Result<Vec<Value>> {
        match self.value(path, argument)? {
            Some(Value::Array(items)) => Ok(items),
            other => {
                let found = kind(&other.unwrap_or(Value::Null));
                Err(path.fail(format!("comes to {found}, and a list is needed")))
            }
        }
    }
}
