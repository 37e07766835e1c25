//! With `template=`: local code in the release bucket, the template that refers to it, and the release's document.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};
use towpath_release::{Contents, File, Identity, Known, Origin, diff};

use super::server::{Answer, Server};
use super::{MAKEFILE, Pipeline, failure, summary, unzipped};

const TEMPLATE: &str = "\
Transform: AWS::Serverless-2016-10-31
Resources:
  One:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../dist/
      Handler: app.handler
  Two:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: ../dist
      Handler: app.other
  Api:
    Type: AWS::Serverless::Api
    Properties:
      DefinitionUri: api.yaml
      StageName: x
";
const PACKAGE: &str = "task=package&template=infra/app.yaml&release-bucket=releases";

fn application() -> Vec<(&'static str, &'static str)> {
    vec![
        ("Makefile", MAKEFILE),
        ("app.js", "exports.handler = 1"),
        ("infra/app.yaml", TEMPLATE),
        ("infra/api.yaml", "openapi: 3.0.0\n"),
        ("infra/config/prod.json", "{}"),
        ("infra/config/notes.txt", "not this"),
        ("infra/environments/dev.json", "[]"),
    ]
}

#[tokio::test]
async fn a_template_s_code_goes_to_the_release_bucket_once() {
    let pipeline = Pipeline::of(
        &application()
            .into_iter()
            // Archives made by zipfile hold the time of day; leave them out of what is compared.
            .map(|(name, text)| match name {
                "Makefile" => (name, "package:\n\t@mkdir -p dist && cp app.js dist/\n"),
                _ => (name, text),
            })
            .collect::<Vec<_>>(),
        &["Package"],
    );
    let report = pipeline.run(PACKAGE).await;
    assert!(
        summary(&report).contains("2 code objects uploaded; Package ("),
        "{report:?}"
    );
    let (stored, releases) = pipeline.deposited();
    assert_eq!(stored.len(), 2, "one for each path, not for each resource");
    assert_eq!(releases.len(), 2, "the release, and what its archives hold");
    let (names, _) = unzipped(
        &stored
            .iter()
            .find(|it| it.target.contains(".zip"))
            .unwrap()
            .body,
    );
    assert_eq!(names, ["app.js"]);
    for put in &stored {
        let key = put.target.split('?').next().unwrap();
        let digest = put.header("x-amz-meta-sha256").unwrap();
        assert!(
            key.starts_with(&format!("/releases/code/{digest}.")),
            "{key}"
        );
        let authorization = put.header("authorization").unwrap();
        assert!(
            authorization.contains("Credential=AKIDROLE/"),
            "{authorization}"
        );
    }
    let (names, package) = pipeline.output("Package").unwrap();
    assert_eq!(
        names,
        [
            "contents.json",
            "infra/app.yaml",
            "infra/config/prod.json",
            "infra/environments/dev.json",
            "release.json"
        ]
    );
    let text = std::fs::read_to_string(package.path().join("infra/app.yaml")).unwrap();
    for put in &stored {
        assert!(
            text.contains(put.header("x-amz-meta-sha256").unwrap()),
            "{text}"
        );
    }
    assert!(
        text.contains("releases") && !text.contains("../dist"),
        "{text}"
    );

    let first = pipeline.server.object("/artifacts/out/Package");
    let report = pipeline.run(PACKAGE).await;
    assert!(
        summary(&report).contains("2 code objects known already"),
        "{report:?}"
    );
    assert_eq!(
        pipeline.puts("releases").len(),
        4,
        "nothing is uploaded again"
    );
    assert_eq!(pipeline.server.object("/artifacts/out/Package"), first);
}

#[tokio::test]
async fn a_link_is_followed_to_the_code_and_kept_within_it() {
    let template = "\
Resources:
  File:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: handler.js}
  Same:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: app.js}
  Folder:
    Type: AWS::Serverless::Function
    Properties: {CodeUri: latest}
";
    let makefile = "package:\n\t@ln -s app.js handler.js; mkdir dist; cp app.js dist; ln -s app.js dist/other.js; ln -s dist latest\n";
    let pipeline = Pipeline::of(
        &[
            ("Makefile", makefile),
            ("app.js", "exports.handler = 1"),
            ("app.yaml", template),
        ],
        &["Package"],
    );
    let report = pipeline
        .run("task=package&template=app.yaml&release-bucket=releases")
        .await;
    assert!(summary(&report).contains("3 code objects"), "{report:?}");
    let (stored, _) = pipeline.deposited();
    let archives = stored.iter().map(|put| unzipped(&put.body));
    let mut names: Vec<Vec<String>> = archives.map(|(names, _)| names).collect();
    names.sort();
    assert_eq!(
        names,
        [
            vec!["app.js"],
            vec!["app.js", "other.js"],
            vec!["handler.js"]
        ]
    );
}

