//! `towpath loopback` prints what points a client at it, and serves until it is told to end.

use std::net::{Ipv4Addr, TcpStream};

use rustix::process::Signal;
use towpath_tests::CommandLine;

#[test]
fn what_it_prints_can_be_read_by_a_shell() {
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test"));
    for signal in [Signal::INT, Signal::TERM] {
        let mut running = towpath.start(&["loopback"]);
        running.says("Ctrl-C ends it");
        running.signal(signal);
        let finished = running.finish();
        finished.exited(0, &["serving http://127.0.0.1:"]);
        let variables: Vec<(&str, &str)> = finished
            .stdout
            .lines()
            .map(|line| {
                let assignment = line.strip_prefix("export ").expect("an assignment");
                assignment.split_once('=').expect("an assignment")
            })
            .collect();
        let value = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            found.map_or_else(|| panic!("no {name}: {variables:?}"), |(_, value)| *value)
        };
        let endpoint = value("AWS_ENDPOINT_URL");
        let port = endpoint.strip_prefix("http://127.0.0.1:").expect("a port");
        let port: u16 = port.parse().expect("a port");
        assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err());
        for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION"] {
            assert!(!value(name).is_empty());
        }
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let port = taken.local_addr().expect("its address").port().to_string();
    let towpath = CommandLine::new(env!("CARGO_BIN_EXE_towpath-under-test"));
    towpath
        .run(&["loopback", "--port", &port])
        .exited(2, &[&format!("port {port} on 127.0.0.1 is taken")]);
}
