//! The operations of S3, as `s3s` hands them over. What each does is in the module it names.

use std::sync::Arc;

use async_trait::async_trait;
#[allow(
    clippy::wildcard_imports,
    reason = "an operation is three of its several hundred types"
)]
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result};

use super::store::Store;
use super::{buckets, listings, objects, uploads};
use crate::World;

/// S3 over one store.
pub(super) struct Gateway {
    pub(super) world: Arc<World>,
    pub(super) store: Arc<Store>,
}

/// Each operation is one function of this shape: `fn(&Gateway, S3Request<Input>) -> S3Result<Output>`;
/// those that read or write content are `async`.
macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident = $function:path $(, $wait:ident)?;)*) => {
        const SERVED: &[&str] = &[$(stringify!($name)),*];

        #[async_trait]
        impl S3 for Gateway {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                let answer = $function(self, request);
                $(let answer = answer.$wait;)?
                Ok(S3Response::new(answer?))
            })*
        }
    };
}

/// Whether there is a function for an operation. A form that is posted is put as an object.
pub(super) fn serves(operation: &str) -> bool {
    let same = |served: &&str| {
        let letters = served.bytes().filter(|byte| *byte != b'_');
        letters.eq(operation.bytes().map(|byte| byte.to_ascii_lowercase()))
    };
    operation == "PostObject" || SERVED.iter().any(same)
}

operations! {
    create_bucket: CreateBucketInput => CreateBucketOutput = buckets::create;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput = buckets::delete;
    head_bucket: HeadBucketInput => HeadBucketOutput = buckets::head;
    list_buckets: ListBucketsInput => ListBucketsOutput = buckets::list;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput = buckets::location;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput = buckets::get_versioning;
    put_bucket_versioning: PutBucketVersioningInput => PutBucketVersioningOutput = buckets::put_versioning;
    get_bucket_policy: GetBucketPolicyInput => GetBucketPolicyOutput = buckets::get_policy;
    put_bucket_policy: PutBucketPolicyInput => PutBucketPolicyOutput = buckets::put_policy;
    delete_bucket_policy: DeleteBucketPolicyInput => DeleteBucketPolicyOutput = buckets::delete_policy;
    get_bucket_encryption: GetBucketEncryptionInput => GetBucketEncryptionOutput = buckets::get_encryption;
    put_bucket_encryption: PutBucketEncryptionInput => PutBucketEncryptionOutput = buckets::put_encryption;
    delete_bucket_encryption: DeleteBucketEncryptionInput => DeleteBucketEncryptionOutput = buckets::delete_encryption;
    get_public_access_block: GetPublicAccessBlockInput => GetPublicAccessBlockOutput = buckets::get_public_access_block;
    put_public_access_block: PutPublicAccessBlockInput => PutPublicAccessBlockOutput = buckets::put_public_access_block;
    delete_public_access_block: DeletePublicAccessBlockInput => DeletePublicAccessBlockOutput = buckets::delete_public_access_block;
    get_bucket_ownership_controls: GetBucketOwnershipControlsInput => GetBucketOwnershipControlsOutput = buckets::get_ownership;
    put_bucket_ownership_controls: PutBucketOwnershipControlsInput => PutBucketOwnershipControlsOutput = buckets::put_ownership;
    get_bucket_tagging: GetBucketTaggingInput => GetBucketTaggingOutput = buckets::get_tagging;
    put_bucket_tagging: PutBucketTaggingInput => PutBucketTaggingOutput = buckets::put_tagging;
    delete_bucket_tagging: DeleteBucketTaggingInput => DeleteBucketTaggingOutput = buckets::delete_tagging;
    get_bucket_lifecycle_configuration: GetBucketLifecycleConfigurationInput => GetBucketLifecycleConfigurationOutput = buckets::get_lifecycle;
    put_bucket_lifecycle_configuration: PutBucketLifecycleConfigurationInput => PutBucketLifecycleConfigurationOutput = buckets::put_lifecycle;
    delete_bucket_lifecycle: DeleteBucketLifecycleInput => DeleteBucketLifecycleOutput = buckets::delete_lifecycle;

    put_object: PutObjectInput => PutObjectOutput = objects::put, await;
    get_object: GetObjectInput => GetObjectOutput = objects::get, await;
    head_object: HeadObjectInput => HeadObjectOutput = objects::head;
    copy_object: CopyObjectInput => CopyObjectOutput = objects::copy, await;
    delete_object: DeleteObjectInput => DeleteObjectOutput = objects::delete;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput = objects::delete_many;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput = objects::get_tagging;
    put_object_tagging: PutObjectTaggingInput => PutObjectTaggingOutput = objects::put_tagging;

    list_objects: ListObjectsInput => ListObjectsOutput = listings::objects;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output = listings::objects_v2;
    list_object_versions: ListObjectVersionsInput => ListObjectVersionsOutput = listings::versions;

    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput = uploads::create;
    upload_part: UploadPartInput => UploadPartOutput = uploads::part, await;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput = uploads::part_copy, await;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput = uploads::complete, await;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput = uploads::abort;
    list_parts: ListPartsInput => ListPartsOutput = uploads::list_parts;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput = uploads::list;
}

#[cfg(test)]
mod tests {
    use super::serves;

    #[test]
    fn an_operation_is_served_under_the_name_that_aws_gives_it() {
        for (operation, expected) in [
            ("GetObject", true),
            ("ListObjectsV2", true),
            ("GetPublicAccessBlock", true),
            ("PostObject", true),
            ("GetBucketAcl", false),
            ("GetObjectAcl", false),
        ] {
            assert_eq!(serves(operation), expected, "{operation}");
        }
    }
}
