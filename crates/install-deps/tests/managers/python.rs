//! pip, uv and Poetry.

use install_deps::{Parameters, Scripts};
use towpath_job::FailureType;

use crate::scene::{Project, is_here, shell};

/// A wheel made by hand.
fn wheel(name: &str, version: &str) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let script = format!(
        r#"
import zipfile
info = "{name}-{version}.dist-info"
with zipfile.ZipFile("wheel.whl", "w") as wheel:
    def write(path, text):
        wheel.writestr(zipfile.ZipInfo(path), text)
    write("{name}.py", "import sys\ndef main(): print('hello from', sys.prefix)\n")
    write(f"{{info}}/METADATA", "Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    write(f"{{info}}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
    write(f"{{info}}/entry_points.txt", "[console_scripts]\n{name} = {name}:main\n")
    write(f"{{info}}/RECORD", "".join(f"{{i.filename}},,\n" for i in wheel.infolist()) + f"{{info}}/RECORD,,\n")
"#
    );
    std::fs::write(directory.path().join("make.py"), script).unwrap();
    shell(directory.path(), "python3 make.py");
    std::fs::read(directory.path().join("wheel.whl")).unwrap()
}

fn greet(project: Project) -> Project {
    project
        .with("wheels/greet-1.0-py3-none-any.whl", wheel("greet", "1.0"))
        .with("wheels/second-1.0-py3-none-any.whl", wheel("second", "1.0"))
}

/// Prints where Python thinks that it lives, by way of a program, a module, a shell and the project's own package.
const LOOK: &str = "greet && python -c 'import greet; greet.main()' && . .venv/bin/activate && greet && app && \
                    (cd / && app) && python -c 'import sys; print(sys.prefix, sys.version_info[:2] >= (3, 9))'";

fn looked_at(told: &str) {
    let lines: Vec<&str> = told.lines().collect();
    assert_eq!(lines.len(), 6, "{told}");
    let prefix = lines[0].strip_prefix("hello from ").unwrap();
    assert!(prefix.ends_with("/source/.venv"), "{told}");
    for line in &lines[1..3] {
        assert_eq!(*line, format!("hello from {prefix}"), "{told}");
    }
    assert_eq!(lines[3..5], ["the app", "the app"], "{told}");
    assert_eq!(lines[5], format!("{prefix} True"));
}

const APP: &str = "def main(): print('the app')\n";

fn uv_project() -> Project {
    let pyproject = r#"
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["greet"]

[project.scripts]
app = "app:main"

[tool.uv.sources]
greet = { path = "wheels/greet-1.0-py3-none-any.whl" }
second = { path = "wheels/second-1.0-py3-none-any.whl" }

[build-system]
requires = ["uv_build>=0.7"]
build-backend = "uv_build"
"#;
    greet(Project::new(&[
        ("pyproject.toml", pyproject),
        ("src/app/__init__.py", APP),
    ]))
}

#[tokio::test]
async fn an_environment_of_uv_works_at_another_path() {
    if !is_here("uv", &["--version"]) {
        return;
    }
    let project = uv_project().locked(&["uv.lock"]).await;
    let (told, installed) = project.round_trip("", LOOK).await;
    looked_at(&told);
    assert!(
        installed.to_string().starts_with("uv sync: 2 packages, "),
        "{installed}"
    );
    let (told, _) = project.round_trip("src", "uv run app").await;
    assert_eq!(told, "the app");

    let pyproject = r#"
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.9"
dependencies = ["greet", "second"]

[tool.uv.sources]
greet = { path = "wheels/greet-1.0-py3-none-any.whl" }
second = { path = "wheels/second-1.0-py3-none-any.whl" }
"#;
    let failure = project.with("pyproject.toml", pyproject).failure().await;
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert_eq!(
        failure.message,
        "pyproject.toml and uv.lock in the root of the source do not match"
    );
    assert_eq!(failure.hint.unwrap(), "run `uv lock` and commit uv.lock");
}

#[tokio::test]
async fn an_environment_below_another_installation_works_at_another_path() {
    if !is_here("uv", &["--version"]) {
        return;
    }
    let mut project = uv_project()
        .locked(&["uv.lock"])
        .await
        .moved_to("api")
        .with("package.json", r#"{"name": "app", "version": "1.0.0"}"#);
    project.parameters = Parameters {
        directories: vec!["".into(), "api".into()],
        ..Parameters::default()
    };
    let (told, installed) = project.round_trip("api", "app && greet").await;
    let (first, second) = told.split_once('\n').unwrap();
    assert_eq!(first, "the app");
    assert!(second.ends_with("/source/api/.venv"), "{told}");
    let installed = installed.to_string();
    assert!(
        installed.starts_with(
            "npm install in the root of the source: 0 packages; uv sync in `api`: 2 packages, "
        ),
        "{installed}"
    );
}

#[tokio::test]
async fn without_scripts_uv_builds_nothing() {
    if !is_here("uv", &["--version"]) {
        return;
    }
    let mut project = uv_project().locked(&["uv.lock"]).await;
    project.parameters = Parameters {
        scripts: Scripts::Off,
        ..Parameters::default()
    };
    let (_, installed) = project.round_trip("", "greet").await;
    assert!(
        installed.to_string().starts_with("uv sync: 1 package, "),
        "{installed}"
    );
}

fn poetry_project(dependencies: &str) -> Project {
    let pyproject = format!(
        r#"
[project]
name = "app"
version = "0.1.0"
requires-python = ">=3.9"

[project.scripts]
app = "app:main"

[tool.poetry]
packages = [{{ include = "app" }}]

[tool.poetry.dependencies]
{dependencies}

[build-system]
requires = ["poetry-core>=2"]
build-backend = "poetry.core.masonry.api"
"#
    );
    greet(Project::new(&[
        ("pyproject.toml", &pyproject),
        ("app/__init__.py", APP),
    ]))
}

#[tokio::test]
async fn an_environment_of_poetry_works_at_another_path() {
    if !is_here("poetry", &["--version"]) {
        return;
    }
    let one = r#"greet = { path = "wheels/greet-1.0-py3-none-any.whl" }"#;
    let project = poetry_project(one).locked(&["poetry.lock"]).await;
    let (told, installed) = project.round_trip("", LOOK).await;
    looked_at(&told);
    assert!(
        installed
            .to_string()
            .starts_with("poetry sync: 3 packages, "),
        "{installed}"
    );

    let two = format!("{one}\nsecond = {{ path = \"wheels/second-1.0-py3-none-any.whl\" }}");
    let pyproject = poetry_project(&two);
    let failure = project
        .with_manifest_of(&pyproject, "pyproject.toml")
        .failure()
        .await;
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert_eq!(
        failure.message,
        "pyproject.toml and poetry.lock in the root of the source do not match"
    );
    assert_eq!(
        failure.hint.unwrap(),
        "run `poetry lock` and commit poetry.lock"
    );
}

#[tokio::test]
async fn packages_of_pip_work_at_another_path() {
    let project = greet(Project::new(&[(
        "requirements.txt",
        "./wheels/greet-1.0-py3-none-any.whl\n",
    )]))
    .arguments(&["--no-index"]);
    let command = "greet > told.txt && python3 -c 'import greet; greet.main()' | diff - told.txt && echo same";
    let (told, installed) = project.round_trip("", command).await;
    assert_eq!(told, "same");
    assert_eq!(installed.to_string(), "pip install: 1 package, 0.0 MB");
}
