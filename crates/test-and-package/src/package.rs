//! A template with local code becomes one that can be deployed from anywhere.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use towpath_artifact::{ArtifactError, Deposited, Encryption, Listing, Source, Store};
use towpath_release::{Artifact, BUCKET, Contents, File, Identity, Object};
use towpath_template::package::{CodeKind, LocalCode, S3Object, plan};

use crate::error::ActionError;
use crate::parameters::{Output, Parameters, Release};
use crate::place;

/// Directories beside a template that hold its configurations for the environments.
const CONFIGURATIONS: [&str; 2] = ["config", "environments"];

/// A template that was packaged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packaged {
    /// How many objects its local code is now.
    pub objects: usize,
    /// How many of them had to be uploaded.
    pub uploaded: usize,
    /// Whether it is the template that `sam build` has left.
    pub is_built: bool,
    /// What the release consists of.
    pub identity: Identity,
    /// What is in its archives.
    pub contents: Contents,
    /// The packaged template as it is.
    pub template: File,
    /// Where what it names lies.
    pub stored: Vec<Object>,
    /// The release bucket, if there is one.
    pub bucket: Option<String>,
}

impl Packaged {
    /// In a few words, if there is something to say.
    pub(crate) fn summary(&self) -> Option<String> {
        let plural = if self.objects == 1 { "" } else { "s" };
        let new = match self.uploaded {
            0 => "known already".to_owned(),
            all if all == self.objects => "uploaded".to_owned(),
            some => format!("({some} new)"),
        };
        let objects =
            (self.objects > 0).then(|| format!("{} code object{plural} {new}", self.objects));
        let built = self.is_built.then(|| format!("packaged {BUILT}"));
        let parts: Vec<String> = built.into_iter().chain(objects).collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}

/// Where `sam build` leaves the template that is to be packaged in place of the project's.
const BUILT: &str = ".aws-sam/build/template.yaml";

/// Stores the template's local code in the release bucket, and writes the packaged template and
/// the configurations beside it to `staged`, at the paths they have in the project. Nested
/// templates are packaged first, the innermost before all; `scratch` is a directory for them.
pub async fn package(
    tree: &Path,
    project: &Path,
    template: &Output,
    parameters: &Parameters,
    store: &Store,
    (staged, scratch): (&Path, &Path),
) -> Result<Packaged, ActionError> {
    let path = project.join(&template.path);
    let Some(found) = place::within(tree, &path)?.filter(|found| found.is_file()) else {
        return Err(ActionError::NoTemplate {
            path: template.path.clone(),
            present: place::present(project, &template.path),
        });
    };
    let built = place::within(tree, &project.join(BUILT))?.filter(|built| built.is_file());
    let is_built = built.is_some();
    if is_built {
        tracing::info!("packaging `{BUILT}`, which the tasks have built");
    }
    let mut packing = Packaging {
        tree,
        project,
        bucket: parameters
            .release
            .bucket
            .clone()
            .or_else(|| std::env::var(Release::VARIABLE).ok())
            .filter(|bucket| !bucket.is_empty()),
        prefix: &parameters.release.prefix,
        store,
        scratch,
        deposited: BTreeMap::new(),
        artifacts: Vec::new(),
        stored: Vec::new(),
        contents: Contents::default(),
        within: Vec::new(),
    };
    let text = packing.template(built.unwrap_or(found)).await?;
    stage(staged, &template.path, text.here.as_bytes())?;
    let beside = path.parent().unwrap_or(project);
    let mut configuration = Vec::new();
    for (relative, content) in configurations(tree, beside, &template.path)? {
        stage(staged, &relative, &content)?;
        configuration.push(File::of(relative.display().to_string(), &content));
    }
    let identity = Identity::new(
        parameters.origin.clone(),
        File::of(
            template.path.display().to_string(),
            text.anywhere.as_bytes(),
        ),
        configuration,
        packing.artifacts,
    );
    Ok(Packaged {
        objects: packing.deposited.len(),
        uploaded: packing
            .deposited
            .values()
            .filter(|it| it.stored.uploaded)
            .count(),
        is_built,
        identity,
        contents: packing.contents,
        template: File::of(template.path.display().to_string(), text.here.as_bytes()),
        stored: packing.stored,
        bucket: packing.bucket,
    })
}

/// A packaged template's text.
struct Text {
    /// For the release bucket that there is.
    here: String,
    /// For none: what the release's id depends on.
    anywhere: String,
}

/// Something local that is in the release bucket now.
#[derive(Clone)]
struct Known {
    stored: Deposited,
    /// Digest and size of what it is in every bucket.
    content: (String, u64),
}

/// What the templates of one application share.
struct Packaging<'a> {
    tree: &'a Path,
    project: &'a Path,
    bucket: Option<String>,
    prefix: &'a str,
    store: &'a Store,
    scratch: &'a Path,
    /// Each path and kind once, whoever names it.
    deposited: BTreeMap<(PathBuf, bool), Known>,
    /// Each place that names one of them.
    artifacts: Vec<Artifact>,
    /// The same places, and where it lies.
    stored: Vec<Object>,
    contents: Contents,
    /// The templates that are being packaged, outermost first.
    within: Vec<PathBuf>,
}

