//! cargo and the `go` command.

use std::{fs, path::Path, process::Command};

use towpath_job::FailureType;

use crate::scene::{Job, Project, is_here, shell};

/// A crate in a git repository: cargo needs no registry for it.
fn repository(at: &Path) -> String {
    let crates = [("greet", "hello"), ("second", "again")];
    for (name, word) in crates {
        let directory = at.join(name);
        fs::create_dir_all(directory.join("src")).unwrap();
        let manifest =
            format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\nedition = \"2021\"\n");
        fs::write(directory.join("Cargo.toml"), manifest).unwrap();
        fs::write(
            directory.join("src/lib.rs"),
            format!("pub fn greet() -> &'static str {{ \"{word}\" }}\n"),
        )
        .unwrap();
    }
    shell(
        at,
        "git init -q . && git add . && git -c user.name=t -c user.email=t@t -c commit.gpgsign=false commit -qm first",
    );
    format!("file://{}", at.canonicalize().unwrap().display())
}

#[tokio::test]
async fn sources_of_cargo_are_built_at_another_path() {
    if !is_here("cargo", &["--version"]) || !is_here("git", &["--version"]) {
        return;
    }
    let git = tempfile::tempdir().unwrap();
    let url = repository(git.path());
    let manifest = |names: &[&str]| {
        let dependencies: Vec<String> = names
            .iter()
            .map(|name| format!("{name} = {{ git = \"{url}\" }}\n"))
            .collect();
        let dependencies = dependencies.concat();
        format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[dependencies]\n{dependencies}"
        )
    };
    let project = Project::new(&[
        ("Cargo.toml", &manifest(&["greet"])),
        (
            "src/main.rs",
            "fn main() { println!(\"{}\", greet::greet()); }\n",
        ),
    ])
    .locked(&["Cargo.lock"])
    .await;
    // The repository is out of reach for whoever builds.
    let (told, installed) = project
        .round_trip(
            "",
            &format!(
                "mv '{0}/.git' '{0}/gone' && cargo run --quiet --locked; mv '{0}/gone' '{0}/.git'",
                git.path().display()
            ),
        )
        .await;
    assert_eq!(told, "hello");
    assert!(
        installed
            .to_string()
            .starts_with("cargo vendor: 1 package, "),
        "{installed}"
    );

    let failure = project
        .with("Cargo.toml", manifest(&["greet", "second"]))
        .failure()
        .await;
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert_eq!(
        failure.message,
        "Cargo.toml and Cargo.lock in the root of the source do not match"
    );
    assert_eq!(
        failure.hint.unwrap(),
        "run `cargo update --workspace` and commit Cargo.lock"
    );
}

/// A module proxy in a directory, as `GOPROXY` may name one, with one module.
fn proxy(at: &Path) {
    let versions = at.join("example.com/greet/@v");
    fs::create_dir_all(&versions).unwrap();
    let module = "module example.com/greet\n\ngo 1.18\n";
    fs::write(versions.join("v1.0.0.mod"), module).unwrap();
    fs::write(
        versions.join("v1.0.0.info"),
        "{\"Version\":\"v1.0.0\",\"Time\":\"2020-01-01T00:00:00Z\"}",
    )
    .unwrap();
    fs::write(versions.join("list"), "v1.0.0\n").unwrap();
    let root = at.join("example.com/greet@v1.0.0");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("go.mod"), module).unwrap();
    fs::write(
        root.join("greet.go"),
        "package greet\n\nfunc Greet() string { return \"hello\" }\n",
    )
    .unwrap();
    // Go wants the module's full name in front of every entry.
    let script = "import zipfile,sys\nwith zipfile.ZipFile(sys.argv[1],'w') as z:\n for n in ('go.mod','greet.go'):\n  z.write(f'example.com/greet@v1.0.0/{n}')\n";
    fs::write(at.join("make.py"), script).unwrap();
    shell(at, "python3 make.py example.com/greet/@v/v1.0.0.zip");
}

/// The settings by which a person points `go` at a proxy of their own.
fn use_proxy(job: &Job, proxy: &Path) {
    let settings = job.workspace.home().join(".config/go");
    fs::create_dir_all(&settings).unwrap();
    let text = format!(
        "GOPROXY=file://{}\nGONOSUMDB=*\nGONOSUMCHECK=1\nGOFLAGS=\n",
        proxy.display()
    );
    fs::write(settings.join("env"), text).unwrap();
}

