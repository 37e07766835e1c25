//! The id stays what it is, follows from all that is listed, and from nothing else.

use super::*;

fn artifact(place: &str, content: &[u8]) -> Artifact {
    let File { sha256, bytes, .. } = File::of("", content);
    Artifact {
        template: "infra/app.yaml".into(),
        place: place.into(),
        key: format!("code/{sha256}.zip"),
        sha256,
        bytes,
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
    let canonical = r#"{"artifacts":[],"configuration":[],"schema":"towpath.release/1","source":{},"template":{"bytes":0,"path":"a.yaml","sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}}"#;
    assert_eq!(String::from_utf8(small.canonical()).unwrap(), canonical);
    assert_eq!(
        small.id().as_str(),
        "c5bc6fc087c2eadca672c367fcf529edba88aa023b7bc23500c841b037ef432c"
    );
    assert_eq!(
        identity().id().as_str(),
        "0c63bcfe818c56ce0c4fed3a2dedc6b9c8d59df95a28c17481d24de3a1af4ba9"
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
            &["template `infra/app.yaml`: sha256 "],
        ),
        (
            |it| it.template.path = "app.yaml".into(),
            &[
                "template `app.yaml`: only in the second: sha256 ",
                "template `infra/app.yaml`: only in the first: sha256 ",
            ],
        ),
        (
            |it| {
                it.configuration.pop();
            },
            &["configuration `infra/config/prod.json`: only in the first: sha256 "],
        ),
        (
            |it| it.artifacts[0].sha256 = "0".repeat(64),
            &["artifact `Resources.One.Properties.CodeUri` of `infra/app.yaml`: `code/"],
        ),
        (
            |it| {
                it.artifacts
                    .push(artifact("Resources.Zoo.Properties.CodeUri", b"3"));
            },
            &[
                "artifact `Resources.Zoo.Properties.CodeUri` of `infra/app.yaml`: only in the second: `code/",
            ],
        ),
    ];
    let first = identity();
    for (change, expected) in changes {
        let mut second = identity();
        change(&mut second);
        let told: Vec<String> = diff(&first, &second)
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(told.len(), expected.len(), "{told:?}");
        for (told, expected) in told.iter().zip(expected) {
            assert!(told.starts_with(expected), "{told}");
        }
        assert_eq!(first.id() == second.id(), expected.is_empty(), "{told:?}");
    }
}

#[test]
fn a_document_is_read_back_and_an_altered_one_refused() {
    let release = Release::new(identity(), Made::default());
    let text = release.text();
    assert_eq!(Identity::read(text.as_bytes()).unwrap(), identity());
    let alone = identity().canonical();
    assert_eq!(Identity::read(&alone).unwrap(), identity());

    let other = text.replace("c0ffee", "decaf0");
    let newer = text.replace(SCHEMA, "towpath.release/2");
    let more = text.replace("\"source\":", "\"sauce\": 1, \"source\":");
    for (given, expected) in [
        (other.as_str(), "it says that its id is "),
        (newer.as_str(), "its schema is `towpath.release/2`"),
        (more.as_str(), "it is not a release's document"),
        ("{}", "it is not a release's document"),
        ("[1]", "it is not a release's document"),
        ("Resources:", "it is not a release's document"),
    ] {
        let error = Identity::read(given.as_bytes()).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{given}: {error}");
    }
}
