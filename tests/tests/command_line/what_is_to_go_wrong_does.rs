//! `--faults` names what is to go wrong: what it says is in force, what it misspells is said.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, TcpStream};

use rustix::process::Signal;

use crate::{SOUND, arguments, project};

#[test]
fn a_run_meets_the_faults_and_names_those_that_nothing_met() {
    let towpath = project(SOUND);
    let faults = r#"{
        "calls": [{"service": "codepipeline", "operation": "PutJobSuccessResult", "kind": "cut-after"}],
        "resources": [{"stack": "*", "resource": "Topc", "delay_ms": 1}]
    }"#;
    std::fs::write(towpath.directory().join("faults.json"), faults).expect("a file");
    let finished = towpath.run(&arguments(&[
        "--until",
        "Commit",
        "--faults",
        "faults.json",
    ]));
    let stderr = finished.exited(
        0,
        &["faults: nothing met the rule for resource `Topc` of stack `*`"],
    );
    assert_eq!(stderr.matches("faults: ").count(), 1, "{stderr}");
}

#[test]
fn the_loopback_alone_has_them_and_can_be_asked_and_told() {
    let keep = ["sh", "-c", "exec \"$0\" \"$@\" > aws.env"];
    let towpath = project(SOUND).within(&keep);
    let faults = r#"{"resources": [{"stack": "app", "resource": "Topic", "operation": "create", "fail": "no"}]}"#;
    std::fs::write(towpath.directory().join("faults.json"), faults).expect("a file");
    let mut running = towpath.start(&["loopback", "--faults", "faults.json"]);
    running.says("Ctrl-C ends it");
    let exports = std::fs::read_to_string(towpath.directory().join("aws.env")).expect("exports");
    let value = |name: &str| {
        let line = format!("export {name}=");
        let found = exports.lines().find_map(|it| it.strip_prefix(&line));
        found
            .unwrap_or_else(|| panic!("no {name}: {exports}"))
            .to_owned()
    };
    let endpoint = value("AWS_ENDPOINT_URL");
    let port = endpoint.rsplit(':').next().expect("a port");
    let port: u16 = port.parse().expect("a port");
    let token = value("TOWPATH_CONTROL_TOKEN");
    let ask = |method: &str, body: &str| {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
        write!(
            stream,
            "{method} /_towpath/resources HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\n\
             x-towpath-token: {token}\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        )
        .expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("read");
        answer
    };
    let more = r#"{"stack": "app", "resource": "Queue", "delay_ms": 3}"#;
    assert!(ask("POST", more).starts_with("HTTP/1.1 200"));
    let shown = ask("GET", "");
    for words in [r#""resource":"Topic""#, r#""resource":"Queue""#] {
        assert!(shown.contains(words), "{shown}");
    }
    running.signal(Signal::INT);
    running.finish().exited(0, &[]);
}

#[test]
fn a_file_that_says_nothing_sound_is_refused_before_anything_starts() {
    for (faults, words) in [
        (None, "failed to read faults from faults.json"),
        (Some("{"), "faults.json cannot be used"),
        (
            Some(r#"{"resources": [{"stack": "app", "resource": "Fn", "fail": "no"}]}"#),
            "resources[0]: a `fail` needs the `operation` that fails",
        ),
    ] {
        let towpath = project(SOUND);
        if let Some(text) = faults {
            std::fs::write(towpath.directory().join("faults.json"), text).expect("a file");
        }
        for command in [
            arguments(&["--faults", "faults.json"]),
            vec!["loopback", "--faults", "faults.json"],
        ] {
            let finished = towpath.run(&command);
            finished.exited(2, &[words]);
            assert_eq!(finished.stdout, "");
        }
    }
}
