//! `towpath release diff`: the same, what differs, or no release; each with its exit code.

use aws_credential_types::Credentials;
use towpath_loopback::{Loopback, Settings};
use towpath_release::Identity;
use towpath_tests::{CommandLine, Tree};

/// A release as `test-and-package` stores it.
const RELEASE: &str = r#"{"artifacts":[{"bytes":3,"place":"Resources.One.Properties.CodeUri","sha256":"0a","template":"app.yaml"}],"configuration":[],"schema":"towpath.release/2","source":{"commit":"c0ffee"},"template":{"bytes":1,"path":"app.yaml","sha256":"0b"}}"#;

#[test]
fn by_the_part_that_differs() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(
        &Tree::new()
            .file("a.json", RELEASE)
            .file("same.json", RELEASE.replace(':', ": "))
            .file("b.json", RELEASE.replace("0a", "0c"))
            .file("newer.json", RELEASE.replace("release/2", "release/3"))
            .file(
                "altered.json",
                format!(r#"{{"id":"00","identity":{RELEASE},"made":{{"by":"x","tasks":[],"figures":{{}}}}}}"#),
            ),
    );
    let diff = |first, second| towpath.run(&["release", "diff", first, second]);

    let same = diff("a.json", "same.json");
    same.exited(0, &[]);
    assert!(same.stdout.starts_with("the same release, "), "{same:?}");

    let other = diff("a.json", "b.json");
    other.exited(1, &[]);
    let lines: Vec<&str> = other.stdout.lines().collect();
    assert_eq!(lines.len(), 5, "{other:?}");
    assert!(lines[0].starts_with("first:  ") && lines[1].starts_with("second: "));
    assert_eq!(
        lines[2..4],
        [
            "artifact `Resources.One.Properties.CodeUri` of `app.yaml`: 0a (3 bytes) -> 0c (3 bytes)",
            "  the files of the first are not recorded here",
        ]
    );
    assert!(lines[4].starts_with("why: the commit is the same"));

    let shown = towpath.run(&["release", "show", "a.json"]);
    shown.exited(0, &[]);
    assert!(shown.stdout.contains("commit        c0ffee"), "{shown:?}");
    let id = "0".repeat(64);
    towpath
        .run(&["release", "show", &id])
        .exited(2, &["say with --bucket"]);

    for (file, words) in [
        ("none.json", ["there is no release none.json", ""]),
        (
            "newer.json",
            ["newer.json is no release", "towpath.release/3"],
        ),
        (
            "altered.json",
            ["altered.json is no release", "its id is 00"],
        ),
    ] {
        let refused = diff("a.json", file);
        refused.exited(2, &words);
        assert_eq!(refused.stdout, "", "stdout is for data");
    }
}

/// Which files are in the archive of [`RELEASE`] that has this digest.
fn contents(archive: &str, file: &str) -> String {
    format!(
        r#"{{"schema":"towpath.contents/1","archives":{{"{archive}":[{{"path":"app.js","sha256":"{file}","bytes":1}}]}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn where_they_lie_in_the_release_bucket() {
    let state = tempfile::tempdir().expect("a directory");
    let loopback = Loopback::start(Settings::new(state.path()))
        .await
        .expect("a loopback");
    let (key, secret) = loopback.root_credentials();
    let credentials = Credentials::new(key, secret, None, None, "test");
    let config = towpath_aws::fixed(loopback.endpoint(), loopback.region(), credentials);
    let s3 = towpath_aws::s3(&config);
    let bucket = s3.create_bucket().bucket("releases").send().await;
    bucket.expect("a bucket");
    let put = async |key: String, body: String| {
        let object = s3.put_object().bucket("releases").key(key);
        let stored = object.body(body.into_bytes().into()).send().await;
        stored.expect("an object");
    };
    let mut ids = Vec::new();
    for (archive, file) in [("0a", "1"), ("0c", "2")] {
        let release = RELEASE.replace("0a", archive);
        let (identity, _) = Identity::read(release.as_bytes()).expect("a release");
        let id = identity.id().to_string();
        put(format!("releases/{id}.json"), release).await;
        let key = format!("releases/{id}.contents.json");
        put(key, contents(archive, file)).await;
        ids.push(id);
    }
    let changed = "f".repeat(64);
    put(format!("releases/{changed}.json"), RELEASE.to_owned()).await;

    let environment = loopback.environment();
    let variables: Vec<String> = environment
        .iter()
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut wrapper = vec!["env", "-u", "AWS_SESSION_TOKEN"];
    wrapper.extend(variables.iter().map(String::as_str));
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).within(&wrapper);
    let address = |id: &str| format!("s3://releases/releases/{id}.json");
    let [first, second] = [address(&ids[0]), address(&ids[1])];

    let by_address = towpath.run(&["release", "diff", &first, &second]);
    by_address.exited(1, &[]);
    let told = by_address.stdout.contains("\n  changed: app.js\n");
    assert!(told, "{by_address:?}");
    let named = ["release", "diff", &ids[0], &ids[1], "--bucket", "releases"];
    let by_id = towpath.run(&named);
    by_id.exited(1, &[]);
    assert_eq!(by_id.stdout, by_address.stdout);
    let same = towpath.run(&["release", "diff", &first, &ids[0], "--bucket", "releases"]);
    same.exited(0, &[]);

    for (refused, words) in [
        (address(&"0".repeat(64)), "there is no release s3://"),
        (address(&changed), "is not what was stored"),
        ("s3://nowhere/releases/x.json".to_owned(), "NoSuchBucket"),
    ] {
        let finished = towpath.run(&["release", "diff", &first, &refused]);
        finished.exited(2, &[words]);
        assert_eq!(finished.stdout, "", "stdout is for data");
    }
    loopback.shutdown().await;
}
