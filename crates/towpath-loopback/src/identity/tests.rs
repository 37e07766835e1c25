//! Sessions, and what the policies of a role, of its session and of a resource come to together.

use serde_json::json;

use super::*;

fn allow(action: &str, resource: &str) -> Value {
    json!({"Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})
}

fn deny(action: &str) -> Value {
    json!({"Statement": [{"Effect": "Deny", "Action": action, "Resource": "*", "Principal": "*"}]})
}

fn world_with(policies: Vec<Value>) -> Identity {
    let identity = Identity::new("000000000000", Arc::default());
    identity.put_role(
        "builder",
        RoleDefinition {
            arn: "arn:aws:iam::000000000000:role/builder".into(),
            trust: json!({"Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole",
                "Principal": {"Service": "lambda.amazonaws.com"}}]}),
            policies,
        },
    );
    identity
}

fn session(identity: &Identity, policy: Option<Value>) -> Caller {
    let credentials = identity.assume("builder", "s", policy).expect("assumed");
    identity
        .known(&credentials.access_key_id)
        .expect("known")
        .caller
}

#[test]
fn policies_of_role_session_and_resource_come_together() {
    let get = || allow("s3:GetObject", "arn:aws:s3:::b/*");
    for (case, role, in_session, on_resource, expected) in [
        (
            "nothing allows",
            vec![],
            None,
            None,
            Some("no identity-based policy"),
        ),
        ("the role allows", vec![get()], None, None, None),
        (
            "the session does not",
            vec![get()],
            Some(allow("s3:PutObject", "*")),
            None,
            Some("no session policy"),
        ),
        (
            "both allow",
            vec![get()],
            Some(allow("s3:*", "*")),
            None,
            None,
        ),
        (
            "the session alone is not enough",
            vec![],
            Some(allow("s3:*", "*")),
            None,
            Some("no identity-based policy"),
        ),
        (
            "the role denies",
            vec![get(), deny("s3:*")],
            None,
            None,
            Some("explicit deny in an identity-based"),
        ),
        (
            "the bucket denies",
            vec![get()],
            None,
            Some(deny("s3:GetObject")),
            Some("explicit deny in a resource-based"),
        ),
        (
            "the bucket allows",
            vec![],
            None,
            Some(
                json!({"Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*",
                "Principal": {"AWS": "arn:aws:iam::000000000000:role/builder"}}]}),
            ),
            None,
        ),
        (
            "a managed policy allows",
            vec![json!("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")],
            None,
            None,
            None,
        ),
        (
            "an unknown managed policy grants nothing",
            vec![json!("arn:aws:iam::aws:policy/Other")],
            None,
            None,
            Some("no identity-based policy"),
        ),
    ] {
        let identity = world_with(role);
        let caller = session(&identity, in_session);
        let result = identity.authorize_with(
            &caller,
            "s3:GetObject",
            "arn:aws:s3:::b/k",
            &Context::new(),
            on_resource.as_ref(),
        );
        match (result, expected) {
            (Ok(()), None) => {}
            (Err(error), Some(reason)) => {
                assert!(error.message.contains(reason), "{case}: {error}");
                assert_eq!(error.code, "AccessDenied", "{case}");
            }
            (result, expected) => panic!("{case}: {result:?}, expected {expected:?}"),
        }
    }
}

#[test]
fn root_may_do_anything_but_what_a_resource_denies() {
    let identity = world_with(vec![]);
    assert_eq!(
        identity.authorize(&Caller::Root, "s3:GetObject", "*"),
        Ok(())
    );
    let denied = identity.authorize_with(
        &Caller::Root,
        "s3:GetObject",
        "arn:aws:s3:::b/k",
        &Context::new(),
        Some(&deny("s3:*")),
    );
    assert!(denied.is_err());
}

#[test]
fn a_deleted_role_leaves_its_sessions_powerless() {
    let identity = world_with(vec![allow("*", "*")]);
    let caller = session(&identity, None);
    assert_eq!(identity.authorize(&caller, "a:B", "*"), Ok(()));
    identity.delete_role("builder");
    assert!(identity.authorize(&caller, "a:B", "*").is_err());
    assert!(identity.assume("builder", "s", None).is_err());
}

#[test]
fn an_unknown_managed_policy_is_in_the_ledger() {
    let fidelity = Arc::new(Fidelity::default());
    let identity = Identity::new("1", fidelity.clone());
    identity.put_role(
        "builder",
        RoleDefinition {
            arn: "arn:aws:iam::1:role/builder".into(),
            trust: Value::Null,
            policies: vec![json!("arn:aws:iam::aws:policy/Other")],
        },
    );
    let caller = session(&identity, None);
    assert!(identity.authorize(&caller, "a:B", "*").is_err());
    assert_eq!(
        fidelity.report()["refused"],
        json!(["managed policy arn:aws:iam::aws:policy/Other (grants nothing here)"])
    );
}

#[test]
fn credentials_know_their_token_and_their_end() {
    let identity = world_with(vec![]);
    let credentials = identity.assume("role/builder", "s", None).expect("assumed");
    let known = identity.known(&credentials.access_key_id).expect("known");
    for (token, expected) in [
        (Some(credentials.session_token.as_str()), true),
        (Some("other"), false),
        (None, false),
    ] {
        assert_eq!(known.accepts_token(token), expected, "{token:?}");
    }
    assert!(!known.expired(now_ms()));
    identity.expire(&credentials.access_key_id);
    let known = identity.known(&credentials.access_key_id).expect("known");
    assert!(known.expired(now_ms()));

    let (root, _) = identity.root_credentials();
    let root = identity.known(root).expect("root");
    assert!(root.accepts_token(None) && root.accepts_token(Some("")));
    assert!(!root.accepts_token(Some("stray")));
}

#[test]
fn trust_names_who_may_assume() {
    let identity = world_with(vec![]);
    assert!(identity.trusts_service("builder", "lambda.amazonaws.com", None));
    assert!(!identity.trusts_service("builder", "codepipeline.amazonaws.com", None));
    assert!(!identity.trusts_caller("builder", &Caller::Root));
    assert!(!identity.trusts_service("nobody", "lambda.amazonaws.com", None));
}
