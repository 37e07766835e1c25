//! Objects: what is put is got, whole or in part, with what was said about it.

use std::collections::BTreeSet;

use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::presigning::PresigningConfig;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, MetadataDirective, ObjectIdentifier, ServerSideEncryption};

use crate::world::World;

#[tokio::test]
async fn an_object_comes_back_as_it_was_put() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let content: Vec<u8> = (0..1_000_000_u32).map(|n| n.to_le_bytes()[1]).collect();
    for (key, content) in [
        ("a", Vec::new()),
        ("folder/with space+plus/ümlaut=&?#%", b"small".to_vec()),
        ("large", content),
    ] {
        let put = s3
            .put_object()
            .bucket("bucket")
            .key(key)
            .content_type("text/x-test")
            .metadata("one", "1")
            .server_side_encryption(ServerSideEncryption::AwsKms)
            .ssekms_key_id("key")
            .body(ByteStream::from(content.clone()))
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
        assert_eq!(put.ssekms_key_id(), Some("key"), "{key}");
        let got = s3
            .get_object()
            .bucket("bucket")
            .key(key)
            .send()
            .await
            .unwrap_or_else(|error| panic!("{key}: {error:?}"));
        assert_eq!(got.e_tag(), put.e_tag(), "{key}");
        assert_eq!(got.content_type(), Some("text/x-test"), "{key}");
        assert_eq!(
            got.server_side_encryption(),
            Some(&ServerSideEncryption::AwsKms),
            "{key}"
        );
        let metadata = got.metadata().expect("metadata");
        assert_eq!(metadata.get("one").map(String::as_str), Some("1"), "{key}");
        let bytes = got.body.collect().await.expect("a body").into_bytes();
        assert!(bytes == content, "{key}: {} bytes", bytes.len());
    }
    let empty = s3.head_object().bucket("bucket").key("a").send().await;
    assert_eq!(
        empty.expect("head").e_tag(),
        Some("\"d41d8cd98f00b204e9800998ecf8427e\"")
    );
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_part_of_an_object_is_what_the_range_says() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let body = ByteStream::from_static(b"0123456789");
    s3.put_object()
        .bucket("bucket")
        .key("k")
        .body(body)
        .send()
        .await
        .expect("put");
    for (range, expected, told) in [
        ("bytes=0-0", "0", "bytes 0-0/10"),
        ("bytes=2-4", "234", "bytes 2-4/10"),
        ("bytes=7-", "789", "bytes 7-9/10"),
        ("bytes=7-99", "789", "bytes 7-9/10"),
        ("bytes=-3", "789", "bytes 7-9/10"),
        ("bytes=-99", "0123456789", "bytes 0-9/10"),
    ] {
        let got = s3
            .get_object()
            .bucket("bucket")
            .key("k")
            .range(range)
            .send()
            .await;
        let got = got.unwrap_or_else(|error| panic!("{range}: {error:?}"));
        assert_eq!(got.content_range(), Some(told), "{range}");
        let bytes = got.body.collect().await.expect("a body").into_bytes();
        assert_eq!(bytes, expected.as_bytes(), "{range}");
    }
    let nothing = s3.put_object().bucket("bucket").key("nothing");
    nothing.send().await.expect("put");
    for (key, range) in [
        ("k", "bytes=10-"),
        ("nothing", "bytes=-5"),
        ("nothing", "bytes=0-"),
    ] {
        let got = s3.get_object().bucket("bucket").key(key).range(range);
        let refused = got.send().await.expect_err("beyond");
        assert_eq!(refused.code(), Some("InvalidRange"), "{key} {range}");
    }
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn conditions_on_the_entity_tag_hold() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let put = || s3.put_object().bucket("bucket").key("k");
    let first = put()
        .if_none_match("*")
        .body(ByteStream::from_static(b"1"))
        .send()
        .await
        .expect("the key is free");
    let etag = first.e_tag().expect("an etag");
    let again = put().if_none_match("*").send().await;
    assert_eq!(again.expect_err("taken").code(), Some("PreconditionFailed"));
    put()
        .if_match(etag)
        .body(ByteStream::from_static(b"2"))
        .send()
        .await
        .expect("unchanged");
    let stale = put().if_match(etag).send().await;
    assert_eq!(
        stale.expect_err("changed").code(),
        Some("PreconditionFailed")
    );

    let get = || s3.get_object().bucket("bucket").key("k");
    let other = get().if_match(etag).send().await;
    assert_eq!(
        other.expect_err("another").code(),
        Some("PreconditionFailed")
    );
    let now = get().send().await.expect("got");
    let unchanged = get()
        .if_none_match(now.e_tag().expect("an etag"))
        .send()
        .await;
    let unchanged = unchanged.expect_err("not modified");
    let status = unchanged
        .raw_response()
        .map(|response| response.status().as_u16());
    assert_eq!(status, Some(304));
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_copy_keeps_or_replaces_what_was_said() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    s3.put_object()
        .bucket("bucket")
        .key("from a")
        .content_type("text/plain")
        .metadata("one", "1")
        .body(ByteStream::from_static(b"content"))
        .send()
        .await
        .expect("put");
    let copy = |to: &str| {
        s3.copy_object()
            .bucket("bucket")
            .key(to)
            .copy_source("bucket/from%20a")
    };
    copy("kept").send().await.expect("copied");
    copy("replaced")
        .metadata_directive(MetadataDirective::Replace)
        .content_type("text/x-other")
        .send()
        .await
        .expect("copied");
    for (key, content_type, metadata) in [
        ("kept", "text/plain", Some("1")),
        ("replaced", "text/x-other", None),
    ] {
        let got = s3
            .get_object()
            .bucket("bucket")
            .key(key)
            .send()
            .await
            .expect(key);
        assert_eq!(got.content_type(), Some(content_type), "{key}");
        let one = got.metadata().and_then(|all| all.get("one").cloned());
        assert_eq!(one.as_deref(), metadata, "{key}");
        let bytes = got.body.collect().await.expect("a body").into_bytes();
        assert_eq!(&bytes[..], b"content", "{key}");
    }
    let itself = copy("from a").send().await;
    assert_eq!(itself.expect_err("illegal").code(), Some("InvalidRequest"));
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn listings_are_grouped_and_paged() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let keys = ["a", "b/1", "b/2", "c d+e/x", "z"];
    for key in keys {
        s3.put_object()
            .bucket("bucket")
            .key(key)
            .send()
            .await
            .expect(key);
    }
    let mut pages = s3
        .list_objects_v2()
        .bucket("bucket")
        .max_keys(2)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.expect("a page");
        assert!(page.contents().len() <= 2);
        found.extend(
            page.contents()
                .iter()
                .filter_map(|o| o.key().map(str::to_owned)),
        );
    }
    assert_eq!(found, keys);

    let grouped = s3
        .list_objects_v2()
        .bucket("bucket")
        .delimiter("/")
        .send()
        .await
        .expect("listed");
    let prefixes: Vec<_> = grouped
        .common_prefixes()
        .iter()
        .filter_map(|p| p.prefix())
        .collect();
    assert_eq!(prefixes, ["b/", "c d+e/"]);
    assert_eq!(grouped.key_count(), Some(4));

    let first = s3
        .list_objects()
        .bucket("bucket")
        .prefix("b/")
        .send()
        .await
        .expect("listed");
    assert_eq!(first.contents().len(), 2);
    let none = s3.list_objects_v2().bucket("nowhere").send().await;
    assert_eq!(none.expect_err("no bucket").code(), Some("NoSuchBucket"));
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn many_objects_are_deleted_at_once_and_a_full_bucket_stays() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    for key in ["a", "b"] {
        s3.put_object()
            .bucket("bucket")
            .key(key)
            .send()
            .await
            .expect(key);
    }
    let full = s3.delete_bucket().bucket("bucket").send().await;
    assert_eq!(full.expect_err("not empty").code(), Some("BucketNotEmpty"));
    let mut delete = Delete::builder();
    for key in ["a", "b", "never was"] {
        delete = delete.objects(ObjectIdentifier::builder().key(key).build().expect("an id"));
    }
    let deleted = s3
        .delete_objects()
        .bucket("bucket")
        .delete(delete.build().expect("a list"))
        .send()
        .await
        .expect("deleted");
    let keys: BTreeSet<_> = deleted.deleted().iter().filter_map(|d| d.key()).collect();
    assert_eq!(keys, BTreeSet::from(["a", "b", "never was"]));
    s3.delete_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("empty now");
    let gone = s3.get_object().bucket("bucket").key("a").send().await;
    assert_eq!(gone.expect_err("gone").code(), Some("NoSuchBucket"));
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_presigned_url_needs_no_other_credentials() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let minute = || PresigningConfig::expires_in(std::time::Duration::from_mins(1)).expect("valid");
    let put = s3
        .put_object()
        .bucket("bucket")
        .key("a b")
        .presigned(minute())
        .await;
    let get = s3
        .get_object()
        .bucket("bucket")
        .key("a b")
        .presigned(minute())
        .await;
    let (put, get) = (put.expect("signed"), get.expect("signed"));
    let path = |uri: &str| uri.replace(world.loopback.endpoint(), "");
    let host = format!("127.0.0.1:{}", world.loopback.port());
    let headers = [("host", host.as_str())];
    let answer = world
        .raw("PUT", &path(put.uri()), &headers, b"content")
        .await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let answer = world.raw("GET", &path(get.uri()), &headers, b"").await;
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (200, "content"),
        "{answer:?}"
    );
    let changed = path(get.uri()).replace("a%20b", "c");
    let answer = world.raw("GET", &changed, &headers, b"").await;
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(answer.body.contains("SignatureDoesNotMatch"), "{answer:?}");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn nothing_is_left_in_the_store_by_what_was_deleted_or_broken_off() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    for _ in 0..3 {
        let body = ByteStream::from_static(b"content");
        s3.put_object()
            .bucket("bucket")
            .key("k")
            .body(body)
            .send()
            .await
            .expect("put");
    }
    // A body shorter than its signed digest says is no object.
    let root = world.root();
    let answer = world
        .signed(
            "s3",
            "PUT",
            "/bucket/broken",
            &[("x-amz-content-sha256", "0".repeat(64).as_str())],
            "x",
            &root,
        )
        .await;
    assert!(answer.status >= 400, "{answer:?}");
    let files = || {
        std::fs::read_dir(world.directory.path().join("state/s3/bucket"))
            .expect("a directory")
            .count()
    };
    assert_eq!(files(), 1);
    s3.delete_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("deleted");
    assert_eq!(files(), 0);
    world.loopback.shutdown().await;
}
