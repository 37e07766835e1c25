//! The query protocol: a form whose names are paths, answered in XML.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;
use http::request::Parts;
use quick_xml::escape::escape;
use serde_json::{Map, Value};

use super::{Call, is_moment, iso8601, sender};
use crate::AwsError;

/// Reads a form from the body, or from the URL when there is no body.
pub(super) fn read(parts: &Parts, body: &Bytes) -> Result<Call, AwsError> {
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let form = if body.is_empty() { query } else { body };
    let mut root = Node::default();
    let mut operation = None;
    for (name, value) in form_urlencoded::parse(form) {
        match name.as_ref() {
            "Action" => operation = Some(value.into_owned()),
            "Version" => {}
            name if name.starts_with("X-Amz-") => {}
            name => root.insert(name, value.into_owned()),
        }
    }
    let operation = operation.ok_or_else(|| {
        AwsError::client(
            "MissingAction",
            "The request is missing an action or a required parameter: it has no `Action`",
        )
    })?;
    let mut input = root.into_value();
    if !input.is_object() {
        input = Value::Object(Map::new());
    }
    Ok(Call {
        operation,
        input,
        success: 200,
    })
}

/// A tree of the names' segments.
#[derive(Default)]
struct Node {
    value: Option<String>,
    children: BTreeMap<String, Node>,
}

impl Node {
    fn insert(&mut self, path: &str, value: String) {
        let mut node = self;
        for segment in path.split('.') {
            node = node.children.entry(segment.to_owned()).or_default();
        }
        node.value = Some(value);
    }

    /// `member.N` is a list, `entry.N.key` with `.value` a map, everything else a structure.
    fn into_value(mut self) -> Value {
        if self.children.is_empty() {
            return self.value.map_or(Value::Object(Map::new()), Value::String);
        }
        if self.children.len() == 1 {
            if let Some(list) = self.children.remove("member") {
                return Value::Array(list.into_list());
            }
            if let Some(entries) = self.children.remove("entry") {
                return entries.into_map();
            }
        }
        // A flattened list: the name is followed by numbers at once.
        if self.children.keys().all(|name| name.parse::<u32>().is_ok()) {
            return Value::Array(self.into_list());
        }
        let members = self
            .children
            .into_iter()
            .map(|(name, node)| (name, node.into_value()));
        Value::Object(members.collect())
    }

    fn into_list(self) -> Vec<Value> {
        let mut items: Vec<(u32, Node)> = self
            .children
            .into_iter()
            .map(|(number, node)| (number.parse().unwrap_or(u32::MAX), node))
            .collect();
        items.sort_by_key(|(number, _)| *number);
        items
            .into_iter()
            .map(|(_, node)| node.into_value())
            .collect()
    }

    fn into_map(self) -> Value {
        let mut map = Map::new();
        for (_, mut entry) in self.children {
            let mut take = |names: [&str; 2]| {
                names
                    .into_iter()
                    .find_map(|name| entry.children.remove(name))
                    .map(Node::into_value)
            };
            if let (Some(Value::String(key)), Some(value)) =
                (take(["key", "Name"]), take(["value", "Value"]))
            {
                map.insert(key, value);
            }
        }
        Value::Object(map)
    }
}

/// `<OpResponse><OpResult>…`.
pub(super) fn success(service: &str, operation: &str, output: &Value, request_id: &str) -> String {
    let mut xml = String::new();
    let _ = write!(
        xml,
        "<{operation}Response xmlns=\"{}\"><{operation}Result>",
        namespace(service)
    );
    write_members(&mut xml, output);
    let _ = write!(
        xml,
        "</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>"
    );
    xml
}

/// `<ErrorResponse>…`.
pub(super) fn failure(error: &AwsError, request_id: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>{}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>",
        sender(error.status),
        clean(&error.code),
        clean(&error.message),
    )
}

fn namespace(service: &str) -> &'static str {
    match service {
        "cloudformation" => "http://cloudformation.amazonaws.com/doc/2010-05-15/",
        "sts" => "https://sts.amazonaws.com/doc/2011-06-15/",
        "sns" => "http://sns.amazonaws.com/doc/2010-03-31/",
        "iam" => "https://iam.amazonaws.com/doc/2010-05-08/",
        _ => "http://monitoring.amazonaws.com/doc/2010-08-01/",
    }
}

