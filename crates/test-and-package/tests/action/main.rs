//! The whole action over the wire: from a job event to artifacts in S3 and one report.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use serde_json::{Value, json};
use test_and_package::TestAndPackage;
use towpath_archive::{Packing, Unpacking, pack, unpack};

#[allow(dead_code, reason = "the other crate's tests use the rest")]
#[path = "../../../towpath-artifact/tests/wire/server.rs"]
mod server;
use server::{Request, Server};

mod packaging;

const MAKEFILE: &str = "\
test:
\t@echo all is well
fail:
\t@echo 'expected 200, got 500'; exit 3
package: test
\t@mkdir -p dist && cp app.js dist/ && cp Makefile dist/site.zip.txt
\t@python3 -c \"import zipfile; zipfile.ZipFile('dist/lambda.zip','w').writestr('index.js','1')\"
";

/// What was reported: the operation's name and its input.
type Report = (String, Value);

struct Pipeline {
    server: Server,
    inputs: Vec<&'static str>,
    outputs: Vec<&'static str>,
}

impl Pipeline {
    /// One input, `Source`, with these files.
    fn of(source: &[(&str, &str)], outputs: &[&'static str]) -> Self {
        Self::with_server(Server::start(), source, outputs)
    }

    fn with_server(server: Server, source: &[(&str, &str)], outputs: &[&'static str]) -> Self {
        let mut pipeline = Self {
            server,
            inputs: Vec::new(),
            outputs: outputs.to_vec(),
        };
        pipeline.input("Source", &zipped(source));
        pipeline
    }

    fn input(&mut self, name: &'static str, object: &[u8]) {
        self.server.keep(&format!("/artifacts/in/{name}"), object);
        self.inputs.push(name);
    }

    async fn run(&self, parameters: &str) -> Report {
        let artifact = |direction: &str| {
            let direction = direction.to_owned();
            move |name: &&str| {
                json!({"name": name, "location": {"type": "S3", "s3Location": {
                    "bucketName": "artifacts", "objectKey": format!("{direction}/{name}")}}})
            }
        };
        let event = json!({"CodePipeline.job": {
            "id": "11111111-abcd-1111-abcd-111111abcdef",
            "accountId": "111111111111",
            "data": {
                "actionConfiguration": {"configuration": {
                    "FunctionName": "test-and-package", "UserParameters": parameters}},
                "inputArtifacts": self.inputs.iter().map(artifact("in")).collect::<Vec<_>>(),
                "outputArtifacts": self.outputs.iter().map(artifact("out")).collect::<Vec<_>>(),
                "artifactCredentials": {
                    "accessKeyId": "AKIDJOB", "secretAccessKey": "job-secret",
                    "sessionToken": "job-session"},
                "encryptionKey": {"id": "key-1", "type": "KMS"}
            }
        }});
        let keys = Credentials::new("AKIDROLE", "role-secret", None, None, "test");
        let aws = towpath_aws::fixed(&self.server.endpoint(), "eu-west-1", keys);
        let before = self.reports().len();
        let deadline = SystemTime::now() + Duration::from_mins(2);
        towpath_job::handle(
            &Arc::new(TestAndPackage),
            event,
            deadline,
            &aws,
            &towpath_job::Secrets::default(),
        )
        .await
        .unwrap();
        let mut reports = self.reports().split_off(before);
        assert_eq!(reports.len(), 1, "exactly one report");
        reports.remove(0)
    }

    fn reports(&self) -> Vec<Report> {
        self.server
            .requests()
            .into_iter()
            .filter_map(|request| {
                let target = request.header("x-amz-target")?.to_owned();
                let operation = target.rsplit('.').next().unwrap().to_owned();
                Some((operation, serde_json::from_slice(&request.body).unwrap()))
            })
            .collect()
    }

    /// The names in an output artifact, and the directory that it was unpacked to.
    fn output(&self, name: &str) -> Option<(Vec<String>, tempfile::TempDir)> {
        let object = self.server.object(&format!("/artifacts/out/{name}"))?;
        Some(unzipped(&object))
    }

    fn puts(&self, bucket: &str) -> Vec<Request> {
        self.server
            .requests()
            .into_iter()
            .filter(|it| it.method == "PUT" && it.target.starts_with(&format!("/{bucket}/")))
            .collect()
    }

    /// What was put in the release bucket: code, and releases.
    fn deposited(&self) -> (Vec<Request>, Vec<Request>) {
        self.puts("releases")
            .into_iter()
            .partition(|put| !put.target.starts_with("/releases/releases/"))
    }
}

fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
    let here = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = here.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
    let mut bytes = Vec::new();
    pack(here.path(), &mut bytes, &Packing::default()).unwrap();
    bytes
}

fn unzipped(object: &[u8]) -> (Vec<String>, tempfile::TempDir) {
    let into = tempfile::tempdir().unwrap();
    unpack(object, into.path(), &Unpacking::default()).unwrap();
    (files(into.path(), into.path()), into)
}

fn files(root: &Path, directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(root, &path));
        } else {
            let relative = path.strip_prefix(root).unwrap();
            found.push(relative.to_str().unwrap().to_owned());
        }
    }
    found.sort();
    found
}

