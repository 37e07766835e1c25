//! What is read, and what is refused in which words.

use towpath_job::ArtifactLocation;

use super::*;

fn parse(text: &str, outputs: &[&str]) -> Result<Parameters, String> {
    let outputs: Vec<Artifact> = outputs
        .iter()
        .map(|name| Artifact {
            name: (*name).to_owned(),
            revision: None,
            location: ArtifactLocation {
                bucket: "b".to_owned(),
                key: "k".to_owned(),
            },
        })
        .collect();
    towpath_job::parameters::parse(text, &outputs)
        .map(|(_, parameters)| parameters)
        .map_err(|error| error.to_string())
}

fn output(artifact: &str, path: &str) -> Output {
    Output {
        artifact: artifact.to_owned(),
        path: path.into(),
    }
}

fn tasks(names: &[&str], runner: Option<&'static str>) -> Work {
    Work::Tasks {
        names: names.iter().map(ToString::to_string).collect(),
        runner,
    }
}

fn of(work: Work) -> Parameters {
    Parameters {
        work,
        directory: PathBuf::new(),
        environment: Vec::new(),
        gate: Gate::default(),
        outputs: Vec::new(),
        template: None,
        release: Release::default(),
        origin: Origin::default(),
        execution: None,
        omit_dev: false,
    }
}

#[test]
fn the_classic_form_works_as_written() {
    let text = "task=package&DistSiteOutput=dist/site.zip&DistLambdaOutput=dist/lambda.zip";
    let expected = Parameters {
        outputs: vec![
            output("DistSiteOutput", "dist/site.zip"),
            output("DistLambdaOutput", "dist/lambda.zip"),
        ],
        ..of(tasks(&["package"], None))
    };
    let outputs = ["DistSiteOutput", "DistLambdaOutput"];
    assert_eq!(parse(text, &outputs), Ok(expected));
}

#[test]
fn parameters_are_read() {
    for (given, outputs, expected) in [
        ("task=test", &[][..], of(tasks(&["test"], None))),
        (
            "task=lint, test,,package&runner=make",
            &[],
            of(tasks(&["lint", "test", "package"], Some("make"))),
        ),
        (
            "command=cargo+test+%26%26+echo+a,b",
            &[],
            of(Work::Command("cargo test && echo a,b".into())),
        ),
        (
            "runner=command&task=echo a,b",
            &[],
            of(Work::Command("echo a,b".into())),
        ),
        (
            "task=test&dir=./services/api/&Env.STAGE=dev&Env._X=1%3D2&timeout=5m",
            &[],
            Parameters {
                directory: "services/api".into(),
                environment: vec![("STAGE".into(), "dev".into()), ("_X".into(), "1=2".into())],
                ..of(tasks(&["test"], None))
            },
        ),
        (
            "task=test&report=r/*.xml, ./s.xml&coverage=**/lcov.info&min-coverage=87.5",
            &[],
            Parameters {
                gate: Gate {
                    reports: vec!["r/*.xml".parse().unwrap(), "s.xml".parse().unwrap()],
                    coverage: vec!["**/lcov.info".parse().unwrap()],
                    minimum: Some("87.5".parse().unwrap()),
                },
                ..of(tasks(&["test"], None))
            },
        ),
        (
            "task=test&template=infra/./app.yaml",
            &["Package"],
            Parameters {
                template: Some(output("Package", "infra/app.yaml")),
                ..of(tasks(&["test"], None))
            },
        ),
        (
            "task=test&template=t.yaml&Report=.&release-bucket=mine&release-prefix=",
            &["Report", "Package"],
            Parameters {
                outputs: vec![output("Report", "")],
                template: Some(output("Package", "t.yaml")),
                release: Release {
                    bucket: Some("mine".into()),
                    prefix: String::new(),
                },
                ..of(tasks(&["test"], None))
            },
        ),
    ] {
        assert_eq!(parse(given, outputs), Ok(expected), "{given}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused_by_name() {
    for (given, outputs, expected) in [
        ("", &[][..], "parameter `task` is missing"),
        ("task=,", &[], "parameter `task` is missing"),
        ("tsak=test", &[], "unknown parameter `tsak`"),
        (
            "task=a&command=b",
            &[],
            "give `task` or `command`, not both",
        ),
        ("command=b&runner=npm", &[], "`runner` is for `task`"),
        (
            "task=a&runner=grunt",
            &[],
            "parameter `runner` is `grunt`, which is not one of npm, yarn, pnpm, gulp, make, just, cargo, tox, nox, pytest, maven, go, command",
        ),
        (
            "task=a&dir=../b",
            &[],
            "parameter `dir` is `../b`, which is not a directory inside the source",
        ),
        (
            "task=a&Out=/tmp/x",
            &["Out"],
            "parameter `Out` is `/tmp/x`, which is not a path inside the source",
        ),
        (
            "task=a&Out=",
            &["Out"],
            "parameter `Out` is ``, which is not a path inside the source",
        ),
        (
            "task=a&Out=dist\\x",
            &["Out"],
            "parameter `Out` is `dist\\x`",
        ),
        ("task=a&template=.", &["Out"], "parameter `template` is `.`"),
        (
            "task=a&template=./release.json",
            &["Out"],
            "`release.json` and `contents.json` are the release's own files",
        ),
        (
            "task=a&Env.1X=2",
            &[],
            "`Env.1X`: a variable's name has letters, digits and `_`",
        ),
        (
            "task=a",
            &["Out"],
            "nothing is named for output artifact `Out`: add `Out=path` (what the tasks make), or `template=path` (the template to package)",
        ),
        ("task=a&Owt=x", &["Out"], "unknown parameter `Owt`"),
        (
            "task=a&template=t&A=x",
            &["A", "B", "C"],
            "nothing is named for output artifact `C`",
        ),
        (
            "task=a&template=t",
            &[],
            "`template` needs an output artifact for the packaged template, and the action declares none",
        ),
        (
            "task=a&template=t&A=x",
            &["A"],
            "and each that the action declares has a path already",
        ),
        ("task=a&Out=x", &[], "unknown parameter `Out`"),
        (
            "task=a",
            &["task"],
            "output artifact `task` has the name of a parameter",
        ),
        (
            "task=a&report=",
            &[],
            "parameter `report` is ``, which is not a list of patterns of paths inside the source",
        ),
        (
            "task=a&coverage=a.info,../b.info",
            &[],
            "parameter `coverage` is `a.info,../b.info`, which is not a list of patterns",
        ),
        (
            "task=a&coverage=a&min-coverage=101",
            &[],
            "parameter `min-coverage` is `101`, which is not a percentage from 0 to 100",
        ),
        (
            "task=a&min-coverage=80",
            &[],
            "`min-coverage` is given, but no `coverage`",
        ),
        ("task=a&task=b", &[], "parameter `task` is given twice"),
    ] {
        let error = parse(given, outputs).unwrap_err();
        assert!(error.contains(expected), "{given}: {error}");
    }
}
