//! Uploads in parts: joined whole, in order, or not at all.

use aws_sdk_s3::Client;
use aws_sdk_s3::error::ProvideErrorMetadata as _;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};

use crate::world::World;

const PART: usize = 5 * 1024 * 1024;

async fn begin(s3: &Client) -> String {
    s3.create_multipart_upload()
        .bucket("bucket")
        .key("k")
        .content_type("text/x-test")
        .send()
        .await
        .expect("begun")
        .upload_id()
        .expect("an id")
        .to_owned()
}

async fn part(s3: &Client, id: &str, number: i32, content: Vec<u8>) -> CompletedPart {
    let uploaded = s3
        .upload_part()
        .bucket("bucket")
        .key("k")
        .upload_id(id)
        .part_number(number)
        .body(ByteStream::from(content))
        .send()
        .await
        .expect("uploaded");
    CompletedPart::builder()
        .part_number(number)
        .set_e_tag(uploaded.e_tag().map(str::to_owned))
        .set_checksum_crc32(uploaded.checksum_crc32().map(str::to_owned))
        .build()
}

async fn complete(s3: &Client, id: &str, parts: Vec<CompletedPart>) -> Result<String, String> {
    let parts = CompletedMultipartUpload::builder()
        .set_parts(Some(parts))
        .build();
    s3.complete_multipart_upload()
        .bucket("bucket")
        .key("k")
        .upload_id(id)
        .multipart_upload(parts)
        .send()
        .await
        .map(|done| done.e_tag().unwrap_or_default().to_owned())
        .map_err(|error| error.code().unwrap_or("no code").to_owned())
}

#[tokio::test]
async fn parts_are_joined_in_order() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let id = begin(&s3).await;
    let second = part(&s3, &id, 2, b"tail".to_vec()).await;
    let first = part(&s3, &id, 1, vec![b'a'; PART]).await;
    let copied = s3
        .upload_part_copy()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .part_number(3)
        .copy_source("bucket/nothing")
        .send()
        .await;
    assert_eq!(copied.expect_err("no source").code(), Some("NoSuchKey"));
    let listed = s3
        .list_parts()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await;
    assert_eq!(listed.expect("listed").parts().len(), 2);

    let order = complete(&s3, &id, vec![second.clone(), first.clone()]).await;
    assert_eq!(order, Err("InvalidPartOrder".to_owned()));
    let strange = CompletedPart::builder().part_number(7).e_tag("x").build();
    let missing = complete(&s3, &id, vec![first.clone(), strange]).await;
    assert_eq!(missing, Err("InvalidPart".to_owned()));
    let etag = complete(&s3, &id, vec![first, second])
        .await
        .expect("joined");
    assert!(etag.ends_with("-2\""), "{etag}");

    let got = s3
        .get_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("got");
    assert_eq!(got.content_type(), Some("text/x-test"));
    let bytes = got.body.collect().await.expect("a body").into_bytes();
    assert_eq!(bytes.len(), PART + 4);
    assert!(bytes.ends_with(b"atail"));
    let again = complete(&s3, &id, vec![]).await;
    assert!(again.is_err(), "an upload is completed once");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn small_parts_and_aborted_uploads_make_no_object() {
    let world = World::start().await;
    let s3 = world.s3();
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let id = begin(&s3).await;
    let parts = vec![
        part(&s3, &id, 1, b"small".to_vec()).await,
        part(&s3, &id, 2, b"small".to_vec()).await,
    ];
    assert_eq!(
        complete(&s3, &id, parts.clone()).await,
        Err("EntityTooSmall".to_owned())
    );
    s3.abort_multipart_upload()
        .bucket("bucket")
        .key("k")
        .upload_id(&id)
        .send()
        .await
        .expect("aborted");
    assert_eq!(
        complete(&s3, &id, parts).await,
        Err("NoSuchUpload".to_owned())
    );
    let files = std::fs::read_dir(world.directory.path().join("state/s3/bucket"));
    assert_eq!(files.expect("a directory").count(), 0);
    world.loopback.shutdown().await;
}
