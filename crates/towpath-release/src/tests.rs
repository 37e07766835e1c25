//! The id stays what it is, follows from all that is listed, and from nothing else.

use super::*;

fn artifact(place: &str, content: &[u8]) -> Artifact {
    let File { sha256, bytes, .. } = File::of("", content);
    Artifact {
        template: "infra/app.yaml".into(),
        place: place.into(),
        sha256,
        bytes,
    }
}

fn known(identity: Identity) -> Known {
    Known {
        identity,
        made: None,
        contents: None,
    }
}

fn identity() -> Identity {
    Identity::new(
        Origin {
            repository: Some("owner/app".into()),
            commit: Some("c0ffee".into()),
        },
        File::of("infra/app.yaml", b"Resources: {}\n"),
        vec![
            File::of("infra/config/prod.json", b"{}"),
            File::of("infra/config/dev\u{fc}.json", b"[]"),
        ],
        vec![
            artifact("Resources.Two.Properties.CodeUri", b"two"),
            artifact("Resources.One.Properties.CodeUri", b"one"),
        ],
    )
}

#[test]
fn the_canonical_form_and_its_id_stay_what_they_are() {
    let small = Identity::new(Origin::default(), File::of("a.yaml", b""), vec![], vec![]);
    // The ids were computed by another program, from the same content.
    let canonical = r#"{"artifacts":[],"configuration":[],"schema":"towpath.release/2","source":{},"template":{"bytes":0,"path":"a.yaml","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#;
    assert_eq!(String::from_utf8(small.canonical()).unwrap(), canonical);
    assert_eq!(
        small.id().as_str(),
        "e1be6f8f77f07d361d73f919f92c68bbbfec865505d789feebe2817f39d8585a"
    );
    assert_eq!(
        identity().id().as_str(),
        "8e834d2962c3bfe4dbf262b6f41eba71b1236823bc90b587c233281080d758e7"
    );
}

