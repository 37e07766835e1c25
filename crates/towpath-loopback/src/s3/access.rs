//! Who may do what to S3: the signature's secret, the session's token, and the policies.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use percent_encoding::percent_decode_str;
use s3s::access::{S3Access, S3AccessContext};
use s3s::auth::{S3Auth, SecretKey};
use s3s::path::S3Path;
use s3s::{S3Error, S3ErrorCode, S3Result, s3_error};

use super::gateway::{Gateway, serves};
use super::store::Store;
use crate::faults::{Cut, Kind};
use crate::identity::now_ms;
use crate::identity::policy::Context;
use crate::{AwsError, Caller, World};

/// Gives `s3s` the secrets it checks signatures with.
pub(super) struct Secrets(pub(super) Arc<World>);

#[async_trait]
impl S3Auth for Secrets {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let known = self.0.identity.known(access_key).ok_or_else(|| {
            s3_error!(
                InvalidAccessKeyId,
                "The AWS Access Key Id you provided does not exist in our records."
            )
        })?;
        if known.expired(now_ms()) {
            return Err(s3_error!(ExpiredToken, "The provided token has expired."));
        }
        Ok(SecretKey::from(known.secret_access_key))
    }
}

/// Where the check leaves word for the server that the connection is to be cut.
#[derive(Clone, Default)]
pub(crate) struct CutSlot(Arc<Mutex<Option<Cut>>>);

impl CutSlot {
    fn set(&self, cut: Cut) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(cut);
    }

    /// Whether the connection is to be cut.
    pub(crate) fn get(&self) -> Option<Cut> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the policies before an operation's input is read.
pub(super) struct Policies {
    pub(super) world: Arc<World>,
    pub(super) store: Arc<Store>,
}

#[async_trait]
impl S3Access for Policies {
    async fn check(&self, cx: &mut S3AccessContext<'_>) -> S3Result<()> {
        let caller = self.caller(cx)?;
        let operation = cx.s3_op().name().to_owned();
        let operation = operation.as_str();
        self.inject(cx, operation).await?;
        if !serves(operation) {
            self.world.fidelity.refused(format!("s3:{operation}"));
            return Err(s3_error!(
                NotImplemented,
                "the loopback does not serve s3:{operation}"
            ));
        }

        let (bucket, key) = match cx.s3_path() {
            S3Path::Root => (None, None),
            S3Path::Bucket { bucket } => (Some(bucket.to_string()), None),
            S3Path::Object { bucket, key } => (Some(bucket.to_string()), Some(key.to_string())),
        };
        let context = self.context(cx);
        let versioned = context.contains_key("s3:versionid");
        if operation != "DeleteObjects" {
            let action = action(operation, versioned);
            authorize(
                &self.world,
                &self.store,
                &caller,
                action,
                (bucket.as_deref(), key.as_deref()),
                &context,
            )?;
        }
        if let Some((bucket, key, version)) = copy_source(cx) {
            let action = action("GetObject", version);
            authorize(
                &self.world,
                &self.store,
                &caller,
                action,
                (Some(&bucket), Some(&key)),
                &Context::new(),
            )?;
        }
        cx.extensions_mut().insert(caller);
        Ok(())
    }
}

