//! Uploads in parts: some at once, put together in order, and nothing left of one that fails.

use std::fs;

use sha2::{Digest, Sha256};
use towpath_artifact::{ArtifactError, Blame, Encryption, Published, Settings, Source, Store};

use crate::server::{Answer, Request, Server};
use crate::{ARTIFACT, PATH, names, noise, settings, store, survey, unpacked};

/// A tree whose archive is of three parts: 12 MiB of noise.
fn three_parts() -> tempfile::TempDir {
    let here = tempfile::tempdir().unwrap();
    for n in 0..6 {
        let mut content = noise(2 << 20);
        content[0] = n;
        fs::write(here.path().join(format!("{n}")), content).unwrap();
    }
    here
}

async fn publish(server: &Server, settings: Settings) -> Result<Published, ArtifactError> {
    let here = three_parts();
    Store::new(server.client(), settings)
        .publish(
            Source::Directory(here.path()),
            ARTIFACT,
            &Encryption::KmsKey("key-7".to_owned()),
        )
        .await
}

#[tokio::test]
async fn a_large_archive_goes_in_parts_and_is_what_was_hashed() {
    let server = Server::start();
    let here = three_parts();
    let published = publish(&server, settings()).await.unwrap();
    let object = server.object(PATH).unwrap();
    assert_eq!(published.bytes, object.len() as u64);
    assert_eq!(published.sha256, Some(hex::encode(Sha256::digest(&object))));
    assert_eq!(survey(unpacked(&object).path()), survey(here.path()));
    let mut operations = server.operations();
    operations[1..4].sort_unstable();
    assert_eq!(
        operations,
        [
            "CreateMultipartUpload",
            "UploadPart",
            "UploadPart",
            "UploadPart",
            "CompleteMultipartUpload"
        ]
    );
    let requests = server.requests();
    let created = &requests[0];
    for (header, expected) in [
        ("x-amz-server-side-encryption", "aws:kms"),
        ("x-amz-server-side-encryption-aws-kms-key-id", "key-7"),
        ("content-type", "application/zip"),
        ("x-amz-checksum-algorithm", "CRC32"),
        ("x-amz-meta-towpath-archive", "1-5"),
    ] {
        assert_eq!(created.header(header), Some(expected), "{header}");
    }
    for part in requests
        .iter()
        .filter(|request| request.operation() == "UploadPart")
    {
        let checksum = aws_smithy_types::base64::encode(crc32fast::hash(&part.body).to_be_bytes());
        assert_eq!(part.header("x-amz-checksum-crc32"), Some(checksum.as_str()));
    }
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test]
async fn threads_and_parts_do_not_change_the_bytes() {
    let mut digests = Vec::new();
    for (threads, uploads, part) in [(1, 1, 5 << 20), (2, 4, 6 << 20), (16, 8, 64 << 20)] {
        let server = Server::start();
        let settings = Settings {
            threads,
            uploads,
            part,
            ..settings()
        };
        digests.push(publish(&server, settings).await.unwrap().sha256);
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
}

#[tokio::test]
async fn what_fits_in_one_part_goes_by_one_request_whatever_its_size() {
    // Also when the archive ends exactly where a part does.
    let here = tempfile::tempdir().unwrap();
    fs::write(here.path().join("a"), noise(100_000)).unwrap();
    let server = Server::start();
    let small = store(&server);
    let published = small
        .publish(Source::Directory(here.path()), ARTIFACT, &Encryption::Kms)
        .await
        .unwrap();
    let exact = Settings {
        part: published.bytes as usize,
        ..settings()
    };
    let again = Store::new(server.client(), exact)
        .publish(Source::Directory(here.path()), ARTIFACT, &Encryption::Kms)
        .await
        .unwrap();
    assert_eq!(again, published);
    assert_eq!(server.operations(), ["PutObject", "PutObject"]);
}

/// Fails the requests of one operation.
fn fails(
    operation: &'static str,
    answer: fn() -> Answer,
) -> impl FnMut(&Request) -> Answer + Send + 'static {
    move |request| {
        if request.operation() == operation {
            answer()
        } else {
            Answer::Serve
        }
    }
}

#[tokio::test]
async fn an_upload_that_fails_is_aborted() {
    let denied = || Answer::Error(403, "AccessDenied", "Access Denied");
    let slow = || Answer::Error(503, "SlowDown", "Reduce your request rate.");
    for (operation, answer, blame, aborted) in [
        (
            "CreateMultipartUpload",
            denied as fn() -> Answer,
            Blame::Permission,
            0,
        ),
        ("UploadPart", denied, Blame::Permission, 1),
        ("UploadPart", slow, Blame::Service, 1),
        ("CompleteMultipartUpload", denied, Blame::Permission, 1),
        ("CompleteMultipartUpload", slow, Blame::Service, 1),
    ] {
        let server = Server::scripted(fails(operation, answer));
        let error = publish(&server, settings()).await.unwrap_err();
        assert_eq!(error.blame(), blame, "{operation}: {error}");
        assert!(
            error
                .to_string()
                .contains("s3://artifacts/pipeline/Source/abc"),
            "{error}"
        );
        let operations = server.operations();
        let aborts = operations
            .iter()
            .filter(|name| **name == "AbortMultipartUpload")
            .count();
        assert_eq!(aborts, aborted, "{operations:?}");
        assert_eq!(server.unfinished(), 0, "{operation}");
        assert_eq!(server.object(PATH), None);
    }
}

