//! The cases of the protocols' own test suites (Engine.IO 4, Socket.IO 5) that need no server of theirs, by bytes of our own.

use serde_json::{Value, json};

use crate::harness::bare::{self, Bare, Got};
use crate::harness::{Polling, Scene, http};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

fn assert_open(packet: &str, upgrades: &Value) {
    let open: Value = serde_json::from_str(packet.strip_prefix('0').expect("OPEN")).expect("JSON");
    let keys: Vec<_> = open.as_object().expect("an object").keys().collect();
    let expected = [
        "maxPayload",
        "pingInterval",
        "pingTimeout",
        "sid",
        "upgrades",
    ];
    assert_eq!(keys, expected, "{packet}");
    assert_eq!(&open["upgrades"], upgrades);
    let numbers = [
        &open["pingInterval"],
        &open["pingTimeout"],
        &open["maxPayload"],
    ];
    assert_eq!(numbers, [25_000, 20_000, 64_000]);
}

#[tokio::test]
async fn engine_io_opens_sessions() {
    let scene = Scene::new().await;
    let open = scene.server.get(POLLING).await;
    assert_eq!(open.status, 200);
    assert_eq!(
        open.header("content-type"),
        Some("text/plain; charset=UTF-8")
    );
    assert_open(&open.body, &json!(["websocket"]));
    let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
    let Got::Text(open) = socket.next().await else {
        panic!("no OPEN");
    };
    assert_open(&open, &json!([]));
}

#[tokio::test]
async fn engine_io_refuses_what_it_does_not_speak() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    for (method, query, code) in [
        ("GET", "transport=polling", 5),
        ("GET", "EIO=abc&transport=polling", 5),
        ("GET", "EIO=3&transport=polling", 5),
        ("GET", "EIO=4", 0),
        ("GET", "EIO=4&transport=abc", 0),
        ("GET", "EIO=4&transport=webtransport", 0),
        ("POST", "EIO=4&transport=polling", 2),
        ("PUT", "EIO=4&transport=polling", 2),
        ("GET", "EIO=4&transport=polling&sid=abc", 1),
        ("POST", "EIO=4&transport=polling&sid=abc", 1),
        ("GET", "transport=websocket", 5),
        ("GET", "EIO=abc&transport=websocket", 5),
        ("GET", "EIO=4&transport=websocket&sid=abc", 1),
    ] {
        let path = format!("/socket.io/?{query}");
        let answer = if query.contains("websocket") {
            let (head, _end) = Bare::ask(address, &path, &bare::HANDSHAKE).await;
            assert!(head.starts_with("HTTP/1.1 400 "), "{query}: {head}");
            continue;
        } else {
            http::request(address, method, &path, &[], "").await
        };
        assert_eq!(answer.status, 400, "{method} {query}");
        assert_eq!(answer.json()["code"], code, "{method} {query}: {answer:?}");
    }
}

#[tokio::test]
async fn engine_io_closes_a_session_on_a_packet_that_is_none() {
    let scene = Scene::new().await;
    let polling = Polling::ready(scene.server.address()).await;
    assert_eq!(polling.post("abc").await.status, 400);
    assert_eq!(polling.poll().await.status, 400);
    let mut socket = Bare::connect(scene.server.address()).await;
    socket.text("abc").await;
    assert!(socket.closed().await.is_some());
}

/// The first answer that is no ping.
async fn past_pings(polling: &Polling) -> http::Response {
    loop {
        let answer = polling.poll().await;
        if answer.body != "2" {
            return answer;
        }
    }
}

#[tokio::test]
async fn engine_io_closes_a_session_that_polls_twice_at_once() {
    let scene = Scene::new().await;
    let polling = Polling::ready(scene.server.address()).await;
    let (first, second) = tokio::join!(past_pings(&polling), past_pings(&polling));
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400], "{first:?} {second:?}");
    let waited = if first.status == 200 { first } else { second };
    assert_eq!(waited.body, "1");
    assert_eq!(polling.poll().await.status, 400);
}

#[tokio::test]
async fn engine_io_pings_and_takes_pongs() {
    let scene = Scene::new().await;
    let path = bare::open_polling(scene.server.address()).await;
    assert_eq!(
        http::get(scene.server.address(), &path, &[]).await.body,
        "2"
    );
    let pong = http::post(scene.server.address(), &path, "3").await;
    assert_eq!((pong.status, pong.body.as_str()), (200, "ok"));
}

