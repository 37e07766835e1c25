//! The one way to AWS: HTTP client, trust, region, endpoint and retries.
//!
//! Every client in the workspace is made from the configuration made here, so that one TLS stack
//! is compiled and one set of environment variables (`AWS_ENDPOINT_URL`,
//! `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_REGION`, …) decides where calls go. It is not a wrapper
//! around the SDK: callers hold SDK clients.

mod container;
mod environment;
mod http;

use std::path::PathBuf;
use std::sync::LazyLock;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
pub use aws_types::SdkConfig;
use aws_types::region::Region;
use aws_types::sdk_config::Builder;

use crate::http::Wire;

/// How often one call is tried. Throttling during a deployment lasts longer than the SDK's default of three.
const CALL_ATTEMPTS: u32 = 7;
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(3);
/// How long one attempt of a small call may take. These services answer in well under a second.
const SMALL_CALL: Duration = Duration::from_secs(10);

/// The configuration that the environment describes, as Lambda sets it.
///
/// Heard are `AWS_REGION`, the keys and their session token, or where a container is told to ask for
/// them (`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` and `…_FULL_URI`), `AWS_ENDPOINT_URL` and
/// `AWS_ENDPOINT_URL_<SERVICE>`, `AWS_USE_FIPS_ENDPOINT` and `AWS_USE_DUALSTACK_ENDPOINT`, and for
/// whom to trust `AWS_CA_BUNDLE` or `SSL_CERT_FILE`. Makes no request.
pub fn sdk_config() -> SdkConfig {
    let mut config = base(SharedCredentialsProvider::new(environment::Keys(
        WIRE.clone(),
    )))
    .service_config(environment::OfServices)
    .use_fips(environment::is_on("AWS_USE_FIPS_ENDPOINT"))
    .use_dual_stack(environment::is_on("AWS_USE_DUALSTACK_ENDPOINT"));
    config.set_region(environment::first(&["AWS_REGION", "AWS_DEFAULT_REGION"]).map(Region::new));
    config.set_endpoint_url(environment::variable("AWS_ENDPOINT_URL"));
    config.build()
}

/// A configuration that the environment has no part in: one endpoint, one region, one pair of keys.
pub fn fixed(endpoint: &str, region: &str, credentials: Credentials) -> SdkConfig {
    base(SharedCredentialsProvider::new(credentials))
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .build()
}

fn base(credentials: SharedCredentialsProvider) -> Builder {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(HTTP.clone())
        .retry_config(RetryConfig::standard().with_max_attempts(CALL_ATTEMPTS))
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .credentials_provider(credentials)
}

/// One for the process: its connections serve whoever speaks to the same host.
static WIRE: LazyLock<Wire> = LazyLock::new(|| {
    let bundle = environment::first(&http::BUNDLES).map(PathBuf::from);
    Wire::new(bundle.as_deref())
});

/// The same, as SDK clients take it.
static HTTP: LazyLock<SharedHttpClient> = LazyLock::new(|| SharedHttpClient::new(WIRE.clone()));

/// The same configuration with other credentials, such as a job's own.
pub fn with_credentials(config: &SdkConfig, credentials: Credentials) -> SdkConfig {
    config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The same configuration for services whose requests and answers are small: CodePipeline,
/// CloudFormation, CloudWatch. An attempt that is not answered is given up and made again on
/// another connection, because a connection may have died while Lambda had the process frozen.
///
/// Not for S3: the limit would be one on the length of an upload.
pub fn control_plane(config: &SdkConfig) -> SdkConfig {
    let limits = TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .operation_attempt_timeout(SMALL_CALL)
        .build();
    config.to_builder().timeout_config(limits).build()
}

/// An S3 client. Behind an endpoint override buckets are addressed by path, because a bucket's
/// name in front of `127.0.0.1` is no host name.
pub fn s3(config: &SdkConfig) -> aws_sdk_s3::Client {
    let overridden =
        config.endpoint_url().is_some() || std::env::var_os("AWS_ENDPOINT_URL_S3").is_some();
    let settings = aws_sdk_s3::config::Builder::from(config)
        .force_path_style(overridden)
        .build();
    aws_sdk_s3::Client::from_conf(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_call_is_bounded_and_one_to_s3_is_not() {
        let config = fixed(
            "http://127.0.0.1:1",
            "eu-west-1",
            Credentials::new("AKID", "secret", None, None, "test"),
        );
        let small = control_plane(&config);
        let attempt = |config: &SdkConfig| {
            config
                .timeout_config()
                .and_then(TimeoutConfig::operation_attempt_timeout)
        };
        assert_eq!(attempt(&small), Some(SMALL_CALL));
        assert_eq!(attempt(&config), None);
        assert_eq!(small.endpoint_url(), config.endpoint_url());
        assert_eq!(small.region(), config.region());
    }
}