impl Policies {
    /// Whom the signature proves, if the session's token came with it.
    fn caller(&self, cx: &S3AccessContext<'_>) -> S3Result<Caller> {
        let Some(credentials) = cx.credentials() else {
            return Err(s3_error!(
                AccessDenied,
                "Access Denied: the request is not signed. It has neither an Authorization header nor an X-Amz-Signature query parameter."
            ));
        };
        let token = cx
            .headers()
            .get("x-amz-security-token")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned)
            .or_else(|| query(cx.uri(), "X-Amz-Security-Token"));
        let known = self
            .world
            .identity
            .known(&credentials.access_key)
            .filter(|known| known.accepts_token(token.as_deref()))
            .ok_or_else(|| {
                s3_error!(
                    InvalidToken,
                    "The provided token is malformed or otherwise invalid."
                )
            })?;
        Ok(known.caller)
    }

    /// Lets a fault happen that a test asked for.
    async fn inject(&self, cx: &mut S3AccessContext<'_>, operation: &str) -> S3Result<()> {
        let Some(kind) = self.world.faults.next("s3", operation) else {
            return Ok(());
        };
        let slot = cx.extensions_mut().get::<CutSlot>().cloned();
        match kind {
            Kind::Throttle => Err(s3_error!(SlowDown, "Please reduce your request rate.")),
            Kind::Error => Err(s3_error!(
                InternalError,
                "We encountered an internal error. Please try again."
            )),
            Kind::Delay(delay) => {
                tokio::time::sleep(delay).await;
                Ok(())
            }
            Kind::Cut(cut) => {
                if let Some(slot) = slot {
                    slot.set(cut);
                }
                match cut {
                    Cut::Before => Err(s3_error!(InternalError, "cut before the effect")),
                    Cut::After => Ok(()),
                }
            }
        }
    }

    fn context(&self, cx: &S3AccessContext<'_>) -> Context {
        let mut context = Context::new();
        for (header, key) in [
            (
                "x-amz-server-side-encryption",
                "s3:x-amz-server-side-encryption",
            ),
            (
                "x-amz-server-side-encryption-aws-kms-key-id",
                "s3:x-amz-server-side-encryption-aws-kms-key-id",
            ),
            ("x-amz-acl", "s3:x-amz-acl"),
            ("x-amz-storage-class", "s3:x-amz-storage-class"),
            ("x-amz-content-sha256", "s3:x-amz-content-sha256"),
        ] {
            if let Some(value) = cx.headers().get(header).and_then(|v| v.to_str().ok()) {
                context.insert(key.to_owned(), vec![value.to_owned()]);
            }
        }
        for (parameter, key) in [
            ("prefix", "s3:prefix"),
            ("delimiter", "s3:delimiter"),
            ("max-keys", "s3:max-keys"),
            ("versionId", "s3:versionid"),
        ] {
            if let Some(value) = query(cx.uri(), parameter) {
                context.insert(key.to_owned(), vec![value]);
            }
        }
        // A part is encrypted as its upload was begun; its own request does not say so.
        if let Some(id) = query(cx.uri(), "uploadId")
            && let Some((algorithm, kms_key)) = self.store.uploads.encryption(&id)
        {
            context.insert("s3:x-amz-server-side-encryption".into(), vec![algorithm]);
            if let Some(kms_key) = kms_key {
                context.insert(
                    "s3:x-amz-server-side-encryption-aws-kms-key-id".into(),
                    vec![kms_key],
                );
            }
        }
        context
    }
}

impl Gateway {
    /// Whether the caller may delete this key: asked for each key of a `DeleteObjects`.
    pub(super) fn may_delete(
        &self,
        caller: &Caller,
        bucket: &str,
        key: &str,
        versioned: bool,
    ) -> S3Result<()> {
        let action = action("DeleteObject", versioned);
        authorize(
            &self.world,
            &self.store,
            caller,
            action,
            (Some(bucket), Some(key)),
            &Context::new(),
        )
    }

    /// Whether the caller may list the bucket, and so know that a key is missing.
    pub(super) fn may_list(&self, caller: &Caller, bucket: &str) -> S3Result<()> {
        authorize(
            &self.world,
            &self.store,
            caller,
            "s3:ListBucket",
            (Some(bucket), None),
            &Context::new(),
        )
    }
}

fn authorize(
    world: &World,
    store: &Store,
    caller: &Caller,
    action: &str,
    (bucket, key): (Option<&str>, Option<&str>),
    context: &Context,
) -> S3Result<()> {
    let resource = match (bucket, key) {
        (None, _) => "*".to_owned(),
        (Some(bucket), None) => format!("arn:aws:s3:::{bucket}"),
        (Some(bucket), Some(key)) => format!("arn:aws:s3:::{bucket}/{key}"),
    };
    // The account's own administrator must be able to mend a policy that shuts everybody out.
    let mends = *caller == Caller::Root && action.ends_with("BucketPolicy");
    let policy = bucket
        .filter(|_| !mends)
        .and_then(|bucket| store.with(bucket, |bucket| Ok(bucket.policy.clone())).ok())
        .flatten();
    world
        .identity
        .authorize_with(caller, action, &resource, context, policy.as_ref())
        .map_err(into_s3)
}

