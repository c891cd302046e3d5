//! Behind a proxy: whom requests count for, and who may not come through one at all.

use std::time::Duration;

use crate::harness::{Caller, Polling, Scene, Wire};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";
const HOST: (&str, &str) = ("host", "localhost");
const NONE: (&str, &str) = ("ROWCAST_AUTH", "none");

/// Asks the API until it is refused, and returns how often it was answered. Every question comes by another header.
async fn answered(scene: &Scene, source: &str, forwarded: impl Fn(usize) -> String) -> usize {
    let mut caller = Caller::from(source, scene.server.address()).await;
    for number in 0..20 {
        let forwarded = forwarded(number);
        let headers = [HOST, ("x-forwarded-for", forwarded.as_str())];
        let answer = caller.get("/api/conversations/42/events", &headers).await;
        match answer.status {
            200 => {}
            429 => return number,
            _ => panic!("{answer:?}"),
        }
    }
    20
}

#[tokio::test]
async fn a_trusted_proxys_clients_are_counted_one_by_one() {
    // A second's refill is far less than what is asked for in it.
    let scene = Scene::with(&[NONE, ("ROWCAST_MAX_HTTP_RATE", "3")]).await;
    let first = answered(&scene, "127.0.0.1", |_| "203.0.113.7".to_owned()).await;
    assert!((3..10).contains(&first), "{first}");
    // What it invents before what the proxy adds changes nothing.
    let invented = |number| format!("198.51.100.{number}, 203.0.113.8");
    let second = answered(&scene, "127.0.0.1", invented).await;
    assert!((3..10).contains(&second), "{second}");
    // Each of many addresses has its own.
    let many = answered(&scene, "127.0.0.1", |number| format!("192.0.2.{number}")).await;
    assert_eq!(many, 20);
    // Addresses of one /64 are one.
    let network = |number| format!("2001:db8::{number}");
    let network = answered(&scene, "127.0.0.1", network).await;
    assert!((3..10).contains(&network), "{network}");
}

#[tokio::test]
async fn nobody_else_says_whom_a_request_counts_for() {
    let scene = Scene::with(&[
        NONE,
        ("ROWCAST_TRUSTED_PROXIES", "127.0.0.9"),
        ("ROWCAST_MAX_HTTP_RATE", "3"),
    ])
    .await;
    let invented = |number| format!("192.0.2.{number}");
    let stranger = answered(&scene, "127.0.0.2", invented).await;
    assert!((3..10).contains(&stranger), "{stranger}");
    let proxy = answered(&scene, "127.0.0.9", invented).await;
    assert_eq!(proxy, 20);
}

#[tokio::test]
async fn sessions_behind_a_proxy_count_for_who_is_behind_it() {
    let scene = Scene::with(&[NONE, ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "2")]).await;
    let address = scene.server.address();
    let of = [("x-forwarded-for", "203.0.113.7")];
    let mut wires = Vec::new();
    for _ in 0..2 {
        wires.push(Wire::dial(address, &of).await.expect("a place"));
    }
    assert_eq!(Wire::dial(address, &of).await.err(), Some(429));
    let mut caller = Caller::from("127.0.0.1", address).await;
    let refused = caller.get(OPEN, &[HOST, of[0]]).await;
    assert_eq!(refused.status, 429, "{refused:?}");
    assert_eq!(refused.json()["error"]["code"], "too_many_connections");
    assert_eq!(refused.header("retry-after"), Some("5"));
    assert!(
        Wire::dial(address, &[("x-forwarded-for", "203.0.113.8")])
            .await
            .is_ok()
    );
    // One that leaves makes room: at once if it was a client, else when the time to become one is over (10 s).
    wires.clear();
    let place = async || Wire::dial(address, &of).await.ok();
    crate::harness::wait::until_for(Duration::from_secs(20), "a place", place).await;
}

#[tokio::test]
async fn a_proxy_that_nobody_trusts_is_named_in_the_log() {
    let scene = Scene::with(&[NONE, ("ROWCAST_TRUSTED_PROXIES", "none")]).await;
    let mut connections = Vec::new();
    for _ in 0..60 {
        let mut caller = Caller::from("127.0.0.7", scene.server.address()).await;
        let headers = [HOST, ("x-forwarded-for", "203.0.113.7")];
        assert_eq!(caller.get("/livez", &headers).await.status, 200);
        connections.push(caller);
    }
    let named = |line: &serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("127.0.0.7") && message.contains("ROWCAST_TRUSTED_PROXIES")
    };
    scene.server.log("the proxy's address", named).await;
    let lines = scene.server.lines();
    let lines = lines
        .iter()
        .filter(|line| line.contains("ROWCAST_TRUSTED_PROXIES"));
    assert_eq!(lines.count(), 1, "once is enough");
}

#[tokio::test]
async fn what_a_proxy_forwarded_is_refused_until_somebody_says_that_all_may_come() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    for header in ["forwarded", "via", "x-forwarded-for", "x-forwarded-proto"] {
        for path in ["/api/conversations/42/events", "/readyz", OPEN] {
            let mut caller = Caller::from("127.0.0.1", address).await;
            let answer = caller.get(path, &[HOST, (header, "for=203.0.113.7")]).await;
            assert_eq!(answer.status, 403, "{header} {path}: {answer:?}");
            let message = answer.json()["error"]["message"].to_string();
            assert!(message.contains("ROWCAST_AUTH"), "{message}");
        }
        let refused = Wire::dial(address, &[(header, "x")]).await.err();
        assert_eq!(refused, Some(403), "{header}");
    }
    let remedy = |line: &serde_json::Value| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("ROWCAST_AUTH=jwt") && message.contains("ROWCAST_AUTH=none")
    };
    scene.server.log("the remedy", remedy).await;
    // Whoever comes by himself comes in.
    Wire::connect(address).await;
    Polling::ready(address).await;

    let said = Scene::with(&[NONE]).await;
    let wire = Wire::dial(said.server.address(), &[("x-forwarded-for", "203.0.113.7")]).await;
    assert!(wire.is_ok());
}
