//! A site is put into its stack's bucket as it is: with types and a word on caching, nothing twice, nothing of others
//! touched, and into no other stack's bucket.

use std::time::Instant;

use deploy_stack::Pace;
use deploy_stack::site::{Bucket, Caching, Counts, Put, files};
use towpath_loopback::{Cut, FaultKind, FaultRule, FaultWhen};
use towpath_tests::{Action, Done, Tree, World};

use crate::{ROLE, setup};

const TEMPLATE: &str = "Resources:
  Site:
    Type: AWS::S3::Bucket
    Properties: {BucketName: app-site}
Outputs:
  Bucket: {Value: !Ref Site}
  ApiUrl: {Value: 'https://api.example.com'}
  Elsewhere: {Value: artifacts}
";

fn tree() -> Tree {
    Tree::new()
        .file("t.yaml", TEMPLATE)
        .file("dist/index.html", "<html>")
        .file("dist/docs/a b+c#ü.html", "<html>")
        .file("dist/app.3f2a91bc.js", "1")
        .file("dist/logo.png", "2")
}

/// A world with the stack.
async fn world() -> World {
    let world = setup().allow(&["s3:*"], "arn:aws:s3:::app-*").start().await;
    let deploy = format!("stack=app&template=Source::t.yaml&{ROLE}");
    let made = world
        .act(&tree(), Action::of("deploy-stack", &deploy))
        .await;
    made.succeeded();
    world
}

async fn put(world: &World, tree: &Tree, more: &str) -> Done {
    let parameters = format!("action=site&stack=app&site=Source::dist&{more}");
    world
        .act(tree, Action::of("deploy-stack", &parameters))
        .await
}

async fn keys(world: &World) -> Vec<String> {
    let listed = world.s3.list_objects_v2().bucket("app-site").send().await;
    let listed = listed.expect("a list");
    listed
        .contents()
        .iter()
        .filter_map(|object| object.key().map(str::to_owned))
        .collect()
}