fn summary(report: &Report) -> &str {
    assert_eq!(report.0, "PutJobSuccessResult", "{report:?}");
    report.1["executionDetails"]["summary"].as_str().unwrap()
}

fn failure(report: &Report) -> (&str, &str) {
    assert_eq!(report.0, "PutJobFailureResult", "{report:?}");
    let details = &report.1["failureDetails"];
    (
        details["type"].as_str().unwrap(),
        details["message"].as_str().unwrap(),
    )
}

#[tokio::test]
async fn the_classic_form_publishes_each_named_output() {
    let pipeline = Pipeline::of(
        &[("Makefile", MAKEFILE), ("app.js", "1")],
        &["DistSiteOutput", "DistLambdaOutput", "Whole"],
    );
    let report = pipeline
        .run("task=package&DistSiteOutput=dist/site.zip.txt&DistLambdaOutput=dist/lambda.zip&Whole=dist")
        .await;
    let summary = summary(&report);
    assert!(summary.starts_with("package ("), "{summary}");
    assert!(summary.contains("; DistLambdaOutput ("), "{summary}");
    for (name, expected) in [
        ("DistSiteOutput", &["site.zip.txt"][..]),
        ("DistLambdaOutput", &["index.js"]),
        ("Whole", &["app.js", "lambda.zip", "site.zip.txt"]),
    ] {
        assert_eq!(pipeline.output(name).unwrap().0, expected, "{name}");
    }
    for put in pipeline.puts("artifacts") {
        assert_eq!(put.header("x-amz-server-side-encryption"), Some("aws:kms"));
        assert_eq!(
            put.header("x-amz-server-side-encryption-aws-kms-key-id"),
            Some("key-1")
        );
        let authorization = put.header("authorization").unwrap();
        assert!(
            authorization.contains("Credential=AKIDJOB/"),
            "{authorization}"
        );
    }
}

#[tokio::test]
async fn later_inputs_lie_over_the_source_and_tasks_run_in_order() {
    let mut pipeline = Pipeline::of(
        &[(
            "web/Makefile",
            "one:\n\t@echo one >> log\ntwo:\n\t@cat node_modules/dep.js >> log; echo $$STAGE >> log\n",
        )],
        &["Log"],
    );
    pipeline.input("Deps", &zipped(&[("web/node_modules/dep.js", "dep\n")]));
    let report = pipeline
        .run("task=one,two&dir=web&Env.STAGE=acceptance&Log=log")
        .await;
    summary(&report);
    let (_, log) = pipeline.output("Log").unwrap();
    let log = std::fs::read_to_string(log.path().join("log")).unwrap();
    assert_eq!(log, "one\ndep\nacceptance\n");
}

/// What was put into the installed tree for the tasks of this machine is not in what is published.
#[tokio::test]
async fn a_tree_with_a_virtual_environment_is_published_whole() {
    let asked = std::process::Command::new("python3")
        .args(["-c", "import sys; print('%d.%d' % sys.version_info[:2])"])
        .output();
    let python = String::from_utf8(asked.expect("python3").stdout).unwrap();
    let record = format!(
        r#"{{"version": 1, "directory": "", "provides": {{"virtual-environment": {{"python": "{}"}}}}, "files": ["x.pth"]}}"#,
        python.trim()
    );
    let pth = "/towpath.source.root/src\n";
    let mut pipeline = Pipeline::of(
        &[(
            "Makefile",
            "all:\n\t@python -c 'import sys; print(sys.prefix)'; cat x.pth\n",
        )],
        &["Package"],
    );
    let installed = [
        (".towpath-installed/root.uv.json", record.as_str()),
        (".venv/pyvenv.cfg", "prompt = app\n"),
        ("x.pth", pth),
    ];
    pipeline.input("Deps", &zipped(&installed));
    summary(&pipeline.run("task=all&Package=.").await);
    let (files, tree) = pipeline.output("Package").unwrap();
    let expected = [installed[0].0, installed[1].0, "Makefile", "x.pth"];
    assert_eq!(files, expected);
    for (name, content) in &installed[1..] {
        let published = std::fs::read_to_string(tree.path().join(name)).unwrap();
        assert_eq!(published, *content);
    }
}

