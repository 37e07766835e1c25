//! One application for each family of package managers goes from its source to production and back to its API, and
//! says what is wrong when something is. Those whose tools are not on this machine are skipped, but not in CI.

mod each_goes_all_the_way;
mod each_says_what_is_wrong;
mod the_recipes_show_the_applications;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use towpath_tests::{CommandLine, Finished, PATIENCE};

/// Set where all tools have to be there.
const ALL: &str = "TOWPATH_TEST_MANAGERS";
/// What an installation or a build leaves in a source tree.
const MADE: [&str; 5] = [
    "node_modules",
    "dist",
    "target",
    ".venv",
    ".python-packages",
];
/// Where Debian's packages put what Maven would fetch from its central repository.
const MAVEN: &str = "/usr/share/maven-repo";

/// A copy of a sample application.
struct App {
    home: CommandLine,
    source: PathBuf,
}

impl App {
    /// `tests/apps/<name>`, if the programs that it needs are here.
    fn copy(name: &str, programs: &[&str]) -> Option<Self> {
        if let Some(missing) = programs.iter().find(|program| !is_here(program)) {
            assert!(std::env::var_os(ALL).is_none(), "`{missing}` is not here");
            eprintln!("skipped: `{missing}` is not here");
            return None;
        }
        let home = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test"));
        let source = home.directory().join(name);
        let sample = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("apps")
            .join(name);
        copy(&sample, &source);
        Some(Self { home, source })
    }

    /// With Debian's copy in the place of Maven's central repository.
    fn with_maven_of_debian(self) -> Option<Self> {
        if !Path::new(MAVEN).join("junit/junit/4.13.2").is_dir() {
            assert!(std::env::var_os(ALL).is_none(), "{MAVEN} is not here");
            eprintln!("skipped: {MAVEN} is not here");
            return None;
        }
        let mirror = format!(
            "<mirror><id>debian</id><mirrorOf>*</mirrorOf><url>file://{MAVEN}</url></mirror>"
        );
        self.write(
            ".mvn/settings.xml",
            &format!("<settings><mirrors>{mirror}</mirrors></settings>"),
        );
        self.write(
            ".mvn/maven.config",
            "--settings=.mvn/settings.xml\n-Dsurefire.version=2.22.3\n",
        );
        Some(self)
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.source.join(path);
        fs::create_dir_all(path.parent().expect("a file lies in a directory"))
            .expect("a directory");
        fs::write(path, text).expect("a file");
    }

    /// With something else in one of its files.
    fn with(self, path: &str, from: &str, to: &str) -> Self {
        let text = read(&self.source.join(path));
        assert!(text.contains(from), "{path} has no `{from}`");
        self.write(path, &text.replacen(from, to, 1));
        self
    }

    fn run(&self) -> Finished {
        let source = self.source.to_str().expect("a path in UTF-8");
        let running = self
            .home
            .start(&["run", source, "--approve", "all", "--json"]);
        running.finish_within(4 * PATIENCE)
    }
}

fn is_here(program: &str) -> bool {
    let asked = if program == "go" {
        "version"
    } else {
        "--version"
    };
    Command::new(program)
        .arg(asked)
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = entry.file_name();
        let target = to.join(&name);
        if entry.file_type().expect("its type").is_dir() {
            if !MADE.iter().any(|made| name == *made) {
                copy(&entry.path(), &target);
            }
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}
