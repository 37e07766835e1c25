//! What S3 says about a refusal where the library that reads its requests says nothing, or speaks of itself.

use bytes::Bytes;
use http::{Method, StatusCode, Uri};
use http_body_util::BodyExt;

/// What was asked: all that an error's words may need.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    method: Method,
    uri: Uri,
}

/// How an error is told.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: Option<StatusCode>,
    code: &'static str,
    message: String,
}

const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";

/// What a presigned URL of signature version 4 has.
const PRESIGNED: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Signature",
    "X-Amz-Date",
    "X-Amz-SignedHeaders",
    "X-Amz-Expires",
];

impl Question {
    /// Keeps what an error's words may need.
    pub(crate) fn of<B>(request: &http::Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            uri: request.uri().clone(),
        }
    }

    /// The same answer; an error has S3's words and names what it is about.
    pub(crate) async fn reword(
        &self,
        answer: http::Response<s3s::Body>,
    ) -> http::Response<s3s::Body> {
        if !answer.status().is_client_error() && !answer.status().is_server_error() {
            return answer;
        }
        let (mut parts, body) = answer.into_parts();
        let body = body
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes);
        let body = body.unwrap_or_default();
        let text = String::from_utf8_lossy(&body);
        let told = element(&text, "Code")
            .and_then(|code| self.words(code, element(&text, "Message").unwrap_or_default()));
        let Some(told) = told else {
            return http::Response::from_parts(parts, s3s::Body::from(body));
        };
        if let Some(status) = told.status {
            parts.status = status;
        }
        parts.headers.remove(http::header::CONTENT_LENGTH);
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?><Error><Code>{}</Code><Message>{}</Message></Error>",
            told.code,
            quick_xml::escape::escape(&told.message)
        );
        http::Response::from_parts(parts, s3s::Body::from(Bytes::from(xml)))
    }

    /// Better words for an error, if there are any.
    fn words(&self, code: &str, message: &str) -> Option<Told> {
        let same = |code, message: String| {
            Some(Told {
                status: None,
                code,
                message,
            })
        };
        let with = |status, code, message: &str| {
            Some(Told {
                status: Some(status),
                code,
                message: message.to_owned(),
            })
        };
        match (code, message) {
            (_, "missing presigned url v2 fields") => {
                with(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", MISMATCH)
            }
            (_, "missing presigned url v4 fields") if self.presigned() => {
                with(StatusCode::FORBIDDEN, "SignatureDoesNotMatch", MISMATCH)
            }
            (_, "missing presigned url v4 fields") => with(
                StatusCode::BAD_REQUEST,
                "AuthorizationQueryParametersError",
                &format!(
                    "Query-string authentication version 4 requires the {}, and {} parameters.",
                    PRESIGNED[..5].join(", "),
                    PRESIGNED[5]
                ),
            ),
            ("NotImplemented", message) if message.starts_with("Unknown operation") => same(
                "NotImplemented",
                format!(
                    "the loopback does not serve s3: {} {}",
                    self.method,
                    self.shown()
                ),
            ),
            ("InvalidURI", "") => Some(self.unreadable()),
            // The library takes a broken escape for text, and so for part of a name.
            ("InvalidBucketName", "") if broken_escape(self.uri.path()) => Some(self.unreadable()),
            ("InvalidBucketName", "") => {
                let bucket = self.bucket();
                same(
                    "InvalidBucketName",
                    format!(
                        "The specified bucket is not valid: `{bucket}` {}",
                        broken_rule(&bucket)
                    ),
                )
            }
            ("SignatureDoesNotMatch", "") => same("SignatureDoesNotMatch", MISMATCH.into()),
            ("KeyTooLongError", "") => {
                same("KeyTooLongError", "Your key is too long: 1024 bytes is the limit.".into())
            }
            ("MalformedXML", "") => same(
                "MalformedXML",
                "The XML you provided was not well-formed or did not validate against our published schema".into(),
            ),
            ("IncompleteBody", "") => same(
                "IncompleteBody",
                "You did not provide the number of bytes specified by the Content-Length HTTP header".into(),
            ),
            ("MissingContentLength", "") => same(
                "MissingContentLength",
                "You must provide the Content-Length HTTP header.".into(),
            ),
            ("MethodNotAllowed", "") => same(
                "MethodNotAllowed",
                "The specified method is not allowed against this resource.".into(),
            ),
            ("MaxMessageLengthExceeded", "") => {
                same("MaxMessageLengthExceeded", "Your request was too big.".into())
            }
            ("BadDigest", "") => same(
                "BadDigest",
                "The Content-MD5 or checksum value that you specified did not match what the server received.".into(),
            ),
            ("InvalidDigest", "") => {
                same("InvalidDigest", "The Content-MD5 you specified is not valid.".into())
            }
            ("InvalidRequest", "") => same("InvalidRequest", "Invalid Request".into()),
            ("InternalError", "") => same(
                "InternalError",
                "We encountered an internal error. Please try again.".into(),
            ),
            _ => None,
        }
    }

    fn unreadable(&self) -> Told {
        Told {
            status: None,
            code: "InvalidURI",
            message: format!("Couldn't parse the specified URI: {}", self.shown()),
        }
    }

    /// Whether the query has all that a presigned URL has; so one of them has a wrong form.
    fn presigned(&self) -> bool {
        let query = self.uri.query().unwrap_or_default();
        let names: Vec<_> = form_urlencoded::parse(query.as_bytes())
            .map(|(name, _)| name)
            .collect();
        PRESIGNED
            .iter()
            .all(|name| names.iter().any(|given| given == name))
    }

    /// The path and the names in the query: its values may be signatures.
    fn shown(&self) -> String {
        let names: Vec<_> = form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
            .map(|(name, _)| name.into_owned())
            .collect();
        let mark = if names.is_empty() { "" } else { "?" };
        format!("{}{mark}{}", self.uri.path(), names.join("&"))
    }

    fn bucket(&self) -> String {
        let path = self.uri.path().trim_start_matches('/');
        let bucket = path.split('/').next().unwrap_or_default();
        percent_encoding::percent_decode_str(bucket)
            .decode_utf8_lossy()
            .into_owned()
    }
}