fn counts(done: &Done) -> [&str; 3] {
    ["Uploaded", "Unchanged", "Removed"].map(|name| done.variables[name].as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn it_comes_whole_changes_in_part_and_leaves_alone_what_is_not_its_own() {
    let world = world().await;
    let foreign = world
        .s3
        .put_object()
        .bucket("app-site")
        .key("uploads/of-a-user");
    foreign
        .body(b"mine".to_vec().into())
        .send()
        .await
        .expect("an object");
    let done = put(&world, &tree(), "bucket=Bucket&site-config=ApiUrl&cache=5m").await;
    done.succeeded();
    assert_eq!(counts(&done), ["5", "0", "0"]);
    for (key, kind, cache) in [
        ("index.html", "text/html; charset=utf-8", "no-cache"),
        ("docs/a b+c#ü.html", "text/html; charset=utf-8", "no-cache"),
        (
            "app.3f2a91bc.js",
            "text/javascript; charset=utf-8",
            "public, max-age=31536000, immutable",
        ),
        ("logo.png", "image/png", "public, max-age=300"),
        ("config.json", "application/json; charset=utf-8", "no-cache"),
    ] {
        let object = world
            .s3
            .get_object()
            .bucket("app-site")
            .key(key)
            .send()
            .await;
        let object = object.unwrap_or_else(|error| panic!("{key}: {error:?}"));
        assert_eq!(object.content_type(), Some(kind), "{key}");
        assert_eq!(object.cache_control(), Some(cache), "{key}");
    }
    let config = world
        .s3
        .get_object()
        .bucket("app-site")
        .key("config.json")
        .send()
        .await;
    let config = config
        .expect("there")
        .body
        .collect()
        .await
        .expect("read")
        .into_bytes();
    let config: serde_json::Value = serde_json::from_slice(&config).expect("JSON");
    assert_eq!(
        config,
        serde_json::json!({"ApiUrl": "https://api.example.com"})
    );

    let done = put(&world, &tree(), "bucket=Bucket&site-config=ApiUrl&cache=5m").await;
    assert_eq!(counts(done.succeeded()), ["0", "5", "0"], "the same again");

    let next = Tree::new()
        .file("dist/index.html", "<HTML>")
        .file("dist/app.77aa0c1d.js", "3")
        .file("dist/logo.png", "2");
    let done = put(&world, &next, "bucket=Bucket&cache=5m").await;
    assert_eq!(counts(done.succeeded()), ["2", "1", "3"]);
    assert_eq!(
        keys(&world).await,
        [
            "app.77aa0c1d.js",
            "index.html",
            "logo.png",
            "uploads/of-a-user"
        ]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn whichever_call_is_lost_it_is_there() {
    let world = world().await;
    for (number, kind) in [FaultKind::Error, FaultKind::Cut(Cut::After)]
        .into_iter()
        .enumerate()
    {
        for (service, operation) in [
            ("cloudformation", "DescribeStacks"),
            ("cloudformation", "ListStackResources"),
            ("s3", "ListObjectsV2"),
            ("s3", "HeadObject"),
            ("s3", "PutObject"),
            ("s3", "DeleteObjects"),
        ] {
            let old = format!("{operation}{number}.txt");
            put(
                &world,
                &tree().file(&format!("dist/{old}"), "old"),
                "bucket=Bucket",
            )
            .await
            .succeeded();
            world.loopback().inject(FaultRule {
                service: Some(service.to_owned()),
                operation: Some(operation.to_owned()),
                when: FaultWhen::Nth { first: 1, times: 1 },
                kind,
            });
            let next = tree().file("dist/new.txt", format!("{operation} {kind:?}"));
            let done = put(&world, &next, "bucket=Bucket").await;
            assert_eq!(done.status, "Succeeded", "{operation} {kind:?}: {done:#?}");
            let keys = keys(&world).await;
            assert!(
                !keys.contains(&old) && keys.contains(&"new.txt".to_owned()),
                "{keys:?}"
            );
        }
    }
}

/// A step that is late from the start puts a few files at least; the next ones do the rest, and send none twice.
#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_into_one_step_is_continued_in_the_next() {
    let world = world().await;
    let fill = async |first: usize| {
        let tree = tempfile::tempdir().expect("a directory");
        for number in first..first + 20 {
            let path = tree.path().join(format!("{number}.html"));
            std::fs::write(path, number.to_string()).expect("a file");
        }
        let files = files(tree.path(), "", &Caching::default()).expect("files");
        let mut counts = Counts::default();
        for step in 1.. {
            let late = Pace::until(Instant::now());
            let bucket = Bucket::new(world.s3.clone(), "app-site".to_owned(), late);
            let before = counts.sent + counts.removed;
            let put = bucket.fill(&files, &mut counts).await.expect("S3 answers");
            // Between two steps there is nothing but the token.
            let token = serde_json::to_string(&counts).expect("plain data");
            counts = serde_json::from_str(&token).expect("reads back");
            if put == Put::Wholly {
                return (step, counts);
            }
            assert!(counts.sent + counts.removed > before, "{counts:?}");
        }
        unreachable!("there is always another step")
    };
    let (steps, counts) = fill(0).await;
    assert!((3..=20).contains(&steps), "{steps}, eight files at once");
    assert_eq!((counts.sent, counts.removed), (20, 0));
    let (steps, counts) = fill(10).await;
    assert!(steps > 1, "{steps}");
    assert_eq!((counts.sent, counts.same, counts.removed), (10, 10, 10));
    assert_eq!(keys(&world).await.len(), 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_meant_is_refused_before_anything_is_put() {
    let world = world().await;
    for (more, words) in [
        (
            "bucket=Elsewhere",
            &["`Elsewhere`", "`artifacts`", "no bucket of that stack"][..],
        ),
        ("bucket=Buket", &["no output `Buket`", "`Bucket`"]),
        (
            "bucket=Bucket&site-config=Version",
            &["no output `Version`", "`ApiUrl`"],
        ),
    ] {
        put(&world, &tree(), more)
            .await
            .failed("ConfigurationError", words);
    }
    let nothing = Tree::new().file("src/index.html", "");
    put(&world, &nothing, "bucket=Bucket")
        .await
        .failed("ConfigurationError", &["no file in `dist`"]);
    let two = tree().file("dist/config.json", "{}");
    put(&world, &two, "bucket=Bucket&site-config=ApiUrl")
        .await
        .failed("ConfigurationError", &["config.json"]);
    let absent = "action=site&stack=nowhere&site=Source::dist&bucket=Bucket";
    let absent = world.act(&tree(), Action::of("deploy-stack", absent)).await;
    absent.failed("ConfigurationError", &["`nowhere` does not exist"]);
    assert_eq!(keys(&world).await, Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bucket_may_be_one_of_a_nested_stack() {
    let world = world().await;
    let inner = "Resources:
  Site: {Type: AWS::S3::Bucket, Properties: {BucketName: app-nested}}
Outputs:
  Bucket: {Value: !Ref Site}
";
    let middle = "Resources:
  Inner:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://packages.s3.us-east-1.amazonaws.com/inner.yaml'}
Outputs:
  Bucket: {Value: !GetAtt Inner.Outputs.Bucket}
";
    for (key, text) in [("inner.yaml", inner), ("middle.yaml", middle)] {
        let put = world.s3.put_object().bucket("packages").key(key);
        put.body(text.as_bytes().to_vec().into())
            .send()
            .await
            .expect("an object");
    }
    let outer = format!(
        "{}\n  Inner: {{Value: !GetAtt Web.Outputs.Bucket}}\n",
        TEMPLATE.trim_end().replace(
            "Outputs:",
            "  Web:
    Type: AWS::CloudFormation::Stack
    Properties: {TemplateURL: 'https://packages.s3.us-east-1.amazonaws.com/middle.yaml'}
Outputs:"
        )
    );
    let tree = Tree::new()
        .file("t.yaml", outer)
        .file("dist/index.html", "<html>");
    let deploy = format!("stack=app&template=Source::t.yaml&{ROLE}");
    world
        .act(&tree, Action::of("deploy-stack", &deploy))
        .await
        .succeeded();
    let done = put(&world, &tree, "bucket=Inner&site-config=ApiUrl").await;
    assert_eq!(counts(done.succeeded()), ["2", "0", "0"]);
    let page = world
        .s3
        .head_object()
        .bucket("app-nested")
        .key("index.html");
    page.send().await.expect("the page");
    assert_eq!(keys(&world).await, Vec::<String>::new(), "no other bucket");
    let wrong = put(&world, &tree, "bucket=Elsewhere").await;
    wrong.failed(
        "ConfigurationError",
        &[
            "`artifacts`, which is no bucket of that stack or of one nested in it",
            "Nested.Outputs.Bucket",
        ],
    );
}
