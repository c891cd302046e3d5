//! Clients that read too slowly: cut, never given a stream with a hole, nobody else's trouble, and back by themselves.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::wait::{until, until_for};
use crate::harness::{Authority, Polling, Proxy, Scene, Wire};
use crate::tls::scene_over_tls;

/// With rows of 20 KB, more than the kernel, the server's bound and a queue of packets hold together.
const EVENTS: usize = 2_000;

#[tokio::test]
async fn a_websocket_that_reads_too_slowly_is_cut_and_comes_back() {
    a_slow_consumer_is_cut_and_comes_back(json!(["websocket"]), false).await;
}

#[tokio::test]
async fn a_polling_client_that_reads_too_slowly_is_cut_and_comes_back() {
    a_slow_consumer_is_cut_and_comes_back(json!(["polling"]), false).await;
}

#[tokio::test]
async fn an_upgraded_client_that_reads_too_slowly_is_cut_and_comes_back() {
    a_slow_consumer_is_cut_and_comes_back(json!(["polling", "websocket"]), false).await;
}

#[tokio::test]
async fn over_tls_a_websocket_that_reads_too_slowly_is_cut_and_comes_back() {
    a_slow_consumer_is_cut_and_comes_back(json!(["websocket"]), true).await;
}

#[tokio::test]
async fn over_tls_an_upgraded_client_that_reads_too_slowly_is_cut_and_comes_back() {
    a_slow_consumer_is_cut_and_comes_back(json!(["polling", "websocket"]), true).await;
}

async fn a_slow_consumer_is_cut_and_comes_back(transports: Value, over_tls: bool) {
    let authority = Authority::new();
    let scene = if over_tls {
        scene_over_tls(&authority).await
    } else {
        Scene::new().await
    };
    let mut bystander = scene.joined("42").await;
    let network = Proxy::to(scene.server.address()).await;
    if over_tls {
        authority.speak(network.address());
    }
    let options = json!({"transports": transports});
    let mut slow = scene.stock.open(network.address(), &options, &[]).0;
    slow.connected().await;
    slow.event("rowcast:ready").await;
    slow.join("42").await;
    if transports[1] == "websocket" {
        until("the upgrade", async || {
            (scene.server.metric("rowcast_sockets", &["ebsocket"]).await >= 2.0).then_some(())
        })
        .await;
    }

    network.stall(true);
    let body = "x".repeat(20_000);
    let before = scene.server.peak_memory_bytes();
    for number in 0..EVENTS {
        let began = Instant::now();
        scene.database.say("42", &format!("{number} {body}")).await;
        assert!(
            bystander
                .next()
                .await
                .body()
                .starts_with(&format!("{number} "))
        );
        assert!(
            began.elapsed() < Duration::from_secs(5),
            "it holds others up: {:?}",
            began.elapsed()
        );
    }
    scene
        .server
        .counted("rowcast_slow_consumers_total", &[], 1.0)
        .await;
    let grown = scene.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "it took {} MB", grown >> 20);
    network.stall(false);

    let reason = slow.disconnected().await;
    assert!(
        ["transport close", "transport error"].contains(&reason.as_str()),
        "{reason}: no client reconnects after it"
    );
    assert!(slow.connected().await, "it goes on where it was");
    scene.database.say("42", "back").await;
    // What it got before the cut and what it gets now are one stream, without a hole.
    let mut number = 0;
    loop {
        let event = slow.event("message:new").await;
        if event.body() == "back" {
            break;
        }
        assert!(
            event.body().starts_with(&format!("{number} ")),
            "a hole before {number}"
        );
        number += 1;
    }
    assert_eq!(number, EVENTS);
}

/// A client that changes to its WebSocket is not polled any more, and not yet written to: what happens meanwhile is queued. Nor
/// does the NOOP that its last poll is answered with take anything.
#[tokio::test]
async fn what_waits_for_the_end_of_an_upgrade_is_bounded() {
    let scene = Scene::new().await;
    let polling = Polling::ready(scene.server.address()).await;
    polling.post(r#"421["join:conversation","42"]"#).await;
    polling.until("431[{").await;

    let (held, mut websocket) = tokio::join!(polling.poll(), async {
        let mut websocket = Wire::upgrade(&polling).await;
        websocket.send("2probe").await;
        assert_eq!(websocket.frame().await.as_deref(), Some("3probe"));
        websocket
    });
    assert_eq!(held.body, "6", "the client may change");
    let body = "x".repeat(20_000);
    for number in 0..10 {
        scene.database.say("42", &format!("{number} {body}")).await;
    }
    scene
        .server
        .counted("rowcast_fell_behind_total", &[], 1.0)
        .await;

    websocket.send("5").await;
    for number in 0..10 {
        let frame = websocket.frame().await.expect("an event");
        let said = format!("{number} xxx");
        assert!(
            frame.contains(&said),
            "{said}: {}",
            &frame[..frame.len().min(200)]
        );
    }
}

/// Its TCP connection is alive and its program hangs. It must be removed, however much is buffered for it.
#[tokio::test]
async fn a_websocket_that_stops_reading_in_a_quiet_room_is_removed() {
    a_client_that_stops_reading_is_removed(json!(["websocket"])).await;
}

#[tokio::test]
async fn an_upgraded_client_that_stops_reading_in_a_quiet_room_is_removed() {
    a_client_that_stops_reading_is_removed(json!(["polling", "websocket"])).await;
}

async fn a_client_that_stops_reading_is_removed(transports: Value) {
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let options = json!({"transports": transports, "reconnection": false});
    let mut client = scene.stock.open(network.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    until("a websocket", async || {
        (scene.server.metric("rowcast_sockets", &["ebsocket"]).await == 1.0).then_some(())
    })
    .await;
    network.stall(true);
    let body = "x".repeat(500_000);
    for _ in 0..10 {
        scene.database.say("42", &body).await;
    }
    until_for(Duration::from_secs(75), "it to be removed", async || {
        (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
}