#[tokio::test]
async fn local_code_without_a_release_bucket_is_a_matter_of_configuration() {
    let pipeline = Pipeline::of(&application(), &["Package"]);
    let report = pipeline.run("task=package&template=infra/app.yaml").await;
    let (kind, said) = failure(&report);
    assert_eq!(kind, "ConfigurationError", "{said}");
    assert!(
        said.starts_with("there is no release bucket for the template's local code"),
        "{said}"
    );
    assert!(said.contains("RELEASE_BUCKET"), "{said}");
}

#[tokio::test]
async fn code_that_is_not_there_is_named() {
    let pipeline = Pipeline::of(&application(), &["Package"]);
    let report = pipeline
        .run("task=test&template=infra/app.yaml&release-bucket=releases")
        .await;
    let (kind, said) = failure(&report);
    assert_eq!(kind, "JobFailed", "{said}");
    assert!(said.contains("dist") && said.contains("One"), "{said}");
    assert_eq!(pipeline.puts("artifacts").len(), 0);
}

#[tokio::test]
async fn whichever_call_fails_there_is_one_report_and_the_next_run_repairs_it() {
    for k in 0.. {
        let calls = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&calls);
        let server = Server::scripted(move |request| {
            let is_report = request.header("x-amz-target").is_some();
            if !is_report && counter.fetch_add(1, Ordering::SeqCst) == k {
                return Answer::Error(403, "AccessDenied", "Access Denied");
            }
            Answer::Serve
        });
        let pipeline = Pipeline::with_server(server, &application(), &["Package"]);
        let report = pipeline.run(PACKAGE).await;
        if calls.load(Ordering::SeqCst) <= k {
            assert!(k > 5, "all calls were failed once");
            summary(&report);
            break;
        }
        // Only looking whether code is there may be denied.
        if report.0 == "PutJobFailureResult" {
            let (kind, said) = failure(&report);
            assert_eq!(kind, "PermissionError", "call {k}: {said}");
            assert!(said.contains("not allowed to"), "call {k}: {said}");
        }
        let again = pipeline.run(PACKAGE).await;
        summary(&again);
        assert!(pipeline.output("Package").is_some(), "call {k}");
    }
}

const NESTED: &str = "\
Resources:
  Child:
    Type: AWS::CloudFormation::Stack
    Properties:
      TemplateURL: child/child.yaml
  Same:
    Type: AWS::Serverless::Application
    Properties:
      Location: ./child/child.yaml
  Part:
    Fn::Transform:
      Name: AWS::Include
      Parameters:
        Location: part.yaml
";
const CHILD: &str = "\
Resources:
  Inner:
    Type: AWS::Lambda::Function
    Properties:
      Code: ../app
";

#[tokio::test]
async fn nested_templates_are_packaged_from_within() {
    let files = [
        ("top.yaml", NESTED),
        ("child/child.yaml", CHILD),
        ("app/index.js", "1"),
        ("part.yaml", "Type: AWS::SNS::Topic\n"),
    ];
    let pipeline = Pipeline::of(&files, &["Package"]);
    let parameters = "command=true&template=top.yaml&release-bucket=releases";
    let report = pipeline.run(parameters).await;
    assert!(
        summary(&report).contains("3 code objects uploaded"),
        "{report:?}"
    );
    let (stored, _) = pipeline.deposited();
    let key = |extension: &str| {
        let put = stored
            .iter()
            .find(|put| put.target.split('?').next().unwrap().ends_with(extension))
            .unwrap_or_else(|| panic!("no {extension}"));
        let key = put.target.split('?').next().unwrap();
        (key.trim_start_matches("/releases/").to_owned(), put)
    };
    let (code, _) = key(".zip");
    let (child, nested) = key(".template");
    let (part, _) = key(".yaml");
    let nested = String::from_utf8_lossy(&nested.body);
    assert!(nested.contains(&format!("S3Key: {code}")), "{nested}");
    let (_, package) = pipeline.output("Package").unwrap();
    let text = std::fs::read_to_string(package.path().join("top.yaml")).unwrap();
    let url = format!("https://s3.eu-west-1.amazonaws.com/releases/{child}");
    assert!(
        text.contains(&format!("TemplateURL: {url}")) && text.contains(&format!("Location: {url}")),
        "{text}"
    );
    assert!(
        text.contains(&format!("Location: s3://releases/{part}")),
        "{text}"
    );
    let again = pipeline.run(parameters).await;
    assert!(
        summary(&again).contains("3 code objects known already"),
        "{again:?}"
    );
}

