//! Operations on buckets and their settings.
//!
//! Versioning, policy and default encryption act; the others are kept for whoever asks.

#[allow(
    clippy::wildcard_imports,
    reason = "an operation is three of its several hundred types"
)]
use s3s::dto::*;
use s3s::{S3Error, S3ErrorCode, S3Request, S3Result, s3_error};

use super::gateway::Gateway;
use super::store::Versioning;

pub(super) fn create(
    gateway: &Gateway,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let input = request.input;
    let region = &gateway.world.settings.region;
    let wanted = input
        .create_bucket_configuration
        .and_then(|configuration| configuration.location_constraint);
    if let Some(wanted) = wanted.filter(|wanted| wanted.as_str() != region) {
        return Err(s3_error!(
            IllegalLocationConstraintException,
            "The {} location constraint is incompatible for the region specific endpoint this request was sent to: the loopback serves {region} alone.",
            wanted.as_str()
        ));
    }
    match gateway.store.create_bucket(&input.bucket) {
        // The oldest region answers a repeat by its owner with success.
        Err(error)
            if *error.code() == S3ErrorCode::BucketAlreadyOwnedByYou && region == "us-east-1" => {}
        other => other?,
    }
    Ok(CreateBucketOutput {
        location: Some(format!("/{}", input.bucket)),
    })
}

pub(super) fn delete(
    gateway: &Gateway,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    gateway.store.delete_bucket(&request.input.bucket)?;
    Ok(DeleteBucketOutput::default())
}

pub(super) fn head(
    gateway: &Gateway,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    gateway.store.with(&request.input.bucket, |_| Ok(()))?;
    Ok(HeadBucketOutput {
        bucket_region: Some(gateway.world.settings.region.clone()),
        ..HeadBucketOutput::default()
    })
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "every operation has the same shape"
)]
pub(super) fn list(
    gateway: &Gateway,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let prefix = request.input.prefix.unwrap_or_default();
    let buckets = gateway.store.with_all(|buckets| {
        buckets
            .iter()
            .filter(|(name, _)| name.starts_with(&prefix))
            .map(|(name, bucket)| Bucket {
                name: Some(name.clone()),
                creation_date: bucket.created.map(Timestamp::from),
                ..Bucket::default()
            })
            .collect()
    });
    Ok(ListBucketsOutput {
        buckets: Some(buckets),
        owner: Some(owner(gateway)),
        ..ListBucketsOutput::default()
    })
}

pub(super) fn owner(gateway: &Gateway) -> Owner {
    Owner {
        id: Some(gateway.world.settings.account.clone()),
        ..Owner::default()
    }
}

pub(super) fn location(
    gateway: &Gateway,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    gateway.store.with(&request.input.bucket, |_| Ok(()))?;
    let region = &gateway.world.settings.region;
    Ok(GetBucketLocationOutput {
        // The oldest region has no name here.
        location_constraint: (region != "us-east-1")
            .then(|| BucketLocationConstraint::from(region.clone())),
    })
}

pub(super) fn get_versioning(
    gateway: &Gateway,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    let versioning = gateway
        .store
        .with(&request.input.bucket, |bucket| Ok(bucket.versioning))?;
    let status = match versioning {
        Versioning::Never => None,
        Versioning::Enabled => Some(BucketVersioningStatus::ENABLED),
        Versioning::Suspended => Some(BucketVersioningStatus::SUSPENDED),
    };
    Ok(GetBucketVersioningOutput {
        status: status.map(BucketVersioningStatus::from_static),
        ..GetBucketVersioningOutput::default()
    })
}

pub(super) fn put_versioning(
    gateway: &Gateway,
    request: S3Request<PutBucketVersioningInput>,
) -> S3Result<PutBucketVersioningOutput> {
    let status = request.input.versioning_configuration.status;
    let versioning = match status.as_ref().map(BucketVersioningStatus::as_str) {
        Some(BucketVersioningStatus::ENABLED) => Versioning::Enabled,
        Some(BucketVersioningStatus::SUSPENDED) => Versioning::Suspended,
        _ => {
            return Err(s3_error!(
                MalformedXML,
                "the versioning status is neither Enabled nor Suspended"
            ));
        }
    };
    gateway.store.with(&request.input.bucket, |bucket| {
        bucket.versioning = versioning;
        Ok(())
    })?;
    Ok(PutBucketVersioningOutput::default())
}

