//! Operations on objects.

#[allow(
    clippy::wildcard_imports,
    reason = "an operation is three of its several hundred types"
)]
use s3s::dto::*;
use s3s::{S3ErrorCode, S3Request, S3Result, s3_error};

use super::gateway::Gateway;
use super::reading::{check_read, content_type, cut, length, shown_checksum, stream, tag_count};
use super::receive::{Told, algorithm, header_tags, plain_encoding, receive};
use super::store::{Attributes, Committed, Content, Precondition, Version};
use crate::Caller;

pub(super) async fn put(
    gateway: &Gateway,
    request: S3Request<PutObjectInput>,
) -> S3Result<PutObjectOutput> {
    let trailers = request.trailing_headers;
    let input = request.input;
    let mut draft = gateway.store.draft(&input.bucket)?;
    let told = Told {
        md5: input.content_md5.clone(),
        algorithm: algorithm(input.checksum_algorithm.as_ref(), &request.headers),
        checksum: Checksum {
            checksum_crc32: input.checksum_crc32.clone(),
            checksum_crc32c: input.checksum_crc32c.clone(),
            checksum_crc64nvme: input.checksum_crc64nvme.clone(),
            checksum_sha1: input.checksum_sha1.clone(),
            checksum_sha256: input.checksum_sha256.clone(),
            checksum_type: None,
        },
    };
    told.prepare(&mut draft);
    if let Some(body) = input.body {
        receive(&mut draft, body, input.content_length).await?;
    }
    let finished = draft.finish().await?;
    told.check(trailers, &finished.md5, &finished.checksum)?;
    let attributes = Attributes {
        content_type: input.content_type,
        content_encoding: plain_encoding(input.content_encoding),
        content_disposition: input.content_disposition,
        content_language: input.content_language,
        cache_control: input.cache_control,
        expires: input.expires,
        metadata: input.metadata,
        website_redirect: input.website_redirect_location,
        storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
        encryption: input
            .server_side_encryption
            .map(|algorithm| algorithm.as_str().to_owned()),
        kms_key: input.ssekms_key_id,
        bucket_key: input.bucket_key_enabled,
        tags: header_tags(input.tagging.as_deref()),
    };
    let committed = gateway.store.commit(
        &input.bucket,
        &input.key,
        finished,
        attributes,
        &Precondition {
            if_match: input.if_match.as_ref(),
            if_none_match: input.if_none_match.as_ref(),
        },
    )?;
    gateway.tell_encryption(&committed);
    let Content {
        etag,
        checksum,
        attributes,
        ..
    } = committed.content;
    Ok(PutObjectOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        server_side_encryption: attributes.encryption.map(Into::into),
        ssekms_key_id: attributes.kms_key,
        bucket_key_enabled: attributes.bucket_key,
        version_id: committed.version_id,
        ..PutObjectOutput::default()
    })
}

pub(super) async fn get(
    gateway: &Gateway,
    mut request: S3Request<GetObjectInput>,
) -> S3Result<GetObjectOutput> {
    let caller = request.extensions.remove::<Caller>();
    let input = request.input;
    let (version, content) = gateway.look_up(
        caller.as_ref(),
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
    )?;
    check_read(
        &version,
        &content,
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    )?;
    let (range, content_range) = cut(input.range.as_ref(), content.size)?;
    let body = stream(&content, range.clone()).await?;
    let whole = content_range.is_none();
    let checksum = shown_checksum(&content, input.checksum_mode.as_ref(), whole);
    let shown = gateway.shown_id(&input.bucket, &version)?;
    let attributes = content.attributes;
    Ok(GetObjectOutput {
        accept_ranges: Some("bytes".into()),
        body: Some(body),
        content_length: Some(length(&range)),
        content_range,
        content_type: Some(content_type(&attributes)),
        content_encoding: attributes.content_encoding,
        content_disposition: attributes.content_disposition,
        content_language: attributes.content_language,
        cache_control: attributes.cache_control,
        expires: attributes.expires,
        metadata: attributes.metadata,
        website_redirect_location: attributes.website_redirect,
        storage_class: attributes.storage_class.map(Into::into),
        tag_count: tag_count(&attributes.tags),
        e_tag: Some(ETag::Strong(content.etag)),
        last_modified: Some(version.modified.into()),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        server_side_encryption: attributes.encryption.map(Into::into),
        ssekms_key_id: attributes.kms_key,
        bucket_key_enabled: attributes.bucket_key,
        version_id: shown,
        ..GetObjectOutput::default()
    })
}

