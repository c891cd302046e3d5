//! From polling to a WebSocket: a probe that fails ends nothing, one that succeeds loses nothing.

use std::time::Duration;

use serde_json::json;

use crate::harness::bare::{Bare, Got};
use crate::harness::proxy::Websockets;
use crate::harness::wait::until;
use crate::harness::{Polling, Proxy, Scene, Server};

/// It answers what it is asked, and gets what happens.
async fn assert_polls_on(scene: &Scene, polling: &Polling, after: &str) {
    let answer = polling.post("421[\"leave:conversation\",\"1\"]").await;
    assert_eq!(answer.status, 200, "after {after}: {answer:?}");
    polling.until("431[{\"ok\":true}]").await;
    scene.database.say("42", after).await;
    polling.until(after).await;
}

async fn joined(server: &Server) -> Polling {
    let polling = Polling::ready(server.address()).await;
    polling.post("429[\"join:conversation\",\"42\"]").await;
    polling.until("439[{").await;
    polling
}

#[tokio::test]
async fn a_probe_that_fails_leaves_the_client_polling() {
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "1s")]).await;
    let polling = joined(&scene.server).await;
    let path = polling.upgrade_path();
    let upgrade = || Bare::open(scene.server.address(), &path);

    drop(upgrade().await);
    assert_polls_on(&scene, &polling, "a connection lost after the 101").await;

    for (what, said) in [
        ("an upgrade without a probe", &["5"][..]),
        ("something else", &["2x"]),
        ("a message", &["4x"]),
        ("a probe, then something else", &["2probe", "42[\"x\"]"]),
    ] {
        let mut refused = upgrade().await;
        for packet in said {
            refused.text(packet).await;
        }
        assert_eq!(refused.closed().await, Some(1005), "{what}");
        assert_polls_on(&scene, &polling, what).await;
    }
    for (what, bytes, code) in [
        ("a frame without a mask", &[0x81, 1, b'2'][..], 1002),
        ("text that is none", &[0x81, 0x81, 0, 0, 0, 0, 0xff], 1007),
        (
            "a message that is too big",
            &[0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
            1009,
        ),
    ] {
        let mut refused = upgrade().await;
        refused.bytes(bytes).await;
        assert_eq!(refused.closed().await, Some(code), "{what}");
        assert_polls_on(&scene, &polling, what).await;
    }

    let mut silent = upgrade().await;
    assert_polls_on(&scene, &polling, "while one is silent").await;
    assert_eq!(silent.closed().await, Some(1005));
    assert_polls_on(&scene, &polling, "a silent one").await;

    let mut endless = upgrade().await;
    endless.text("2probe").await;
    assert_eq!(endless.next().await, Got::Text("3probe".to_owned()));
    assert_polls_on(&scene, &polling, "while a probe does not end").await;
    assert_eq!(endless.closed().await, Some(1005));
    assert_polls_on(&scene, &polling, "a probe that never ends").await;

    // After all of this the way is still open.
    let mut upgraded = upgrade().await;
    upgraded.text("2probe").await;
    assert_eq!(upgraded.next().await, Got::Text("3probe".to_owned()));
    upgraded.text("5").await;
    scene.database.say("42", "by the websocket").await;
    upgraded.until("by the websocket").await;
}

#[tokio::test]
async fn a_second_upgrade_is_closed_and_the_first_goes_on() {
    let scene = Scene::new().await;
    let polling = joined(&scene.server).await;
    let path = polling.upgrade_path();
    let mut first = Bare::open(scene.server.address(), &path).await;
    first.text("2probe").await;
    assert_eq!(first.next().await, Got::Text("3probe".to_owned()));
    let mut second = Bare::open(scene.server.address(), &path).await;
    assert_eq!(second.closed().await, Some(1005));
    first.text("5").await;
    scene.database.say("42", "to the first").await;
    first.until("to the first").await;
    // Nor does one come beside it later.
    let mut third = Bare::open(scene.server.address(), &path).await;
    third.text("2probe").await;
    assert_eq!(third.closed().await, Some(1005));
    first.text("421[\"leave:conversation\",\"42\"]").await;
    first.until("431[{\"ok\":true}]").await;
    // The old way is closed, and leaves the new one alone.
    assert_eq!(polling.poll().await.status, 400);
    assert_eq!(polling.post("41").await.status, 400);
    first.text("422[\"leave:conversation\",\"42\"]").await;
    first.until("432[{\"ok\":true}]").await;
}

