//! Signature Version 4, checked. S3's own checks, which reach into the body, are made by `s3s`.
//!
//! See "Create a signed AWS API request" in the IAM User Guide for the canonical form.

use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::Caller;
use crate::identity::Identity;

/// How far a request's time may be from ours.
const SKEW: Duration = Duration::from_mins(15);

const AMZ_DATE: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// Why a request proves nobody. Each service words it in its own error code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Rejection {
    /// There is no signature; the text says what is missing.
    Missing(&'static str),
    /// The signature cannot be read.
    Incomplete(String),
    /// Nobody has that access key, or the session token is not its own.
    UnknownKey,
    /// The secret is another, or the request was changed on its way.
    Mismatch(String),
    /// The session is over.
    ExpiredToken,
    /// The request's time is too far from ours.
    Skewed(String),
}

/// What a request says of itself before anything is proven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) access_key_id: String,
    /// `20260731`.
    date: String,
    pub(crate) region: String,
    /// The service's signing name, such as `s3` or `monitoring`.
    pub(crate) service: String,
    signed_headers: Vec<String>,
    signature: String,
    /// `20260731T120000Z`.
    time: String,
    token: Option<String>,
    /// Of a presigned URL: how long it is good for.
    presigned_for: Option<Duration>,
}

/// Reads the claim from the `Authorization` header, else from the query of a presigned URL.
pub(crate) fn claim(parts: &Parts) -> Result<Claim, Rejection> {
    if let Some(value) = header(parts, "authorization") {
        return header_claim(parts, value);
    }
    let query = query_pairs(parts);
    let named = |name: &str| {
        query
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.clone())
    };
    let Some(credential) = named("X-Amz-Credential") else {
        return Err(Rejection::Missing(
            "Request is missing Authentication Token: it has neither an Authorization header nor an X-Amz-Credential query parameter",
        ));
    };
    let need = |name: &str| {
        named(name).ok_or_else(|| {
            Rejection::Incomplete(format!("the presigned URL has no {name} parameter"))
        })
    };
    let mut claim = credential_scope(&credential)?;
    claim.signed_headers = split_headers(&need("X-Amz-SignedHeaders")?);
    claim.signature = need("X-Amz-Signature")?;
    claim.time = need("X-Amz-Date")?;
    claim.token = named("X-Amz-Security-Token");
    let seconds = named("X-Amz-Expires").and_then(|text| text.parse().ok());
    claim.presigned_for = Some(Duration::from_secs(seconds.unwrap_or(900)));
    Ok(claim)
}

/// Proves the claim, or says why it does not hold.
pub(crate) fn verify(
    identity: &Identity,
    claim: &Claim,
    parts: &Parts,
    body: &[u8],
    now: SystemTime,
) -> Result<Caller, Rejection> {
    let known = identity
        .known(&claim.access_key_id)
        .filter(|known| known.accepts_token(claim.token.as_deref()))
        .ok_or(Rejection::UnknownKey)?;
    let now_ms = i64::try_from(
        now.duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis(),
    )
    .unwrap_or(i64::MAX);
    if known.expired(now_ms) {
        return Err(Rejection::ExpiredToken);
    }
    let at = check_time(claim, now)?;

    let canonical = canonical_request(claim, parts, body)?;
    let scope = format!(
        "{}/{}/{}/aws4_request",
        claim.date, claim.region, claim.service
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{}\n{scope}\n{}",
        claim.time,
        hex::encode(Sha256::digest(canonical.as_bytes()))
    );
    let key = generate_signing_key(&known.secret_access_key, at, &claim.region, &claim.service);
    // The key never leaves this process and dies with it: comparing in constant time would guard nothing.
    if calculate_signature(key, to_sign.as_bytes()) == claim.signature {
        Ok(known.caller)
    } else {
        Err(Rejection::Mismatch(format!(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. The canonical request should have been\n{}",
            redacted(&canonical, claim.token.as_deref())
        )))
    }
}

/// The canonical request without the session's token: the message ends up in logs.
fn redacted(canonical: &str, token: Option<&str>) -> String {
    match token.filter(|token| !token.is_empty()) {
        Some(token) => canonical
            .replace(token, "[redacted]")
            .replace(&encode(token), "[redacted]"),
        None => canonical.to_owned(),
    }
}

fn header_claim(parts: &Parts, value: &str) -> Result<Claim, Rejection> {
    let fields = value
        .strip_prefix("AWS4-HMAC-SHA256")
        .ok_or_else(|| {
            Rejection::Incomplete(
                "the Authorization header does not begin with AWS4-HMAC-SHA256: only Signature Version 4 is served".into(),
            )
        })?
        .split(',')
        .filter_map(|field| field.trim().split_once('='));
    let (mut credential, mut headers, mut signature) = (None, None, None);
    for (name, value) in fields {
        match name {
            "Credential" => credential = Some(value),
            "SignedHeaders" => headers = Some(value),
            "Signature" => signature = Some(value),
            _ => {}
        }
    }
    let need = |name: &str, value: Option<&str>| {
        value.map(str::to_owned).ok_or_else(|| {
            Rejection::Incomplete(format!("Authorization header requires '{name}' parameter"))
        })
    };
    let mut claim = credential_scope(&need("Credential", credential)?)?;
    claim.signed_headers = split_headers(&need("SignedHeaders", headers)?);
    claim.signature = need("Signature", signature)?;
    let time = header(parts, "x-amz-date")
        .ok_or_else(|| Rejection::Incomplete("the request has no X-Amz-Date header".into()))?;
    time.clone_into(&mut claim.time);
    claim.token = header(parts, "x-amz-security-token").map(str::to_owned);
    Ok(claim)
}

