//! Values for a template's parameters: given, reused, or by default, and checked as CloudFormation checks them.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};

use crate::suggest::did_you_mean;
use crate::{Template, TemplateError};

/// A parameter with its value.
#[derive(Clone, PartialEq, Eq)]
pub struct ResolvedParameter {
    /// What `Ref` gives: a string, or a list of strings for the list types.
    pub value: Value,
    /// The text it was resolved from; for an SSM parameter type, the name of the stored parameter.
    pub text: String,
    /// Whether the value must not be shown. `Debug` honours it.
    pub no_echo: bool,
}

impl fmt::Debug for ResolvedParameter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.no_echo {
            return formatter.write_str("[redacted]");
        }
        write!(formatter, "{}", self.value)
    }
}

/// Decides the value of every parameter: `given`, else `previous`, else the default.
///
/// `previous` holds the values to be reused from an earlier deployment (those for which the caller asked that); names
/// in it that the template no longer has are ignored. `stored` looks up a parameter of Systems Manager by name, for
/// the `AWS::SSM::Parameter::Value<…>` types.
///
/// All unknown names are reported together, and so are all missing ones.
pub fn resolve(
    template: &Template,
    given: &BTreeMap<String, String>,
    previous: &BTreeMap<String, String>,
    stored: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, ResolvedParameter>, TemplateError> {
    let declared = template.parameters();
    let unknown: Vec<String> = given
        .keys()
        .filter(|name| !declared.contains_key(*name))
        .cloned()
        .collect();
    if let Some(first) = unknown.first() {
        let near = did_you_mean(first, declared.keys().map(String::as_str));
        let hint = near.strip_prefix("; ").map(str::to_owned);
        return Err(TemplateError::UnknownParameters {
            names: unknown,
            hint,
        });
    }
    let mut missing = Vec::new();
    let mut texts = Vec::new();
    for (name, declaration) in declared {
        let Some(declaration) = declaration.as_object() else {
            return Err(wrong(name, "is declared without a `Type`"));
        };
        let default = || scalar_text(declaration.get("Default")?);
        match given
            .get(name)
            .or_else(|| previous.get(name))
            .cloned()
            .or_else(default)
        {
            Some(text) => texts.push((name, declaration, text)),
            None => missing.push(name.clone()),
        }
    }
    if !missing.is_empty() {
        return Err(TemplateError::MissingParameters { names: missing });
    }
    texts
        .into_iter()
        .map(|(name, declaration, text)| {
            Ok((name.clone(), parameter(name, declaration, text, stored)?))
        })
        .collect()
}

fn wrong(name: &str, what: impl Into<String>) -> TemplateError {
    TemplateError::Parameter {
        name: name.to_owned(),
        what: what.into(),
    }
}

/// The text of a string, number or boolean.
pub(crate) fn scalar_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(boolean) => Some(boolean.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// What kind of value a type asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Number,
    TextList,
    NumberList,
}

/// The kind, and whether the text names a parameter of Systems Manager that holds the value.
fn kind(name: &str, declaration: &Map<String, Value>) -> Result<(Kind, bool), TemplateError> {
    let Some(declared) = declaration.get("Type").and_then(Value::as_str) else {
        return Err(wrong(name, "is declared without a `Type`"));
    };
    let unknown = || {
        let known = [
            "String",
            "Number",
            "CommaDelimitedList",
            "List<Number>",
            "AWS::SSM::Parameter::Value<String>",
        ];
        wrong(
            name,
            format!(
                "has the type `{declared}`, which does not exist{}",
                did_you_mean(declared, known)
            ),
        )
    };
    let inner = |text: &'_ str| -> Option<Kind> {
        match text {
            "String" => Some(Kind::Text),
            "Number" => Some(Kind::Number),
            "CommaDelimitedList" | "List<String>" => Some(Kind::TextList),
            "List<Number>" => Some(Kind::NumberList),
            _ if text.starts_with("List<AWS::") && text.ends_with('>') => Some(Kind::TextList),
            _ if text.starts_with("AWS::") && !text.contains('<') => Some(Kind::Text),
            _ => None,
        }
    };
    if let Some(rest) = declared.strip_prefix("AWS::SSM::Parameter::Value<") {
        return Ok((
            rest.strip_suffix('>').and_then(inner).ok_or_else(unknown)?,
            true,
        ));
    }
    Ok((inner(declared).ok_or_else(unknown)?, false))
}

