//! The HTTP client under every SDK client: one pool of connections, one TLS stack, and a trust
//! store that is part of the program.
//!
//! Reading the system's hundred and more certificates is most of what an SDK client does when a
//! function starts; these are compiled in and cost nothing. Not the SDK's own client: that reads
//! certificates only as PEM, once for every client that is made, and brings HTTP/2, proxies and a
//! second pool with it, none of which is used here.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use hyper_rustls::HttpsConnector;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector as TcpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long a connection that nobody uses is kept. S3 closes its end after a little longer.
const IDLE: Duration = Duration::from_secs(15);
/// The most that is read from a connection, or written to it, at once; each has two such buffers.
const BUFFER: usize = 128 << 10;
/// Files with the certificates to trust instead of those compiled in; the first that is set counts.
/// The AWS CLI and the other SDKs read the first, OpenSSL and most else the second.
pub(crate) const BUNDLES: [&str; 2] = ["AWS_CA_BUNDLE", "SSL_CERT_FILE"];

impl Wire {
    /// One that trusts what is in `bundle`, or, without one, what browsers trust.
    pub(crate) fn new(bundle: Option<&Path>) -> Self {
        let (roots, untrusting) = match roots(bundle) {
            Ok(roots) => (roots, None),
            Err(why) => (RootCertStore::empty(), Some(why)),
        };
        let mut tcp = TcpConnector::new();
        // The connector around it decides between HTTP and HTTPS.
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT));
        let pool = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .http1_max_buf_size(BUFFER)
            .build(HttpsConnector::from((tcp, tls(roots))));
        Self {
            pool,
            untrusting,
            read: None,
        }
    }
}

fn tls(roots: RootCertStore) -> ClientConfig {
    ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("the provider has what TLS 1.2 and 1.3 need")
        .with_root_certificates(roots)
        .with_no_client_auth()
}

/// The certificates to trust, or why there are none.
fn roots(bundle: Option<&Path>) -> Result<RootCertStore, Arc<str>> {
    let mut roots = RootCertStore::empty();
    let Some(bundle) = bundle else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
        return Ok(roots);
    };
    let unusable = |why: String| {
        Arc::from(format!(
            "no certificates can be read from {}, which {} names: {why}",
            bundle.display(),
            BUNDLES.join(" or ")
        ))
    };
    let pem = fs::read(bundle).map_err(|error| unusable(error.to_string()))?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|error| unusable(error.to_string()))?;
        // What one program cannot read, such as an outdated form, is no reason to trust nobody.
        let _ = roots.add(certificate);
    }
    if roots.is_empty() {
        return Err(unusable("there are none in it".to_owned()));
    }
    Ok(roots)
}

/// The pool of connections, as one client sees it.
#[derive(Clone)]
pub(crate) struct Wire {
    pool: Client<HttpsConnector<TcpConnector>, SdkBody>,
    /// Why nobody can be trusted, if so. Without TLS that does not matter.
    untrusting: Option<Arc<str>>,
    /// How long an answer may take to begin.
    read: Option<Duration>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(Self {
            read: settings.read_timeout(),
            ..self.clone()
        })
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        if let Some(why) = &self.untrusting
            && request.uri().starts_with("https:")
        {
            let error = ConnectorError::user(why.to_string().into());
            return HttpConnectorFuture::ready(Err(error));
        }
        let (pool, read) = (self.pool.clone(), self.read);
        HttpConnectorFuture::new(async move {
            let request = request
                .try_into_http1x()
                .map_err(|error| ConnectorError::user(error.into()))?;
            let asked = pool.request(request);
            let answer = match read {
                None => asked.await,
                Some(read) => tokio::time::timeout(read, asked)
                    .await
                    .map_err(|error| ConnectorError::timeout(error.into()))?,
            };
            let answer = answer.map_err(|error| failed(error.into()))?;
            HttpResponse::try_from(answer.map(SdkBody::from_body_1_x))
                .map_err(|error| ConnectorError::other(error.into(), None))
        })
    }
}

