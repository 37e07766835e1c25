//! An approval is given by `--approve` or by whoever sits at the terminal; else the run ends and says how.

use std::io::Write;

use rustix::process::Signal;

use crate::{SOUND, arguments, project};

#[test]
fn an_approval_that_nobody_can_give_is_exit_code_five() {
    let towpath = project(SOUND);
    let finished = towpath.run(&arguments(&["--json"]));
    finished.exited(
        5,
        &["Approve/Release waits for an approval", "--approve Release"],
    );
    let document = finished.json();
    assert_eq!(document["stages"][1]["status"], "Succeeded");
    assert_eq!(document["stages"][3]["status"], "NotStarted");
}

#[test]
fn a_name_that_no_approval_has_is_refused_before_anything_runs() {
    let towpath = project(SOUND);
    towpath
        .run(&arguments(&["--approve", "Production/Release"]))
        .exited(
            2,
            &["has no manual approval `Production/Release`; it has Approve/Release"],
        );
}

#[test]
fn its_own_name_gives_it() {
    let towpath = project(SOUND);
    towpath.run(&arguments(&["--approve", "Release"])).exited(
        0,
        &["Approve/Release approved", "[Production/Ship] succeeded"],
    );
}

#[test]
fn whoever_sits_at_the_terminal_is_asked() {
    for (kind, answer, code, status) in [
        ("dumb", "y", 0, "Succeeded"),
        ("xterm", "yes", 0, "Succeeded"),
        ("xterm", "n", 3, "Rejected"),
    ] {
        let towpath = project(SOUND);
        let (mut running, mut person) = towpath.start_at_terminal(kind, &arguments(&["--json"]));
        running.says("Approve/Release waits. Approve? [y/n]");
        writeln!(person, "what?").expect("a terminal");
        writeln!(person, "{answer}").expect("a terminal");
        let finished = running.finish();
        finished.exited(code, &[]);
        assert_eq!(finished.json()["status"], status, "{finished:#?}");
        let has_colour = finished.stderr.contains("\u{1b}[");
        assert_eq!(has_colour, kind != "dumb", "{kind}: {finished:#?}");
    }
}

#[test]
fn the_question_can_be_left_by_ctrl_c() {
    let towpath = project(SOUND);
    let (mut running, _person) = towpath.start_at_terminal("dumb", &arguments(&["--json"]));
    running.says("Approve? [y/n]");
    running.signal(Signal::INT);
    running.finish().exited(130, &["interrupted"]);
}
