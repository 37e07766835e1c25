//! Operations that list objects and versions.

#[allow(
    clippy::wildcard_imports,
    reason = "an operation is three of its several hundred types"
)]
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};

use super::buckets::owner;
use super::gateway::Gateway;
use super::listing::{Page, Query, encode, page};
use super::store::{Content, Version};

/// S3's largest page.
const LARGEST: usize = 1000;

pub(super) fn objects(
    gateway: &Gateway,
    request: S3Request<ListObjectsInput>,
) -> S3Result<ListObjectsOutput> {
    let input = request.input;
    let (encoded, shown) = encoding(input.encoding_type.as_ref());
    let page = list(
        gateway,
        &input.bucket,
        &Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: input.marker.as_deref().filter(|marker| !marker.is_empty()),
            limit: limit(input.max_keys),
        },
    )?;
    Ok(ListObjectsOutput {
        name: Some(input.bucket),
        prefix: input.prefix.map(shown),
        marker: Some(input.marker.map(shown).unwrap_or_default()),
        max_keys: Some(input.max_keys.unwrap_or(1000)),
        is_truncated: Some(page.next.is_some()),
        next_marker: page.next.map(shown),
        contents: Some(
            page.items
                .into_iter()
                .map(|(key, version, content)| {
                    object(shown(key), &version, &content, Some(owner(gateway)))
                })
                .collect(),
        ),
        common_prefixes: Some(common_prefixes(page.prefixes, shown)),
        delimiter: input.delimiter.map(shown),
        encoding_type: encoded,
        ..ListObjectsOutput::default()
    })
}

pub(super) fn objects_v2(
    gateway: &Gateway,
    request: S3Request<ListObjectsV2Input>,
) -> S3Result<ListObjectsV2Output> {
    let input = request.input;
    let (encoded, shown) = encoding(input.encoding_type.as_ref());
    let token = match input.continuation_token.as_deref() {
        None => None,
        Some(token) => Some(
            hex::decode(token)
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| {
                    s3_error!(
                        InvalidArgument,
                        "The continuation token provided is incorrect"
                    )
                })?,
        ),
    };
    let page = list(
        gateway,
        &input.bucket,
        &Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: token.as_deref().or(input.start_after.as_deref()),
            limit: limit(input.max_keys),
        },
    )?;
    let with_owner = input.fetch_owner == Some(true);
    let contents: Vec<Object> = page
        .items
        .into_iter()
        .map(|(key, version, content)| {
            let owner = with_owner.then(|| owner(gateway));
            object(shown(key), &version, &content, owner)
        })
        .collect();
    let common_prefixes = common_prefixes(page.prefixes, shown);
    Ok(ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: input.prefix.map(shown),
        max_keys: Some(input.max_keys.unwrap_or(1000)),
        key_count: i32::try_from(contents.len() + common_prefixes.len()).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.next.is_some()),
        next_continuation_token: page.next.map(hex::encode),
        contents: Some(contents),
        common_prefixes: Some(common_prefixes),
        delimiter: input.delimiter.map(shown),
        encoding_type: encoded,
        start_after: input.start_after.map(shown),
        ..ListObjectsV2Output::default()
    })
}

/// The newest content of each key.
fn list(
    gateway: &Gateway,
    bucket: &str,
    query: &Query<'_>,
) -> S3Result<Page<(String, Version, Content)>> {
    gateway.store.with(bucket, |bucket| {
        let entries = bucket.keys.iter().filter_map(|(key, versions)| {
            let version = versions.last()?;
            let content = version.content.as_ref()?;
            Some((key.as_str(), (key, version, content)))
        });
        let page = page(entries, query);
        Ok(Page {
            items: page
                .items
                .into_iter()
                .map(|(key, version, content)| (key.clone(), version.clone(), content.clone()))
                .collect(),
            prefixes: page.prefixes,
            next: page.next,
        })
    })
}

