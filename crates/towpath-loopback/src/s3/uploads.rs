//! Operations on uploads in parts.

#[allow(
    clippy::wildcard_imports,
    reason = "an operation is three of its several hundred types"
)]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::buckets::owner;
use super::draft::Finished;
use super::gateway::Gateway;
use super::multipart::{self, Part as Stored};
use super::objects::source;
use super::receive::{Told, algorithm, header_tags, plain_encoding, receive};
use super::store::{Attributes, Precondition};
use crate::Caller;

pub(super) fn create(
    gateway: &Gateway,
    request: S3Request<CreateMultipartUploadInput>,
) -> S3Result<CreateMultipartUploadOutput> {
    let input = request.input;
    gateway.store.with(&input.bucket, |_| Ok(()))?;
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
            .as_ref()
            .map(|algorithm| algorithm.as_str().to_owned()),
        kms_key: input.ssekms_key_id.clone(),
        bucket_key: input.bucket_key_enabled,
        tags: header_tags(input.tagging.as_deref()),
    };
    let id = gateway
        .store
        .uploads
        .begin(&input.bucket, &input.key, attributes);
    Ok(CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(id),
        checksum_algorithm: input.checksum_algorithm,
        checksum_type: input.checksum_type,
        server_side_encryption: input.server_side_encryption,
        ssekms_key_id: input.ssekms_key_id,
        bucket_key_enabled: input.bucket_key_enabled,
        ..CreateMultipartUploadOutput::default()
    })
}