#[tokio::test]
async fn that_it_could_not_be_aborted_does_not_hide_why_it_failed() {
    let server = Server::scripted(|request| match request.operation() {
        "UploadPart" => Answer::Error(400, "KMS.DisabledException", "key is disabled"),
        "AbortMultipartUpload" => Answer::Error(403, "AccessDenied", "Access Denied"),
        _ => Answer::Serve,
    });
    let error = publish(&server, settings()).await.unwrap_err();
    assert!(error.to_string().contains("key is disabled"), "{error}");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("kms:Decrypt on the key key-7")
    );
}

#[tokio::test]
async fn any_request_may_fail_once_or_lose_its_answer() {
    for operation in [
        "CreateMultipartUpload",
        "UploadPart",
        "CompleteMultipartUpload",
    ] {
        for answer in [
            (|| Answer::Error(503, "SlowDown", "Reduce your request rate.")) as fn() -> Answer,
            || Answer::Error(500, "InternalError", "We encountered an internal error."),
            || Answer::Lost,
            || Answer::Cut(0),
        ] {
            let mut failed = false;
            let server = Server::scripted(move |request| {
                if request.operation() == operation && !failed {
                    failed = true;
                    return answer();
                }
                Answer::Serve
            });
            let published = publish(&server, settings()).await.unwrap();
            let object = server.object(PATH).unwrap();
            assert_eq!(
                published.sha256,
                Some(hex::encode(Sha256::digest(&object))),
                "{operation}"
            );
            // One that began unheard stays, until the bucket's lifecycle rule comes by.
            let expected = usize::from(
                operation == "CreateMultipartUpload"
                    && server.operations().len() > 5
                    && server.unfinished() > 0,
            );
            assert_eq!(server.unfinished(), expected, "{operation}");
        }
    }
}

#[tokio::test]
async fn an_upload_that_nobody_waits_for_is_aborted() {
    let (tell, told) = std::sync::mpsc::channel();
    let server = Server::scripted(move |request| {
        if request.operation() == "UploadPart" {
            let _ = tell.send(());
            return Answer::Stall(0);
        }
        Answer::Serve
    });
    let publishing = tokio::spawn({
        let server = server.clone();
        async move { publish(&server, settings()).await }
    });
    tokio::task::spawn_blocking(move || told.recv().unwrap())
        .await
        .unwrap();
    publishing.abort();
    assert!(publishing.await.unwrap_err().is_cancelled());
    while server.unfinished() > 0 {
        tokio::task::yield_now().await;
    }
    assert_eq!(server.object(PATH), None);
}

#[tokio::test]
async fn a_tree_that_changes_under_way_is_not_stored() {
    // The second file is gone when its turn comes; parts of the first are under way by then.
    let here = three_parts();
    let gone = here.path().join("5");
    let server = Server::scripted(move |request| {
        if request.operation() == "CreateMultipartUpload" {
            let _ = fs::remove_file(&gone);
        }
        Answer::Serve
    });
    let slow = Settings {
        threads: 1,
        uploads: 1,
        ..settings()
    };
    let published = Store::new(server.client(), slow)
        .publish(Source::Directory(here.path()), ARTIFACT, &Encryption::Kms)
        .await;
    // Either it was read before, and is whole; or it was not, and nothing is stored.
    match published {
        Ok(_) => {
            assert!(
                names(unpacked(&server.object(PATH).unwrap()).path()).contains(&"5".to_owned())
            );
        }
        Err(error) => {
            assert!(error.to_string().contains("failed to read"), "{error}");
            assert_eq!(server.object(PATH), None);
        }
    }
    assert_eq!(server.unfinished(), 0);
}

#[tokio::test]
async fn a_large_deposit_is_hashed_first_and_sent_only_if_it_is_not_there() {
    // Twelve megabytes are kept where sixteen may be, and made a second time where five may.
    for uploads in [4, 1] {
        let here = three_parts();
        let server = Server::start();
        let settings = Settings {
            uploads,
            ..settings()
        };
        let store = Store::new(server.client(), settings);
        let put = async || {
            let source = Source::Directory(here.path());
            store
                .deposit(source, "releases", "code", &Encryption::Bucket)
                .await
                .unwrap()
        };
        let first = put().await;
        assert_eq!(first.key, format!("code/{}.zip", first.sha256));
        let object = server.object(&format!("/releases/{}", first.key)).unwrap();
        assert_eq!(first.sha256, hex::encode(Sha256::digest(&object)));
        assert!(first.uploaded && !put().await.uploaded);
        let mut operations = server.operations();
        operations[2..5].sort_unstable();
        assert_eq!(
            operations,
            [
                "HeadObject",
                "CreateMultipartUpload",
                "UploadPart",
                "UploadPart",
                "UploadPart",
                "CompleteMultipartUpload",
                "HeadObject"
            ]
        );
    }
}

#[tokio::test]
async fn a_deposit_that_changes_between_hashing_and_sending_is_not_stored() {
    let here = three_parts();
    let changing = here.path().join("5");
    let server = Server::scripted(move |request| {
        if request.operation() == "HeadObject" {
            fs::write(&changing, "something else").unwrap();
        }
        Answer::Serve
    });
    let forgetful = Settings {
        uploads: 1,
        ..settings()
    };
    let error = Store::new(server.client(), forgetful)
        .deposit(
            Source::Directory(here.path()),
            "releases",
            "",
            &Encryption::Bucket,
        )
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("was changed by another process"),
        "{error}"
    );
    assert_eq!(error.blame(), Blame::Project);
    assert_eq!(server.unfinished(), 0);
    assert!(!server.operations().contains(&"CompleteMultipartUpload"));
}
