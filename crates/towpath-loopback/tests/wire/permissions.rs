//! Permissions: a session can do what its role, its own policy and the resource allow, and no more.

use aws_credential_types::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::ServerSideEncryption;

use crate::world::{World, element, form};

fn told<E: aws_sdk_s3::error::ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> (String, String) {
    (
        error.code().unwrap_or("no code").to_owned(),
        error.message().unwrap_or_default().to_owned(),
    )
}

#[tokio::test]
async fn a_role_reads_what_it_may_and_is_told_what_it_may_not() {
    let world = World::start().await;
    let root = world.s3();
    for bucket in ["mine", "other"] {
        root.create_bucket()
            .bucket(bucket)
            .send()
            .await
            .expect("created");
        root.put_object()
            .bucket(bucket)
            .key("in/k")
            .send()
            .await
            .expect("put");
    }
    let policy = r#"{"Statement":[{"Effect":"Allow","Action":"s3:GetObject","Resource":"arn:aws:s3:::mine/in/*"}]}"#;
    let s3 = world.s3_as(world.role("reader", policy).await);
    s3.get_object()
        .bucket("mine")
        .key("in/k")
        .send()
        .await
        .expect("allowed");
    for (bucket, key) in [("other", "in/k"), ("mine", "out/k")] {
        let denied = s3.get_object().bucket(bucket).key(key).send().await;
        let (code, message) = told(&denied.expect_err("denied"));
        assert_eq!(code, "AccessDenied", "{bucket}/{key}");
        for part in [
            "assumed-role/reader/test",
            "s3:GetObject",
            &format!("arn:aws:s3:::{bucket}/{key}"),
            "no identity-based policy",
        ] {
            assert!(message.contains(part), "{part} in {message}");
        }
    }
    let denied = s3.put_object().bucket("mine").key("in/k").send().await;
    assert_eq!(told(&denied.expect_err("denied")).0, "AccessDenied");
    // Who may not list a bucket is not told that a key is missing.
    let missing = s3
        .get_object()
        .bucket("mine")
        .key("in/missing")
        .send()
        .await;
    let (code, message) = told(&missing.expect_err("denied"));
    assert_eq!(code, "AccessDenied");
    assert!(message.contains("s3:ListBucket"), "{message}");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_session_policy_narrows_its_role() {
    let world = World::start().await;
    let root = world.s3();
    root.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    root.put_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("put");
    let all = r#"{"Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}"#;
    let read = r#"{"Statement":[{"Effect":"Allow","Action":"s3:Get*","Resource":"*"}]}"#;
    let s3 = world.s3_as(world.role_with("worker", all, Some(read)).await);
    s3.get_object()
        .bucket("bucket")
        .key("k")
        .send()
        .await
        .expect("allowed");
    let denied = s3.put_object().bucket("bucket").key("k").send().await;
    let (_, message) = told(&denied.expect_err("denied"));
    assert!(message.contains("no session policy"), "{message}");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_bucket_can_insist_on_encryption() {
    let world = World::start().await;
    let s3 = world.s3_as(world.root());
    s3.create_bucket()
        .bucket("bucket")
        .send()
        .await
        .expect("created");
    let policy = r#"{"Statement":[{"Effect":"Deny","Principal":"*","Action":"s3:PutObject","Resource":"arn:aws:s3:::bucket/*",
        "Condition":{"StringNotEquals":{"s3:x-amz-server-side-encryption":"aws:kms"}}},
        {"Effect":"Deny","Principal":"*","Action":"*","Resource":"*","Condition":{"Bool":{"aws:SecureTransport":"false"}}}]}"#;
    s3.put_bucket_policy()
        .bucket("bucket")
        .policy(policy)
        .send()
        .await
        .expect("set");
    let plain = s3.put_object().bucket("bucket").key("k").send().await;
    let (code, message) = told(&plain.expect_err("denied"));
    assert_eq!(code, "AccessDenied");
    assert!(
        message.contains("explicit deny in a resource-based policy"),
        "{message}"
    );
    s3.put_object()
        .bucket("bucket")
        .key("k")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .send()
        .await
        .expect("encrypted");
    // Parts do not repeat the header; their upload said it.
    let upload = s3
        .create_multipart_upload()
        .bucket("bucket")
        .key("m")
        .server_side_encryption(ServerSideEncryption::AwsKms)
        .send()
        .await
        .expect("begun");
    s3.upload_part()
        .bucket("bucket")
        .key("m")
        .upload_id(upload.upload_id().expect("an id"))
        .part_number(1)
        .body(ByteStream::from_static(b"x"))
        .send()
        .await
        .expect("uploaded");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn other_services_ask_the_same_policies() {
    let world = World::start().await;
    let policy = r#"{"Statement":[{"Effect":"Allow","Action":"sns:ListTopics","Resource":"*"}]}"#;
    let who = world.role("lister", policy).await;
    let listed = world
        .query("sns", &form(&[("Action", "ListTopics")]), &who)
        .await;
    assert_eq!(listed.status, 200, "{listed:?}");
    let create = form(&[("Action", "CreateTopic"), ("Name", "t")]);
    let denied = world.query("sns", &create, &who).await;
    assert_eq!(denied.status, 403, "{denied:?}");
    assert_eq!(element(&denied.body, "Code"), "AccessDenied");
    let message = element(&denied.body, "Message");
    assert!(
        message.contains("arn:aws:sns:us-east-1:000000000000:t"),
        "{message}"
    );

    let identity = form(&[("Action", "GetCallerIdentity")]);
    let me = world.query("sts", &identity, &who).await;
    assert_eq!(
        element(&me.body, "Arn"),
        "arn:aws:sts::000000000000:assumed-role/lister/test"
    );
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_role_that_trusts_somebody_else_or_is_missing_is_not_assumed() {
    let world = World::start().await;
    let root = world.root();
    let trust = r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"lambda.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    let create = form(&[
        ("Action", "CreateRole"),
        ("RoleName", "function"),
        ("AssumeRolePolicyDocument", trust),
    ]);
    assert_eq!(world.query("iam", &create, &root).await.status, 200);
    for role in ["function", "missing"] {
        let assume = form(&[
            ("Action", "AssumeRole"),
            ("RoleArn", &format!("arn:aws:iam::000000000000:role/{role}")),
            ("RoleSessionName", "s"),
        ]);
        let answer = world.query("sts", &assume, &root).await;
        assert_eq!(answer.status, 403, "{role}: {answer:?}");
        assert_eq!(element(&answer.body, "Code"), "AccessDenied", "{role}");
    }
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_deleted_role_takes_its_sessions_with_it() {
    let world = World::start().await;
    let all = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let who: Credentials = world.role("short", all).await;
    let list = form(&[("Action", "ListTopics")]);
    assert_eq!(world.query("sns", &list, &who).await.status, 200);
    let delete = form(&[("Action", "DeleteRole"), ("RoleName", "short")]);
    assert_eq!(world.query("iam", &delete, &world.root()).await.status, 200);
    assert_eq!(world.query("sns", &list, &who).await.status, 403);
    world.loopback.shutdown().await;
}
