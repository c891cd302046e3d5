//! What goes over the wire, byte by byte: limits as announced, closes with their codes, requests judged as the standards say.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::bare::{self, Bare, Got, HANDSHAKE, frame};
use crate::harness::wait::{until, within};
use crate::harness::{Polling, Scene, http};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";

/// An event whose packet has so many bytes, and is answered as unknown.
fn event_of(bytes: usize) -> String {
    let packet = "421[\"x\",\"\"]";
    packet.replace("\"\"", &format!("\"{}\"", "y".repeat(bytes - packet.len())))
}

#[tokio::test]
async fn what_the_handshake_announces_is_what_is_taken() {
    const MAX: usize = 10_000;
    let scene = Scene::with(&[("ROWCAST_MAX_MESSAGE_SIZE", "10KB")]).await;
    let address = scene.server.address();
    let announced = |open: &str| {
        let open: Value = serde_json::from_str(&open[1..]).expect("an open packet");
        open["maxPayload"].clone()
    };
    assert_eq!(announced(&scene.server.get(POLLING).await.body), MAX);
    let mut websocket = Bare::open(address, WEBSOCKET).await;
    assert_eq!(announced(&websocket.until("sid").await), MAX);

    let polling = Polling::ready(address).await;
    assert_eq!(polling.post(&event_of(MAX)).await.status, 200);
    polling.until("431[").await;
    let too_large = polling.post(&event_of(MAX + 1)).await;
    assert_eq!(too_large.status, 413, "{too_large:?}");
    // The same where no length is announced.
    let body = event_of(MAX + 1);
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n",
        polling.path(),
        body.len()
    );
    let mut answer = String::new();
    let mut tcp = bare::begin(address, &request).await;
    within("an answer", tcp.read_to_string(&mut answer))
        .await
        .expect("text");
    assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    // Neither ends the session.
    polling.post("421[\"leave:conversation\",\"1\"]").await;
    polling.until("431[{\"ok\":true}]").await;

    let mut websocket = Bare::connect(address).await;
    websocket.text(&event_of(MAX)).await;
    websocket.until("431[").await;
    websocket.text(&event_of(MAX + 1)).await;
    assert_eq!(websocket.closed().await, Some(1009));
    let mut fragments = Bare::connect(address).await;
    fragments.frame(0x01, &[b'x'; MAX / 2]).await;
    fragments.frame(0x80, &[b'x'; MAX / 2 + 1]).await;
    assert_eq!(fragments.closed().await, Some(1009));
    scene
        .server
        .counted("rowcast_limits_total", &["message_size"], 4.0)
        .await;
}

#[tokio::test]
async fn a_websocket_that_is_closed_is_told_why() {
    let scene = Scene::new().await;
    for (what, bytes, code) in [
        ("no mask", vec![0x81, 1, b'3'], 1002),
        ("a reserved bit", frame(0xc1, b"3"), 1002),
        ("a reserved opcode", frame(0x83, b""), 1002),
        ("a continuation of nothing", frame(0x80, b"3"), 1002),
        ("a long ping", frame(0x89, &[0; 126]), 1002),
        ("a close of one byte", frame(0x88, b"x"), 1002),
        ("text that is not UTF-8", frame(0x81, b"4\xff"), 1007),
        ("a packet that is none", frame(0x81, b"9"), 1005),
    ] {
        let mut socket = Bare::connect(scene.server.address()).await;
        socket.bytes(&bytes).await;
        assert_eq!(socket.closed().await, Some(code), "{what}");
    }
    // Who closes by itself is answered, and fragments and pings are no fault.
    let mut socket = Bare::connect(scene.server.address()).await;
    socket.frame(0x01, b"421[\"leave:conver").await;
    socket.frame(0x89, b"p").await;
    socket.frame(0x80, "sation\",\"é\"]".as_bytes()).await;
    let (mut answered, mut ponged) = (false, false);
    while !(answered && ponged) {
        match socket.next().await {
            Got::Text(text) => answered |= text == "431[{\"ok\":true}]",
            got => ponged |= got == Got::Other(10),
        }
    }
    socket.frame(0x88, &1000_u16.to_be_bytes()).await;
    assert_eq!(socket.closed().await, Some(1000));
}

