//! A template that holds no pipeline, or one that cannot be made, is exit code 2, with what is wrong and where.

use crate::{PIPELINE, SOUND, arguments, project};

#[test]
fn the_fault_is_named_and_the_line_where_there_is_one() {
    for (template, words) in [
        (
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n".to_owned(),
            &[
                "pipeline.yaml has no pipeline",
                "AWS::CodePipeline::Pipeline",
            ][..],
        ),
        (
            PIPELINE.replace("  ArtifactBucket:\n", "  ArtifactBucket: [\n"),
            &["failed to read template pipeline.yaml", "line "],
        ),
        (
            "Resources:\n  Topic:\n    Type: AWS::SNS::Topic\n   Properties: {}\n".to_owned(),
            &["failed to read template pipeline.yaml", "line 4"],
        ),
        (
            PIPELINE.replace("!Ref ArtifactBucket", "!Ref ArtefactBucket"),
            &["ArtefactBucket"],
        ),
        (
            PIPELINE.replace("/functions/test-and-package", "/functions/test-and-pack"),
            &["no function `test-and-pack`", "test-and-package"],
        ),
    ] {
        let towpath = project(SOUND);
        std::fs::write(towpath.directory().join("pipeline.yaml"), &template).expect("a file");
        let finished = towpath.run(&arguments(&[]));
        finished.exited(2, words);
        assert_eq!(finished.stdout, "");
        assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);
    }
}

#[test]
fn the_template_of_the_folder_is_taken_when_it_has_a_pipeline_and_never_when_it_cannot_be_read() {
    let towpath = project(SOUND);
    let template = towpath.directory().join("template.yaml");
    let run = || towpath.run(&["run", "app", "--until", "Commit"]);
    std::fs::write(&template, PIPELINE).expect("a file");
    run().exited(0, &["deploying template.yaml", "[Commit/Check] succeeded"]);
    let broken = PIPELINE.replace("  ArtifactBucket:\n", "  ArtifactBucket: [\n");
    std::fs::write(&template, broken).expect("a file");
    run().exited(2, &["failed to read template template.yaml", "line "]);
    // An application's own: the pipeline is the built-in one.
    std::fs::write(&template, "Resources: {T: {Type: AWS::SNS::Topic}}").expect("a file");
    run().exited(
        1,
        &[
            "deploying the built-in template",
            "[Commit/InstallDependencies] failed",
        ],
    );
}

#[test]
fn an_action_provider_that_does_not_exist_is_named() {
    let finished = project(SOUND).run(&arguments(&["--parameter", "Provider=Lamda"]));
    finished.exited(
        2,
        &["Pipeline (AWS::CodePipeline::Pipeline)", "Check", "Lamda"],
    );
}

#[test]
fn what_the_command_line_names_has_to_be_there() {
    let long = format!("Password={}", "x".repeat(1000));
    for (more, words) in [
        (
            &["--template", "nowhere.yaml"][..],
            &["failed to read template nowhere.yaml"][..],
        ),
        (
            &["--until", "Comit"],
            &["no stage `Comit`", "Source, Commit, Approve, Production"],
        ),
        (
            &["--parameter", "Pasword=x"],
            &["Pasword", "do not exist in the template"],
        ),
        (
            &["--parameter", &long],
            &["UserParameters", "Check", "1000"],
        ),
        (&["--parameter", "Password"], &["NAME=VALUE"]),
        (
            &["--functions", "nowhere"],
            &["no folder nowhere", "--functions"],
        ),
        (&["--untill", "Commit"], &["--untill", "--until"]),
    ] {
        let arguments = if more[0] == "--template" {
            [&["run", "app"], more].concat()
        } else {
            arguments(more)
        };
        project(SOUND).run(&arguments).exited(2, words);
    }
}