pub(super) fn versions(
    gateway: &Gateway,
    request: S3Request<ListObjectVersionsInput>,
) -> S3Result<ListObjectVersionsOutput> {
    let input = request.input;
    let (encoded, shown) = encoding(input.encoding_type.as_ref());
    // A name that no key can have joins key and version, newest first, so that pages are cut between versions.
    let rows: Vec<(String, String, bool, Version)> =
        gateway.store.with(&input.bucket, |bucket| {
            Ok(bucket
                .keys
                .iter()
                .flat_map(|(key, versions)| {
                    versions
                        .iter()
                        .rev()
                        .enumerate()
                        .map(move |(age, version)| {
                            (
                                format!("{key}\0{age:08}"),
                                key.clone(),
                                age == 0,
                                version.clone(),
                            )
                        })
                })
                .collect())
        })?;
    let key_marker = input.key_marker.as_deref().filter(|key| !key.is_empty());
    let after = key_marker.map(|key| {
        let at = input.version_id_marker.as_deref().and_then(|id| {
            rows.iter()
                .find(|(_, row_key, _, version)| row_key == key && version.id == id)
        });
        match at {
            Some((name, ..)) => name.clone(),
            // After every version of the key; a common prefix is its own name.
            None if input.delimiter.as_deref().is_some_and(|d| key.ends_with(d)) => key.to_owned(),
            None => format!("{key}\0~"),
        }
    });
    let page = page(
        rows.iter().map(|row| (row.0.as_str(), row)),
        &Query {
            prefix: input.prefix.as_deref().unwrap_or_default(),
            delimiter: input.delimiter.as_deref(),
            after: after.as_deref(),
            limit: limit(input.max_keys),
        },
    );
    let next = page.next.map(|name| {
        rows.iter().find(|row| row.0 == name).map_or_else(
            || (name.clone(), None),
            |row| (row.1.clone(), Some(row.3.id.clone())),
        )
    });
    let (mut versions, mut markers) = (Vec::new(), Vec::new());
    for (_, key, latest, version) in page.items {
        let key = shown(key.clone());
        match &version.content {
            Some(content) => versions.push(ObjectVersion {
                key: Some(key),
                version_id: Some(version.id.clone()),
                is_latest: Some(*latest),
                e_tag: Some(ETag::Strong(content.etag.clone())),
                size: i64::try_from(content.size).ok(),
                last_modified: Some(version.modified.into()),
                owner: Some(owner(gateway)),
                storage_class: Some(ObjectVersionStorageClass::from_static(
                    ObjectVersionStorageClass::STANDARD,
                )),
                ..ObjectVersion::default()
            }),
            None => markers.push(DeleteMarkerEntry {
                key: Some(key),
                version_id: Some(version.id.clone()),
                is_latest: Some(*latest),
                last_modified: Some(version.modified.into()),
                owner: Some(owner(gateway)),
            }),
        }
    }
    let (next_key_marker, next_version_id_marker) =
        next.map_or((None, None), |(key, id)| (Some(shown(key)), id));
    Ok(ListObjectVersionsOutput {
        name: Some(input.bucket),
        prefix: input.prefix.map(shown),
        key_marker: input.key_marker.map(shown),
        version_id_marker: input.version_id_marker,
        max_keys: Some(input.max_keys.unwrap_or(1000)),
        is_truncated: Some(next_key_marker.is_some()),
        next_key_marker,
        next_version_id_marker,
        versions: Some(versions),
        delete_markers: Some(markers),
        common_prefixes: Some(common_prefixes(page.prefixes, shown)),
        delimiter: input.delimiter.map(shown),
        encoding_type: encoded,
        ..ListObjectVersionsOutput::default()
    })
}

fn object(key: String, version: &Version, content: &Content, owner: Option<Owner>) -> Object {
    let class = content
        .attributes
        .storage_class
        .clone()
        .unwrap_or_else(|| ObjectStorageClass::STANDARD.to_owned());
    Object {
        key: Some(key),
        e_tag: Some(ETag::Strong(content.etag.clone())),
        size: i64::try_from(content.size).ok(),
        last_modified: Some(version.modified.into()),
        storage_class: Some(class.into()),
        owner,
        ..Object::default()
    }
}

fn common_prefixes(prefixes: Vec<String>, shown: fn(String) -> String) -> Vec<CommonPrefix> {
    prefixes
        .into_iter()
        .map(|prefix| CommonPrefix {
            prefix: Some(shown(prefix)),
        })
        .collect()
}

/// What to say of the encoding, and how to show a key under it.
fn encoding(wanted: Option<&EncodingType>) -> (Option<EncodingType>, fn(String) -> String) {
    match wanted {
        Some(kind) if kind.as_str() == EncodingType::URL => {
            (Some(kind.clone()), |text| encode(&text))
        }
        _ => (None, |text| text),
    }
}

fn limit(asked: Option<i32>) -> usize {
    asked
        .and_then(|asked| usize::try_from(asked).ok())
        .unwrap_or(LARGEST)
        .min(LARGEST)
}