#[tokio::test]
async fn a_template_that_is_nested_in_itself_is_refused() {
    let stack = |child: &str| {
        format!(
            "Resources: {{A: {{Type: AWS::CloudFormation::Stack, Properties: {{TemplateURL: {child}}}}}}}"
        )
    };
    let (a, b) = (stack("b.yaml"), stack("./a.yaml"));
    let pipeline = Pipeline::of(&[("a.yaml", &a), ("b.yaml", &b)], &["Package"]);
    let report = pipeline
        .run("command=true&template=a.yaml&release-bucket=releases")
        .await;
    let (kind, said) = failure(&report);
    assert_eq!(kind, "ConfigurationError", "{said}");
    assert!(
        said.starts_with("a template is nested in itself: a.yaml -> b.yaml -> a.yaml"),
        "{said}"
    );
    assert_eq!(pipeline.puts("releases").len(), 0);
}

#[tokio::test]
async fn what_sam_build_has_left_is_packaged() {
    let source = "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: src}}}";
    let built = "Resources: {F: {Type: AWS::Serverless::Function, Properties: {CodeUri: F}}}";
    let make = "mkdir -p .aws-sam/build/F && echo 1 > .aws-sam/build/F/a.js && mv built .aws-sam/build/template.yaml";
    let files = [
        ("template.yaml", source),
        ("src/a.ts", "1"),
        ("built", built),
    ];
    let pipeline = Pipeline::of(&files, &["Package"]);
    let command = make.replace(' ', "+").replace('&', "%26");
    let report = pipeline
        .run(&format!(
            "command={command}&template=template.yaml&release-bucket=releases"
        ))
        .await;
    let said = summary(&report);
    assert!(
        said.contains("packaged .aws-sam/build/template.yaml; 1 code object uploaded"),
        "{said}"
    );
    let (stored, _) = pipeline.deposited();
    assert_eq!(unzipped(&stored[0].body).0, ["a.js"]);
    assert_eq!(
        pipeline.output("Package").unwrap().0,
        ["contents.json", "release.json", "template.yaml"]
    );
}

#[tokio::test]
async fn a_release_is_known_by_what_it_consists_of() {
    let release = async |code: &str, bucket: &str| {
        let mut files = application();
        files.push(("dist/app.js", code));
        let pipeline = Pipeline::of(&files, &["Package"]);
        let parameters = format!(
            "command=true&template=infra/app.yaml&release-bucket={bucket}\
             &repository=owner/app&commit=c0ffee&execution=e-1"
        );
        let report = pipeline.run(&parameters).await;
        summary(&report);
        let id = report.1["outputVariables"]["ReleaseId"].clone();
        let id = id.as_str().expect("the release has an id").to_owned();
        let object = |key: &str| pipeline.server.object(&format!("/{bucket}/{key}"));
        let identity = object(&format!("releases/{id}.json")).expect("the identity is stored");
        assert_eq!(hex(&identity), id, "the id is the digest of what is stored");
        let (_, package) = pipeline.output("Package").unwrap();
        let document = std::fs::read(package.path().join("release.json")).unwrap();
        let (read, made) = Identity::read(&document).unwrap();
        assert_eq!(read, Identity::read(&identity).unwrap().0);
        // What the document lists is what is there.
        let made = made.expect("the document says how");
        let template = made.template.expect("the template");
        for file in read.configuration.iter().chain([&template]) {
            let content = std::fs::read(package.path().join(&file.path)).unwrap();
            assert_eq!(*file, File::of(&file.path, &content));
        }
        assert_eq!(made.objects.len(), read.artifacts.len());
        for stored in &made.objects {
            let object = object(&stored.key).unwrap_or_else(|| panic!("{stored:?}"));
            assert_eq!(stored.sha256, hex(&object), "{stored:?}");
            assert_eq!(stored.bytes, object.len() as u64, "{stored:?}");
        }
        assert_eq!(made.execution.as_deref(), Some("e-1"));
        // What is recorded of the archives is what is in them, here and in the bucket.
        let contents = std::fs::read(package.path().join("contents.json")).unwrap();
        let recorded = object(&format!("releases/{id}.contents.json"));
        assert_eq!(recorded.as_deref(), Some(contents.as_slice()));
        let contents = Contents::read(&contents).unwrap();
        assert!(!contents.archives.is_empty());
        for (sha256, files) in &contents.archives {
            let archive = made.objects.iter().find(|it| it.sha256 == *sha256).unwrap();
            let (names, tree) = unzipped(&object(&archive.key).unwrap());
            let listed: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
            assert_eq!(listed, names);
            for file in files {
                let content = std::fs::read(tree.path().join(&file.path)).unwrap();
                assert_eq!(*file, File::of(&file.path, &content));
            }
        }
        let known = Known {
            identity: read.clone(),
            made: None,
            contents: Some(contents),
        };
        (id, read, known)
    };
    let (first, lists, known) = release("exports.handler = 1", "releases").await;
    assert_eq!(lists.source.commit.as_deref(), Some("c0ffee"));
    assert_eq!(lists.source.repository.as_deref(), Some("owner/app"));
    let places: Vec<&str> = lists.artifacts.iter().map(|it| it.place.as_str()).collect();
    assert_eq!(
        places,
        [
            "Resources.Api.Properties.DefinitionUri",
            "Resources.One.Properties.CodeUri",
            "Resources.Two.Properties.CodeUri"
        ]
    );
    for bucket in ["releases", "another-bucket"] {
        let (again, ..) = release("exports.handler = 1", bucket).await;
        assert_eq!(again, first, "the same tree is the same release: {bucket}");
    }
    let (other, _, changed) = release("exports.handler = 2", "releases").await;
    assert_ne!(other, first);
    let differences = diff(&known, &changed);
    let told: Vec<&str> = differences
        .iter()
        .map(|it| {
            it.part
                .split_once(": ")
                .map_or(it.part.as_str(), |(part, _)| part)
        })
        .collect();
    assert_eq!(
        told,
        [
            "template `infra/app.yaml`",
            "artifact `Resources.One.Properties.CodeUri` of `infra/app.yaml`",
            "artifact `Resources.Two.Properties.CodeUri` of `infra/app.yaml`",
            "why",
        ]
    );
    assert_eq!(differences[1].details, ["changed: app.js"]);
}

