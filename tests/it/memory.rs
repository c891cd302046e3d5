//! What strangers can make the server hold: as much as harmless clients do, and not many times that.
//!
//! Each test measures the peak of the server's memory twice: with harmless clients, then with as many hostile ones.

mod unread;

use std::future::Future;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::harness::bare::{self, Bare, Got, HANDSHAKE};
use crate::harness::wait::within;
use crate::harness::{Polling, Scene, Server, database, http};

const WEBSOCKET: &str = "/socket.io/?EIO=4&transport=websocket";
const POLLING: &str = "/socket.io/?EIO=4&transport=polling";
const PING: u8 = 0x89;
const PONG: u8 = 10;
/// Almost as much as a message may have.
const LARGE: usize = 60_000;

/// The most memory that the server held meanwhile, in megabytes. What `during` returns is kept until it is measured.
fn peak<T>(server: &Server, during: impl Future<Output = T>) -> impl Future<Output = f64> {
    let during = Box::pin(during);
    async {
        server.forget_peak_memory();
        let _kept = during.await;
        server.peak_memory_bytes() as f64 / f64::from(1 << 20)
    }
}

/// Hostile clients may not make it more than half as much again.
fn assert_no_more(harmless: f64, hostile: f64) {
    println!("harmless clients: {harmless:.0} MB, hostile ones: {hostile:.0} MB");
    assert!(
        hostile < harmless * 1.5,
        "{harmless:.0} MB with harmless clients, {hostile:.0} MB with hostile ones"
    );
}

/// Waits until the server has read what the client has sent so far, or has closed the connection.
async fn has_read(socket: &mut Bare) {
    socket.frame(PING, b"").await;
    loop {
        match socket.next().await {
            Got::Other(PONG) | Got::Close(_) | Got::End => return,
            Got::Text(_) | Got::Other(_) => {}
        }
    }
}

/// `[0,0,0,..]`, as long as a message may be.
fn many_small_values() -> String {
    format!("[{}0]", "0,".repeat(LARGE / 2))
}

#[tokio::test]
async fn events_that_wait_take_no_more_than_their_text() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let mut other = scene.database.connection().await;
    database::run(&mut other, "begin; lock table rowcast.sessions").await;
    let waiting = async |event: &str| {
        let mut sockets = Vec::new();
        for _ in 0..2 {
            let mut socket = Bare::connect(scene.server.address()).await;
            // Whatever comes after this one waits, because the join can't be stored.
            socket.text("420[\"join:conversation\",\"1\"]").await;
            for _ in 0..150 {
                socket.text(event).await;
            }
            has_read(&mut socket).await;
            sockets.push(socket);
        }
        sockets
    };
    let harmless = peak(&scene.server, waiting("42[\"leave:conversation\",\"1\"]")).await;
    let large = format!("42[\"leave:conversation\",{}]", many_small_values());
    let hostile = peak(&scene.server, waiting(&large)).await;
    assert_no_more(harmless, hostile);
    scene
        .server
        .counted("rowcast_limits_total", &["nbox"], 1.0)
        .await;
    database::run(&mut other, "rollback").await;
}

#[tokio::test]
async fn an_event_of_more_values_than_any_needs_is_refused() {
    let scene = Scene::new().await;
    let mut socket = Bare::connect(scene.server.address()).await;
    let deep = format!("{}{}", "[".repeat(20_000), "]".repeat(20_000));
    for (ack, argument) in [(1, many_small_values()), (2, deep)] {
        let packet = format!("42{ack}[\"join:conversation\",{argument}]");
        socket.text(&packet).await;
        let answer = socket.until(&format!("43{ack}[")).await;
        assert!(
            answer.contains("bad_request") && answer.contains("values"),
            "{answer}"
        );
    }
    // One that joins says no more than it needs, and is answered.
    socket.text("423[\"join:conversation\",\"1\"]").await;
    assert!(socket.until("433[").await.contains("\"ok\":true"));
}