fn parameter(
    name: &str,
    declaration: &Map<String, Value>,
    text: String,
    stored: &dyn Fn(&str) -> Option<String>,
) -> Result<ResolvedParameter, TemplateError> {
    let (kind, is_stored) = kind(name, declaration)?;
    let no_echo = declaration
        .get("NoEcho")
        .and_then(scalar_text)
        .is_some_and(|text| text == "true");
    // The rules of a parameter that names a stored one apply to that name, which is one text.
    let rules = Rules {
        name,
        declaration,
        no_echo,
    };
    rules.check(if is_stored { Kind::Text } else { kind }, &text)?;
    let content = if is_stored {
        let missing = || {
            wrong(
                name,
                format!(
                    "names `{text}`, which is no parameter of Systems Manager in this account and region"
                ),
            )
        };
        stored(&text).ok_or_else(missing)?
    } else {
        text.clone()
    };
    let value = match kind {
        Kind::Text | Kind::Number => Value::String(content),
        Kind::TextList | Kind::NumberList => split(&content).map(Value::from).collect(),
    };
    Ok(ResolvedParameter {
        value,
        text,
        no_echo,
    })
}

fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

/// The rules that a declaration sets.
struct Rules<'a> {
    name: &'a str,
    declaration: &'a Map<String, Value>,
    no_echo: bool,
}

