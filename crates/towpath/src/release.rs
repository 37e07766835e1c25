//! `towpath release`: what is known of releases.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, anyhow};
use aws_sdk_s3::error::DisplayErrorContext;
use towpath_release::{Contents, Identity, Known, diff};

use crate::arguments::Release;
use crate::exit::{Error, Exit, Usage};

/// What [`Contents`] are called beside a `release.json`.
const CONTENTS: &str = "contents.json";

/// One of the commands about releases.
pub(crate) async fn main(arguments: &Release) -> Result<Exit, Error> {
    match arguments {
        Release::Diff {
            first,
            second,
            bucket,
        } => {
            let first = read(first, bucket.as_deref()).await.usage()?;
            let second = read(second, bucket.as_deref()).await.usage()?;
            let differences = diff(&first, &second);
            let (first, second) = (first.identity.id(), second.identity.id());
            if differences.is_empty() {
                anstream::println!("the same release, {first}");
                return Ok(Exit::Succeeded);
            }
            anstream::println!("first:  {first}");
            anstream::println!("second: {second}");
            for difference in differences {
                anstream::println!("{difference}");
            }
            Ok(Exit::Different)
        }
        Release::Show { release, bucket } => {
            let known = read(release, bucket.as_deref()).await.usage()?;
            anstream::print!("{}", shown(&known));
            Ok(Exit::Succeeded)
        }
    }
}

/// Where a release is read from.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    File(PathBuf),
    Object { bucket: String, key: String },
}

impl Place {
    fn of(text: &str, bucket: Option<&str>) -> anyhow::Result<Self> {
        if let Some(address) = text.strip_prefix("s3://") {
            let (bucket, key) = address
                .split_once('/')
                .filter(|(bucket, key)| !bucket.is_empty() && !key.is_empty())
                .ok_or_else(|| anyhow!("`{text}` is not s3://BUCKET/KEY"))?;
            return Ok(Self::Object {
                bucket: bucket.to_owned(),
                key: key.to_owned(),
            });
        }
        match bucket {
            Some(bucket) if is_id(text) => Ok(Self::Object {
                bucket: bucket.to_owned(),
                key: format!("releases/{text}.json"),
            }),
            None if is_id(text) && !Path::new(text).exists() => Err(anyhow!(
                "`{text}` is a release's id: say with --bucket in which release bucket it is"
            )),
            _ => Ok(Self::File(text.into())),
        }
    }

    /// The id that it is stored under, if it is.
    fn id(&self) -> Option<&str> {
        let name = match self {
            Self::File(path) => path.file_name()?.to_str()?,
            Self::Object { key, .. } => key.rsplit('/').next()?,
        };
        name.strip_suffix(".json").filter(|stem| is_id(stem))
    }

    /// Where the contents of its archives are.
    fn contents(&self) -> Self {
        match self {
            Self::File(path) => {
                let beside = match self.id() {
                    Some(id) => format!("{id}.{CONTENTS}"),
                    None => CONTENTS.to_owned(),
                };
                Self::File(path.with_file_name(beside))
            }
            Self::Object { bucket, key } => Self::Object {
                bucket: bucket.clone(),
                key: format!("{}.{CONTENTS}", key.strip_suffix(".json").unwrap_or(key)),
            },
        }
    }

    /// Its bytes; nothing if there is no such thing.
    async fn read(&self) -> anyhow::Result<Option<Vec<u8>>> {
        match self {
            Self::File(path) => match fs::read(path) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                Err(error) => {
                    Err(error).with_context(|| format!("failed to read {}", path.display()))
                }
            },
            Self::Object { bucket, key } => {
                let client = towpath_aws::s3(&towpath_aws::sdk_config());
                let answer = client.get_object().bucket(bucket).key(key).send().await;
                let object = match answer {
                    Ok(object) => object,
                    Err(error)
                        if error.as_service_error().is_some_and(
                            aws_sdk_s3::operation::get_object::GetObjectError::is_no_such_key,
                        ) =>
                    {
                        return Ok(None);
                    }
                    Err(error) => {
                        return Err(anyhow!(
                            "failed to read s3://{bucket}/{key}: {}",
                            DisplayErrorContext(&error)
                        ));
                    }
                };
                let body = object.body.collect().await;
                let body = body.with_context(|| format!("failed to read s3://{bucket}/{key}"))?;
                Ok(Some(body.to_vec()))
            }
        }
    }
}