#[test]
fn names_are_sorted_and_texts_escaped_as_rfc_8785_has_it() {
    for (path, expected) in [
        ("a/b", r#""a/b""#),
        ("\u{fc}\u{1f600}", "\"\u{fc}\u{1f600}\""),
        ("\"\\\n\u{7}\u{7f}", "\"\\\"\\\\\\n\\u0007\u{7f}\""),
    ] {
        let identity = Identity::new(Origin::default(), File::of(path, b""), vec![], vec![]);
        let text = String::from_utf8(identity.canonical()).unwrap();
        assert!(text.contains(&format!(r#""path":{expected},"#)), "{text}");
    }
}

#[test]
fn the_id_depends_on_what_it_lists_and_not_on_the_order_or_the_making() {
    let given = identity();
    let mut again = identity();
    again.artifacts.reverse();
    again.configuration.reverse();
    let again = Identity::new(
        again.source,
        again.template,
        again.configuration,
        again.artifacts,
    );
    assert_eq!(again.id(), given.id());
    let made = Made {
        by: "another".into(),
        bucket: Some("elsewhere".into()),
        ..Made::default()
    };
    assert_eq!(Release::new(identity(), made).id, given.id());
}

#[test]
fn each_difference_is_named_and_gives_another_id() {
    type Change = fn(&mut Identity);
    let changes: [(Change, &[&str]); 8] = [
        (|_| {}, &[]),
        (
            |it| it.source.commit = Some("decaf".into()),
            &["commit: c0ffee -> decaf"],
        ),
        (
            |it| it.source.repository = None,
            &["repository: only in the first: owner/app"],
        ),
        (
            |it| it.template = File::of("infra/app.yaml", b""),
            &["template `infra/app.yaml`: "],
        ),
        (
            |it| it.template.path = "app.yaml".into(),
            &[
                "template `app.yaml`: only in the second: ",
                "template `infra/app.yaml`: only in the first: ",
            ],
        ),
        (
            |it| {
                it.configuration.pop();
            },
            &["configuration `infra/config/prod.json`: only in the first: "],
        ),
        (
            |it| it.artifacts[0].sha256 = "0".repeat(64),
            &["artifact `Resources.One.Properties.CodeUri` of `infra/app.yaml`: "],
        ),
        (
            |it| {
                it.artifacts
                    .push(artifact("Resources.Zoo.Properties.CodeUri", b"3"));
            },
            &[
                "artifact `Resources.Zoo.Properties.CodeUri` of `infra/app.yaml`: only in the second: ",
            ],
        ),
    ];
    let first = known(identity());
    for (change, expected) in changes {
        let mut second = known(identity());
        change(&mut second.identity);
        let told: Vec<String> = diff(&first, &second)
            .iter()
            .filter(|it| !it.part.starts_with("why: "))
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(
            first.identity.id() == second.identity.id(),
            expected.is_empty(),
            "{told:?}"
        );
    }
}

#[test]
fn a_document_is_read_back_and_an_altered_one_refused() {
    let release = Release::new(identity(), Made::default());
    let text = release.text();
    let read = |json: &[u8]| Identity::read(json).unwrap();
    let made = Some(Made::default());
    assert_eq!(read(text.as_bytes()), (identity(), made));
    assert_eq!(read(&identity().canonical()), (identity(), None));

    let other = text.replace("c0ffee", "decaf0");
    let newer = text.replace(SCHEMA, "towpath.release/3");
    let more = text.replace("\"source\":", "\"sauce\": 1, \"source\":");
    for (given, expected) in [
        (other.as_str(), "it says that its id is "),
        (newer.as_str(), "its schema is `towpath.release/3`"),
        (more.as_str(), "it is not a release's document"),
        ("{}", "it is not a release's document"),
        ("[1]", "it is not a release's document"),
        ("Resources:", "it is not a release's document"),
    ] {
        let error = Identity::read(given.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{given}: {error}");
    }
}

#[test]
fn the_files_behind_a_difference_are_told_and_why_it_may_be() {
    let built = |files: &[(&str, &str)], commit: &str, node: &str| {
        let mut archive: Vec<u8> = Vec::new();
        let mut listed = Vec::new();
        for (path, content) in files {
            archive.extend(format!("{path}:{content};").bytes());
            listed.push(File::of(*path, content.as_bytes()));
        }
        let code = artifact("Resources.One.Properties.CodeUri", &archive);
        let mut contents = Contents::default();
        contents.archives.insert(code.sha256.clone(), listed);
        let origin = Origin {
            repository: None,
            commit: Some(commit.to_owned()),
        };
        let template = File::of("app.yaml", &archive);
        Known {
            identity: Identity::new(origin, template, vec![], vec![code]),
            made: Some(Made {
                tools: [("node".to_owned(), node.to_owned())].into(),
                ..Made::default()
            }),
            contents: Some(contents),
        }
    };
    let first = built(
        &[("a.js", "1"), ("gone.js", ""), ("same.js", "x")],
        "c0ffee",
        "v20",
    );
    let second = built(
        &[("a.js", "2"), ("new.js", ""), ("same.js", "x")],
        "c0ffee",
        "v22",
    );
    let told = |second: &Known| -> Vec<String> {
        diff(&first, second)
            .iter()
            .flat_map(|it| {
                it.to_string()
                    .lines()
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect()
    };
    let lines = told(&second);
    for (line, expected) in lines.iter().zip([
        "template `app.yaml`: ",
        "  it names the artifacts below",
        "artifact `Resources.One.Properties.CodeUri` of `infra/app.yaml`: ",
        "  changed: a.js",
        "  only in the first: gone.js",
        "  only in the second: new.js",
        "tool `node`: v20 -> v22",
        "why: the commit is the same",
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(lines.len(), 8, "{lines:#?}");

    let unrecorded = Known {
        contents: None,
        ..second.clone()
    };
    let lines = told(&unrecorded);
    assert_eq!(lines[3], "  the files of the second are not recorded here");
    let later = built(&[("a.js", "2"), ("same.js", "x")], "decaf", "v20");
    let why = told(&later).into_iter().find(|it| it.starts_with("why"));
    assert_eq!(why, None, "another commit is reason enough");
    assert_eq!(told(&first), Vec::<String>::new());

    let many: Vec<(String, String)> = (0..50)
        .map(|n| (format!("{n:02}.js"), n.to_string()))
        .collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    let lines = told(&built(&many, "c0ffee", "v20"));
    assert!(lines.contains(&"  and 33 more".to_owned()), "{lines:#?}");
}

#[test]
fn contents_are_read_back() {
    let mut contents = Contents::default();
    contents
        .archives
        .insert("0a".into(), vec![File::of("a.js", b"1")]);
    let text = contents.text();
    assert_eq!(Contents::read(text.as_bytes()).unwrap(), contents);
    let newer = text.replace("contents/1", "contents/2");
    assert!(Contents::read(newer.as_bytes()).is_err());
}
