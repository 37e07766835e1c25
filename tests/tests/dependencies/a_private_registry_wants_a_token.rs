//! A registry that serves one package, and only to who brings the token: with it as a secret the installation works,
//! and the token is to be found nowhere afterwards.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;

use serde_json::json;
use towpath_tests::{CommandLine, Setup, Tree, World, assert_says};

use crate::{CACHE, entries, install, setup, started};

const TOKEN: &str = "npm_4f8a90bc/def+12345";
const PARAMETERS: &str = "trust=protected&Secret.NPM_TOKEN=ssm:/app/npm-token";

/// A registry of npm, as far as `npm ci` goes: a package's document and its archive.
struct Registry {
    address: String,
    integrity: String,
}

impl Registry {
    fn start() -> Self {
        let here = tempfile::tempdir().expect("a directory");
        let tree = Tree::new()
            .file(
                "package/package.json",
                r#"{"name": "@acme/greet", "version": "2.0.0"}"#,
            )
            .file("package/index.js", "module.exports = 'hello'\n");
        tree.write(here.path());
        shell(here.path(), "tar czf greet.tgz package");
        let archive = std::fs::read(here.path().join("greet.tgz")).expect("an archive");
        let integrity = output(
            here.path(),
            "openssl dgst -sha512 -binary greet.tgz | openssl base64 -A",
        );
        let integrity = format!("sha512-{integrity}");
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let document = json!({
            "name": "@acme/greet",
            "dist-tags": {"latest": "2.0.0"},
            "versions": {"2.0.0": {
                "name": "@acme/greet",
                "version": "2.0.0",
                "dist": {"tarball": format!("{address}/greet.tgz"), "integrity": integrity},
            }},
        });
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (document, archive) = (document.to_string().into_bytes(), archive.clone());
                std::thread::spawn(move || serve(stream, &document, &archive));
            }
        });
        Self { address, integrity }
    }

    /// A project that depends on its package.
    fn project(&self) -> Tree {
        let host = self.address.trim_start_matches("http:");
        let npmrc = format!(
            "@acme:registry={}/\n{host}/:_authToken=${{NPM_TOKEN}}\nfetch-retries=0\n",
            self.address
        );
        let manifest =
            r#"{"name": "app", "version": "1.0.0", "dependencies": {"@acme/greet": "2.0.0"}}"#;
        let lock = json!({
            "name": "app",
            "version": "1.0.0",
            "lockfileVersion": 3,
            "requires": true,
            "packages": {
                "": {"name": "app", "version": "1.0.0", "dependencies": {"@acme/greet": "2.0.0"}},
                "node_modules/@acme/greet": {"version": "2.0.0", "integrity": self.integrity},
            },
        });
        Tree::new()
            .file(".npmrc", npmrc)
            .file("package.json", manifest)
            .file("package-lock.json", lock.to_string())
    }
}

fn serve(stream: TcpStream, document: &[u8], archive: &[u8]) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut writer = stream;
    loop {
        let mut request = String::new();
        while !request.ends_with("\r\n\r\n") {
            if reader.read_line(&mut request).ok()? == 0 {
                return None;
            }
        }
        let authorized = request.contains(&format!("Bearer {TOKEN}\r\n"));
        let (status, body) = match () {
            () if !authorized => ("401 Unauthorized", &b"{\"error\": \"need: Bearer\"}"[..]),
            () if request.contains("greet.tgz") => ("200 OK", archive),
            () => ("200 OK", document),
        };
        let head = format!(
            "HTTP/1.1 {status}\r\nwww-authenticate: Bearer\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        writer.write_all(head.as_bytes()).ok()?;
        writer.write_all(body).ok()?;
    }
}

fn shell(directory: &Path, script: &str) {
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .status();
    assert!(status.expect("a shell").success(), "{script}");
}

fn output(directory: &Path, script: &str) -> String {
    let output = Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .output();
    String::from_utf8(output.expect("a shell").stdout).expect("text")
}

fn allowed() -> Setup {
    setup().allow(
        &["ssm:GetParameter"],
        "arn:aws:ssm:us-east-1:000000000000:parameter/app/*",
    )
}

async fn keep_token(world: &World) {
    aws_sdk_ssm::Client::new(world.config())
        .put_parameter()
        .name("/app/npm-token")
        .value(format!("{TOKEN}\n"))
        .r#type(aws_sdk_ssm::types::ParameterType::SecureString)
        .send()
        .await
        .expect("a parameter");
}

/// The token, and what tools make of it.
const FORMS: [&str; 4] = [
    TOKEN,
    "npm_4f8a90bc%2Fdef%2B12345",
    "npm_4f8a90bc",
    "bnBtXzRmOGE5MGJjL2RlZisxMjM0",
];