/// Whether it is the SHA-256 of something.
fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

async fn read(text: &str, bucket: Option<&str>) -> anyhow::Result<Known> {
    let place = Place::of(text, bucket)?;
    let json = place
        .read()
        .await?
        .ok_or_else(|| anyhow!("there is no release {text}"))?;
    let (identity, made) =
        Identity::read(&json).with_context(|| format!("{text} is no release"))?;
    // An identity alone says nothing of its id: what is stored under another one was changed there.
    if let Some(stated) = place.id() {
        let computed = identity.id();
        if stated != computed.as_str() {
            return Err(anyhow!(
                "{text} is not what was stored: what it lists has the id {computed}"
            ));
        }
    }
    // What is not there, or not to be read, is only not told.
    let contents = place.contents().read().await.ok().flatten();
    let contents = contents.and_then(|json| Contents::read(&json).ok());
    Ok(Known {
        identity,
        made,
        contents,
    })
}

/// A release in lines of text.
fn shown(known: &Known) -> String {
    use std::fmt::Write as _;
    let identity = &known.identity;
    let mut text = format!("release {}\n", identity.id());
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(text, "{name:<14}{value}");
    };
    let source = &identity.source;
    for (name, value) in [
        ("repository", &source.repository),
        ("commit", &source.commit),
    ] {
        line(name, value.as_deref().unwrap_or("not known"));
    }
    line("template", &identity.template.path);
    for file in &identity.configuration {
        line("configuration", &file.path);
    }
    for artifact in &identity.artifacts {
        let files = known
            .contents
            .as_ref()
            .and_then(|contents| contents.archives.get(&artifact.sha256))
            .map_or_else(String::new, |files| format!(", {} files", files.len()));
        line(
            "artifact",
            &format!("{} ({} bytes{files})", artifact.place, artifact.bytes),
        );
    }
    if let Some(made) = &known.made {
        line("made by", &made.by);
        if let Some(execution) = &made.execution {
            line("execution", execution);
        }
        line("bucket", made.bucket.as_deref().unwrap_or("none"));
        line("tasks", &made.tasks.join(", "));
        for (name, figure) in &made.figures {
            line("check", &format!("{name}: {figure}"));
        }
        for (name, version) in &made.tools {
            line("tool", &format!("{name}: {version}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_is_named_by_file_address_or_id() {
        let id = "a".repeat(64);
        let object = |bucket: &str, key: &str| {
            Some(Place::Object {
                bucket: bucket.into(),
                key: key.into(),
            })
        };
        for (text, bucket, expected) in [
            (
                "a/release.json",
                None,
                Some(Place::File("a/release.json".into())),
            ),
            (
                "a/release.json",
                Some("b"),
                Some(Place::File("a/release.json".into())),
            ),
            (
                id.as_str(),
                Some("b"),
                object("b", &format!("releases/{id}.json")),
            ),
            (id.as_str(), None, None),
            (
                "s3://b/releases/x.json",
                None,
                object("b", "releases/x.json"),
            ),
            ("s3://b", None, None),
            ("s3:///x", None, None),
        ] {
            assert_eq!(Place::of(text, bucket).ok(), expected, "{text} {bucket:?}");
        }
    }

    #[test]
    fn contents_lie_beside_the_release() {
        let id = "a".repeat(64);
        let stored = format!("x/{id}.json");
        let file = |path: &str| Place::File(path.into());
        for (place, expected) in [
            (file("a/release.json"), file("a/contents.json")),
            (file(&stored), file(&format!("x/{id}.contents.json"))),
            (
                Place::Object {
                    bucket: "b".into(),
                    key: "releases/x.json".into(),
                },
                Place::Object {
                    bucket: "b".into(),
                    key: "releases/x.contents.json".into(),
                },
            ),
        ] {
            assert_eq!(place.contents(), expected);
        }
    }
}
