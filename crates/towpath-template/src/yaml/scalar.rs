//! What a plain scalar means.

use serde_json::{Number, Value};

/// The value of an unquoted, untagged scalar.
pub(super) fn plain(text: &str) -> Value {
    if is_null(text) {
        return Value::Null;
    }
    if let Some(boolean) = boolean(text) {
        return Value::Bool(boolean);
    }
    number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
}

/// Whether some YAML reader might take the unquoted text for something other than this very string.
pub(super) fn is_ambiguous(text: &str) -> bool {
    is_null(text)
        || boolean(text).is_some()
        // YAML 1.1 in full has these two as well, and the AWS CLI has followed it at times.
        || matches!(text, "y" | "Y" | "n" | "N")
        // Numbers in every base, dates, times, `.inf` and the merge and value keys.
        || text.starts_with(|first: char| first.is_ascii_digit() || "+-.<=".contains(first))
}

fn is_null(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL")
}

pub(super) fn boolean(text: &str) -> Option<bool> {
    match text {
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => Some(true),
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => Some(false),
        _ => None,
    }
}

/// A number whose canonical form is the text itself.
pub(super) fn number(text: &str) -> Option<Number> {
    if !text.starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
        return None;
    }
    let number = text
        .parse::<i64>()
        .map(Number::from)
        .or_else(|_| text.parse::<u64>().map(Number::from))
        .ok()
        .or_else(|| text.parse::<f64>().ok().and_then(Number::from_f64))?;
    (number.to_string() == text).then_some(number)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{is_ambiguous, plain};

    #[test]
    fn plain_scalars_mean_what_cloudformation_makes_of_them() {
        for (text, expected) in [
            ("", Value::Null),
            ("~", Value::Null),
            ("null", Value::Null),
            ("true", json!(true)),
            ("yes", json!(true)),
            ("Off", json!(false)),
            ("y", json!("y")),
            ("yEs", json!("yEs")),
            ("10", json!(10)),
            ("-3", json!(-3)),
            (
                "18446744073709551615",
                json!(18_446_744_073_709_551_615_u64),
            ),
            ("123456789012", json!(123_456_789_012_i64)),
            ("1.5", json!(1.5)),
            ("1.0", json!(1.0)),
            ("012345678901", json!("012345678901")),
            ("0755", json!("0755")),
            ("0x1F", json!("0x1F")),
            ("1_000", json!("1_000")),
            ("1.10", json!("1.10")),
            ("+5", json!("+5")),
            ("-0", json!("-0")),
            ("22:22", json!("22:22")),
            ("-inf", json!("-inf")),
            (".nan", json!(".nan")),
            ("1e400", json!("1e400")),
            ("18446744073709551616", json!("18446744073709551616")),
            ("2012-10-17", json!("2012-10-17")),
            (
                "2001-12-14t21:59:43.10-05:00",
                json!("2001-12-14t21:59:43.10-05:00"),
            ),
            ("arn:aws:s3:::x", json!("arn:aws:s3:::x")),
        ] {
            assert_eq!(plain(text), expected, "{text:?}");
        }
    }

    #[test]
    fn whatever_another_reader_could_misread_is_quoted() {
        for text in [
            "yes",
            "n",
            "",
            "null",
            "2012-10-17",
            "1e3",
            ".inf",
            "<<",
            "=",
            "0o7",
            "22:22",
            "-1",
            "True",
        ] {
            assert!(is_ambiguous(text), "{text:?}");
        }
        for text in [
            "hello",
            "arn:aws:iam::aws:policy/x",
            "nothing",
            "e3",
            "$default",
        ] {
            assert!(!is_ambiguous(text), "{text:?}");
        }
    }
}