pub(super) fn get_policy(
    gateway: &Gateway,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<GetBucketPolicyOutput> {
    let policy = gateway
        .store
        .with(&request.input.bucket, |bucket| Ok(bucket.policy.clone()))?;
    let policy =
        policy.ok_or_else(|| s3_error!(NoSuchBucketPolicy, "The bucket policy does not exist"))?;
    Ok(GetBucketPolicyOutput {
        policy: Some(policy.to_string()),
    })
}

pub(super) fn put_policy(
    gateway: &Gateway,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<PutBucketPolicyOutput> {
    let policy = serde_json::from_str(&request.input.policy).map_err(|error| {
        s3_error!(
            MalformedPolicy,
            "Policies must be valid JSON and the first byte must be '{{': {error}"
        )
    })?;
    gateway.store.with(&request.input.bucket, |bucket| {
        bucket.policy = Some(policy);
        Ok(())
    })?;
    Ok(PutBucketPolicyOutput::default())
}

pub(super) fn delete_policy(
    gateway: &Gateway,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<DeleteBucketPolicyOutput> {
    gateway.store.with(&request.input.bucket, |bucket| {
        bucket.policy = None;
        Ok(())
    })?;
    Ok(DeleteBucketPolicyOutput::default())
}

pub(super) fn get_encryption(
    gateway: &Gateway,
    request: S3Request<GetBucketEncryptionInput>,
) -> S3Result<GetBucketEncryptionOutput> {
    let encryption = gateway.store.with(&request.input.bucket, |bucket| {
        Ok(bucket.encryption.clone())
    })?;
    // Every bucket has a default since January 2023, when nobody set one: SSE-S3.
    let (algorithm, key) = encryption.unwrap_or_else(|| ("AES256".to_owned(), None));
    let rule = ServerSideEncryptionRule {
        apply_server_side_encryption_by_default: Some(ServerSideEncryptionByDefault {
            kms_master_key_id: key,
            sse_algorithm: algorithm.into(),
        }),
        bucket_key_enabled: Some(false),
    };
    Ok(GetBucketEncryptionOutput {
        server_side_encryption_configuration: Some(ServerSideEncryptionConfiguration {
            rules: vec![rule],
        }),
    })
}

pub(super) fn put_encryption(
    gateway: &Gateway,
    request: S3Request<PutBucketEncryptionInput>,
) -> S3Result<PutBucketEncryptionOutput> {
    let encryption = request
        .input
        .server_side_encryption_configuration
        .rules
        .into_iter()
        .find_map(|rule| rule.apply_server_side_encryption_by_default)
        .map(|default| {
            (
                default.sse_algorithm.as_str().to_owned(),
                default.kms_master_key_id,
            )
        });
    gateway.store.with(&request.input.bucket, |bucket| {
        bucket.encryption = encryption;
        Ok(())
    })?;
    Ok(PutBucketEncryptionOutput::default())
}

pub(super) fn delete_encryption(
    gateway: &Gateway,
    request: S3Request<DeleteBucketEncryptionInput>,
) -> S3Result<DeleteBucketEncryptionOutput> {
    gateway.store.with(&request.input.bucket, |bucket| {
        bucket.encryption = None;
        Ok(())
    })?;
    Ok(DeleteBucketEncryptionOutput::default())
}

pub(super) fn get_public_access_block(
    gateway: &Gateway,
    request: S3Request<GetPublicAccessBlockInput>,
) -> S3Result<GetPublicAccessBlockOutput> {
    let setting = gateway
        .store
        .setting::<PublicAccessBlockConfiguration>(&request.input.bucket)?;
    let missing = || {
        let mut error = S3Error::with_message(
            S3ErrorCode::Custom("NoSuchPublicAccessBlockConfiguration".into()),
            "The public access block configuration was not found",
        );
        error.set_status_code(http::StatusCode::NOT_FOUND);
        error
    };
    Ok(GetPublicAccessBlockOutput {
        public_access_block_configuration: Some(setting.ok_or_else(missing)?),
    })
}

pub(super) fn put_public_access_block(
    gateway: &Gateway,
    request: S3Request<PutPublicAccessBlockInput>,
) -> S3Result<PutPublicAccessBlockOutput> {
    let input = request.input;
    gateway.recorded("S3 public access block");
    gateway
        .store
        .set(&input.bucket, Some(input.public_access_block_configuration))?;
    Ok(PutPublicAccessBlockOutput::default())
}

pub(super) fn delete_public_access_block(
    gateway: &Gateway,
    request: S3Request<DeletePublicAccessBlockInput>,
) -> S3Result<DeletePublicAccessBlockOutput> {
    gateway
        .store
        .set::<PublicAccessBlockConfiguration>(&request.input.bucket, None)?;
    Ok(DeletePublicAccessBlockOutput::default())
}

pub(super) fn get_ownership(
    gateway: &Gateway,
    request: S3Request<GetBucketOwnershipControlsInput>,
) -> S3Result<GetBucketOwnershipControlsOutput> {
    let setting = gateway
        .store
        .setting::<OwnershipControls>(&request.input.bucket)?
        .ok_or_else(|| {
            s3_error!(
                OwnershipControlsNotFoundError,
                "The bucket ownership controls were not found"
            )
        })?;
    Ok(GetBucketOwnershipControlsOutput {
        ownership_controls: Some(setting),
    })
}

pub(super) fn put_ownership(
    gateway: &Gateway,
    request: S3Request<PutBucketOwnershipControlsInput>,
) -> S3Result<PutBucketOwnershipControlsOutput> {
    let input = request.input;
    gateway.recorded("S3 ownership controls");
    gateway
        .store
        .set(&input.bucket, Some(input.ownership_controls))?;
    Ok(PutBucketOwnershipControlsOutput::default())
}

pub(super) fn get_tagging(
    gateway: &Gateway,
    request: S3Request<GetBucketTaggingInput>,
) -> S3Result<GetBucketTaggingOutput> {
    let tagging = gateway
        .store
        .setting::<Tagging>(&request.input.bucket)?
        .ok_or_else(|| s3_error!(NoSuchTagSet, "The TagSet does not exist"))?;
    Ok(GetBucketTaggingOutput {
        tag_set: tagging.tag_set,
    })
}

pub(super) fn put_tagging(
    gateway: &Gateway,
    request: S3Request<PutBucketTaggingInput>,
) -> S3Result<PutBucketTaggingOutput> {
    let input = request.input;
    gateway.store.set(&input.bucket, Some(input.tagging))?;
    Ok(PutBucketTaggingOutput::default())
}

pub(super) fn delete_tagging(
    gateway: &Gateway,
    request: S3Request<DeleteBucketTaggingInput>,
) -> S3Result<DeleteBucketTaggingOutput> {
    gateway.store.set::<Tagging>(&request.input.bucket, None)?;
    Ok(DeleteBucketTaggingOutput::default())
}

pub(super) fn get_lifecycle(
    gateway: &Gateway,
    request: S3Request<GetBucketLifecycleConfigurationInput>,
) -> S3Result<GetBucketLifecycleConfigurationOutput> {
    let lifecycle = gateway
        .store
        .setting::<BucketLifecycleConfiguration>(&request.input.bucket)?
        .ok_or_else(|| {
            s3_error!(
                NoSuchLifecycleConfiguration,
                "The lifecycle configuration does not exist"
            )
        })?;
    Ok(GetBucketLifecycleConfigurationOutput {
        rules: Some(lifecycle.rules),
        ..GetBucketLifecycleConfigurationOutput::default()
    })
}

pub(super) fn put_lifecycle(
    gateway: &Gateway,
    request: S3Request<PutBucketLifecycleConfigurationInput>,
) -> S3Result<PutBucketLifecycleConfigurationOutput> {
    let input = request.input;
    gateway.recorded("S3 lifecycle rules");
    gateway
        .store
        .set(&input.bucket, input.lifecycle_configuration)?;
    Ok(PutBucketLifecycleConfigurationOutput::default())
}

pub(super) fn delete_lifecycle(
    gateway: &Gateway,
    request: S3Request<DeleteBucketLifecycleInput>,
) -> S3Result<DeleteBucketLifecycleOutput> {
    gateway
        .store
        .set::<BucketLifecycleConfiguration>(&request.input.bucket, None)?;
    Ok(DeleteBucketLifecycleOutput::default())
}

impl Gateway {
    /// Tells the ledger of a setting that is kept and has no effect.
    fn recorded(&self, what: &str) {
        self.world.fidelity.simulated(what);
    }
}