pub(super) fn head(
    gateway: &Gateway,
    mut request: S3Request<HeadObjectInput>,
) -> S3Result<HeadObjectOutput> {
    let caller = request.extensions.remove::<Caller>();
    let input = request.input;
    let (version, content) = gateway.look_up(
        caller.as_ref(),
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
    )?;
    check_read(
        &version,
        &content,
        input.if_match.as_ref(),
        input.if_none_match.as_ref(),
        input.if_modified_since.as_ref(),
        input.if_unmodified_since.as_ref(),
    )?;
    let (range, content_range) = cut(input.range.as_ref(), content.size)?;
    let whole = content_range.is_none();
    let checksum = shown_checksum(&content, input.checksum_mode.as_ref(), whole);
    let shown = gateway.shown_id(&input.bucket, &version)?;
    let attributes = content.attributes;
    Ok(HeadObjectOutput {
        accept_ranges: Some("bytes".into()),
        content_length: Some(length(&range)),
        content_range,
        content_type: Some(content_type(&attributes)),
        content_encoding: attributes.content_encoding,
        content_disposition: attributes.content_disposition,
        content_language: attributes.content_language,
        cache_control: attributes.cache_control,
        expires: attributes.expires,
        metadata: attributes.metadata,
        website_redirect_location: attributes.website_redirect,
        storage_class: attributes.storage_class.map(Into::into),
        e_tag: Some(ETag::Strong(content.etag)),
        last_modified: Some(version.modified.into()),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        checksum_type: checksum.checksum_type,
        server_side_encryption: attributes.encryption.map(Into::into),
        ssekms_key_id: attributes.kms_key,
        bucket_key_enabled: attributes.bucket_key,
        version_id: shown,
        ..HeadObjectOutput::default()
    })
}

