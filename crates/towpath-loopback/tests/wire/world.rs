//! A loopback for one test, and ways to talk to it.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4::SigningParams;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use towpath_aws::SdkConfig;
use towpath_loopback::{Loopback, Settings};

/// A running loopback with its state in a directory of its own.
pub(crate) struct World {
    pub(crate) loopback: Loopback,
    pub(crate) directory: TempDir,
}

/// An answer as it came over the wire.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl World {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().expect("a directory");
        let mut settings = Settings::new(directory.path().join("state"));
        settings.resource_delay = Duration::ZERO;
        settings.build_minute = Duration::from_millis(100);
        let loopback = Loopback::start(settings).await.expect("started");
        Self {
            loopback,
            directory,
        }
    }

    pub(crate) fn root(&self) -> Credentials {
        let (key, secret) = self.loopback.root_credentials();
        Credentials::new(key, secret, None, None, "test")
    }

    pub(crate) fn config(&self, credentials: Credentials) -> SdkConfig {
        towpath_aws::fixed(self.loopback.endpoint(), "us-east-1", credentials)
    }

    /// S3 as root.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        towpath_aws::s3(&self.config(self.root()))
    }

    /// S3 with other credentials, each call tried once.
    pub(crate) fn s3_as(&self, credentials: Credentials) -> aws_sdk_s3::Client {
        let config = self
            .config(credentials)
            .into_builder()
            .retry_config(RetryConfig::disabled())
            .build();
        towpath_aws::s3(&config)
    }

    /// A signed form, as the query protocol has it.
    pub(crate) async fn query(&self, service: &str, form: &str, who: &Credentials) -> Answer {
        let content_type = "application/x-www-form-urlencoded";
        self.signed(
            service,
            "POST",
            "/",
            &[("content-type", content_type)],
            form,
            who,
        )
        .await
    }

    /// A signed request of any kind.
    pub(crate) async fn signed(
        &self,
        service: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
        who: &Credentials,
    ) -> Answer {
        let uri = format!("{}{path}", self.loopback.endpoint());
        let host = format!("127.0.0.1:{}", self.loopback.port());
        let mut builder = http::Request::builder().method(method).uri(&uri);
        builder = builder.header("host", &host);
        for (name, value) in headers {
            builder = builder.header(*name, *value);
        }
        let mut request = builder.body(()).expect("a request");
        let identity = who.clone().into();
        let params = SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name(service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .expect("parameters")
            .into();
        let own: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let signable = SignableRequest::new(
            method,
            &uri,
            own.iter().map(|(n, v)| (n.as_str(), v.as_str())),
            SignableBody::Bytes(body.as_bytes()),
        )
        .expect("signable");
        let (instructions, _) = sign(signable, &params).expect("signed").into_parts();
        instructions.apply_to_request_http1x(&mut request);
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().expect("text").to_owned()))
            .collect();
        let headers: Vec<(&str, &str)> = headers
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
            .collect();
        self.raw(method, path, &headers, body.as_bytes()).await
    }

    /// A request as it is, with `x-towpath-token`.
    pub(crate) async fn control(&self, method: &str, path: &str, body: &str) -> Answer {
        let token = self.loopback.control_token().to_owned();
        self.raw(
            method,
            path,
            &[("x-towpath-token", &token)],
            body.as_bytes(),
        )
        .await
    }

    /// A request as it is. `status` is 0 when the connection was cut without an answer.
    pub(crate) async fn raw(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut stream = TcpStream::connect(("127.0.0.1", self.loopback.port()))
            .await
            .expect("connected");
        let mut head = format!(
            "{method} {path} HTTP/1.1\r\nconnection: close\r\ncontent-length: {}\r\n",
            body.len()
        );
        if !headers.iter().any(|(name, _)| *name == "host") {
            head.push_str("host: 127.0.0.1\r\n");
        }
        for (name, value) in headers {
            head.extend([*name, ": ", *value, "\r\n"]);
        }
        head.push_str("\r\n");
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(body).await.expect("written");
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).await.expect("read");
        let text = String::from_utf8_lossy(&bytes).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Answer {
            status: status.unwrap_or(0),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }

    /// A role that anybody in the account may assume, with one inline policy, and a session of it.
    pub(crate) async fn role(&self, name: &str, policy: &str) -> Credentials {
        self.role_with(name, policy, None).await
    }

    /// The same with a session policy.
    pub(crate) async fn role_with(
        &self,
        name: &str,
        policy: &str,
        session: Option<&str>,
    ) -> Credentials {
        let root = self.root();
        let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::000000000000:root"},"Action":"sts:AssumeRole"}]}"#;
        for form in [
            form(&[
                ("Action", "CreateRole"),
                ("RoleName", name),
                ("AssumeRolePolicyDocument", trust),
            ]),
            form(&[
                ("Action", "PutRolePolicy"),
                ("RoleName", name),
                ("PolicyName", "inline"),
                ("PolicyDocument", policy),
            ]),
        ] {
            let answer = self.query("iam", &form, &root).await;
            assert_eq!(answer.status, 200, "{answer:?}");
        }
        let arn = format!("arn:aws:iam::000000000000:role/{name}");
        let mut pairs = vec![
            ("Action", "AssumeRole"),
            ("RoleArn", arn.as_str()),
            ("RoleSessionName", "test"),
        ];
        if let Some(session) = session {
            pairs.push(("Policy", session));
        }
        let answer = self.query("sts", &form(&pairs), &root).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        Credentials::new(
            element(&answer.body, "AccessKeyId"),
            element(&answer.body, "SecretAccessKey"),
            Some(element(&answer.body, "SessionToken")),
            None,
            "test",
        )
    }
}

/// A form's encoding of pairs.
pub(crate) fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new())
        .extend_pairs(pairs)
        .finish()
}

/// The text of the first element of that name.
pub(crate) fn element(xml: &str, name: &str) -> String {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    xml.split_once(&open)
        .and_then(|(_, rest)| rest.split_once(&close))
        .map_or_else(
            || panic!("no <{name}> in {xml}"),
            |(text, _)| text.to_owned(),
        )
}