#[tokio::test]
async fn binary_attachments_are_dropped_as_they_come() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let attached = async |piece: &[u8]| {
        let mut sockets = Vec::new();
        for index in 0..10 {
            let mut socket = match index % 2 {
                // Before CONNECT, and after it.
                0 => Bare::open(scene.server.address(), WEBSOCKET).await,
                _ => Bare::connect(scene.server.address()).await,
            };
            socket.text("4510000-[\"join:conversation\"]").await;
            for _ in 0..160 {
                socket.frame(0x82, piece).await;
            }
            has_read(&mut socket).await;
            sockets.push(socket);
        }
        sockets
    };
    let harmless = peak(&scene.server, attached(b"x")).await;
    let hostile = peak(&scene.server, attached(&vec![b'x'; LARGE])).await;
    assert_no_more(harmless, hostile);
}

#[tokio::test]
async fn binary_arguments_are_refused_by_an_answer_and_nothing_else_is_lost() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    let event = r#"451-7["join:conversation",{"_placeholder":true,"num":0}]"#;
    let without_ack = r#"451-["join:conversation",{"_placeholder":true,"num":0}]"#;

    let mut socket = Bare::connect(address).await;
    socket.text(event).await;
    socket.frame(0x82, b"attachment").await;
    socket.text("428[\"join:conversation\",\"1\"]").await;
    let refused = socket.until("437[").await;
    assert!(
        refused.contains("binary arguments are not accepted"),
        "{refused}"
    );
    assert!(socket.until("438[").await.contains("\"ok\":true"));
    socket.text(without_ack).await;
    socket.frame(0x82, b"attachment").await;
    let refused = socket.until("rowcast:error").await;
    assert!(
        refused.contains("binary arguments are not accepted"),
        "{refused}"
    );
    // One that nothing has announced is no attachment.
    socket.frame(0x82, b"stray").await;
    assert_eq!(socket.closed().await, Some(1003));

    let polling = Polling::ready(address).await;
    // The attachment in the same POST, and in the next one, as a stock client splits them.
    let body = format!("{event}\u{1e}bAAAA\u{1e}{without_ack}");
    assert_eq!(polling.post(&body).await.status, 200);
    let next = "bAAAA\u{1e}428[\"join:conversation\",\"1\"]";
    assert_eq!(polling.post(next).await.status, 200);
    polling.until("438[").await;
    assert_eq!(polling.post("bAAAA").await.status, 400);

    // And as a stock client does it.
    let client = scene.stock.connect(&scene.server).await;
    let binary = json!([{ "type": "Buffer", "data": [1, 2, 3] }]);
    let answer = client.ask("join:conversation", binary).await;
    assert_eq!(answer["ok"], false, "{answer}");
}

#[tokio::test]
async fn the_head_of_a_request_is_bounded_and_one_above_is_told_so() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    let heads = async |bytes: usize| {
        let mut connections = Vec::new();
        for _ in 0..200 {
            let head = format!("GET /livez HTTP/1.1\r\nhost: x\r\nx: {}", "y".repeat(bytes));
            let mut tcp = TcpStream::connect(address).await.expect("TCP");
            let _it_may_close = within("the server to read", tcp.write_all(head.as_bytes())).await;
            connections.push(tcp);
        }
        assert_eq!(scene.server.get("/livez").await.status, 200);
        connections
    };
    let harmless = peak(&scene.server, heads(100)).await;
    let hostile = peak(&scene.server, heads(390_000)).await;
    assert_no_more(harmless, hostile);

    for bytes in [17_000, 390_000] {
        let head = format!(
            "GET /livez HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
            "y".repeat(bytes)
        );
        let mut tcp = bare::begin(address, &head).await;
        let mut answer = String::new();
        within("an answer", tcp.read_to_string(&mut answer))
            .await
            .expect("an orderly end");
        assert!(answer.starts_with("HTTP/1.1 431 "), "{bytes}: {answer}");
    }
    let cookies = "c".repeat(14_000);
    let answer = http::get(address, "/livez", &[("cookie", &cookies)]).await;
    assert_eq!(answer.status, 200, "what browsers send fits");
}

