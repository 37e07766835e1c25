//! Signatures: who cannot prove who they are is told what is wrong, in the service's own codes.

use aws_credential_types::Credentials;
use aws_sdk_s3::error::ProvideErrorMetadata as _;

use crate::world::{World, element, form};

#[tokio::test]
async fn wrong_credentials_are_refused_by_each_service_in_its_own_words() {
    let world = World::start().await;
    let (key, secret) = world.loopback.root_credentials();
    let new = |key: &str, secret: &str, token: Option<&str>| {
        Credentials::new(key, secret, token.map(str::to_owned), None, "test")
    };
    for (case, who, in_s3, in_query, in_json) in [
        (
            "a wrong key",
            new("AKIAWRONG", secret, None),
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
        ),
        (
            "a wrong secret",
            new(key, "wrong", None),
            "SignatureDoesNotMatch",
            "SignatureDoesNotMatch",
            "InvalidSignatureException",
        ),
        (
            "a stray token",
            new(key, secret, Some("stray")),
            "InvalidToken",
            "InvalidClientTokenId",
            "UnrecognizedClientException",
        ),
    ] {
        let s3 = world.s3_as(who.clone());
        let refused = s3.list_buckets().send().await.expect_err(case);
        assert_eq!(refused.code(), Some(in_s3), "{case}: {refused:?}");
        let answer = world
            .query("sts", &form(&[("Action", "GetCallerIdentity")]), &who)
            .await;
        assert_eq!(answer.status, 403, "{case}: {answer:?}");
        assert_eq!(element(&answer.body, "Code"), in_query, "{case}");
        let target = [("x-amz-target", "AmazonSSM.GetParameter")];
        let answer = world.signed("ssm", "POST", "/", &target, "{}", &who).await;
        assert_eq!(answer.status, 400, "{case}: {answer:?}");
        assert!(
            answer.body.contains(&format!("\"{in_json}\"")),
            "{case}: {answer:?}"
        );
        assert!(
            answer.head.contains("x-amzn-errortype"),
            "{case}: {answer:?}"
        );
        assert!(
            answer.head.contains("x-amzn-requestid"),
            "{case}: {answer:?}"
        );
    }
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn an_unsigned_request_is_told_what_is_missing() {
    let world = World::start().await;
    for (case, headers, path, body, code) in [
        (
            "JSON",
            vec![("x-amz-target", "CodePipeline_20150709.ListPipelines")],
            "/",
            "{}",
            "MissingAuthenticationTokenException",
        ),
        (
            "a form",
            vec![("content-type", "application/x-www-form-urlencoded")],
            "/",
            "Action=ListStacks",
            "MissingAuthenticationToken",
        ),
        (
            "REST",
            vec![],
            "/2015-03-31/functions",
            "",
            "MissingAuthenticationToken",
        ),
        ("S3", vec![], "/bucket/key", "", "AccessDenied"),
    ] {
        let method = if body.is_empty() { "GET" } else { "POST" };
        let answer = world.raw(method, path, &headers, body.as_bytes()).await;
        assert!((400..404).contains(&answer.status), "{case}: {answer:?}");
        assert!(answer.body.contains(code), "{case}: {answer:?}");
        assert!(
            answer.body.contains("Authorization header"),
            "{case}: {answer:?}"
        );
    }
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn what_is_not_served_is_named_and_in_the_ledger() {
    let world = World::start().await;
    let root = world.root();
    let answer = world
        .query("sts", &form(&[("Action", "GetSessionToken")]), &root)
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(
        answer.body.contains("does not serve sts:GetSessionToken"),
        "{answer:?}"
    );
    let target = [("x-amz-target", "DynamoDB_20120810.ListTables")];
    let answer = world
        .signed("dynamodb", "POST", "/", &target, "{}", &root)
        .await;
    assert!(
        answer.body.contains("does not serve dynamodb:ListTables"),
        "{answer:?}"
    );
    let ledger = world.control("GET", "/_towpath/fidelity", "").await;
    for what in ["sts:GetSessionToken", "dynamodb:ListTables"] {
        assert!(ledger.body.contains(what), "{ledger:?}");
    }
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn an_expired_session_is_told_so() {
    let world = World::start().await;
    let all = r#"{"Statement":[{"Effect":"Allow","Action":"*","Resource":"*"}]}"#;
    let who = world.role("short", all).await;
    let s3 = world.s3_as(who.clone());
    s3.list_buckets().send().await.expect("not yet");
    world.loopback.expire(who.access_key_id());
    let refused = s3.list_buckets().send().await.expect_err("expired");
    assert_eq!(refused.code(), Some("ExpiredToken"));
    let list = form(&[("Action", "ListTopics")]);
    let answer = world.query("sns", &list, &who).await;
    assert_eq!(element(&answer.body, "Code"), "ExpiredToken");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_session_token_is_not_in_the_answer_to_a_wrong_signature() {
    let world = World::start().await;
    let who = world.role("reader", r#"{"Statement":[]}"#).await;
    let token = who.session_token().expect("a token").to_owned();
    let wrong = Credentials::new(
        who.access_key_id(),
        "wrong",
        Some(token.clone()),
        None,
        "test",
    );
    let list = form(&[("Action", "ListTopics")]);
    let answer = world.query("sns", &list, &wrong).await;
    assert_eq!(element(&answer.body, "Code"), "SignatureDoesNotMatch");
    assert!(!answer.body.contains(&token), "the token is told");
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn every_refusal_of_s3_says_what_it_refuses() {
    let world = World::start().await;
    let root = world.root();
    // S3 alone wants the hash of the payload among the headers.
    let nothing = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let headers = [("x-amz-content-sha256", nothing)];
    let create = world
        .signed("s3", "PUT", "/bucket", &headers, "", &root)
        .await;
    assert_eq!(create.status, 200, "{create:?}");
    let (key, _) = world.loopback.root_credentials();
    let wrong = Credentials::new(key, "wrong", None, None, "test");
    let mismatch = "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    for (method, path, who, status, code, message) in [
        (
            "PUT",
            "/b1",
            &root,
            400,
            "InvalidBucketName",
            "The specified bucket is not valid: `b1` has fewer than 3 or more than 63 characters",
        ),
        (
            "GET",
            "/bucket",
            &wrong,
            403,
            "SignatureDoesNotMatch",
            mismatch,
        ),
        (
            "GET",
            "/bucket?acl",
            &root,
            501,
            "NotImplemented",
            "the loopback does not serve s3:GetBucketAcl",
        ),
        (
            "PUT",
            "/bucket/key?acl",
            &root,
            501,
            "NotImplemented",
            "the loopback does not serve s3:PutObjectAcl",
        ),
        (
            "PATCH",
            "/bucket?shape",
            &root,
            501,
            "NotImplemented",
            "the loopback does not serve s3: PATCH /bucket?shape",
        ),
    ] {
        let answer = world.signed("s3", method, path, &headers, "", who).await;
        let told = (
            answer.status,
            element(&answer.body, "Code"),
            element(&answer.body, "Message"),
        );
        let expected = (status, code.to_owned(), message.to_owned());
        assert_eq!(told, expected, "{method} {path}: {answer:?}");
    }
    for (path, status, code) in [
        ("/%zz", 400, "InvalidURI"),
        (
            "/bucket/key?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=a%2F20260101%2Fus-east-1%2Fs3%2Faws4_request&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60&X-Amz-SignedHeaders=host&X-Amz-Signature=cut",
            403,
            "SignatureDoesNotMatch",
        ),
        (
            "/bucket/key?AWSAccessKeyId=a&Expires=soon&Signature=x",
            403,
            "SignatureDoesNotMatch",
        ),
    ] {
        let answer = world.raw("GET", path, &[], b"").await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert_eq!(element(&answer.body, "Code"), code, "{path}");
        assert_ne!(element(&answer.body, "Message"), "", "{path}: {answer:?}");
    }
    let refused = world.control("GET", "/_towpath/fidelity", "").await;
    assert!(refused.body.contains("s3:GetBucketAcl"), "{refused:?}");
    world.loopback.shutdown().await;
}
