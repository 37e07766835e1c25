//! What the `towpath` program promises whoever runs it: exit codes, words, one document, and nothing left behind.

mod a_disk_that_is_full_ends_the_run_in_words;
mod a_folder_is_used_by_one_run_at_a_time;
mod a_plan_is_reviewed_as_the_recipe_says;
mod a_run_can_be_repeated_in_the_same_folder;
mod a_source_that_is_not_there_is_a_usage_error;
mod a_template_that_cannot_be_run_is_a_usage_error;
mod an_approval_is_given_on_the_command_line_or_not_at_all;
mod an_interrupted_run_leaves_nothing_behind;
mod no_secret_is_in_any_log;
mod the_document_has_the_documented_members;
mod the_loopback_alone_serves_until_it_is_ended;
mod the_sample_application_goes_all_the_way;
mod two_releases_are_told_apart;
mod until_stops_after_that_stage;
mod what_is_to_go_wrong_does;

use towpath_tests::{CommandLine, Tree};

/// A pipeline without npm, which is over in a second: Source, Commit, Approve, Production.
const PIPELINE: &str = include_str!("pipeline.yaml");

/// A directory with the small pipeline, and below `app` the source of an application with this script to check it.
fn project(script: &str) -> CommandLine {
    let tree = Tree::new()
        .file("pipeline.yaml", PIPELINE)
        .file("app/check.sh", script);
    CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test")).with(&tree)
}

/// The arguments that run it, and more.
fn arguments<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["run", "app", "--template", "pipeline.yaml"], more].concat()
}

/// A script that makes what the pipeline wants.
const SOUND: &str = "mkdir out && echo checked > out/result.txt";