#[tokio::test]
async fn what_a_client_says_with_connect_is_bounded() {
    let scene = Scene::new().await;
    let mut other = scene.database.connection().await;
    database::run(&mut other, "begin; lock table rowcast.sessions").await;
    // Who comes back waits for the database, and with it what was said.
    let connecting = async |more: &str| {
        let mut sockets = Vec::new();
        for _ in 0..100 {
            let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
            let auth = format!(r#"{{"pid":"p","offset":"o","more":{more}}}"#);
            socket.text(&format!("40{auth}")).await;
            has_read(&mut socket).await;
            sockets.push(socket);
        }
        sockets
    };
    let harmless = peak(&scene.server, connecting("[]")).await;
    for more in [many_small_values(), format!("[{}0]", "0,".repeat(7_000))] {
        let hostile = peak(&scene.server, connecting(&more)).await;
        assert_no_more(harmless, hostile);
    }
    database::run(&mut other, "rollback").await;

    let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
    socket
        .text(&format!("40{{\"token\":\"{}\"}}", "x".repeat(20_000)))
        .await;
    let refused = socket.until("44{").await;
    assert!(refused.contains("\"auth_too_large\""), "{refused}");
    // What nobody reads may be as it likes, within that.
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    socket.text(&format!("40{{\"more\":{deep}}}")).await;
    socket.until("rowcast:ready").await;
}

#[tokio::test]
async fn namespaces_that_there_are_not_are_not_repeated_without_end() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "30")]).await;
    let address = scene.server.address();
    let long = format!("40/{},", "x".repeat(LARGE));
    let mut socket = Bare::open(address, WEBSOCKET).await;
    socket.text(&long).await;
    assert_eq!(socket.closed().await, Some(1009));

    let path = bare::open_polling(address).await;
    let post = async |body: &str| http::post(address, &path, body).await.status;
    assert_eq!(post("40/x,").await, 200);
    let answer = http::get(address, &path, &[]).await;
    let refused = "44/x,{\"message\":\"Invalid namespace\"}";
    // A ping may stand beside it.
    let mut packets = answer.body.split('\u{1e}');
    assert!(packets.any(|packet| packet == refused), "{answer:?}");
    assert_eq!(post(&long).await, 400);
    assert_eq!(post("3").await, 400, "the session has ended");
}

/// Each of them costs more than an event, and gives the client a new allowance of events.
#[tokio::test]
async fn who_connects_and_disconnects_without_end_is_cut() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "30")]).await;
    for flood in [["40", "40"], ["40/x,", "41/x,"], ["41", "40"]] {
        let mut socket = Bare::connect(scene.server.address()).await;
        for packet in flood.iter().cycle().take(200) {
            socket.text(packet).await;
        }
        // Whoever left by itself, and speaks on, may be let go before it is cut.
        let codes = if flood[0] == "41" {
            &[1008, 1005][..]
        } else {
            &[1008]
        };
        let code = socket.closed().await.expect("a code");
        assert!(codes.contains(&code), "{flood:?}: {code}");
    }
    scene
        .server
        .counted("rowcast_limits_total", &["ate"], 2.0)
        .await;
}

#[tokio::test]
async fn fragments_take_no_more_than_their_message() {
    let scene = Scene::new().await;
    let begun = async |fragments: usize, bytes: usize| {
        let mut sockets = Vec::new();
        for _ in 0..40 {
            let mut socket = Bare::open(scene.server.address(), WEBSOCKET).await;
            let mut message = bare::frame(0x01, b"4");
            for _ in 0..fragments {
                message.extend(bare::frame(0, &vec![b'x'; bytes]));
            }
            socket.bytes(&message).await;
            has_read(&mut socket).await;
            sockets.push(socket);
        }
        sockets
    };
    let harmless = peak(&scene.server, begun(1, LARGE)).await;
    let hostile = peak(&scene.server, begun(LARGE, 1)).await;
    assert_no_more(harmless, hostile);
    let empty = peak(&scene.server, begun(LARGE, 0)).await;
    assert_no_more(harmless, empty);
}

#[tokio::test]
async fn a_large_message_leaves_nothing_behind() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let connected = async |argument: &str| {
        let mut sockets = Vec::new();
        for _ in 0..300 {
            let mut socket = Bare::connect(scene.server.address()).await;
            socket
                .text(&format!("421[\"leave:conversation\",{argument}]"))
                .await;
            socket.until("431[").await;
            sockets.push(socket);
        }
        sockets
    };
    let harmless = peak(&scene.server, connected("\"1\"")).await;
    let large = format!("\"{}\"", "x".repeat(LARGE));
    let hostile = peak(&scene.server, connected(&large)).await;
    assert_no_more(harmless, hostile);
}