/// The IAM action an operation needs; most have their own name.
fn action(operation: &str, versioned: bool) -> &'static str {
    match (operation, versioned) {
        ("ListBuckets", _) => "s3:ListAllMyBuckets",
        ("HeadBucket" | "ListObjects" | "ListObjectsV2", _) => "s3:ListBucket",
        ("ListObjectVersions", _) => "s3:ListBucketVersions",
        ("ListMultipartUploads", _) => "s3:ListBucketMultipartUploads",
        ("ListParts", _) => "s3:ListMultipartUploadParts",
        ("AbortMultipartUpload", _) => "s3:AbortMultipartUpload",
        ("GetObject" | "HeadObject" | "GetObjectAttributes", false) => "s3:GetObject",
        ("GetObject" | "HeadObject" | "GetObjectAttributes", true) => "s3:GetObjectVersion",
        (
            "PutObject"
            | "CopyObject"
            | "CreateMultipartUpload"
            | "UploadPart"
            | "UploadPartCopy"
            | "CompleteMultipartUpload"
            | "PostObject",
            _,
        ) => "s3:PutObject",
        ("DeleteObject", false) => "s3:DeleteObject",
        ("DeleteObject", true) => "s3:DeleteObjectVersion",
        ("GetObjectTagging", false) => "s3:GetObjectTagging",
        ("GetObjectTagging", true) => "s3:GetObjectVersionTagging",
        ("PutObjectTagging", false) => "s3:PutObjectTagging",
        ("PutObjectTagging", true) => "s3:PutObjectVersionTagging",
        ("CreateBucket", _) => "s3:CreateBucket",
        ("DeleteBucket", _) => "s3:DeleteBucket",
        ("GetBucketLocation", _) => "s3:GetBucketLocation",
        ("GetBucketVersioning", _) => "s3:GetBucketVersioning",
        ("PutBucketVersioning", _) => "s3:PutBucketVersioning",
        ("GetBucketPolicy", _) => "s3:GetBucketPolicy",
        ("PutBucketPolicy", _) => "s3:PutBucketPolicy",
        ("DeleteBucketPolicy", _) => "s3:DeleteBucketPolicy",
        ("GetBucketEncryption", _) => "s3:GetEncryptionConfiguration",
        ("PutBucketEncryption" | "DeleteBucketEncryption", _) => "s3:PutEncryptionConfiguration",
        ("GetPublicAccessBlock", _) => "s3:GetBucketPublicAccessBlock",
        ("PutPublicAccessBlock" | "DeletePublicAccessBlock", _) => "s3:PutBucketPublicAccessBlock",
        ("GetBucketOwnershipControls", _) => "s3:GetBucketOwnershipControls",
        ("PutBucketOwnershipControls" | "DeleteBucketOwnershipControls", _) => {
            "s3:PutBucketOwnershipControls"
        }
        ("GetBucketTagging", _) => "s3:GetBucketTagging",
        ("PutBucketTagging" | "DeleteBucketTagging", _) => "s3:PutBucketTagging",
        ("GetBucketLifecycleConfiguration", _) => "s3:GetLifecycleConfiguration",
        ("PutBucketLifecycleConfiguration" | "DeleteBucketLifecycle", _) => {
            "s3:PutLifecycleConfiguration"
        }
        // An operation that is served and not listed here is left to whoever may do everything.
        _ => "s3:*",
    }
}

/// Bucket, key and whether a version is named, of the object that a request copies from.
fn copy_source(cx: &S3AccessContext<'_>) -> Option<(String, String, bool)> {
    let header = cx.headers().get("x-amz-copy-source")?.to_str().ok()?;
    let (path, version) = match header.split_once("?versionId=") {
        Some((path, _)) => (path, true),
        None => (header, false),
    };
    let path = percent_decode_str(path).decode_utf8().ok()?;
    let (bucket, key) = path.trim_start_matches('/').split_once('/')?;
    Some((bucket.to_owned(), key.to_owned(), version))
}

fn query(uri: &http::Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query()?.as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// The same error, as `s3s` words it.
fn into_s3(error: AwsError) -> S3Error {
    let code: S3ErrorCode = error.code.parse().unwrap_or(S3ErrorCode::InternalError);
    let mut s3_error = S3Error::with_message(code, error.message);
    if let Ok(status) = http::StatusCode::from_u16(error.status) {
        s3_error.set_status_code(status);
    }
    s3_error
}
