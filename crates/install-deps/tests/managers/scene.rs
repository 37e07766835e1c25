//! A project in a job's directory, and what becomes of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use install_deps::secret::Values;
use install_deps::{InstallError, Installed, Parameters, install, prepare};
use tempfile::TempDir;
use towpath_archive::{FileSource, Packing, Unpacking, pack, unpack};
use towpath_job::Failure;
use towpath_tool::{Limits, Workspace, task};

/// What a project consists of, apart from the job that installs it.
pub(crate) struct Project {
    files: Vec<(String, Vec<u8>)>,
    pub(crate) parameters: Parameters,
}

impl Project {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()));
        Self {
            files: files.collect(),
            parameters: Parameters::default(),
        }
    }

    pub(crate) fn with(mut self, name: &str, content: impl Into<Vec<u8>>) -> Self {
        self.files.retain(|(known, _)| known != name);
        self.files.push((name.to_owned(), content.into()));
        self
    }

    /// With all of its files in a directory.
    pub(crate) fn moved_to(mut self, directory: &str) -> Self {
        for (name, _) in &mut self.files {
            *name = format!("{directory}/{name}");
        }
        self
    }

    /// With one file as another project has it.
    pub(crate) fn with_manifest_of(self, other: &Self, name: &str) -> Self {
        let (_, content) = other.files.iter().find(|(known, _)| known == name).unwrap();
        let content = content.clone();
        self.with(name, content)
    }

    pub(crate) fn arguments(mut self, arguments: &[&str]) -> Self {
        self.parameters.arguments = arguments.iter().map(|text| (*text).to_owned()).collect();
        self
    }

    /// With what a manager made of a file of its source.
    pub(crate) async fn with_made(self, name: &str) -> Self {
        let job = Job::new(&self);
        job.install(&self.parameters).await.unwrap();
        let made = fs::read(job.source().join(name)).unwrap();
        Self {
            parameters: Parameters::default(),
            ..self.with(name, made)
        }
    }

    fn write(&self, root: &Path) {
        for (name, content) in &self.files {
            let path = root.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }

    /// The project with the lock files that an installation without them has made.
    pub(crate) async fn locked(self, locks: &[&str]) -> Self {
        let job = Job::new(&self);
        job.install(&self.parameters).await.unwrap();
        let mut locked = self;
        for lock in locks {
            let content = fs::read(job.added().join(lock)).unwrap();
            locked = locked.with(lock, content);
        }
        locked
    }

    /// Installs it in two jobs, and takes it to a third: there `command` is run in `directory`, as a task of a later
    /// action would be. Gives what it printed, and what was installed.
    pub(crate) async fn round_trip(&self, directory: &str, command: &str) -> (String, Installed) {
        self.round_trip_with(|_| {}, directory, command).await
    }

    /// The same, with something done to the jobs that install before they do.
    pub(crate) async fn round_trip_with(
        &self,
        prepare: impl Fn(&Job),
        directory: &str,
        command: &str,
    ) -> (String, Installed) {
        let (first, second) = (Job::new(self), Job::new(self));
        prepare(&first);
        prepare(&second);
        let installed = first.install(&self.parameters).await.unwrap();
        assert_eq!(second.install(&self.parameters).await.unwrap(), installed);
        let archives = [first.packed(), second.packed()];
        if archives[0].1 != archives[1].1 {
            let script = format!(
                "diff --recursive --no-dereference '{}' '{}' | head -50",
                first.added().display(),
                second.added().display()
            );
            let told = Command::new("sh").args(["-c", &script]).output().unwrap();
            panic!(
                "two installations differ:\n{}",
                String::from_utf8_lossy(&told.stdout)
            );
        }

        let third = Job::new(self);
        let overlay = third.workspace.path("overlay");
        let archive = FileSource::new(fs::File::open(&archives[0].0).unwrap()).unwrap();
        unpack(&archive, &overlay, &Unpacking::default()).unwrap();
        let source = third.source();
        shell(&source, &format!("cp -a '{}/.' .", overlay.display()));
        // Nothing of it comes from where it was installed.
        drop((first, second));
        (third.task(directory, command).await, installed)
    }

    /// How the installation fails.
    pub(crate) async fn failure(&self) -> Failure {
        Job::new(self)
            .install(&self.parameters)
            .await
            .unwrap_err()
            .into()
    }
}