impl Rules<'_> {
    fn check(&self, kind: Kind, text: &str) -> Result<(), TemplateError> {
        match kind {
            Kind::Text => self.check_text(text),
            Kind::Number => self.check_number(text),
            Kind::TextList => split(text).try_for_each(|item| self.check_allowed(item)),
            Kind::NumberList => split(text).try_for_each(|item| self.check_number(item)),
        }
    }

    fn check_text(&self, text: &str) -> Result<(), TemplateError> {
        self.check_allowed(text)?;
        let length = text.chars().count();
        if let Some(least) = self.count("MinLength")?
            && length < least
        {
            return Err(self.broken(text, format!("must have at least {least} characters")));
        }
        if let Some(most) = self.count("MaxLength")?
            && length > most
        {
            return Err(self.broken(text, format!("must have at most {most} characters")));
        }
        let Some(pattern) = self
            .declaration
            .get("AllowedPattern")
            .and_then(Value::as_str)
        else {
            return Ok(());
        };
        // CloudFormation wants the whole text to match.
        let matches = fancy_regex::Regex::new(&format!("^(?:{pattern})$"))
            .and_then(|regex| regex.is_match(text));
        match matches {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.broken(text, format!("must match the pattern `{pattern}`"))),
            Err(error) => Err(wrong(
                self.name,
                format!("has the pattern `{pattern}`, which cannot be used: {error}"),
            )),
        }
    }

    fn check_number(&self, text: &str) -> Result<(), TemplateError> {
        let Some(number) = text.parse::<f64>().ok().filter(|number| number.is_finite()) else {
            return Err(self.broken(text, "must be a number".to_owned()));
        };
        self.check_allowed(text)?;
        if let Some(least) = self.bound("MinValue")?
            && number < least
        {
            return Err(self.broken(text, format!("must be a number not less than {least}")));
        }
        if let Some(most) = self.bound("MaxValue")?
            && number > most
        {
            return Err(self.broken(text, format!("must be a number not greater than {most}")));
        }
        Ok(())
    }

    fn check_allowed(&self, text: &str) -> Result<(), TemplateError> {
        let Some(allowed) = self
            .declaration
            .get("AllowedValues")
            .and_then(Value::as_array)
        else {
            return Ok(());
        };
        let allowed: Vec<String> = allowed.iter().filter_map(scalar_text).collect();
        if allowed.iter().any(|value| value == text) {
            return Ok(());
        }
        Err(self.broken(text, format!("must be one of [{}]", allowed.join(", "))))
    }

    fn bound(&self, rule: &str) -> Result<Option<f64>, TemplateError> {
        let Some(value) = self.declaration.get(rule) else {
            return Ok(None);
        };
        let number = scalar_text(value).and_then(|text| text.parse().ok());
        number
            .map(Some)
            .ok_or_else(|| wrong(self.name, format!("has a `{rule}` that is no number")))
    }

    fn count(&self, rule: &str) -> Result<Option<usize>, TemplateError> {
        Ok(self.bound(rule)?.map(|number| number.max(0.0) as usize))
    }

    /// The author's own description of the rule comes first: it was written for this moment.
    fn broken(&self, text: &str, rule: String) -> TemplateError {
        let given = if self.no_echo {
            String::new()
        } else {
            format!(", but is `{text}`")
        };
        let what = match self
            .declaration
            .get("ConstraintDescription")
            .and_then(Value::as_str)
        {
            Some(description) => {
                format!("failed to satisfy constraint: {description} ({rule}{given})")
            }
            None => format!("{rule}{given}"),
        };
        wrong(self.name, what)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::{ResolvedParameter, resolve};
    use crate::{Template, TemplateError};

    fn texts(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn one(declaration: &str, given: Option<&str>) -> Result<ResolvedParameter, TemplateError> {
        let template = Template::parse(&format!(
            "Parameters: {{P: {declaration}}}\nResources: {{}}"
        ))
        .unwrap();
        let given = given
            .map(|value| texts(&[("P", value)]))
            .unwrap_or_default();
        let stored = |name: &str| (name == "/known").then(|| "a, b".to_owned());
        resolve(&template, &given, &BTreeMap::new(), &stored)
            .map(|mut all| all.remove("P").unwrap())
    }

    #[test]
    fn a_value_has_the_shape_of_its_type() {
        for (declaration, given, expected) in [
            ("{Type: String}", Some(""), json!("")),
            ("{Type: String, Default: 10}", None, json!("10")),
            (
                "{Type: String, Default: no, AllowedValues: [yes, no]}",
                None,
                json!("false"),
            ),
            (
                "{Type: Number, MinValue: 1, MaxValue: '9'}",
                Some("9"),
                json!("9"),
            ),
            (
                "{Type: CommaDelimitedList}",
                Some("a, b,c"),
                json!(["a", "b", "c"]),
            ),
            ("{Type: List<Number>}", Some("1,2"), json!(["1", "2"])),
            (
                "{Type: 'List<AWS::EC2::Subnet::Id>'}",
                Some("s-1"),
                json!(["s-1"]),
            ),
            ("{Type: AWS::EC2::VPC::Id}", Some("v"), json!("v")),
            (
                "{Type: 'AWS::SSM::Parameter::Value<String>'}",
                Some("/known"),
                json!("a, b"),
            ),
            (
                "{Type: 'AWS::SSM::Parameter::Value<List<String>>'}",
                Some("/known"),
                json!(["a", "b"]),
            ),
            (
                "{Type: AWS::SSM::Parameter::Name}",
                Some("/other"),
                json!("/other"),
            ),
            (
                "{Type: String, AllowedPattern: '[a-z]+'}",
                Some("abc"),
                json!("abc"),
            ),
            (
                "{Type: String, AllowedPattern: '(?!x)[a-z]+'}",
                Some("abc"),
                json!("abc"),
            ),
        ] {
            assert_eq!(
                one(declaration, given).unwrap().value,
                expected,
                "{declaration}"
            );
        }
    }

    #[test]
    fn a_broken_rule_is_named() {
        let mut seen = Vec::new();
        for (declaration, given) in [
            ("{Type: String, AllowedValues: [a, b]}", "c"),
            ("{Type: CommaDelimitedList, AllowedValues: [a, b]}", "a,c"),
            ("{Type: String, AllowedPattern: '[a-z]+'}", "abc1"),
            ("{Type: String, AllowedPattern: '(?!x)[a-z]+'}", "xyz"),
            ("{Type: String, AllowedPattern: '['}", "x"),
            ("{Type: String, MinLength: 3}", "x"),
            ("{Type: String, MaxLength: '3'}", "four"),
            (
                "{Type: String, MaxLength: 3, ConstraintDescription: keep it short}",
                "four",
            ),
            ("{Type: String, NoEcho: true, MinLength: 12}", "hunter2"),
            ("{Type: Number}", "x"),
            ("{Type: Number, MinValue: 5}", "4"),
            ("{Type: Number, MaxValue: 5}", "6"),
            ("{Type: List<Number>}", "1,x"),
            ("{Type: Strng}", "x"),
            ("{}", "x"),
            ("{Type: 'AWS::SSM::Parameter::Value<String>'}", "/missing"),
        ] {
            seen.push(one(declaration, Some(given)).unwrap_err().to_string());
        }
        insta::assert_snapshot!(seen.join("\n"), @r"
        parameter `P` must be one of [a, b], but is `c`
        parameter `P` must be one of [a, b], but is `c`
        parameter `P` must match the pattern `[a-z]+`, but is `abc1`
        parameter `P` must match the pattern `(?!x)[a-z]+`, but is `xyz`
        parameter `P` has the pattern `[`, which cannot be used: Parsing error at position 7: Invalid character class
        parameter `P` must have at least 3 characters, but is `x`
        parameter `P` must have at most 3 characters, but is `four`
        parameter `P` failed to satisfy constraint: keep it short (must have at most 3 characters, but is `four`)
        parameter `P` must have at least 12 characters
        parameter `P` must be a number, but is `x`
        parameter `P` must be a number not less than 5, but is `4`
        parameter `P` must be a number not greater than 5, but is `6`
        parameter `P` must be a number, but is `x`
        parameter `P` has the type `Strng`, which does not exist; did you mean `String`?
        parameter `P` is declared without a `Type`
        parameter `P` names `/missing`, which is no parameter of Systems Manager in this account and region
        ");
    }

    #[test]
    fn given_wins_over_previous_over_default_and_all_gaps_are_listed() {
        let template = Template::parse(
            "Parameters:\n  A: {Type: String, Default: d}\n  B: {Type: String, Default: d}\n  C: {Type: String, Default: d}\n\
             Resources: {}",
        )
        .unwrap();
        let stored = |_: &str| None;
        let previous = texts(&[("A", "p"), ("B", "p"), ("Gone", "p")]);
        let all = resolve(&template, &texts(&[("A", "g")]), &previous, &stored).unwrap();
        let values: Vec<_> = all
            .values()
            .map(|parameter| parameter.text.as_str())
            .collect();
        assert_eq!(values, ["g", "p", "d"]);

        let template = Template::parse(
            "Parameters: {Bucket: {Type: String}, Key: {Type: String}}\nResources: {}",
        )
        .unwrap();
        let missing = resolve(&template, &BTreeMap::new(), &previous, &stored).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "parameters [Bucket, Key] must have values"
        );
        let unknown = resolve(
            &template,
            &texts(&[("Buket", "x"), ("Zed", "y")]),
            &previous,
            &stored,
        )
        .unwrap_err();
        assert_eq!(
            unknown.to_string(),
            "parameters [Buket, Zed] do not exist in the template; did you mean `Bucket`?"
        );
    }

    #[test]
    fn a_secret_is_not_shown() {
        let secret = one("{Type: String, NoEcho: true}", Some("hunter2")).unwrap();
        assert!(secret.no_echo);
        assert_eq!(format!("{secret:?}"), "[redacted]");
    }
}
