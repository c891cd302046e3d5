//! No bytes, whatever they are, panic or hang the server, or reach another client. A server that panicked fails its
//! test when it is dropped.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::harness::wait::within;
use crate::harness::{Client, Polling, Scene, Wire};

/// Draws values; a failing test prints what it drew.
fn draw<T: std::fmt::Debug>(runner: &mut TestRunner, from: &impl Strategy<Value = T>) -> T {
    from.new_tree(runner)
        .expect("a value can be drawn")
        .current()
}

/// Somebody else, who must not notice.
async fn assert_unmoved(scene: &Scene, bystander: &mut Client, after: &dyn std::fmt::Debug) {
    scene.database.say("bystander", "still here").await;
    let event = bystander.next().await;
    assert_eq!(event.body(), "still here", "after {after:?}");
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
        Just(json!("42")),
        Just(json!({"_placeholder": true, "num": 0})),
    ];
    leaf.prop_recursive(4, 30, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::hash_map("contactId|after|.{0,5}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Text frames: noise, noise behind each packet type, and packets that are almost right.
fn frame() -> impl Strategy<Value = String> {
    let event = prop_oneof![
        Just("join:conversation"),
        Just("leave:conversation"),
        Just("typing:start"),
        Just("typing:stop"),
        Just("rowcast:ready"),
        Just("connect"),
        Just("")
    ];
    let almost = (
        event,
        prop::collection::vec(json_value(), 0..4),
        "[0-9]{0,25}",
        any::<prop::sample::Index>(),
        any::<bool>(),
    )
        .prop_map(|(event, arguments, ack, cut, whole)| {
            let mut packet = vec![json!(event)];
            packet.extend(arguments);
            let mut text = format!("42{ack}{}", Value::Array(packet));
            if !whole {
                let at = text
                    .char_indices()
                    .map(|(at, _)| at)
                    .nth(cut.index(text.chars().count()))
                    .unwrap_or(0);
                text.truncate(at);
            }
            text
        });
    prop_oneof![
        1 => ".{0,60}",
        2 => "[0-6][0-6]?.{0,40}",
        2 => "4[0-6](/[a-z]{0,3},)?[0-9]{0,22}(-|\\[|\\{)?.{0,20}",
        5 => almost,
        1 => Just(format!("42{}", "[".repeat(30_000))),
        1 => Just("459999999999-[\"join:conversation\",{\"_placeholder\":true,\"num\":0}]".to_owned()),
        1 => Just("451-[\"join:conversation\",{\"_placeholder\":true,\"num\":7}]".to_owned()),
        1 => Just("41".to_owned()),
        1 => Just("40".to_owned()),
        1 => Just("1".to_owned()),
        1 => Just("5".to_owned()),
    ]
}

#[tokio::test]
async fn no_message_panics_or_hangs_the_server() {
    const SOCKETS: usize = 60;
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let mut bystander = scene.joined("bystander").await;
    let mut runner = TestRunner::default();
    for _ in 0..SOCKETS {
        let mut sent = Vec::new();
        let mut wire = Wire::connect(scene.server.address()).await;
        for _ in 0..20 {
            let text = draw(&mut runner, &frame());
            wire.send(&text).await;
            sent.push(text);
            if draw(&mut runner, &(0..8)) == 0 {
                let bytes = draw(&mut runner, &prop::collection::vec(any::<u8>(), 0..100));
                sent.push(format!("{bytes:?}"));
                wire.send_bytes(bytes).await;
            }
        }
        // Either it still answers, or it has closed this one connection: never silence.
        wire.emit("join:conversation", &json!(["42"]), Some(7))
            .await;
        while let Some(frame) = wire.frame().await {
            if frame.starts_with("437[") {
                break;
            }
        }
        assert_unmoved(&scene, &mut bystander, &sent).await;
    }
}

#[tokio::test]
async fn no_offset_panics_or_hangs_the_server() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let mut bystander = scene.joined("bystander").await;
    let mut wire = Wire::connect(scene.server.address()).await;
    let good = wire.ask("join:conversation", &json!(["42"]), 0).await["offset"].clone();
    let good = good.as_str().expect("an offset").to_owned();
    let mut runner = TestRunner::default();
    let flipped = (any::<prop::sample::Index>(), "[A-Za-z0-9_-]").prop_map(|(at, with)| {
        let mut offset: Vec<char> = good.chars().collect();
        let at = at.index(offset.len());
        offset[at] = with.chars().next().expect("one character");
        offset.into_iter().collect::<String>()
    });
    let longer = "[A-Za-z0-9_-]{1,40}".prop_map(|more| format!("{good}{more}"));
    let offset = prop_oneof![".{0,50}", "[A-Za-z0-9_-]{0,300}", flipped, longer];
    for number in 1..400 {
        let after = draw(&mut runner, &offset);
        let answer = wire
            .ask(
                "join:conversation",
                &json!([{"contactId": "42", "after": after}]),
                number,
            )
            .await;
        assert_eq!(answer["ok"], true, "{after:?}: {answer}");
        assert!(
            answer["resync"] == true || after == good,
            "{after:?}: {answer}"
        );
    }
    assert_unmoved(&scene, &mut bystander, &"the offsets").await;

    // As a stock client gives them: in the CONNECT packet.
    for _ in 0..60 {
        let (pid, after) = (draw(&mut runner, &json_value()), draw(&mut runner, &offset));
        let auth = match draw(&mut runner, &(0..3)) {
            0 => json!({"pid": pid, "offset": after}),
            1 => json!({"pid": "x", "offset": draw(&mut runner, &json_value())}),
            _ => draw(&mut runner, &json_value()),
        };
        let mut wire = Wire::open(scene.server.address()).await;
        wire.send(&format!("40{auth}")).await;
        while let Some(frame) = wire.frame().await {
            if frame.contains("rowcast:ready") || frame.starts_with("44") {
                break;
            }
        }
        assert_unmoved(&scene, &mut bystander, &auth).await;
    }
}

#[tokio::test]
async fn no_polling_body_panics_or_hangs_the_server() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let mut bystander = scene.joined("bystander").await;
    let mut runner = TestRunner::default();
    for _ in 0..60 {
        let polling = Polling::connect(scene.server.address()).await;
        let parts = draw(&mut runner, &prop::collection::vec(frame(), 1..6));
        let body = parts.join("\u{1e}");
        let answer = polling.post(&body).await;
        assert!((200..500).contains(&answer.status), "{body:?}: {answer:?}");
        assert_unmoved(&scene, &mut bystander, &body).await;
    }
}