fn write_members(xml: &mut String, value: &Value) {
    let Value::Object(members) = value else {
        return;
    };
    for (name, value) in members {
        write_element(xml, name, value);
    }
}

fn write_element(xml: &mut String, name: &str, value: &Value) {
    if value.is_null() {
        return;
    }
    let _ = write!(xml, "<{name}>");
    match value {
        Value::Array(items) => {
            for item in items {
                write_element(xml, "member", item);
            }
        }
        // The one map in the APIs that are served: a topic's attributes.
        Value::Object(entries) if name == "Attributes" => {
            for (key, value) in entries {
                xml.push_str("<entry>");
                write_element(xml, "key", &Value::String(key.clone()));
                write_element(xml, "value", value);
                xml.push_str("</entry>");
            }
        }
        Value::Object(_) => write_members(xml, value),
        Value::String(text) => xml.push_str(&clean(text)),
        Value::Number(number) if is_moment(name) => {
            let milliseconds = number.as_f64().unwrap_or_default() * 1000.0;
            xml.push_str(&iso8601(milliseconds.round() as i64));
        }
        other => {
            let _ = write!(xml, "{other}");
        }
    }
    let _ = write!(xml, "</{name}>");
}

/// Escaped, and without the control characters that XML 1.0 cannot hold.
fn clean(text: &str) -> String {
    let kept: String = text
        .chars()
        .map(|c| match c {
            '\t' | '\n' | '\r' => c,
            c if c.is_control() => '\u{FFFD}',
            '\u{FFFE}' | '\u{FFFF}' => '\u{FFFD}',
            c => c,
        })
        .collect();
    escape(&kept).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read_form(form: &'static str) -> Result<Call, AwsError> {
        let (parts, ()) = http::Request::builder()
            .body(())
            .expect("request")
            .into_parts();
        read(&parts, &Bytes::from_static(form.as_bytes()))
    }

    #[test]
    fn a_form_is_a_tree() {
        for (form, expected) in [
            ("Action=A&Version=1", json!({})),
            (
                "Action=A&StackName=a%20b%2Bc",
                json!({"StackName": "a b+c"}),
            ),
            (
                "Action=A&Capabilities.member.1=X&Capabilities.member.2=Y",
                json!({"Capabilities": ["X", "Y"]}),
            ),
            (
                "Action=A&P.member.10.Key=ten&P.member.2.Key=two&P.member.2.Value=v",
                json!({"P": [{"Key": "two", "Value": "v"}, {"Key": "ten"}]}),
            ),
            (
                "Action=A&Attributes.entry.1.key=k&Attributes.entry.1.value=v",
                json!({"Attributes": {"k": "v"}}),
            ),
            (
                "Action=A&M.entry.1.Name=n&M.entry.1.Value.DataType=String",
                json!({"M": {"n": {"DataType": "String"}}}),
            ),
            ("Action=A&F.1=a&F.2=b", json!({"F": ["a", "b"]})),
            ("Action=A&Empty=", json!({"Empty": ""})),
        ] {
            let call = read_form(form).expect(form);
            assert_eq!(call.input, expected, "{form}");
        }
        let error = read_form("StackName=a").expect_err("no action");
        assert_eq!(error.code, "MissingAction");
    }

    #[test]
    fn output_is_xml() {
        for (output, expected) in [
            (json!({}), ""),
            (json!({"A": "x<y&z\u{1}"}), "<A>x&lt;y&amp;z\u{FFFD}</A>"),
            (json!({"A": null, "B": true, "C": 1}), "<B>true</B><C>1</C>"),
            (
                json!({"L": [{"K": "v"}, "s"], "E": []}),
                "<L><member><K>v</K></member><member>s</member></L><E></E>",
            ),
            (
                json!({"Attributes": {"k": "v"}}),
                "<Attributes><entry><key>k</key><value>v</value></entry></Attributes>",
            ),
            (
                json!({"CreationTime": 1.5}),
                "<CreationTime>1970-01-01T00:00:01.500Z</CreationTime>",
            ),
        ] {
            let xml = success("sts", "Op", &output, "id");
            assert_eq!(
                xml,
                format!(
                    "<OpResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><OpResult>{expected}</OpResult><ResponseMetadata><RequestId>id</RequestId></ResponseMetadata></OpResponse>"
                ),
                "{output}"
            );
        }
    }
}