pub(super) async fn copy(
    gateway: &Gateway,
    mut request: S3Request<CopyObjectInput>,
) -> S3Result<CopyObjectOutput> {
    let caller = request.extensions.remove::<Caller>();
    let input = request.input;
    let (bucket, key, version_id) = source(&input.copy_source)?;
    let (version, content) = gateway.look_up(caller.as_ref(), bucket, key, version_id)?;
    if let Err(error) = check_read(
        &version,
        &content,
        input.copy_source_if_match.as_ref(),
        input.copy_source_if_none_match.as_ref(),
        input.copy_source_if_modified_since.as_ref(),
        input.copy_source_if_unmodified_since.as_ref(),
    ) {
        // A copy that is not made is a failed precondition, never "not modified".
        return Err(match error.code() {
            S3ErrorCode::NotModified => s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            ),
            _ => error,
        });
    }
    let replace = |directive: Option<&str>| directive == Some("REPLACE");
    let replace_metadata = replace(
        input
            .metadata_directive
            .as_ref()
            .map(MetadataDirective::as_str),
    );
    let onto_itself = bucket == input.bucket && key == input.key && version_id.is_none();
    let changes = replace_metadata
        || input.storage_class.is_some()
        || input.server_side_encryption.is_some()
        || input.website_redirect_location.is_some();
    if onto_itself && !changes {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let mut attributes = if replace_metadata {
        Attributes {
            content_type: input.content_type,
            content_encoding: plain_encoding(input.content_encoding),
            content_disposition: input.content_disposition,
            content_language: input.content_language,
            cache_control: input.cache_control,
            expires: input.expires,
            metadata: input.metadata,
            tags: content.attributes.tags.clone(),
            ..Attributes::default()
        }
    } else {
        Attributes {
            website_redirect: None,
            storage_class: None,
            ..content.attributes.clone()
        }
    };
    // What is not copied with an object: its encryption, storage class and redirect.
    attributes.encryption = input
        .server_side_encryption
        .map(|algorithm| algorithm.as_str().to_owned());
    attributes.kms_key = input.ssekms_key_id;
    attributes.bucket_key = input.bucket_key_enabled;
    attributes.storage_class = input.storage_class.map(|class| class.as_str().to_owned());
    attributes.website_redirect = input.website_redirect_location;
    if replace(
        input
            .tagging_directive
            .as_ref()
            .map(TaggingDirective::as_str),
    ) {
        attributes.tags = header_tags(input.tagging.as_deref());
    }

    // The checksum of a copy is of the whole object, whatever its source has: of the algorithm that is asked for, else
    // of the source's own.
    let mut draft = gateway.store.draft(&input.bucket)?;
    let told = Told {
        md5: None,
        algorithm: input
            .checksum_algorithm
            .as_ref()
            .map(|algorithm| algorithm.as_str().to_ascii_lowercase()),
        checksum: match input.checksum_algorithm {
            None => content.checksum.clone(),
            Some(_) => Checksum::default(),
        },
    };
    told.prepare(&mut draft);
    draft.append(&content.path, None).await?;
    let mut finished = draft.finish().await?;
    if finished.checksum != Checksum::default() {
        finished.checksum.checksum_type =
            Some(ChecksumType::from_static(ChecksumType::FULL_OBJECT));
    }
    let committed = gateway.store.commit(
        &input.bucket,
        &input.key,
        finished,
        attributes,
        &Precondition::default(),
    )?;
    gateway.tell_encryption(&committed);
    let checksum = committed.content.checksum;
    Ok(CopyObjectOutput {
        copy_object_result: Some(CopyObjectResult {
            checksum_crc32: checksum.checksum_crc32,
            checksum_crc32c: checksum.checksum_crc32c,
            checksum_crc64nvme: checksum.checksum_crc64nvme,
            checksum_sha1: checksum.checksum_sha1,
            checksum_sha256: checksum.checksum_sha256,
            checksum_type: checksum.checksum_type,
            e_tag: Some(ETag::Strong(committed.content.etag)),
            last_modified: Some(committed.modified.into()),
        }),
        copy_source_version_id: gateway.shown_id(bucket, &version)?,
        server_side_encryption: committed.content.attributes.encryption.map(Into::into),
        ssekms_key_id: committed.content.attributes.kms_key,
        version_id: committed.version_id,
        ..CopyObjectOutput::default()
    })
}

/// Bucket, key and version of a copy's source.
pub(super) fn source(source: &CopySource) -> S3Result<(&str, &str, Option<&str>)> {
    match source {
        CopySource::Bucket {
            bucket,
            key,
            version_id,
        } => Ok((bucket, key, version_id.as_deref())),
        CopySource::AccessPoint { .. } | CopySource::Outpost { .. } => Err(s3_error!(
            NotImplemented,
            "the loopback copies from buckets, not from access points or Outposts"
        )),
    }
}

pub(super) fn delete(
    gateway: &Gateway,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    let deleted = gateway.store.delete(
        &input.bucket,
        &input.key,
        input.version_id.as_deref(),
        input.if_match.as_ref(),
    )?;
    Ok(DeleteObjectOutput {
        delete_marker: deleted.marker.then_some(true),
        version_id: deleted.version_id,
        ..DeleteObjectOutput::default()
    })
}