#[tokio::test]
async fn an_event_name_with_an_escape_is_answered() {
    let scene = Scene::new().await;
    let mut client = scene.stock.connect(&scene.server).await;
    for name in ["say \"hi\"", "a\\b", "\u{1}", "\u{2028}", "é", "🦀", ""] {
        let answer = client.ask(name, json!([1])).await;
        assert_eq!(answer["error"]["code"], "bad_request", "{name:?}: {answer}");
        client.emit(name, json!([1]));
        let error = client.event("rowcast:error").await;
        assert_eq!(error.payload()["code"], "bad_request", "{name:?}");
    }
    let sent = [
        (
            r#"421["leave\u003aconversation","1"]"#,
            r#"431[{"ok":true}]"#,
        ),
        (
            r#"422["\ud800",1]"#,
            r#"432[{"error":{"code":"bad_request""#,
        ),
        (r#"423[7,1]"#, r#"433[{"error":{"code":"bad_request""#),
    ];
    let mut socket = Bare::connect(scene.server.address()).await;
    let polling = Polling::ready(scene.server.address()).await;
    for (packet, answer) in sent {
        socket.text(packet).await;
        socket.until(answer).await;
        assert_eq!(polling.post(packet).await.status, 200);
        polling.until(answer).await;
    }
    let together = sent.map(|(packet, _)| packet).join("\u{1e}");
    assert_eq!(polling.post(&together).await.status, 200);
    polling.until("433[").await;
}

/// The pid that a CONNECT packet gives.
fn pid_of(connect: &str) -> String {
    let connect: Value = serde_json::from_str(&connect[2..]).expect("JSON");
    connect["pid"].as_str().expect("a pid").to_owned()
}

#[tokio::test]
async fn a_client_that_disconnects_ends_its_session_and_may_connect_again_at_once() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    for round in 0..10 {
        // The client asks for the session that it has just ended: that is no resume.
        let mut socket = Bare::open(address, WEBSOCKET).await;
        socket.text("40").await;
        let pid = pid_of(&socket.until("40{").await);
        socket.until("rowcast:ready").await;
        socket.text("421[\"join:conversation\",\"42\"]").await;
        let answer = socket.until("431[{").await;
        let answer: Value = serde_json::from_str(&answer[3..]).expect("JSON");
        let offset = &answer[0]["offset"];
        assert!(offset.is_string(), "{answer}");
        let again = format!("40{}", json!({"pid": pid, "offset": offset}));
        socket
            .bytes(&[frame(0x81, b"41"), frame(0x81, again.as_bytes())].concat())
            .await;
        assert_ne!(pid_of(&socket.until("40{").await), pid, "round {round}");
        socket.until("rowcast:ready").await;

        let polling = Polling::connect(address).await;
        let pid = pid_of(&polling.until("40{").await);
        polling.post("421[\"join:conversation\",\"42\"]").await;
        polling.until("431[{").await;
        let again = format!("41\u{1e}40{}", json!({"pid": pid, "offset": offset}));
        assert_eq!(polling.post(&again).await.status, 200);
        assert_ne!(pid_of(&polling.until("40{").await), pid, "round {round}");
        // All of it in one POST, before the client has asked for anything.
        assert_eq!(polling.post("41").await.status, 200);
        assert_eq!(polling.post("40").await.status, 200);
        polling.until("40{").await;
        polling.post("422[\"join:conversation\",\"43\"]").await;
        polling.until("432[{\"offset\"").await;
    }
    scene.database.say("43", "to those who stayed").await;

    // A join that is not yet stored ends with its session, too.
    // Their connections stay: one that is cut takes along what the server has not read yet, the goodbye among it.
    let rows = "select count(*) from rowcast.sessions";
    let mut sockets = Vec::new();
    for _ in 0..20 {
        let mut socket = Bare::connect(address).await;
        socket.text("421[\"join:conversation\",\"44\"]").await;
        socket.text("41").await;
        sockets.push(socket);
    }
    let joined_44 = format!("{rows} where rooms ? 'conversation:44'");
    until("their sessions to end", async || {
        let goodbyes = scene
            .server
            .metric("rowcast_disconnects_total", &["client_disconnect"])
            .await;
        let left = scene.database.value(&joined_44).await;
        (goodbyes >= 20.0 && left == "0").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_websocket_handshake_is_checked() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    let with = |name: &str, value: &str| {
        let mut headers: Vec<(&str, String)> = HANDSHAKE
            .iter()
            .map(|(name, value)| (*name, (*value).to_owned()))
            .collect();
        headers.retain(|header| header.0 != name);
        (headers, name.to_owned(), value.to_owned())
    };
    let cases = [
        ("upgrade", "", 400),
        ("upgrade", "h2c", 400),
        ("upgrade", "WebSocket", 101),
        ("upgrade", "h2c, websocket", 101),
        ("connection", "", 400),
        ("connection", "close", 400),
        ("connection", "keep-alive, upgrade", 101),
        ("sec-websocket-version", "", 426),
        ("sec-websocket-version", "8", 426),
        ("sec-websocket-version", "99", 426),
        ("sec-websocket-key", "", 400),
        ("sec-websocket-key", "dGhlIHNhbXBsZQ==", 400),
        ("sec-websocket-key", "!!!!!!!!!!!!!!!!!!!!!!==", 400),
        ("sec-websocket-protocol", "chat, ", 400),
        ("sec-websocket-protocol", "chat, chat", 400),
        ("sec-websocket-protocol", "a b", 400),
    ];
    let upgraded = bare::open_polling(address)
        .await
        .replace("=polling", "=websocket");
    for path in [WEBSOCKET, &upgraded] {
        for (name, value, status) in cases {
            let (kept, name, value) = with(name, value);
            let mut headers: Vec<(&str, &str)> = kept
                .iter()
                .map(|(name, value)| (*name, value.as_str()))
                .collect();
            if !value.is_empty() {
                headers.push((&name, &value));
            }
            let (head, _end) = Bare::ask(address, path, &headers).await;
            let expected = format!("HTTP/1.1 {status} ");
            assert!(head.starts_with(&expected), "{name}: {value:?}: {head}");
            if status == 426 {
                assert!(
                    head.to_lowercase().contains("sec-websocket-version: 13"),
                    "{head}"
                );
            }
        }
    }
}

#[tokio::test]
async fn the_first_subprotocol_that_is_asked_for_is_answered() {
    let scene = Scene::new().await;
    for (asked, answered) in [
        (None, None),
        (Some("chat"), Some("chat")),
        (Some("chat, superchat"), Some("chat")),
    ] {
        let mut headers = HANDSHAKE.to_vec();
        headers.extend(asked.map(|asked| ("sec-websocket-protocol", asked)));
        let (head, mut socket) = Bare::ask(scene.server.address(), WEBSOCKET, &headers).await;
        let named = head
            .lines()
            .filter_map(|line| line.split_once(": "))
            .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-protocol"))
            .map(|(_, value)| value);
        assert_eq!(named, answered, "{head}");
        socket.until("sid").await;
    }
}

/// As the reference server answers: what was under way could be lost, or out of order.
#[tokio::test]
async fn a_cancelled_poll_and_overlapping_posts_end_the_session() {
    let scene = Scene::new().await;
    let address = scene.server.address();

    let polling = Polling::ready(address).await;
    let request = format!("GET {} HTTP/1.1\r\nhost: x\r\n\r\n", polling.path());
    // A request that is cancelled before the server has looked at it is none.
    until("a cancelled poll to end the session", async || {
        let cancelled = bare::begin(address, &request).await;
        scene.server.get("/livez").await;
        drop(cancelled);
        let ended = scene.server.metric("rowcast_disconnects_total", &[]).await;
        (ended >= 1.0).then_some(())
    })
    .await;
    let answer = polling.poll().await;
    assert_eq!(
        (answer.status, answer.json()["code"].clone()),
        (400, json!(1))
    );

    let polling = Polling::ready(address).await;
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\ncontent-length: 2\r\n\r\n4",
        polling.path()
    );
    let mut first = bare::begin(address, &head).await;
    until("a POST beside another to be refused", async || {
        (polling.post("3").await.status == 400).then_some(())
    })
    .await;
    let _it_may_be_closed = first.write_all(b"1").await;
    scene
        .server
        .counted("rowcast_disconnects_total", &[], 2.0)
        .await;
    assert_eq!(polling.poll().await.status, 400);

    // One after another they are as good as ever.
    let polling = Polling::ready(address).await;
    for ack in 1..=20 {
        let leave = format!("42{ack}[\"leave:conversation\",\"1\"]");
        assert_eq!(polling.post(&leave).await.status, 200);
    }
    polling.until("4320[{\"ok\":true}]").await;
}

#[tokio::test]
async fn a_page_that_is_refused_is_in_the_log_with_the_variable_to_set() {
    let scene = Scene::with(&[("FRONTEND_URL", "https://app.example")]).await;
    let address = scene.server.address();
    for _ in 0..20 {
        let origin = [("origin", "https://other.example")];
        http::get(address, POLLING, &origin).await;
    }
    let refused = |line: &Value| line["origin"] == "https://other.example";
    let line = scene.server.log("the refused page", refused).await;
    let message = line["message"].as_str().unwrap_or_default();
    assert!(message.contains("FRONTEND_URL"), "{line}");
    assert_eq!(line["level"], "WARN");
    let lines = scene.server.lines();
    let lines = lines.iter().filter(|line| line.contains("other.example"));
    assert!(lines.count() < 5, "not a line for each");
}

#[tokio::test]
async fn a_refused_page_that_opens_a_websocket_is_in_the_log_too() {
    let scene = Scene::with(&[("FRONTEND_URL", "https://app.example")]).await;
    let mut headers = HANDSHAKE.to_vec();
    headers.push(("origin", "https://third.example"));
    let (_, mut socket) = Bare::ask(scene.server.address(), WEBSOCKET, &headers).await;
    socket.text("40").await;
    socket.until("origin_not_allowed").await;
    let refused = |line: &Value| line["origin"] == "https://third.example";
    scene.server.log("the refused page", refused).await;
}