/// A client that polls has no connection on which what it does not read would pile up.
#[tokio::test]
async fn answers_that_nobody_reads_end_the_session() {
    const BATCH: usize = 60;
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let polling = Polling::connect(scene.server.address()).await;
    let contact = "x".repeat(490);
    let mut asked = 0;
    loop {
        let joins: Vec<String> = (asked..asked + BATCH)
            .map(|ack| format!("42{ack}[\"join:conversation\",\"{contact}\"]"))
            .collect();
        let answer = polling.post(&joins.join("\u{1e}")).await;
        if answer.status == 400 {
            break;
        }
        assert_eq!(answer.status, 200, "{answer:?}");
        asked += BATCH;
        // Requests wait as well, where the machine is busy.
        assert!(asked < 10_000, "{asked} answers wait for one client");
    }
}

#[tokio::test]
async fn engine_sessions_that_nobody_uses_are_small_and_end() {
    const SESSIONS: usize = 500;
    let scene = Scene::with(&[
        ("ROWCAST_HANDSHAKE_TIMEOUT", "3s"),
        // More than one address may open.
        ("ROWCAST_MAX_HANDSHAKE_RATE", "100000"),
        ("ROWCAST_MAX_SOCKETIO_RATE", "100000"),
        ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "100000"),
    ])
    .await;
    let address = scene.server.address();
    let opened = async |padding: usize| {
        let padding = "x".repeat(padding);
        let path = format!("{POLLING}&t={padding}");
        for _ in 0..SESSIONS {
            let headers = [("user-agent", &*padding), ("accept-language", &*padding)];
            assert_eq!(http::get(address, &path, &headers).await.status, 200);
        }
    };
    let harmless = peak(&scene.server, opened(10)).await;
    let hostile = peak(&scene.server, opened(5_000)).await;
    assert_no_more(harmless, hostile);
    scene
        .server
        .counted("rowcast_limits_total", &["andshake"], 2.0 * SESSIONS as f64)
        .await;
}

/// A body that is compressed may be a thousand times as long as it looks.
#[tokio::test]
async fn compression_is_never_agreed_on() {
    let scene = Scene::new().await;
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits; server_max_window_bits=8, x-webkit-deflate-frame",
        &"permessage-deflate, ".repeat(600),
    ] {
        let mut headers = HANDSHAKE.to_vec();
        headers.push(("sec-websocket-extensions", offer));
        let (head, mut socket) = Bare::ask(scene.server.address(), WEBSOCKET, &headers).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(!head.to_lowercase().contains("extensions"), "{head}");
        socket.frame(0xc1, b"compressed").await;
        assert_eq!(socket.closed().await, Some(1002));
    }
}

/// Who says nothing gets no buffer for what it might say.
#[tokio::test]
async fn connections_on_which_nobody_speaks_take_less_than_those_that_were_answered() {
    const CONNECTIONS: usize = 400;
    let scene = Scene::new().await;
    let address = scene.server.address();
    let connected = async |request: &str, count: usize| {
        let mut connections = Vec::new();
        for _ in 0..count {
            let mut tcp = bare::begin(address, request).await;
            if !request.is_empty() {
                let mut answer = [0; 1024];
                let read = within("an answer", tcp.read(&mut answer)).await;
                assert!(read.is_ok_and(|read| read > 0));
            }
            connections.push(tcp);
        }
        // Those before it have been accepted.
        assert_eq!(scene.server.get("/livez").await.status, 200);
        connections
    };
    // The first ones make the server's threads and their buffers.
    for _ in 0..3 {
        connected("GET /livez HTTP/1.1\r\nhost: x\r\n\r\n", 20).await;
    }
    let before = peak(&scene.server, async {}).await;
    let silent = peak(&scene.server, connected("", CONNECTIONS)).await - before;
    let before = peak(&scene.server, async {}).await;
    let answered = "GET /livez HTTP/1.1\r\nhost: x\r\n\r\n";
    let answered = peak(&scene.server, connected(answered, CONNECTIONS)).await - before;
    println!("silent: {silent:.1} MB, answered: {answered:.1} MB");
    assert!(
        silent < answered / 2.0,
        "{silent:.1} MB for silent connections, {answered:.1} MB for those that were answered"
    );
}