impl Packaging<'_> {
    /// The text of a template when all that it names is in the release bucket.
    async fn template(&mut self, path: PathBuf) -> Result<Text, ActionError> {
        if let Some(start) = self.within.iter().position(|it| *it == path) {
            let mut chain: Vec<PathBuf> = self.within[start..].to_vec();
            chain.push(path);
            return Err(ActionError::NestedInItself {
                chain: chain.iter().map(|path| self.shown(path)).collect(),
            });
        }
        let text = fs::read_to_string(&path).map_err(|source| ActionError::Io {
            doing: "read",
            path: path.clone(),
            source,
        })?;
        let beside = path.parent().unwrap_or(self.project);
        let plan = plan(&text, beside).map_err(|source| ActionError::Template {
            path: self.shown(&path).into(),
            source,
        })?;
        if plan.artifacts.is_empty() {
            let here = plan.rewrite(|_| unreachable!("there is nothing local"));
            return Ok(Text {
                anywhere: here.clone(),
                here,
            });
        }
        let Some(bucket) = self.bucket.clone() else {
            return Err(ActionError::NoReleaseBucket {
                code: plan
                    .artifacts
                    .iter()
                    .map(|code| {
                        let path = self.shown(&code.path);
                        format!("{}.{}: {path}", code.resource, code.property)
                    })
                    .collect(),
            });
        };
        let shown = self.shown(&path);
        self.within.push(path);
        let (mut here, mut anywhere) = (BTreeMap::new(), BTreeMap::new());
        for code in &plan.artifacts {
            let Known { stored, content } = self.deposit(code, &bucket).await?;
            let (sha256, bytes) = content;
            anywhere.insert(
                code.place.clone(),
                S3Object {
                    bucket: BUCKET.to_owned(),
                    key: sha256.clone(),
                    version: None,
                    region: None,
                },
            );
            here.insert(
                code.place.clone(),
                S3Object {
                    bucket: bucket.clone(),
                    key: stored.key.clone(),
                    // The key says what the content is; a version would say when it was first seen.
                    version: None,
                    region: self.store.region(),
                },
            );
            self.artifacts.push(Artifact {
                template: shown.clone(),
                place: code.place.join("."),
                sha256,
                bytes,
            });
            self.stored.push(Object {
                template: shown.clone(),
                place: code.place.join("."),
                key: stored.key,
                version: stored.version,
                sha256: stored.sha256,
                bytes: stored.bytes,
            });
        }
        self.within.pop();
        Ok(Text {
            here: plan.rewrite(|code| here[&code.place].clone()),
            anywhere: plan.rewrite(|code| anywhere[&code.place].clone()),
        })
    }

    /// Stores a piece of local code, if that was not done already.
    async fn deposit(&mut self, code: &LocalCode, bucket: &str) -> Result<Known, ActionError> {
        let found = place::within(self.tree, &code.path)?.ok_or_else(|| ActionError::Io {
            doing: "read",
            path: code.path.clone(),
            source: io::ErrorKind::NotFound.into(),
        })?;
        // A file alone in an archive is called what the template calls it, also where that is a link.
        let is_alone = code.kind == CodeKind::Zip && found.is_file();
        let path = if is_alone { code.path.clone() } else { found };
        let known = (path, code.kind == CodeKind::Zip);
        if let Some(stored) = self.deposited.get(&known) {
            return Ok(stored.clone());
        }
        let path = &known.0;
        let nested;
        let mut content = None;
        let source = match code.kind {
            CodeKind::Zip if path.is_dir() => Source::Directory(path),
            CodeKind::Zip => Source::File(path),
            CodeKind::File => Source::Verbatim(path),
            CodeKind::Template => {
                let text = Box::pin(self.template(path.clone())).await?;
                let name = format!("{}.template", self.deposited.len());
                stage(self.scratch, Path::new(&name), text.here.as_bytes())?;
                let anywhere = File::of("", text.anywhere.as_bytes());
                content = Some((anywhere.sha256, anywhere.bytes));
                nested = self.scratch.join(name);
                Source::Verbatim(&nested)
            }
        };
        let stored = self
            .store
            .deposit(source, bucket, self.prefix, &Encryption::Bucket)
            .await?;
        tracing::info!(
            resource = code.resource,
            key = stored.key,
            uploaded = stored.uploaded,
            "code is in the release bucket"
        );
        // An archive that somebody else has packed is stored as it is, and not looked into.
        let packed = code.kind == CodeKind::Zip
            && (path.is_dir() || path.extension().is_none_or(|extension| extension != "zip"));
        if packed && !self.contents.archives.contains_key(&stored.sha256) {
            let files = contents(path)?;
            self.contents.archives.insert(stored.sha256.clone(), files);
        }
        let content = content.unwrap_or_else(|| (stored.sha256.clone(), stored.bytes));
        let stored = Known { stored, content };
        self.deposited.insert(known, stored.clone());
        Ok(stored)
    }

    /// A path as the project calls it.
    fn shown(&self, path: &Path) -> String {
        let roots = [
            self.project.to_owned(),
            self.project.canonicalize().unwrap_or_default(),
        ];
        let relative = roots.iter().find_map(|root| path.strip_prefix(root).ok());
        relative.unwrap_or(path).display().to_string()
    }
}