pub(super) async fn part(
    gateway: &Gateway,
    request: S3Request<UploadPartInput>,
) -> S3Result<UploadPartOutput> {
    let trailers = request.trailing_headers;
    let input = request.input;
    check_number(input.part_number)?;
    gateway
        .store
        .uploads
        .with(&input.upload_id, &input.bucket, &input.key, |_| Ok(()))?;
    let mut draft = gateway.store.draft(&input.bucket)?;
    let told = Told {
        md5: input.content_md5,
        algorithm: algorithm(input.checksum_algorithm.as_ref(), &request.headers),
        checksum: Checksum {
            checksum_crc32: input.checksum_crc32,
            checksum_crc32c: input.checksum_crc32c,
            checksum_crc64nvme: input.checksum_crc64nvme,
            checksum_sha1: input.checksum_sha1,
            checksum_sha256: input.checksum_sha256,
            checksum_type: None,
        },
    };
    told.prepare(&mut draft);
    if let Some(body) = input.body {
        receive(&mut draft, body, input.content_length).await?;
    }
    let finished = draft.finish().await?;
    told.check(trailers, &finished.md5, &finished.checksum)?;
    let checksum = finished.checksum.clone();
    let (etag, encryption) = keep(
        gateway,
        (&input.upload_id, &input.bucket, &input.key),
        input.part_number,
        finished,
    )?;
    Ok(UploadPartOutput {
        e_tag: Some(ETag::Strong(etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_sha1: checksum.checksum_sha1,
        checksum_sha256: checksum.checksum_sha256,
        server_side_encryption: encryption.map(Into::into),
        ..UploadPartOutput::default()
    })
}

pub(super) async fn part_copy(
    gateway: &Gateway,
    mut request: S3Request<UploadPartCopyInput>,
) -> S3Result<UploadPartCopyOutput> {
    let caller = request.extensions.remove::<Caller>();
    let input = request.input;
    check_number(input.part_number)?;
    let (bucket, key, version_id) = source(&input.copy_source)?;
    let (_, content) = gateway.look_up(caller.as_ref(), bucket, key, version_id)?;
    let range = match input.copy_source_range.as_deref() {
        None => 0..content.size,
        Some(text) => Range::parse(text)
            .map_err(|_| {
                s3_error!(
                    InvalidArgument,
                    "The x-amz-copy-source-range value must be of the form bytes=first-last: `{text}` is not"
                )
            })?
            .check(content.size)?,
    };
    let mut draft = gateway.store.draft(&input.bucket)?;
    draft.append(&content.path, Some(range)).await?;
    let finished = draft.finish().await?;
    let (etag, encryption) = keep(
        gateway,
        (&input.upload_id, &input.bucket, &input.key),
        input.part_number,
        finished,
    )?;
    Ok(UploadPartCopyOutput {
        copy_part_result: Some(CopyPartResult {
            e_tag: Some(ETag::Strong(etag)),
            last_modified: Some(std::time::SystemTime::now().into()),
            ..CopyPartResult::default()
        }),
        server_side_encryption: encryption.map(Into::into),
        ..UploadPartCopyOutput::default()
    })
}

fn check_number(number: i32) -> S3Result<()> {
    if (1..=10_000).contains(&number) {
        return Ok(());
    }
    Err(s3_error!(
        InvalidArgument,
        "Part number must be an integer between 1 and 10000, inclusive: {number} is not"
    ))
}

/// Makes finished content part `number`, instead of an earlier one of that number.
fn keep(
    gateway: &Gateway,
    (id, bucket, key): (&str, &str, &str),
    number: i32,
    finished: Finished,
) -> S3Result<(String, Option<String>)> {
    let etag = finished.etag.clone();
    let encryption = gateway.store.uploads.with(id, bucket, key, |upload| {
        upload.parts.insert(number, Stored::from(finished));
        Ok(upload.attributes.encryption.clone())
    })?;
    Ok((etag, encryption))
}

pub(super) async fn complete(
    gateway: &Gateway,
    request: S3Request<CompleteMultipartUploadInput>,
) -> S3Result<CompleteMultipartUploadOutput> {
    let input = request.input;
    let wanted = input
        .multipart_upload
        .and_then(|upload| upload.parts)
        .unwrap_or_default();
    let upload = gateway
        .store
        .uploads
        .take(&input.upload_id, &input.bucket, &input.key)?;
    let full_object = input
        .checksum_type
        .as_ref()
        .is_some_and(|kind| kind.as_str() == ChecksumType::FULL_OBJECT);
    let told = Told {
        md5: None,
        algorithm: None,
        // Of a composite checksum the parts were checked as they came.
        checksum: if full_object {
            Checksum {
                checksum_crc32: input.checksum_crc32,
                checksum_crc32c: input.checksum_crc32c,
                checksum_crc64nvme: input.checksum_crc64nvme,
                ..Checksum::default()
            }
        } else {
            Checksum::default()
        },
    };
    let joined = async {
        let parts = multipart::plan(&upload, &wanted)?;
        let mut draft = gateway.store.draft(&input.bucket)?;
        told.prepare(&mut draft);
        for part in &parts {
            draft.append(&part.file, None).await?;
        }
        let mut finished = draft.finish().await?;
        told.check(None, &finished.md5, &finished.checksum)?;
        if let Some(size) = input.mpu_object_size
            && u64::try_from(size).ok() != Some(finished.size)
        {
            return Err(s3_error!(
                InvalidRequest,
                "The provided 'x-amz-mp-object-size' header value {size} does not match what was computed: {}",
                finished.size
            ));
        }
        finished.etag = multipart::etag(&parts);
        finished.checksum.checksum_type =
            full_object.then(|| ChecksumType::from_static(ChecksumType::FULL_OBJECT));
        gateway.store.commit(
            &input.bucket,
            &input.key,
            finished,
            upload.attributes.clone(),
            &Precondition {
                if_match: input.if_match.as_ref(),
                if_none_match: input.if_none_match.as_ref(),
            },
        )
    }
    .await;
    let committed = match joined {
        Ok(committed) => committed,
        Err(error) => {
            gateway.store.uploads.restore(&input.upload_id, upload);
            return Err(error);
        }
    };
    gateway.tell_encryption(&committed);
    let checksum = committed.content.checksum;
    Ok(CompleteMultipartUploadOutput {
        location: Some(format!(
            "{}/{}/{}",
            gateway.world.endpoint, input.bucket, input.key
        )),
        bucket: Some(input.bucket),
        key: Some(input.key),
        e_tag: Some(ETag::Strong(committed.content.etag)),
        checksum_crc32: checksum.checksum_crc32,
        checksum_crc32c: checksum.checksum_crc32c,
        checksum_crc64nvme: checksum.checksum_crc64nvme,
        checksum_type: checksum.checksum_type,
        server_side_encryption: committed.content.attributes.encryption.map(Into::into),
        ssekms_key_id: committed.content.attributes.kms_key,
        version_id: committed.version_id,
        ..CompleteMultipartUploadOutput::default()
    })
}

pub(super) fn abort(
    gateway: &Gateway,
    request: S3Request<AbortMultipartUploadInput>,
) -> S3Result<AbortMultipartUploadOutput> {
    let input = request.input;
    gateway
        .store
        .uploads
        .take(&input.upload_id, &input.bucket, &input.key)?;
    Ok(AbortMultipartUploadOutput::default())
}

pub(super) fn list_parts(
    gateway: &Gateway,
    request: S3Request<ListPartsInput>,
) -> S3Result<ListPartsOutput> {
    let input = request.input;
    let after = input.part_number_marker.unwrap_or(0);
    let limit = input
        .max_parts
        .and_then(|max| usize::try_from(max).ok())
        .unwrap_or(1000);
    let (parts, truncated) =
        gateway
            .store
            .uploads
            .with(&input.upload_id, &input.bucket, &input.key, |upload| {
                let mut parts: Vec<Part> = upload
                    .parts
                    .range(after + 1..)
                    .take(limit + 1)
                    .map(|(number, part)| Part {
                        part_number: Some(*number),
                        size: i64::try_from(part.size).ok(),
                        e_tag: Some(ETag::Strong(part.etag.clone())),
                        last_modified: Some(part.modified.into()),
                        ..Part::default()
                    })
                    .collect();
                let truncated = parts.len() > limit;
                parts.truncate(limit);
                Ok((parts, truncated))
            })?;
    Ok(ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        next_part_number_marker: parts.last().and_then(|part| part.part_number),
        max_parts: input.max_parts,
        part_number_marker: input.part_number_marker,
        is_truncated: Some(truncated),
        parts: Some(parts),
        owner: Some(owner(gateway)),
        ..ListPartsOutput::default()
    })
}

pub(super) fn list(
    gateway: &Gateway,
    request: S3Request<ListMultipartUploadsInput>,
) -> S3Result<ListMultipartUploadsOutput> {
    let input = request.input;
    gateway.store.with(&input.bucket, |_| Ok(()))?;
    let prefix = input.prefix.clone().unwrap_or_default();
    let uploads = gateway.store.uploads.all(|uploads| {
        uploads
            .iter()
            .filter(|(_, upload)| upload.bucket == input.bucket && upload.key.starts_with(&prefix))
            .map(|(id, upload)| MultipartUpload {
                upload_id: Some(id.clone()),
                key: Some(upload.key.clone()),
                initiated: Some(upload.started.into()),
                ..MultipartUpload::default()
            })
            .collect()
    });
    Ok(ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        prefix: input.prefix,
        uploads: Some(uploads),
        is_truncated: Some(false),
        ..ListMultipartUploadsOutput::default()
    })
}
