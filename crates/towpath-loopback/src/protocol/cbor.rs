//! CBOR, as `rpc-v2-cbor` uses it: CloudWatch's clients speak nothing else now.

use aws_smithy_cbor::data::Type;
use aws_smithy_cbor::decode::DeserializeError;
use aws_smithy_cbor::{Decoder, Encoder};
use aws_smithy_types::DateTime;
use base64::Engine as _;
use serde_json::{Map, Value, json};

use super::is_moment;

/// Nesting beyond this is refused: no operation has it, and a hostile body could.
const DEEPEST: usize = 32;

/// The value of a whole body. Moments become seconds since the epoch, bytes become base64.
pub(super) fn decode(bytes: &[u8]) -> Result<Value, DeserializeError> {
    read(&mut Decoder::new(bytes), 0)
}

fn read(decoder: &mut Decoder<'_>, depth: usize) -> Result<Value, DeserializeError> {
    if depth > DEEPEST {
        return Err(DeserializeError::custom(
            "too deeply nested",
            decoder.position(),
        ));
    }
    Ok(match decoder.datatype()? {
        Type::Bool => decoder.boolean()?.into(),
        Type::Null | Type::Undefined => {
            decoder.skip()?;
            Value::Null
        }
        Type::F16 | Type::F32 | Type::F64 => json!(decoder.double()?),
        Type::String | Type::StringIndef => decoder.string()?.into(),
        Type::Bytes | Type::BytesIndef => base64::engine::general_purpose::STANDARD
            .encode(decoder.blob()?)
            .into(),
        Type::Tag => json!(decoder.timestamp()?.as_secs_f64()),
        Type::Array | Type::ArrayIndef => {
            let mut left = decoder.list()?;
            let mut items = Vec::new();
            while more(decoder, &mut left)? {
                items.push(read(decoder, depth + 1)?);
            }
            items.into()
        }
        Type::Map | Type::MapIndef => {
            let mut left = decoder.map()?;
            let mut members = Map::new();
            while more(decoder, &mut left)? {
                let name = decoder.string()?;
                members.insert(name, read(decoder, depth + 1)?);
            }
            members.into()
        }
        _ => decoder.long()?.into(),
    })
}

/// Whether another element follows; counts definite lengths down and passes the end of indefinite ones.
fn more(decoder: &mut Decoder<'_>, left: &mut Option<u64>) -> Result<bool, DeserializeError> {
    match left {
        Some(0) => Ok(false),
        Some(count) => {
            *count -= 1;
            Ok(true)
        }
        None if decoder.datatype()? == Type::Break => {
            decoder.skip()?;
            Ok(false)
        }
        None => Ok(true),
    }
}

/// A body that holds `value`. Members whose names say so are moments.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut encoder = Encoder::new(Vec::new());
    write(&mut encoder, None, value);
    encoder.into_writer()
}

fn write(encoder: &mut Encoder, member: Option<&str>, value: &Value) {
    match value {
        Value::Null => encoder.null(),
        Value::Bool(flag) => encoder.boolean(*flag),
        Value::String(text) => encoder.str(text),
        Value::Number(number) => match (number.as_f64(), number.as_i64()) {
            (Some(seconds), _) if member.is_some_and(is_moment) => {
                encoder.timestamp(&DateTime::from_secs_f64(seconds))
            }
            (_, Some(whole)) => encoder.long(whole),
            (real, None) => encoder.double(real.unwrap_or_default()),
        },
        Value::Array(items) => {
            encoder.array(items.len());
            for item in items {
                write(encoder, None, item);
            }
            encoder
        }
        Value::Object(members) => {
            let present = members.iter().filter(|(_, value)| !value.is_null());
            encoder.map(present.clone().count());
            for (name, value) in present {
                encoder.str(name);
                write(encoder, Some(name), value);
            }
            encoder
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_survive_the_way_there_and_back() {
        for value in [
            json!({}),
            json!({"AlarmNames": ["a", "b"], "MaxRecords": 5, "Threshold": 1.0}),
            json!({"Nested": {"Deep": [{"Flag": true}]}, "Negative": -7}),
            json!({"StateUpdatedTimestamp": 1_767_323_045.5}),
        ] {
            assert_eq!(decode(&encode(&value)).expect("decoded"), value);
        }
    }

    #[test]
    fn a_hostile_body_is_refused() {
        let nested = vec![0x81; 10_000];
        for (case, body) in [
            ("nested", nested.as_slice()),
            ("cut off", &[0xa1, 0x61][..]),
            ("a tag of no time", &[0xc4, 0x80][..]),
        ] {
            assert!(decode(body).is_err(), "{case}");
        }
    }
}