/// The files that a directory's archive has, or the only one.
fn contents(path: &Path) -> Result<Vec<File>, ActionError> {
    let listing = if path.is_dir() {
        Listing::of_directory(path)
    } else {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        Listing::of_file(path, &name)
    }
    .map_err(ArtifactError::Archive)?;
    listing
        .names()
        .filter_map(|(name, at)| Some((name, at?)))
        .map(|(name, at)| {
            let failed = |source| ActionError::Io {
                doing: "read",
                path: at.clone(),
                source,
            };
            let mut digest = Sha256::new();
            let mut file = fs::File::open(&at).map_err(failed)?;
            let bytes = io::copy(&mut file, &mut digest).map_err(failed)?;
            Ok(File {
                path: name.to_owned(),
                sha256: hex::encode(digest.finalize()),
                bytes,
            })
        })
        .collect()
}

/// The JSON files of the directories of configurations beside the template, by their path in the
/// project.
fn configurations(
    tree: &Path,
    beside: &Path,
    template: &Path,
) -> Result<Vec<(PathBuf, Vec<u8>)>, ActionError> {
    let mut found = Vec::new();
    for directory in CONFIGURATIONS {
        let relative = template.with_file_name(directory);
        let Ok(entries) = fs::read_dir(beside.join(directory)) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            if path.extension().is_none_or(|extension| extension != "json") {
                continue;
            }
            let Some(file) = place::within(tree, &path)?.filter(|file| file.is_file()) else {
                continue;
            };
            let content = fs::read(&file).map_err(|source| ActionError::Io {
                doing: "read",
                path: file,
                source,
            })?;
            found.push((relative.join(entry.file_name()), content));
        }
    }
    Ok(found)
}

pub(crate) fn stage(staged: &Path, relative: &Path, content: &[u8]) -> Result<(), ActionError> {
    let path = staged.join(relative);
    let failed = |source| ActionError::Io {
        doing: "write",
        path: path.clone(),
        source,
    };
    fs::create_dir_all(path.parent().unwrap_or(staged)).map_err(failed)?;
    fs::write(&path, content).map_err(failed)
}

#[cfg(test)]
mod tests {
    use towpath_release::Origin;

    use super::*;

    #[test]
    fn the_summary_says_what_was_new() {
        let built = "packaged .aws-sam/build/template.yaml";
        for (objects, uploaded, is_built, expected) in [
            (0, 0, false, None),
            (0, 0, true, Some(built.to_owned())),
            (1, 1, false, Some("1 code object uploaded".to_owned())),
            (2, 0, false, Some("2 code objects known already".to_owned())),
            (3, 1, true, Some(format!("{built}; 3 code objects (1 new)"))),
        ] {
            let packaged = Packaged {
                objects,
                uploaded,
                is_built,
                identity: Identity::new(
                    Origin::default(),
                    File::of("a.yaml", b""),
                    Vec::new(),
                    Vec::new(),
                ),
                contents: Contents::default(),
                template: File::of("a.yaml", b""),
                stored: Vec::new(),
                bucket: None,
            };
            assert_eq!(packaged.summary(), expected);
        }
    }
}
