//! The handle and the control requests: a port of one's own, a secret, and nothing left behind.

use std::time::Instant;

use tokio::net::TcpStream;
use towpath_loopback::{Loopback, Settings, StartError};

use crate::world::World;

#[tokio::test]
async fn the_port_answers_when_start_returns_and_is_closed_after_shutdown() {
    let world = World::start().await;
    let health = world.raw("GET", "/_towpath/health", &[], b"").await;
    assert_eq!(
        (health.status, health.body.as_str()),
        (200, "{\"status\":\"ok\"}")
    );
    let port = world.loopback.port();
    world.loopback.shutdown().await;
    assert!(TcpStream::connect(("127.0.0.1", port)).await.is_err());
}

#[tokio::test]
async fn a_taken_port_is_told_by_its_number() {
    let world = World::start().await;
    let mut settings = Settings::new(world.directory.path().join("second"));
    settings.port = Some(world.loopback.port());
    let error = Loopback::start(settings).await.err().expect("refused");
    assert!(matches!(error, StartError::PortTaken { .. }), "{error:?}");
    assert!(
        error
            .to_string()
            .contains(&world.loopback.port().to_string()),
        "{error}"
    );
    world.loopback.shutdown().await;
}

#[tokio::test]
async fn a_connection_that_stays_open_does_not_keep_the_loopback_up() {
    let world = World::start().await;
    let idle = TcpStream::connect(("127.0.0.1", world.loopback.port()))
        .await
        .expect("connected");
    let begun = Instant::now();
    world.loopback.shutdown().await;
    assert!(begun.elapsed().as_secs() < 2, "{:?}", begun.elapsed());
    drop(idle);
}

#[tokio::test]
async fn control_requests_need_the_secret() {
    let world = World::start().await;
    for headers in [vec![], vec![("x-towpath-token", "guess")]] {
        let answer = world.raw("GET", "/_towpath/fidelity", &headers, b"").await;
        assert_eq!(answer.status, 403, "{answer:?}");
        assert!(answer.body.contains("x-towpath-token"), "{answer:?}");
    }
    let answer = world.control("GET", "/_towpath/fidelity", "").await;
    assert_eq!(
        answer.body,
        r#"{"executed":[],"simulated":[],"refused":[]}"#
    );
    let answer = world.control("GET", "/_towpath/nothing", "").await;
    assert_eq!(answer.status, 404, "{answer:?}");
    let answer = world
        .control("PUT", "/_towpath/sources/a%2Fb/main", "zip")
        .await;
    assert_eq!(answer.status, 400, "{answer:?}");
    assert!(answer.body.contains("revision"), "{answer:?}");
    world.loopback.shutdown().await;
}