/// An error of the connection, which may be another one's turn; or of the request itself, which
/// would be the same again.
fn failed(error: BoxError) -> ConnectorError {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(&*error);
    while let Some(at) = cause {
        if let Some(http) = at.downcast_ref::<hyper::Error>() {
            if http.is_user() {
                return ConnectorError::user(error);
            }
            if http.is_timeout() {
                return ConnectorError::timeout(error);
            }
        }
        cause = at.source();
    }
    ConnectorError::io(error)
}

#[cfg(test)]
mod tests {
    use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::*;

    fn authority() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    /// A server for `localhost` that answers everything with 200, and who vouches for it, as PEM.
    async fn server() -> (u16, String) {
        let authority = authority();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(["localhost".to_owned()])
            .unwrap()
            .signed_by(&key, &authority)
            .unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                key.serialize_der().try_into().unwrap(),
            )
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us says so and goes.
                    let Ok(mut stream) = acceptor.accept(stream).await else {
                        return;
                    };
                    let _ = stream.read(&mut [0; 1024]).await;
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                    let _ = stream.write_all(answer).await;
                });
            }
        });
        (port, authority.pem())
    }

    async fn call(bundle: Option<&Path>, uri: &str) -> Result<u16, ConnectorError> {
        let mut request = HttpRequest::new(SdkBody::empty());
        request.set_uri(uri).unwrap();
        let answer = Wire::new(bundle).call(request).await?;
        Ok(answer.status().as_u16())
    }

    #[tokio::test]
    async fn who_is_trusted_is_spoken_to_and_nobody_else() {
        let (port, pem) = server().await;
        let here = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &str| {
            let path = here.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let own = file("own.pem", &pem);
        let other = file("other.pem", &authority().pem());
        let uri = format!("https://localhost:{port}/");
        assert_eq!(call(Some(&own), &uri).await.unwrap(), 200);
        // Trusted for its name only.
        let elsewhere = format!("https://127.0.0.1:{port}/");
        assert!(call(Some(&own), &elsewhere).await.unwrap_err().is_io());
        for bundle in [None, Some(other.as_path())] {
            let error = call(bundle, &uri).await.unwrap_err();
            let mut causes = String::new();
            let mut cause: Option<&dyn std::error::Error> = Some(&error);
            while let Some(at) = cause {
                causes.push_str(&at.to_string());
                causes.push('\n');
                cause = at.source();
            }
            assert!(causes.contains("invalid peer certificate"), "{causes}");
        }
        let error = call(Some(&here.path().join("absent.pem")), &uri)
            .await
            .unwrap_err();
        assert!(
            error.is_user() && format!("{error:?}").contains("AWS_CA_BUNDLE"),
            "{error:?}"
        );
    }

    #[test]
    fn trust_is_what_is_compiled_in_or_what_a_file_says() {
        let here = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = here.path().join(name);
            fs::write(&path, content).unwrap();
            path
        };
        let trusted = |bundle: Option<&Path>| roots(bundle).map(|roots| roots.len());
        assert!(trusted(None).unwrap() > 100);
        let one = write("ca.pem", &authority().pem());
        assert_eq!(trusted(Some(&one)), Ok(1));
        let twice = format!("# ours\n{}\n{}", authority().pem(), authority().pem());
        assert_eq!(trusted(Some(&write("two.pem", &twice))), Ok(2));
        for (path, expected) in [
            (here.path().join("absent.pem"), "No such file"),
            (write("empty.pem", ""), "there are none in it"),
            (write("key.pem", "-----BEGIN X-----\n"), ""),
        ] {
            let said = trusted(Some(&path)).unwrap_err();
            assert!(
                said.starts_with("no certificates can be read from ")
                    && said.contains("AWS_CA_BUNDLE")
                    && said.contains(expected),
                "{said}"
            );
        }
    }
}