pub(super) fn delete_many(
    gateway: &Gateway,
    mut request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let caller = request.extensions.remove::<Caller>();
    let input = request.input;
    if input.delete.objects.len() > 1000 {
        return Err(s3_error!(
            MalformedXML,
            "at most 1000 objects are deleted at once"
        ));
    }
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in input.delete.objects {
        let allowed = match &caller {
            Some(caller) => gateway.may_delete(
                caller,
                &input.bucket,
                &object.key,
                object.version_id.is_some(),
            ),
            None => Ok(()),
        };
        let result = allowed.and_then(|()| {
            gateway.store.delete(
                &input.bucket,
                &object.key,
                object.version_id.as_deref(),
                None,
            )
        });
        match result {
            Ok(done) => deleted.push(DeletedObject {
                key: Some(object.key),
                delete_marker: done.marker.then_some(true),
                delete_marker_version_id: done.marker.then(|| done.version_id.clone()).flatten(),
                version_id: object.version_id,
            }),
            Err(error) if *error.code() == S3ErrorCode::NoSuchBucket => return Err(error),
            Err(error) => errors.push(Error {
                key: Some(object.key),
                version_id: object.version_id,
                code: Some(error.code().as_str().to_owned()),
                message: error.message().map(str::to_owned),
            }),
        }
    }
    if input.delete.quiet == Some(true) {
        deleted.clear();
    }
    Ok(DeleteObjectsOutput {
        deleted: Some(deleted),
        errors: Some(errors),
        ..DeleteObjectsOutput::default()
    })
}

pub(super) fn get_tagging(
    gateway: &Gateway,
    request: S3Request<GetObjectTaggingInput>,
) -> S3Result<GetObjectTaggingOutput> {
    let input = request.input;
    let (version, content) =
        gateway
            .store
            .find(&input.bucket, &input.key, input.version_id.as_deref())?;
    Ok(GetObjectTaggingOutput {
        tag_set: content
            .attributes
            .tags
            .into_iter()
            .map(|(key, value)| Tag {
                key: Some(key),
                value: Some(value),
            })
            .collect(),
        version_id: gateway.shown_id(&input.bucket, &version)?,
    })
}

pub(super) fn put_tagging(
    gateway: &Gateway,
    request: S3Request<PutObjectTaggingInput>,
) -> S3Result<PutObjectTaggingOutput> {
    let input = request.input;
    let (version, _) =
        gateway
            .store
            .find(&input.bucket, &input.key, input.version_id.as_deref())?;
    let tags: Vec<_> = input
        .tagging
        .tag_set
        .into_iter()
        .map(|tag| (tag.key.unwrap_or_default(), tag.value.unwrap_or_default()))
        .collect();
    gateway.store.with(&input.bucket, |bucket| {
        let versions = bucket.keys.get_mut(&input.key);
        for present in versions.into_iter().flatten() {
            if present.id == version.id
                && let Some(content) = &mut present.content
            {
                content.attributes.tags.clone_from(&tags);
            }
        }
        Ok(())
    })?;
    Ok(PutObjectTaggingOutput {
        version_id: gateway.shown_id(&input.bucket, &version)?,
    })
}

impl Gateway {
    /// Finds what a reader means. As AWS does, a missing key is `AccessDenied` to who may not list the bucket.
    pub(super) fn look_up(
        &self,
        caller: Option<&Caller>,
        bucket: &str,
        key: &str,
        version_id: Option<&str>,
    ) -> S3Result<(Version, Content)> {
        let found = self.store.find(bucket, key, version_id);
        if let Err(error) = &found
            && *error.code() == S3ErrorCode::NoSuchKey
            && let Some(caller) = caller
        {
            self.may_list(caller, bucket)?;
        }
        found
    }

    fn shown_id(&self, bucket: &str, version: &Version) -> S3Result<Option<String>> {
        self.store
            .with(bucket, |bucket| Ok(bucket.shown(&version.id)))
    }

    /// Tells the ledger that encryption was asked for and recorded.
    pub(super) fn tell_encryption(&self, committed: &Committed) {
        let algorithm = committed.content.attributes.encryption.as_deref();
        if let Some(algorithm) = algorithm.filter(|algorithm| *algorithm != "AES256") {
            self.world
                .fidelity
                .simulated(format!("S3 server-side encryption {algorithm}"));
        }
    }
}