fn credential_scope(credential: &str) -> Result<Claim, Rejection> {
    let malformed = || {
        Rejection::Incomplete(format!(
            "the credential `{credential}` is not KEY/DATE/REGION/SERVICE/aws4_request"
        ))
    };
    let mut fields = credential.rsplitn(5, '/');
    let mut next = || fields.next().map(str::to_owned).ok_or_else(malformed);
    if next()? != "aws4_request" {
        return Err(malformed());
    }
    let (service, region, date, access_key_id) = (next()?, next()?, next()?, next()?);
    Ok(Claim {
        access_key_id,
        date,
        region,
        service,
        signed_headers: Vec::new(),
        signature: String::new(),
        time: String::new(),
        token: None,
        presigned_for: None,
    })
}

fn check_time(claim: &Claim, now: SystemTime) -> Result<SystemTime, Rejection> {
    let at: SystemTime = time::PrimitiveDateTime::parse(&claim.time, AMZ_DATE)
        .map_err(|_| {
            Rejection::Incomplete(format!("the time `{}` is not YYYYMMDDTHHMMSSZ", claim.time))
        })?
        .assume_utc()
        .into();
    if !claim.time.starts_with(&claim.date) {
        return Err(Rejection::Mismatch(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP".into(),
        ));
    }
    let ours = OffsetDateTime::from(now)
        .format(AMZ_DATE)
        .unwrap_or_default();
    let (age, ahead) = (
        now.duration_since(at).unwrap_or_default(),
        at.duration_since(now).unwrap_or_default(),
    );
    if age > claim.presigned_for.unwrap_or(SKEW) {
        return Err(Rejection::Skewed(format!(
            "Signature expired: {} is now earlier than {ours}",
            claim.time
        )));
    }
    if ahead > SKEW {
        return Err(Rejection::Skewed(format!(
            "Signature not yet current: {} is still later than {ours}",
            claim.time
        )));
    }
    Ok(at)
}

fn canonical_request(claim: &Claim, parts: &Parts, body: &[u8]) -> Result<String, Rejection> {
    // The path arrives encoded once; the canonical form encodes each segment once more.
    let path = match parts.uri.path() {
        "" => "/".to_owned(),
        path => path.split('/').map(encode).collect::<Vec<_>>().join("/"),
    };
    let mut query: Vec<(String, String)> = query_pairs(parts)
        .into_iter()
        .filter(|(name, _)| name != "X-Amz-Signature")
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    query.sort();
    let query = query
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect::<Vec<_>>()
        .join("&");

    let mut headers = String::new();
    for name in &claim.signed_headers {
        let values: Vec<String> = parts
            .headers
            .get_all(name.as_str())
            .iter()
            .map(|value| squeeze(&String::from_utf8_lossy(value.as_bytes())))
            .collect();
        if values.is_empty() {
            return Err(Rejection::Incomplete(format!(
                "'{name}' is listed in SignedHeaders, but the request has no such header"
            )));
        }
        headers.push_str(name);
        headers.push(':');
        headers.push_str(&values.join(","));
        headers.push('\n');
    }
    let computed = hex::encode(Sha256::digest(body));
    let payload = match header(parts, "x-amz-content-sha256") {
        Some("UNSIGNED-PAYLOAD") => "UNSIGNED-PAYLOAD",
        _ => computed.as_str(),
    };
    Ok(format!(
        "{}\n{path}\n{query}\n{headers}\n{}\n{payload}",
        parts.method,
        claim.signed_headers.join(";")
    ))
}

fn query_pairs(parts: &Parts) -> Vec<(String, String)> {
    let decode = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
    parts
        .uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn header<'a>(parts: &'a Parts, name: &str) -> Option<&'a str> {
    parts.headers.get(name)?.to_str().ok()
}