#[tokio::test]
async fn a_release_without_a_bucket_or_a_known_source_lacks_only_these() {
    let files = [("a.yaml", "Resources: {}")];
    let pipeline = Pipeline::of(&files, &["Package"]);
    let report = pipeline
        .run("command=true&template=a.yaml&release-bucket=&commit=&repository=")
        .await;
    summary(&report);
    let (names, package) = pipeline.output("Package").unwrap();
    assert_eq!(names, ["a.yaml", "contents.json", "release.json"]);
    let document = std::fs::read(package.path().join("release.json")).unwrap();
    let (identity, _) = Identity::read(&document).unwrap();
    assert_eq!(identity.source, Origin::default());
    assert_eq!(
        report.1["outputVariables"]["ReleaseId"],
        identity.id().as_str()
    );
    let document: Value = serde_json::from_slice(&document).unwrap();
    assert_eq!(document["made"]["tasks"], json!(["command"]));
    assert_eq!(document["made"].get("bucket"), None);
}

#[tokio::test]
async fn development_dependencies_are_there_for_the_tasks_and_not_in_what_is_packaged() {
    let files = [
        (
            "package.json",
            r#"{"name": "app", "version": "1.0.0", "dependencies": {"kept": "file:kept"}, "devDependencies": {"gone": "file:gone"}}"#,
        ),
        (
            "kept/package.json",
            r#"{"name": "kept", "version": "1.0.0"}"#,
        ),
        ("kept/index.js", ""),
        (
            "gone/package.json",
            r#"{"name": "gone", "version": "1.0.0"}"#,
        ),
        ("gone/index.js", ""),
        (".npmrc", "install-links=true\noffline=true\n"),
    ];
    let install = "npm install --no-audit --no-fund --silent \
                   %26%26 node -e \"require('gone'); require('kept')\"";
    for (omit, expected) in [
        ("true", &["kept/index.js", "kept/package.json"][..]),
        (
            "false",
            &[
                "gone/index.js",
                "gone/package.json",
                "kept/index.js",
                "kept/package.json",
            ],
        ),
    ] {
        let pipeline = Pipeline::of(&files, &["Modules"]);
        let report = pipeline
            .run(&format!(
                "command={install}&Modules=node_modules&omit-dev={omit}"
            ))
            .await;
        summary(&report);
        let (names, _) = pipeline.output("Modules").unwrap();
        let names: Vec<&str> = names
            .iter()
            .map(String::as_str)
            .filter(|it| !it.starts_with('.'))
            .collect();
        assert_eq!(names, expected, "omit-dev={omit}");
    }
}

#[tokio::test]
async fn what_cannot_be_left_out_afterwards_is_said() {
    let files = [("yarn.lock", ""), ("node_modules/a/index.js", "")];
    let pipeline = Pipeline::of(&files, &["Modules"]);
    let report = pipeline
        .run("command=true&Modules=node_modules&omit-dev=true")
        .await;
    let (kind, message) = failure(&report);
    assert_eq!(kind, "ConfigurationError");
    assert!(
        message.starts_with("`omit-dev` cannot be done for `yarn.lock`"),
        "{message}"
    );
    assert!(message.contains("args=--production"), "{message}");
}

fn hex(bytes: &[u8]) -> String {
    File::of("", bytes).sha256
}