#[tokio::test]
async fn no_request_panics_or_hangs_the_server() {
    let scene = Scene::new().await;
    let mut bystander = scene.joined("bystander").await;
    let mut runner = TestRunner::default();
    let query =
        "[?]?(EIO=[0-9]{0,3}&?)?(transport=(websocket|polling|[a-z]{0,5})&?)?(sid=.{0,12})?";
    let target = (
        prop_oneof![
            Just("/socket.io/"),
            Just("/socket.io"),
            Just("/readyz"),
            Just("/api/"),
            Just("/")
        ],
        query,
    );
    let headers = prop::collection::vec(
        prop_oneof![
            Just("upgrade: websocket".to_owned()),
            Just("connection: Upgrade".to_owned()),
            Just("sec-websocket-version: 13".to_owned()),
            Just("sec-websocket-key: AAAAAAAAAAAAAAAAAAAAAA==".to_owned()),
            "sec-websocket-key: [ -~]{0,30}",
            "origin: [ -~]{0,30}",
            "content-length: [0-9-]{0,25}",
            Just("transfer-encoding: chunked".to_owned()),
            Just(format!("x: {}", "y".repeat(20_000))),
            "[ -~]{0,30}",
        ],
        0..7,
    );
    for _ in 0..150 {
        let (path, query) = draw(&mut runner, &target);
        let method = draw(&mut runner, &"GET|POST|OPTIONS|PUT|[A-Z]{0,8}");
        let body = draw(&mut runner, &prop::collection::vec(any::<u8>(), 0..200));
        let head = format!(
            "{method} {path}{query} HTTP/1.1\r\nhost: x\r\n{}\r\n\r\n",
            draw(&mut runner, &headers).join("\r\n")
        );
        let mut stream = TcpStream::connect(scene.server.address())
            .await
            .expect("the server accepts");
        let _cut = within("the server to take the bytes", async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(&body).await
        })
        .await;
        drop(stream);
        if draw(&mut runner, &(0..10)) == 0 {
            assert_unmoved(&scene, &mut bystander, &head).await;
        }
    }
    assert_unmoved(&scene, &mut bystander, &"the requests").await;
    assert_eq!(scene.server.get("/livez").await.status, 200);
}

/// A client may not speak before it has the answer; what it says too early is neither lost nor out of order.
#[tokio::test]
async fn a_client_that_speaks_with_its_handshake_is_heard() {
    let scene = Scene::with(&[]).await;
    let mut stream = TcpStream::connect(scene.server.address())
        .await
        .expect("the server accepts");
    let head = "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nhost: x\r\nconnection: Upgrade\r\n\
        upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // The text frame "40", masked with zeros.
    let connect = [0x81, 0x82, 0, 0, 0, 0, b'4', b'0'];
    stream
        .write_all(&[head.as_bytes(), &connect].concat())
        .await
        .expect("written");
    let mut answer = String::new();
    within("rowcast:ready", async {
        while !answer.contains("rowcast:ready") {
            let mut bytes = [0; 4096];
            let read = stream.read(&mut bytes).await.expect("an answer");
            assert!(read > 0, "the connection ended: {answer}");
            answer += &String::from_utf8_lossy(&bytes[..read]);
        }
    })
    .await;
    // The key and its answer are the example of RFC 6455, section 1.3.
    assert!(answer.contains("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), "{answer}");
}