pub(crate) struct Job {
    directory: TempDir,
    pub(crate) workspace: Workspace,
}

impl Job {
    pub(crate) fn new(project: &Project) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let workspace = Workspace::create_in(directory.path()).unwrap();
        let job = Self {
            directory,
            workspace,
        };
        fs::create_dir(job.source()).unwrap();
        project.write(&job.source());
        job
    }

    pub(crate) fn source(&self) -> PathBuf {
        self.workspace.path("source")
    }

    pub(crate) fn added(&self) -> PathBuf {
        self.workspace.path("added")
    }

    pub(crate) async fn install(&self, parameters: &Parameters) -> Result<Installed, InstallError> {
        let deadline = Instant::now() + Duration::from_mins(5);
        install_in(
            &self.workspace,
            &self.source(),
            &self.added(),
            parameters,
            deadline,
        )
        .await
    }

    fn packed(&self) -> (PathBuf, String) {
        let path = self.directory.path().join("added.zip");
        let file = fs::File::create(&path).unwrap();
        let packed = pack(&self.added(), file, &Packing::default()).unwrap();
        (path, packed.sha256)
    }

    pub(crate) async fn task(&self, directory: &str, command: &str) -> String {
        let command =
            task::detect(&self.source().join(directory), Some("command"), command).unwrap();
        let limits = Limits::until(Instant::now() + Duration::from_mins(2));
        let finished = towpath_tool::run(&command, &self.workspace, &limits).await;
        finished.unwrap().tail
    }
}

/// Installs `source`, without secrets, and moves what was added to `added`.
pub(crate) async fn install_in(
    workspace: &Workspace,
    source: &Path,
    added: &Path,
    parameters: &Parameters,
    deadline: Instant,
) -> Result<Installed, InstallError> {
    let prepared = prepare(source, parameters, workspace, deadline).await?;
    let secrets = Values::default();
    install(
        &prepared, source, added, parameters, &secrets, workspace, deadline,
    )
    .await
}

pub(crate) fn shell(directory: &Path, script: &str) {
    let status = Command::new("sh")
        .args(["-c", script])
        .current_dir(directory)
        .status()
        .unwrap();
    assert!(status.success(), "{script}");
}

/// Whether a program is on this machine, and answers. Says so if it is not.
pub(crate) fn is_here(program: &str, arguments: &[&str]) -> bool {
    let answer = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output();
    let is_here = answer.is_ok_and(|answer| answer.status.success());
    if !is_here {
        assert!(
            std::env::var_os("TOWPATH_TEST_MANAGERS").is_none(),
            "TOWPATH_TEST_MANAGERS is set, so `{program}` should be here"
        );
        eprintln!("skipped: `{program}` is not here");
    }
    is_here
}

/// A package as a Node registry delivers it: a `.tgz`.
pub(crate) fn tgz(manifest: &str, files: &[(&str, &str)]) -> Vec<u8> {
    let directory = tempfile::tempdir().unwrap();
    let package = directory.path().join("package");
    fs::create_dir(&package).unwrap();
    fs::write(package.join("package.json"), manifest).unwrap();
    for (name, text) in files {
        fs::write(package.join(name), text).unwrap();
    }
    // The same bytes every time: its digest is in the lock file.
    shell(
        directory.path(),
        "tar --sort=name --mtime=@0 --owner=0 --group=0 --numeric-owner -cf package.tar package && gzip -n package.tar",
    );
    fs::read(directory.path().join("package.tar.gz")).unwrap()
}
