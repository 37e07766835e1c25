//! Ctrl-C and SIGTERM end everything that the run has started: functions, their tools, what those started, the port.

use std::net::{Ipv4Addr, TcpStream};

use rustix::process::Signal;
use towpath_tests::{CommandLine, processes, wait_for};

use crate::{SOUND, arguments, project};

/// A tool that hangs, and has left a daemon in a session of its own.
fn hanging(tool: &str, daemon: &str) -> CommandLine {
    project(&format!(
        "setsid sh -c 'exec {daemon}' < /dev/null > /dev/null 2>&1 &\n{tool}"
    ))
}

fn interrupt(signal: Signal) {
    let (tool, daemon) = (processes::nap(), processes::nap());
    let towpath = hanging(&tool, &daemon);
    let mut running = towpath.start(&arguments(&["--json"]));
    let port = running.port();
    running.says("[Commit/Check] started");
    wait_for("the tool and its daemon", || {
        let sleeps = |nap| {
            processes::all()
                .iter()
                .any(|one| one.command.starts_with(nap))
        };
        (sleeps(&tool) && sleeps(&daemon)).then_some(())
    });
    let family = processes::family(running.pid());
    assert!(family.len() >= 2, "a function and its tool: {family:?}");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());

    running.signal(signal);
    let finished = running.finish();
    finished.exited(130, &["interrupted"]);
    assert_eq!(
        finished.stdout, "",
        "no document of a run that has not ended"
    );
    assert_eq!(processes::alive(&family), []);
    assert_eq!(processes::marked(towpath.mark()), []);
    assert_eq!(processes::marked(&tool), []);
    assert_eq!(processes::marked(&daemon), []);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
    assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);

    // And repeated, once what hung is mended.
    std::fs::write(towpath.directory().join("app/check.sh"), SOUND).expect("a file");
    towpath
        .run(&arguments(&["--approve", "all"]))
        .exited(0, &[]);
}

#[test]
fn by_ctrl_c() {
    interrupt(Signal::INT);
}

#[test]
fn by_sigterm() {
    interrupt(Signal::TERM);
}

#[test]
fn at_any_moment() {
    // While the template is deployed, before there is an execution.
    for words in ["AWS is", "deploying", "[Source/Source] started"] {
        let towpath = hanging(&processes::nap(), &processes::nap());
        let mut running = towpath.start(&arguments(&[]));
        running.says(words);
        running.signal(Signal::INT);
        running.finish().exited(130, &["interrupted"]);
        assert_eq!(processes::marked(towpath.mark()), [], "after `{words}`");
        assert_eq!(towpath.temporary_files(), [] as [std::path::PathBuf; 0]);
    }
}

#[test]
fn a_held_application_ends_with_its_run() {
    let towpath = project(SOUND);
    let mut running = towpath.start(&arguments(&["--approve", "all", "--hold", "--json"]));
    let port = running.port();
    running.says("holding");
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok());
    let family = processes::family(running.pid());
    running.signal(Signal::INT);
    let finished = running.finish();
    finished.exited(0, &[]);
    assert_eq!(finished.json()["status"], "Succeeded");
    assert_eq!(processes::alive(&family), []);
    assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
}