/// A stock client pauses its polling before its last step; others don't. No event is lost or doubled either way.
#[tokio::test]
async fn nothing_is_lost_between_the_two_ways() {
    const EVENTS: usize = 300;
    let scene = Scene::new().await;
    for round in 0..4 {
        let contact = format!("c{round}");
        let polling = Polling::ready(scene.server.address()).await;
        let join = format!("429[\"join:conversation\",\"{contact}\"]");
        polling.post(&join).await;
        polling.until("439[{").await;
        let insert = format!(
            "insert into messages (contact_id, body) select '{contact}', 'n' || n || ';' from generate_series(1, {EVENTS}) n"
        );
        let writing = scene.database.run(&insert);
        let reading = async {
            let mut bodies = Vec::new();
            let mut upgraded = Bare::open(scene.server.address(), &polling.upgrade_path()).await;
            upgraded.text("2probe").await;
            assert_eq!(upgraded.next().await, Got::Text("3probe".to_owned()));
            // The poll that is under way when the probe was answered is answered, with or without events.
            loop {
                let answer = polling.poll().await;
                assert_eq!(answer.status, 200, "{answer:?}");
                bodies.extend(numbers(&answer.body));
                if answer.body == "6" || bodies.len() > round * 50 {
                    break;
                }
            }
            upgraded.text("5").await;
            while bodies.len() < EVENTS {
                match upgraded.next().await {
                    Got::Text(text) => bodies.extend(numbers(&text)),
                    got => panic!("{got:?} after {} events", bodies.len()),
                }
            }
            bodies
        };
        let (_, bodies) = tokio::join!(writing, reading);
        let expected: Vec<usize> = (1..=EVENTS).collect();
        assert_eq!(bodies, expected, "round {round}");
    }
}

/// The numbers of the messages in packets, in their order.
fn numbers(packets: &str) -> Vec<usize> {
    let bodies = packets
        .split("\"n")
        .filter_map(|rest| rest.split_once(";\""));
    bodies
        .filter_map(|(number, _)| number.parse().ok())
        .collect()
}

/// CONNECT is asked for by polling, and its answer goes out over the WebSocket: with its pid.
#[tokio::test]
async fn connect_gets_its_pid_whichever_way_it_goes() {
    let scene = Scene::new().await;
    let polling = Polling::connect(scene.server.address()).await;
    let mut upgraded = Bare::open(scene.server.address(), &polling.upgrade_path()).await;
    for packet in ["2probe", "5"] {
        upgraded.text(packet).await;
    }
    let connect = upgraded.until("40{").await;
    assert!(connect.contains("\"pid\":\""), "{connect}");
    upgraded.until("rowcast:ready").await;
    // And again, on the same engine session.
    upgraded.text("41").await;
    upgraded.text("40").await;
    let connect = upgraded.until("40{").await;
    assert!(connect.contains("\"pid\":\""), "{connect}");
    upgraded.text("421[\"join:conversation\",\"42\"]").await;
    upgraded.until("431[{").await;
    scene.database.say("42", "after all").await;
    upgraded.until("after all").await;
}

#[tokio::test]
async fn a_stock_client_behind_a_proxy_that_breaks_websockets_is_joined_by_polling() {
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "2s")]).await;
    for websockets in [
        Websockets::Refused,
        Websockets::Silent,
        Websockets::CutAfterTheAnswer,
    ] {
        let proxy = Proxy::to(scene.server.address()).await;
        proxy.websockets(websockets);
        let options = json!({"transports": ["polling", "websocket"]});
        let mut client = scene.stock.open(proxy.address(), &options, &[]).0;
        client.connected().await;
        client.join("42").await;
        let before = scene.server.metric("rowcast_disconnects_total", &[]).await;
        // Past the time that a probe may take.
        let begun = std::time::Instant::now();
        until("the probe's time to be over", async || {
            scene.database.say("42", "on and on").await;
            assert_eq!(client.event("message:new").await.body(), "on and on");
            (begun.elapsed() > Duration::from_millis(2_500)).then_some(())
        })
        .await;
        let after = scene.server.metric("rowcast_disconnects_total", &[]).await;
        assert!(
            (before - after).abs() < 0.5,
            "it was disconnected: {before}, {after}"
        );
    }
}

/// What waits for a slow client is counted, also across an upgrade: it is not cut while it takes all that it is sent.
#[tokio::test]
async fn a_client_that_has_upgraded_is_served_for_long() {
    let scene = Scene::new().await;
    let options = json!({"transports": ["polling", "websocket"]});
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client.join("42").await;
    let insert = "insert into messages (contact_id, body) select '42', repeat('x', 900) from generate_series(1, 400)";
    for _ in 0..3 {
        scene.database.run(insert).await;
        client.take(400).await;
    }
    let cut = scene
        .server
        .metric("rowcast_slow_consumers_total", &[])
        .await;
    assert!(cut < 0.5, "it was cut");
}