/// The go.sum that `go mod tidy` writes.
fn tidied(files: &[(&str, &str)], proxy: &Path) -> Vec<u8> {
    let home = tempfile::tempdir().unwrap();
    let tidy = home.path().join("app");
    fs::create_dir(&tidy).unwrap();
    for (name, text) in files {
        fs::write(tidy.join(name), text).unwrap();
    }
    let tidied = Command::new("go")
        .args(["mod", "tidy"])
        .current_dir(&tidy)
        .env("HOME", home.path())
        .env("GOFLAGS", "-modcacherw")
        .env("GOMODCACHE", home.path().join("modules"))
        .env("GOPROXY", format!("file://{}", proxy.display()))
        .env("GONOSUMDB", "*")
        .output()
        .unwrap();
    assert!(
        tidied.status.success(),
        "{}",
        String::from_utf8_lossy(&tidied.stderr)
    );
    fs::read(tidy.join("go.sum")).unwrap()
}

#[tokio::test]
async fn modules_of_go_are_built_at_another_path() {
    if !is_here("go", &["version"]) {
        return;
    }
    let modules = tempfile::tempdir().unwrap();
    proxy(modules.path());
    let main = "package main\n\nimport (\n\t\"fmt\"\n\n\t\"example.com/greet\"\n)\n\nfunc main() { fmt.Println(greet.Greet()) }\n";
    let files = [
        (
            "go.mod",
            "module example.com/app\n\ngo 1.18\n\nrequire example.com/greet v1.0.0\n",
        ),
        ("main.go", main),
    ];
    let sums = tidied(&files, modules.path());
    let project = Project::new(&files).with("go.sum", sums);
    let (told, installed) = project
        .round_trip_with(|job| use_proxy(job, modules.path()), "", "go run .")
        .await;
    assert_eq!(told, "hello");
    assert!(
        installed
            .to_string()
            .starts_with("go mod download: 1 package, "),
        "{installed}"
    );

    let job = Job::new(&project.with("go.sum", ""));
    use_proxy(&job, modules.path());
    let error = job
        .install(&install_deps::Parameters::default())
        .await
        .unwrap_err();
    let failure = towpath_job::Failure::from(error);
    assert_eq!(failure.kind, FailureType::ConfigurationError, "{failure:?}");
    assert_eq!(
        failure.message,
        "go.mod and go.sum in the root of the source do not match"
    );
    assert_eq!(failure.hint.unwrap(), "run `go mod tidy` and commit go.sum");
}

/// The root is no module itself: what its modules need is installed, and all of them are tested.
#[tokio::test]
async fn a_workspace_of_go_is_installed_from_its_root() {
    if !is_here("go", &["version"]) {
        return;
    }
    let modules = tempfile::tempdir().unwrap();
    proxy(modules.path());
    let manifest = "module example.com/app\n\ngo 1.18\n\nrequire example.com/greet v1.0.0\n";
    let test = "package app\n\nimport (\n\t\"testing\"\n\n\t\"example.com/greet\"\n)\n\n\
                func TestGreet(t *testing.T) {\n\tif greet.Greet() != \"hello\" {\n\t\tt.Fatal()\n\t}\n}\n";
    let sums = tidied(
        &[("go.mod", manifest), ("app_test.go", test)],
        modules.path(),
    );
    let project = Project::new(&[
        ("go.work", "go 1.18\n\nuse (\n\t./app\n\t./other\n)\n"),
        ("app/go.mod", manifest),
        ("app/app_test.go", test),
        ("other/go.mod", "module example.com/other\n\ngo 1.18\n"),
        (
            "other/other_test.go",
            "package other\n\nimport \"testing\"\n\nfunc TestNothing(*testing.T) {}\n",
        ),
    ])
    .with("app/go.sum", sums);
    let (told, installed) = project
        .round_trip_with(
            |job| use_proxy(job, modules.path()),
            "",
            "go test ./app/... ./other/... && go list -m",
        )
        .await;
    assert!(
        told.contains("example.com/app") && told.contains("example.com/other"),
        "{told}"
    );
    assert!(
        installed
            .to_string()
            .starts_with("go mod download: 1 package, "),
        "{installed}"
    );
}
