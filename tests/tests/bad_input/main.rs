//! Bad input ends in a failure of the right type, in words that name the thing and say what to do.

mod a_corrupt_or_hostile_archive_is_refused_by_name;
mod a_failing_end_to_end_test_is_named;
mod a_failing_unit_test_is_named;
mod a_flood_of_output_stays_bounded;
mod a_full_disk_is_said_to_be_full;
mod a_function_reaches_artifacts_only_with_the_jobs_credentials;
mod a_function_that_misbehaves_still_ends_its_action;
mod a_hostile_build_script_gets_no_credentials;
mod a_job_delivered_twice_is_settled_once;
mod a_source_without_a_manifest_installs_nothing;
mod a_stack_that_fails_names_the_resource_and_rolls_back;
mod a_tool_is_ended_in_time_with_all_that_it_started;
mod an_artifact_that_is_not_a_zip_is_told_for_what_it_is;
mod an_event_without_a_job_is_an_error_of_the_function;
mod an_output_that_was_not_produced_fails_the_action;
mod any_call_of_a_deployment_may_fail;
mod parameters_that_mean_nothing_are_named;

use towpath_tests::{Setup, Tree, World};

/// A world with the suite's functions.
async fn world() -> World {
    setup().start().await
}

/// The same, to be changed before it starts.
fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_towpath-under-test"))
}

/// The bootstrap of a function that misbehaves.
fn misbehaving(how: &str) -> String {
    format!("exec '{}' {how}", env!("CARGO_BIN_EXE_misbehaving"))
}

/// A tree with one script for the shell.
fn script(text: &str) -> Tree {
    Tree::new().file("script.sh", text)
}
