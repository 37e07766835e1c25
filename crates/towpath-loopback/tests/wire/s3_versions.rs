//! Versions: nothing is lost in a bucket that keeps them, until it is deleted by its id.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{BucketVersioningStatus, VersioningConfiguration};

use crate::world::World;

async fn versioning(s3: &Client, status: BucketVersioningStatus) {
    s3.put_bucket_versioning()
        .bucket("bucket")
        .versioning_configuration(VersioningConfiguration::builder().status(status).build())
        .send()
        .await
        .expect("set");
}

async fn put(s3: &Client, content: &'static str) -> Option<String> {
    s3.put_object()
        .bucket("bucket")
        .key("k")
        .body(ByteStream::from_static(content.as_bytes()))
        .send()
        .await
        .expect("put")
        .version_id()
        .map(str::to_owned)
}

async fn get(s3: &Client, version: Option<&str>) -> Result<String, String> {
    let got = s3
        .get_object()
        .bucket("bucket")
        .key("k")
        .set_version_id(version.map(str::to_owned))
        .send()
        .await
        .map_err(|error| error.code().unwrap_or("no code").to_owned())?;
    let bytes = got.body.collect().await.expect("a body").into_bytes();
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[tokio::test]
async fn every_version_stays_until_it_is_deleted_by_its_id() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    assert_eq!(put(&s3, "before").await, None);
    versioning(&s3, BucketVersioningStatus::Enabled).await;
    let first = put(&s3, "first").await.expect("a version");
    let second = put(&s3, "second").await.expect("a version");

    for (version, expected) in [
        (None, Ok("second")),
        (Some(first.as_str()), Ok("first")),
        (Some("null"), Ok("before")),
        (Some("nowhere"), Err("NoSuchVersion")),
    ] {
        let expected = expected.map(str::to_owned).map_err(str::to_owned);
        assert_eq!(get(&s3, version).await, expected, "{version:?}");
    }

    let deleted = s3
        .delete_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("deleted");
    assert_eq!(deleted.delete_marker(), Some(true));
    let marker = deleted.version_id().expect("a version").to_owned();
    assert_eq!(get(&s3, None).await, Err("NoSuchKey".to_owned()));
    assert_eq!(get(&s3, Some(&second)).await, Ok("second".to_owned()));
    assert_eq!(
        get(&s3, Some(&marker)).await,
        Err("MethodNotAllowed".to_owned())
    );
    let listed = s3
        .list_objects_v2()
        .bucket("bucket")
        .send()
        .await
        .expect("listed");
    assert_eq!(listed.key_count(), Some(0));

    let versions = s3
        .list_object_versions()
        .bucket("bucket")
        .send()
        .await
        .expect("listed");
    let ids: Vec<_> = versions
        .versions()
        .iter()
        .filter_map(|v| v.version_id())
        .collect();
    assert_eq!(ids, [second.as_str(), first.as_str(), "null"]);
    let markers = versions.delete_markers();
    assert_eq!(markers.len(), 1);
    assert_eq!(markers[0].is_latest(), Some(true));

    let mut page = s3
        .list_object_versions()
        .bucket("bucket")
        .max_keys(1)
        .send()
        .await
        .expect("listed");
    let mut count = 0;
    loop {
        count += page.versions().len() + page.delete_markers().len();
        if page.is_truncated() != Some(true) {
            break;
        }
        page = s3
            .list_object_versions()
            .bucket("bucket")
            .max_keys(1)
            .set_key_marker(page.next_key_marker().map(str::to_owned))
            .set_version_id_marker(page.next_version_id_marker().map(str::to_owned))
            .send()
            .await
            .expect("listed");
    }
    assert_eq!(count, 4);

    let remove = |id: &str| {
        s3.delete_object()
            .bucket("bucket")
            .key("k")
            .version_id(id)
            .send()
    };
    remove(&marker).await.expect("the marker goes");
    assert_eq!(get(&s3, None).await, Ok("second".to_owned()));
    remove(&second).await.expect("the version goes");
    assert_eq!(get(&s3, None).await, Ok("first".to_owned()));
    let full = s3.delete_bucket().bucket("bucket").send().await;
    assert_eq!(
        full.expect_err("versions are left").code(),
        Some("BucketNotEmpty")
    );
    for id in [first.as_str(), "null"] {
        remove(id).await.expect("the version goes");
    }
    s3.delete_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("empty now");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn suspended_versioning_replaces_the_version_without_an_id() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    versioning(&s3, BucketVersioningStatus::Enabled).await;
    let kept = put(&s3, "kept").await.expect("a version");
    versioning(&s3, BucketVersioningStatus::Suspended).await;
    assert_eq!(put(&s3, "one").await.as_deref(), Some("null"));
    assert_eq!(put(&s3, "two").await.as_deref(), Some("null"));
    assert_eq!(get(&s3, None).await, Ok("two".to_owned()));
    assert_eq!(get(&s3, Some(&kept)).await, Ok("kept".to_owned()));
    let versions = s3
        .list_object_versions()
        .bucket("bucket")
        .send()
        .await
        .expect("listed");
    assert_eq!(versions.versions().len(), 2);
    let status = s3
        .get_bucket_versioning()
        .bucket("bucket")
        .send()
        .await
        .expect("got");
    assert_eq!(status.status(), Some(&BucketVersioningStatus::Suspended));
    world.loopback.shutdown().await;
}
