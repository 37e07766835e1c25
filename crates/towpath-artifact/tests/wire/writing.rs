//! Publishing: what the requests carry, and what is not sent twice.

use std::fs;

use sha2::{Digest, Sha256};
use towpath_artifact::{Blame, Encryption, Location, Source};

use crate::server::{Answer, Server};
use crate::{ARTIFACT, PATH, names, store, unpacked, zipped};

#[tokio::test]
async fn what_is_published_is_encrypted_as_asked_and_verified() {
    let key = "arn:aws:kms:eu-west-1:1:key/2";
    for (encryption, algorithm, key) in [
        (Encryption::Kms, Some("aws:kms"), None),
        (
            Encryption::KmsKey(key.to_owned()),
            Some("aws:kms"),
            Some(key),
        ),
        (Encryption::Bucket, None, None),
    ] {
        let server = Server::start();
        let source = Source::Bytes {
            name: "outputs.json",
            bytes: b"{}",
        };
        let published = store(&server)
            .publish(source, ARTIFACT, &encryption)
            .await
            .unwrap();
        let [request] = &server.requests()[..] else {
            panic!("one request");
        };
        assert_eq!(request.header("x-amz-server-side-encryption"), algorithm);
        assert_eq!(
            request.header("x-amz-server-side-encryption-aws-kms-key-id"),
            key
        );
        assert_eq!(request.header("content-type"), Some("application/zip"));
        assert_eq!(
            request.header("x-amz-meta-sha256"),
            published.sha256.as_deref()
        );
        assert!(request.header("x-amz-checksum-sha256").is_some());
        assert_eq!(
            published.sha256,
            Some(hex::encode(Sha256::digest(&request.body)))
        );
        assert_eq!(published.bytes, request.body.len() as u64);
        assert_eq!(published.version.as_deref(), Some("v1"));
    }
}

#[tokio::test]
async fn a_directory_is_packed_an_archive_goes_as_it_is_and_a_file_goes_alone() {
    let here = tempfile::tempdir().unwrap();
    let dist = here.path().join("dist");
    fs::create_dir(&dist).unwrap();
    fs::write(dist.join("index.html"), "<p>").unwrap();
    let archive = zipped(&[("lambda.js", "x")]);
    let ready = here.path().join("lambda.ZIP");
    fs::write(&ready, &archive).unwrap();
    let report = here.path().join("report.xml");
    fs::write(&report, "<testsuites/>").unwrap();
    for (source, expected) in [
        (Source::Directory(&dist), "index.html"),
        (Source::File(&ready), "lambda.js"),
        (Source::File(&report), "report.xml"),
    ] {
        let server = Server::start();
        store(&server)
            .publish(source, ARTIFACT, &Encryption::Kms)
            .await
            .unwrap();
        let object = server.object(PATH).unwrap();
        assert_eq!(names(unpacked(&object).path()), [expected]);
        if expected == "lambda.js" {
            assert_eq!(object, archive);
        }
    }
}

#[tokio::test]
async fn a_file_called_zip_that_is_none_is_not_published() {
    let here = tempfile::tempdir().unwrap();
    let path = here.path().join("site.zip");
    fs::write(&path, "\x1f\u{8b}").unwrap();
    fs::write(&path, b"\x1f\x8b\x08").unwrap();
    let server = Server::start();
    let error = store(&server)
        .publish(Source::File(&path), ARTIFACT, &Encryption::Kms)
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "{} is not a zip archive: it is gzip data, as of a .tar.gz",
            path.display()
        )
    );
    assert_eq!(server.operations(), [""; 0]);
}

#[tokio::test]
async fn a_denied_upload_names_the_key_to_look_at() {
    let server = Server::scripted(|_| Answer::Error(403, "AccessDenied", "Access Denied"));
    let error = store(&server)
        .publish(
            Source::Bytes {
                name: "a",
                bytes: b"",
            },
            ARTIFACT,
            &Encryption::KmsKey("key-7".to_owned()),
        )
        .await
        .unwrap_err();
    assert_eq!(error.blame(), Blame::Permission);
    assert_eq!(
        error.to_string(),
        "not allowed to write s3://artifacts/pipeline/Source/abc: Access Denied (AccessDenied)"
    );
    let hint = error.hint().unwrap();
    for part in [
        "s3:PutObject on arn:aws:s3:::artifacts/pipeline/Source/abc",
        "kms:GenerateDataKey and kms:Decrypt on the key key-7",
    ] {
        assert!(hint.contains(part), "{hint}");
    }
}

#[tokio::test]
async fn an_upload_is_tried_again_after_an_error_of_the_service() {
    let mut errors = 1;
    let server = Server::scripted(move |_| {
        if errors > 0 {
            errors -= 1;
            return Answer::Error(503, "SlowDown", "Reduce your request rate.");
        }
        Answer::Serve
    });
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a"), "x").unwrap();
    store(&server)
        .publish(Source::Directory(here.path()), ARTIFACT, &Encryption::Kms)
        .await
        .unwrap();
    assert!(server.object(PATH).is_some());
}

#[tokio::test]
async fn what_is_there_already_is_not_deposited_again() {
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("index.js"), "exports.handler = 1").unwrap();
    let server = Server::start();
    let put = async || {
        store(&server)
            .deposit(
                Source::Directory(here.path()),
                "releases",
                "/code/hello/",
                &Encryption::Bucket,
            )
            .await
            .unwrap()
    };
    let first = put().await;
    assert_eq!(first.key, format!("code/hello/{}.zip", first.sha256));
    assert!(first.uploaded);
    let second = put().await;
    assert!(!second.uploaded);
    assert_eq!(second.key, first.key);
    assert_eq!(
        server.operations(),
        ["HeadObject", "PutObject", "HeadObject"]
    );

    // Something else under that name, as after a cut upload by another program, is replaced.
    server.keep(&format!("/releases/{}", first.key), b"other");
    assert!(put().await.uploaded);
    fs::write(here.path().join("index.js"), "exports.handler = 2").unwrap();
    assert_ne!(put().await.key, first.key);
}

#[tokio::test]
async fn not_being_allowed_to_look_is_no_reason_not_to_deposit() {
    let server = Server::scripted(|request| {
        if request.method == "HEAD" {
            return Answer::Error(403, "AccessDenied", "Access Denied");
        }
        Answer::Serve
    });
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("openapi.yaml");
    fs::write(&file, "openapi: 3.0.0").unwrap();
    let deposited = store(&server)
        .deposit(Source::Verbatim(&file), "releases", "", &Encryption::Bucket)
        .await
        .unwrap();
    assert_eq!(deposited.key, format!("{}.yaml", deposited.sha256));
    let stored = server.object(&format!("/releases/{}", deposited.key));
    assert_eq!(stored.unwrap(), b"openapi: 3.0.0");
}

#[tokio::test]
async fn a_file_is_stored_as_it_is() {
    let server = Server::start();
    let here = tempfile::tempdir().unwrap();
    let file = here.path().join("log.txt");
    fs::write(&file, "line\n").unwrap();
    let location = Location {
        bucket: "b",
        key: "logs/1.txt",
    };
    store(&server)
        .publish(Source::Verbatim(&file), location, &Encryption::Bucket)
        .await
        .unwrap();
    assert_eq!(server.object("/b/logs/1.txt").unwrap(), b"line\n");
}