#[tokio::test]
async fn engine_io_closes_a_session_when_asked() {
    let scene = Scene::new().await;
    let polling = Polling::ready(scene.server.address()).await;
    let (waited, closed) = tokio::join!(past_pings(&polling), polling.post("1"));
    assert_eq!(closed.status, 200);
    // The one that waited, or, if it came late, is told that the session has ended.
    assert!(waited.body == "6" || waited.status == 400, "{waited:?}");
    assert_eq!(polling.poll().await.status, 400);
    assert_eq!(polling.post("3").await.status, 400);
    let mut socket = Bare::connect(scene.server.address()).await;
    socket.text("1").await;
    assert!(socket.closed().await.is_some());
}

#[tokio::test]
async fn engine_io_upgrades_and_ignores_the_old_way() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    let polling = Polling::ready(address).await;
    let mut socket = Bare::open(address, &polling.upgrade_path()).await;
    socket.text("2probe").await;
    assert_eq!(socket.next().await, Got::Text("3probe".to_owned()));
    // The first ping may be due just then.
    assert_eq!(polling.until("6").await, "6");
    socket.text("5").await;
    socket.text("421[\"leave:conversation\",\"1\"]").await;
    socket.until("431[{\"ok\":true}]").await;
    for answer in [polling.poll().await, polling.post("3").await] {
        assert_eq!(
            (answer.status, answer.json()["code"].clone()),
            (400, json!(3))
        );
    }
    let mut second = Bare::open(address, &polling.upgrade_path()).await;
    assert!(second.closed().await.is_some());
    socket.text("422[\"leave:conversation\",\"1\"]").await;
    socket.until("432[{\"ok\":true}]").await;
}

#[tokio::test]
async fn socket_io_connects_to_its_namespaces() {
    let scene = Scene::new().await;
    for connect in ["40", "40{}", "40{\"token\":\"123\"}", "40/,", "40/,{}"] {
        let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
        socket.text(connect).await;
        let answer = socket.until("40{").await;
        let answer: Value = serde_json::from_str(answer.trim_start_matches("40")).expect("JSON");
        assert!(
            answer["sid"].is_string() && answer["pid"].is_string(),
            "{answer}"
        );
        socket.until("rowcast:ready").await;
    }
    let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
    socket.text("40/random").await;
    let refused = socket.until("44").await;
    assert_eq!(refused, "44/random,{\"message\":\"Invalid namespace\"}");
    socket.text("40").await;
    socket.until("rowcast:ready").await;
}

#[tokio::test]
async fn socket_io_closes_on_what_it_does_not_speak() {
    let scene = Scene::new().await;
    for packet in [
        "4abc",
        "47",
        "4",
        "42",
        "42{}",
        "42[]",
        "42[\"a\"",
        "4221",
        "43[]",
        "49[\"a\"]",
    ] {
        let mut socket = Bare::connect(scene.server.address()).await;
        socket.text(packet).await;
        assert!(socket.closed().await.is_some(), "{packet}");
    }
    // Before CONNECT nothing else is heard.
    let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
    socket.text("42[\"leave:conversation\",\"1\"]").await;
    // The engine does not always get its close frame out.
    socket.closed().await;
}

#[tokio::test]
async fn socket_io_disconnects_and_connects_again() {
    let scene = Scene::new().await;
    let mut socket = Bare::connect(scene.server.address()).await;
    socket.text("41").await;
    socket.text("40").await;
    socket.until("40{").await;
    socket.until("rowcast:ready").await;
    socket.text("41").await;
    // An event of nobody's ends the connection.
    socket.text("42[\"leave:conversation\",\"1\"]").await;
    assert!(socket.closed().await.is_some());
}

#[tokio::test]
async fn socket_io_answers_acks() {
    let scene = Scene::new().await;
    let mut socket = Bare::connect(scene.server.address()).await;
    for ack in ["0", "1", "456", "2147483648"] {
        socket
            .text(&format!("42{ack}[\"leave:conversation\",\"1\"]"))
            .await;
        assert_eq!(
            socket.next().await,
            Got::Text(format!("43{ack}[{{\"ok\":true}}]"))
        );
    }
    // Binary arguments are taken whole, and refused.
    socket.text("452-7[\"leave:conversation\",{\"_placeholder\":true,\"num\":0},{\"_placeholder\":true,\"num\":1}]").await;
    for part in [[1, 2, 3], [4, 5, 6]] {
        socket.frame(0x82, &part).await;
    }
    let refused = socket.until("437[").await;
    assert!(refused.contains("binary"), "{refused}");
}