/// Whether a `%` is not followed by two hexadecimal digits.
fn broken_escape(path: &str) -> bool {
    path.split('%').skip(1).any(|rest| {
        !rest
            .as_bytes()
            .get(..2)
            .is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit))
    })
}

/// Which of the naming rules a bucket's name breaks:
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>.
fn broken_rule(bucket: &str) -> &'static str {
    let ends = |byte: Option<u8>| {
        byte.is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
    };
    let bytes = bucket.as_bytes();
    if !(3..=63).contains(&bytes.len()) {
        "has fewer than 3 or more than 63 characters"
    } else if !bytes.iter().all(|byte| {
        byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'.' | b'-')
    }) {
        "has characters other than lower-case letters, digits, dots and hyphens"
    } else if !ends(bytes.first().copied()) || !ends(bytes.last().copied()) {
        "does not begin and end with a letter or a digit"
    } else if bucket.contains("..") {
        "has two dots side by side"
    } else if bucket.parse::<std::net::IpAddr>().is_ok() {
        "is written like an IP address"
    } else {
        "has a prefix or a suffix that S3 keeps for itself"
    }
}

fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = xml.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_silent_error_gets_the_words_that_s3_has_for_it() {
        for (uri, code, message, expected) in [
            (
                "/b1",
                "InvalidBucketName",
                "",
                "InvalidBucketName: The specified bucket is not valid: `b1` has fewer than 3 or more than 63 characters",
            ),
            (
                "/Big-Bucket/key",
                "InvalidBucketName",
                "",
                "InvalidBucketName: The specified bucket is not valid: `Big-Bucket` has characters other than lower-case letters, digits, dots and hyphens",
            ),
            (
                "/%zz",
                "InvalidBucketName",
                "",
                "InvalidURI: Couldn't parse the specified URI: /%zz",
            ),
            (
                "/bucket?policyx=secret&a",
                "NotImplemented",
                "Unknown operation",
                "NotImplemented: the loopback does not serve s3: GET /bucket?policyx&a",
            ),
            (
                "/bucket/key?Signature=x",
                "InvalidRequest",
                "missing presigned url v2 fields",
                "SignatureDoesNotMatch: The request signature we calculated does not match the signature you provided. Check your key and signing method.",
            ),
            (
                "/bucket/key?X-Amz-Signature=x",
                "InvalidRequest",
                "missing presigned url v4 fields",
                "AuthorizationQueryParametersError: Query-string authentication version 4 requires the X-Amz-Algorithm, X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.",
            ),
        ] {
            let question = Question::of(&http::Request::get(uri).body(()).unwrap());
            let told = question.words(code, message).expect(uri);
            assert_eq!(format!("{}: {}", told.code, told.message), expected);
        }
        let question = Question::of(&http::Request::get("/bucket").body(()).unwrap());
        assert_eq!(question.words("AccessDenied", "why"), None);
    }
}
