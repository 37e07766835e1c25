//! The functions' packages: this program itself, or what was built for Lambda.

use std::io::{Cursor, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::function;

/// Where the functions' executables come from.
#[derive(Debug)]
pub(crate) enum Functions {
    /// Linked into this program.
    Linked(PathBuf),
    /// Built for Lambda, below this directory.
    Built(PathBuf),
}

impl Functions {
    /// `directory` is what `--functions` names.
    pub(crate) fn new(directory: Option<&Path>) -> anyhow::Result<Self> {
        match directory {
            None => Ok(Self::Linked(
                std::env::current_exe().context("failed to find this program's own file")?,
            )),
            Some(directory) => {
                ensure!(
                    directory.is_dir(),
                    "there is no folder {}; --functions names the folder that holds the built functions, such as target/lambda",
                    directory.display()
                );
                Ok(Self::Built(directory.canonicalize()?))
            }
        }
    }

    /// A function's package for Lambda: a zip with `bootstrap`.
    pub(crate) fn package(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        if let Self::Built(directory) = self {
            let zip = directory.join(format!("{name}.zip"));
            if zip.is_file() {
                return std::fs::read(&zip)
                    .with_context(|| format!("failed to read {}", zip.display()));
            }
        }
        archive(&[("bootstrap".to_owned(), self.executable(name)?)])
    }

    /// A container image's files: each function's executable at its path.
    pub(crate) fn image(&self, entries: &[(String, String)]) -> anyhow::Result<Vec<u8>> {
        let mut files = Vec::new();
        for (name, entry) in entries {
            files.push((
                entry.trim_start_matches('/').to_owned(),
                self.executable(name)?,
            ));
        }
        archive(&files)
    }

    fn executable(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        match self {
            Self::Linked(program) => {
                ensure!(
                    function::NAMES.contains(&name),
                    "there is no function `{name}` in this program; there are {}; --functions names a folder with others",
                    function::NAMES.join(", ")
                );
                let program = program
                    .to_str()
                    .context("this program's path is not UTF-8")?;
                let quoted = program.replace('\'', r"'\''");
                Ok(
                    format!("#!/bin/sh\nexec '{quoted}' {} {name}\n", function::COMMAND)
                        .into_bytes(),
                )
            }
            Self::Built(directory) => {
                for path in [directory.join(name).join("bootstrap"), directory.join(name)] {
                    if path.is_file() {
                        return std::fs::read(&path)
                            .with_context(|| format!("failed to read {}", path.display()));
                    }
                }
                bail!(
                    "function `{name}` is not in {}; expected {name}/bootstrap, {name}.zip or {name}",
                    directory.display()
                )
            }
        }
    }
}

fn archive(files: &[(String, Vec<u8>)]) -> anyhow::Result<Vec<u8>> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(0o755);
    for (name, content) in files {
        zip.start_file(name.as_str(), options)?;
        zip.write_all(content)?;
    }
    Ok(zip.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_function_is_named_with_those_that_exist() {
        let functions = Functions::new(None).expect("this program");
        assert!(functions.package("approve").is_ok());
        let error = functions
            .package("aprove")
            .expect_err("unknown")
            .to_string();
        assert!(
            error.contains("`aprove`") && error.contains("approve"),
            "{error}"
        );
    }

    #[test]
    fn built_functions_are_found_in_each_layout() {
        let directory = tempfile::tempdir().expect("a directory");
        std::fs::create_dir(directory.path().join("a")).expect("a directory");
        std::fs::write(directory.path().join("a/bootstrap"), "one").expect("a file");
        std::fs::write(directory.path().join("b"), "two").expect("a file");
        std::fs::write(directory.path().join("c.zip"), "three").expect("a file");
        let functions = Functions::new(Some(directory.path())).expect("a folder");
        for name in ["a", "b", "c"] {
            functions
                .package(name)
                .unwrap_or_else(|error| panic!("{name}: {error}"));
        }
        let error = functions.package("d").expect_err("missing").to_string();
        assert!(error.contains("d/bootstrap, d.zip or d"), "{error}");
    }
}