fn split_headers(list: &str) -> Vec<String> {
    let mut names: Vec<String> = list.split(';').map(str::to_ascii_lowercase).collect();
    names.sort();
    names
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Trims, and makes every run of spaces one.
fn squeeze(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_credential_types::Credentials;
    use aws_sigv4::http_request::{
        SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign,
    };
    use aws_sigv4::sign::v4::SigningParams;

    use super::*;

    /// Signs as an SDK does.
    fn signed(
        key: &str,
        secret: &str,
        token: Option<&str>,
        at: SystemTime,
        presigned: bool,
        uri: &str,
        body: &'static str,
    ) -> Parts {
        let credentials = Credentials::new(key, secret, token.map(str::to_owned), None, "test");
        let identity = credentials.into();
        let mut settings = SigningSettings::default();
        if presigned {
            settings.signature_location = SignatureLocation::QueryParams;
            settings.expires_in = Some(Duration::from_mins(1));
        }
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("sts")
            .time(at)
            .settings(settings)
            .build()
            .expect("parameters")
            .into();
        let mut request = http::Request::builder()
            .method("POST")
            .uri(uri)
            .header("host", "127.0.0.1:1")
            .header("x-amz-meta", " a   b ")
            .body(body)
            .expect("request");
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let signable = SignableRequest::new(
            "POST",
            uri,
            headers.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        )
        .expect("signable");
        let (instructions, _) = sign(signable, &params).expect("signed").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        request.into_parts().0
    }

    #[test]
    fn what_an_sdk_signs_is_proven_and_nothing_else() {
        let identity = Identity::new("1", Arc::default());
        let (key, secret) = identity.root_credentials();
        let (key, secret) = (key.to_owned(), secret.to_owned());
        let now = SystemTime::now();
        let old = now - Duration::from_mins(16);
        let uri = "http://127.0.0.1:1/2015-03-31/functions/arn%3Aaws%3Alambda%3Ax/invocations?Qualifier=%24LATEST&b=&a=x%20y";
        type Case<'a> = (
            &'a str,
            &'a str,
            &'a str,
            Option<&'a str>,
            SystemTime,
            bool,
            &'a str,
        );
        let cases: [Case<'_>; 8] = [
            ("proven", &key, &secret, None, now, false, "body"),
            ("presigned", &key, &secret, None, now, true, "body"),
            (
                "a wrong key",
                "AKIAWRONG",
                &secret,
                None,
                now,
                false,
                "body",
            ),
            ("a wrong secret", &key, "wrong", None, now, false, "body"),
            (
                "a stray token",
                &key,
                &secret,
                Some("t"),
                now,
                false,
                "body",
            ),
            ("another body", &key, &secret, None, now, false, "changed"),
            ("an old request", &key, &secret, None, old, false, "body"),
            (
                "an old presigned URL",
                &key,
                &secret,
                None,
                old,
                true,
                "body",
            ),
        ];
        for (case, key, secret, token, at, presigned, body) in cases {
            let parts = signed(key, secret, token, at, presigned, uri, "body");
            let claim = claim(&parts).expect("a claim");
            let told = match verify(&identity, &claim, &parts, body.as_bytes(), now) {
                Ok(caller) => format!("{caller:?}"),
                Err(Rejection::UnknownKey) => "unknown key".into(),
                Err(Rejection::Mismatch(_)) => "mismatch".into(),
                Err(Rejection::Skewed(_)) => "skewed".into(),
                Err(other) => format!("{other:?}"),
            };
            let expected = match case {
                "proven" | "presigned" => "Root",
                "a wrong key" | "a stray token" => "unknown key",
                "a wrong secret" | "another body" => "mismatch",
                _ => "skewed",
            };
            assert_eq!(told, expected, "{case}");
        }
    }

    #[test]
    fn a_session_is_proven_until_it_expires() {
        let identity = Identity::new("1", Arc::default());
        identity.put_role(
            "r",
            crate::identity::RoleDefinition {
                arn: "arn:aws:iam::1:role/r".into(),
                trust: serde_json::Value::Null,
                policies: vec![],
            },
        );
        let session = identity.assume("r", "s", None).expect("assumed");
        let now = SystemTime::now();
        let parts = signed(
            &session.access_key_id,
            &session.secret_access_key,
            Some(&session.session_token),
            now,
            false,
            "http://127.0.0.1:1/",
            "",
        );
        let claim = claim(&parts).expect("a claim");
        let caller = verify(&identity, &claim, &parts, b"", now).expect("proven");
        assert_eq!(caller.arn("1"), "arn:aws:sts::1:assumed-role/r/s");
        identity.expire(&session.access_key_id);
        assert_eq!(
            verify(&identity, &claim, &parts, b"", now),
            Err(Rejection::ExpiredToken)
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        let scope = "Credential=A/20260101/r/s/aws4_request";
        for (header, expected) in [
            (None, "neither an Authorization header"),
            (Some("Basic x".to_owned()), "AWS4-HMAC-SHA256"),
            (Some("AWS4-HMAC-SHA256 Credential=x".into()), "KEY/DATE"),
            (Some(format!("AWS4-HMAC-SHA256 {scope}")), "'SignedHeaders'"),
            (
                Some(format!("AWS4-HMAC-SHA256 {scope}, SignedHeaders=host")),
                "'Signature'",
            ),
            (
                Some(format!(
                    "AWS4-HMAC-SHA256 {scope}, SignedHeaders=host, Signature=x"
                )),
                "X-Amz-Date",
            ),
        ] {
            let mut request = http::Request::builder();
            if let Some(header) = &header {
                request = request.header("authorization", header);
            }
            let (parts, ()) = request.body(()).expect("request").into_parts();
            let rejection = claim(&parts).expect_err("not a claim");
            assert!(
                format!("{rejection:?}").contains(expected),
                "{header:?}: {rejection:?}"
            );
        }
    }
}