#[tokio::test]
async fn tasks_find_no_credentials() {
    let pipeline = Pipeline::of(&[("a", "")], &["Env"]);
    let report = pipeline.run("command=env>env.txt&Env=env.txt").await;
    summary(&report);
    let (_, directory) = pipeline.output("Env").unwrap();
    let env = std::fs::read_to_string(directory.path().join("env.txt")).unwrap();
    assert!(env.contains("PATH=") && env.contains("HOME="), "{env}");
    assert!(!env.contains("AWS_"), "{env}");
}

/// Tests for Node's own runner, and tasks that run them.
const SUMS: &str = "\
const { test } = require('node:test');
const assert = require('node:assert');
const { double } = require('../double.js');
test('zero is neutral', () => assert.strictEqual(double(0), 0));
test('two and two are five', { skip: !process.env.BROKEN }, () => assert.strictEqual(double(2), 5));
";
const CHECKS: &str = "\
.PHONY: test
report = node --test --test-reporter=junit --test-reporter-destination=junit.xml test/sums.test.js
test:
\t@$(report)
broken:
\t@BROKEN=1 $(report)
forgiving:
\t@BROKEN=1 $(report) || true
covered: test
\t@node --test --experimental-test-coverage --test-reporter=lcov --test-reporter-destination=lcov.info test/sums.test.js
silent:
\t@true
nothing:
\t@echo '<testsuites/>' > junit.xml
";

#[tokio::test]
async fn reports_decide_beside_exit_codes() {
    let source = [
        ("Makefile", CHECKS),
        ("test/sums.test.js", SUMS),
        (
            "double.js",
            "exports.double = (n) => n * 2;\nexports.never = () => {\n  return 1;\n};\n",
        ),
        ("old/junit.xml", "<testsuite><testcase/></testsuite>"),
    ];
    let pipeline = Pipeline::of(&source, &[]);
    let report = pipeline
        .run("task=covered&report=junit.xml&coverage=lcov.info&min-coverage=10")
        .await;
    let told = summary(&report);
    assert!(told.contains("; 2 tests, 1 skipped, slowest "), "{told}");
    assert!(told.contains(" % (min 10 %)"), "{told}");
    let variables = &report.1["outputVariables"];
    assert_eq!(variables["TestsPassed"], "1", "{variables}");
    assert_eq!(variables["TestsSkipped"], "1", "{variables}");
    let coverage: f64 = variables["Coverage"].as_str().unwrap().parse().unwrap();
    assert!((10.0..100.0).contains(&coverage), "{variables}");

    for (parameters, begins, also) in [
        (
            "task=broken&report=*.xml",
            "task `broken` failed: 1 of 2 tests failed; `make broken` failed with exit code 2\n- ",
            "two and two are five (test/sums.test.js:5)\n    Expected values to be strictly equal:",
        ),
        (
            "task=forgiving&report=*.xml",
            "1 of 2 tests failed, though every task ended with exit code 0\n- ",
            "two and two are five (test/sums.test.js:5)",
        ),
        (
            "task=silent&report=*.xml",
            "the tasks wrote no file that `report=*.xml` matches; they wrote no *.xml",
            "hint: let a task write the report there",
        ),
        (
            "task=silent&report=**/*.xml",
            "`old/junit.xml` was there before the tasks ran, and they did not write it anew",
            "hint: let a task write it",
        ),
        (
            "task=nothing&report=*.xml",
            "no test ran: `junit.xml` has none in it",
            "hint: check that the task selects the tests",
        ),
        (
            "task=covered&coverage=lcov.info&min-coverage=99.9",
            "",
            " of the lines are covered (",
        ),
        (
            "task=test&coverage=lcov.info",
            "the tasks wrote no file that `coverage=lcov.info` matches; what they wrote that could be it is `junit.xml`",
            "",
        ),
    ] {
        let report = pipeline.run(parameters).await;
        let (kind, told) = failure(&report);
        assert_eq!(kind, "JobFailed", "{parameters}: {told}");
        assert!(told.starts_with(begins), "{parameters}: {told}");
        assert!(told.contains(also), "{parameters}: {told}");
    }
}