/// That the token is in nothing that is left: logs, artifacts, cache entries, the whole state of the world.
fn is_nowhere(world: &World) {
    let mut seen = 0;
    for path in towpath_tests::files_below(world.state()) {
        let bytes = std::fs::read(&path).unwrap_or_default();
        seen += 1;
        for form in FORMS {
            let found = bytes
                .windows(form.len())
                .any(|window| window == form.as_bytes());
            assert!(!found, "{form} in {}", path.display());
        }
    }
    assert!(seen > 5, "there was something to look at");
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_secret_it_is_installed_and_the_token_is_nowhere() {
    let world = started(allowed()).await;
    keep_token(&world).await;
    let registry = Registry::start();
    let done = install(&world, &registry.project(), PARAMETERS).await;
    let summary = done.succeeded().summary.clone().unwrap_or_default();
    assert!(summary.starts_with("npm ci: 1 package"), "{summary}");
    let module = world
        .file(&done, "Dependencies", "node_modules/@acme/greet/index.js")
        .await;
    assert_eq!(module, b"module.exports = 'hello'\n");
    let keys = entries(&world).await;
    assert_eq!(keys.len(), 1);
    let head = world
        .s3
        .head_object()
        .bucket(CACHE)
        .key(&keys[0])
        .send()
        .await;
    let metadata = format!("{:?}", head.expect("an entry").metadata);
    assert!(!metadata.contains("4f8a90"), "{metadata}");
    is_nowhere(&world);

    // From the cache it comes without the secret, also when files have changed that nothing is installed from.
    let calls = world
        .log()
        .matches("secrets for the installation: NPM_TOKEN")
        .count();
    let changed = registry
        .project()
        .file("src/index.js", "console.log('another')");
    let again = install(&world, &changed, PARAMETERS).await;
    assert!(
        again
            .succeeded()
            .summary
            .as_deref()
            .unwrap_or_default()
            .ends_with("from the cache")
    );
    assert_eq!(
        world
            .log()
            .matches("secrets for the installation: NPM_TOKEN")
            .count(),
        calls
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn without_it_the_failure_says_what_to_do() {
    let world = started(allowed()).await;
    let registry = Registry::start();
    let done = install(&world, &registry.project(), "trust=protected").await;
    done.failed(
        "JobFailed",
        &[
            "`npm ci` failed with exit code 1",
            "E401",
            "Secret.NPM_TOKEN=ssm:/path",
        ],
    );

    let done = install(&world, &registry.project(), PARAMETERS).await;
    done.failed(
        "ConfigurationError",
        &[
            "failed to read secret `NPM_TOKEN` from ssm:/app/npm-token: ParameterNotFound",
            "--secrets",
        ],
    );
    let other = "Secret.NPM_TOKEN=secretsmanager:app/npm%23token";
    install(&world, &registry.project(), other).await.failed(
        "PermissionError",
        &[
            "from secretsmanager:app/npm#token: AccessDeniedException",
            "secretsmanager:GetSecretValue",
        ],
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_script_prints_of_it_is_masked_and_what_it_writes_is_refused() {
    let world = started(allowed()).await;
    keep_token(&world).await;
    let project = |script: &str| {
        let manifest =
            json!({"name": "app", "version": "1.0.0", "scripts": {"postinstall": script}});
        Tree::new().file("package.json", manifest.to_string())
    };
    let printing = "echo token=$NPM_TOKEN; node -p 'encodeURIComponent(process.env.NPM_TOKEN)'; \
        printf user:$NPM_TOKEN | base64; printf npm_4f8a9; sleep 0.2; echo 0bc/def+12345; exit 3";
    let done = install(&world, &project(printing), PARAMETERS).await;
    let message = done.failed("JobFailed", &["exit code 3", "token=***"]);
    assert!(
        !FORMS.iter().any(|form| message.contains(form)),
        "{message}"
    );
    is_nowhere(&world);

    let writing = "mkdir -p generated && echo $NPM_TOKEN > generated/settings";
    install(&world, &project(writing), PARAMETERS).await.failed(
        "JobFailed",
        &[
            "wrote secret `NPM_TOKEN` to `generated/settings`",
            "nothing was published",
        ],
    );
    assert_says(&world.log(), &["wrote secret `NPM_TOKEN`"]);
    is_nowhere(&world);
}

/// The pipeline's own template with the secret in it, on the command line: as people use it, twice.
#[test]
fn a_local_run_takes_the_secret_from_a_file_and_the_second_one_from_the_cache() {
    let registry = Registry::start();
    let repository = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a repository");
    let template = std::fs::read_to_string(repository.join("template.yaml")).expect("a template");
    let plain = "UserParameters: !Sub trust=${TrustLevel}&timeout=14m";
    assert!(template.contains(plain));
    let secret = format!("{plain}&Secret.NPM_TOKEN=ssm:/app/npm-token");
    let application = registry
        .project()
        .file(
            "makefile",
            "package:\n\tnode -p \"require('@acme/greet')\"\n",
        )
        .file(
            "template.yaml",
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n",
        );
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(
        &Tree::new()
            .file("pipeline.yaml", template.replace(plain, &secret))
            .file(
                "secrets",
                format!("# for npm\nssm:/app/npm-token = {TOKEN}\n"),
            ),
    );
    application.write(&towpath.directory().join("app"));
    let arguments = [
        "run",
        "app",
        "--template",
        "pipeline.yaml",
        "--parameter",
        "Tasks=package",
        "--until",
        "Commit",
        "--parameter",
        "SecretArns=arn:aws:ssm:us-east-1:000000000000:parameter/app/*",
    ];
    let without = towpath.run(&arguments);
    without.exited(1, &["ParameterNotFound", "--secrets"]);

    let arguments = [&arguments[..], &["--secrets", "secrets", "--json"]].concat();
    for summary in [
        "npm ci: 1 package, 0.0 MB",
        "npm ci: 1 package, 0.0 MB, from the cache",
    ] {
        let finished = towpath.run(&arguments);
        finished.exited(0, &[]);
        assert_says(&finished.stdout, &[summary]);
        for form in FORMS {
            assert!(!finished.stdout.contains(form) && !finished.stderr.contains(form));
        }
    }
    for path in towpath.state_files() {
        let bytes = std::fs::read(&path).unwrap_or_default();
        let found = bytes
            .windows(TOKEN.len())
            .any(|window| window == TOKEN.as_bytes());
        assert!(!found, "the token is in {}", path.display());
    }
}