#[tokio::test]
async fn what_goes_wrong_is_told_with_its_cause_first() {
    let source = [("Makefile", MAKEFILE), ("app.js", "1")];
    for (parameters, outputs, kind, message, also) in [
        (
            "task=test,fail,package",
            &[][..],
            "JobFailed",
            "task `fail` failed: `make fail` failed with exit code 2",
            "expected 200, got 500",
        ),
        (
            "task=tset",
            &[],
            "ConfigurationError",
            "there is no task `tset`, did you mean `test`?: Makefile has test, fail, package",
            "hint: ",
        ),
        (
            "task=package&Site=dist/sit.zip",
            &["Site"],
            "JobFailed",
            "output artifact `Site` was not produced: there is no `dist/sit.zip`; in `dist` are app.js, lambda.zip, site.zip.txt",
            "correct `Site=`",
        ),
        (
            "command=ln+-s+/proc/self/environ+leak&Out=leak",
            &["Out"],
            "JobFailed",
            "`leak` is a link out of the source tree, to /proc/",
            "nothing outside the source is published",
        ),
        (
            "command=mkdir+out;ln+-s+/etc/passwd+out/leak&Out=out",
            &["Out"],
            "JobFailed",
            "failed to use artifact `Out`: cannot pack ",
            "it is a link that leaves the tree, to `/etc/passwd`",
        ),
        (
            "command=printf+nonsense>a.zip&Out=a.zip",
            &["Out"],
            "JobFailed",
            "output artifact `Out` would be `a.zip`, which is not a zip archive: it is a plain text file",
            "hint: let the task make a zip archive",
        ),
        (
            "task=test&dir=wbe",
            &[],
            "ConfigurationError",
            "the source has no directory `wbe`; there are Makefile, app.js",
            "hint: `dir` is relative to the root",
        ),
        (
            "task=test&Siet=x",
            &["Site"],
            "ConfigurationError",
            "unknown parameter `Siet`",
            "did you mean `Site`?",
        ),
        (
            "task=test&template=app.yaml",
            &["Package"],
            "ConfigurationError",
            "there is no template `app.yaml`; there are Makefile, app.js",
            "",
        ),
    ] {
        let pipeline = Pipeline::of(&source, outputs);
        let report = pipeline.run(parameters).await;
        let (got, said) = failure(&report);
        assert_eq!(got, kind, "{parameters}: {said}");
        assert!(said.starts_with(message), "{parameters}: {said}");
        assert!(said.contains(also), "{parameters}: {said}");
        assert_eq!(pipeline.puts("artifacts").len(), 0, "{parameters}");
    }
}

#[tokio::test]
async fn an_input_that_cannot_be_unpacked_is_told_by_name() {
    for (object, kind, message) in [
        (
            b"\x1f\x8b\x08\0tar".to_vec(),
            "JobFailed",
            "failed to use artifact `Extra`: s3://artifacts/in/Extra is not a zip archive: it is gzip data, as of a .tar.gz",
        ),
        (
            br#"{"cloneUrl":"https://example.com/a.git","commitId":"1"}"#.to_vec(),
            "ConfigurationError",
            "failed to use artifact `Extra`: s3://artifacts/in/Extra is not a zip archive: it is a reference to a repository",
        ),
        (
            zipped(&[("a", "x")])[..60].to_vec(),
            "JobFailed",
            "failed to use artifact `Extra`: refused s3://artifacts/in/Extra: it is corrupt: it has no central directory; it may have been cut off",
        ),
        (
            zipped(&[("Makefile/a", "x")]),
            "JobFailed",
            "failed to use artifact `Extra`: cannot lay s3://artifacts/in/Extra over the files that are there: `Makefile` is a directory in it and a file below",
        ),
    ] {
        let mut pipeline = Pipeline::of(&[("Makefile", MAKEFILE)], &[]);
        pipeline.input("Extra", &object);
        let report = pipeline.run("task=test").await;
        let (got, said) = failure(&report);
        assert_eq!(got, kind, "{said}");
        assert!(said.starts_with(message), "{said}");
    }
}
