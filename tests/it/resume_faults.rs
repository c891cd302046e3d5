//! Resume sessions, when a connection or the database is lost at a bad moment: what a client did not get is not counted as
//! sent, what it was told stays true, and it is in the rooms that it joined and in no other.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::raw::offset_of;
use crate::harness::wait::until;
use crate::harness::{Postgres, Proxy, Scene, Server, Wire, database};

/// A client loses its connection while one of several joins is at work. It keeps the rooms that it had joined before.
#[tokio::test]
async fn a_connection_lost_among_joins_costs_no_room() {
    let scene = Scene::new().await;
    let before = scene.server.offset("c").await;
    let body = "x".repeat(100_000);
    for _ in 0..40 {
        scene.database.say("c", &body).await;
    }
    let network = Proxy::to(scene.server.address()).await;
    let (connect, mut wire) = Wire::connect_with(network.address(), &json!({})).await;
    let joined = wire.ask("join:conversation", &json!(["a"]), 1).await;
    assert_eq!(joined["ok"], true, "{joined}");
    // The lock holds the first join up, so that those that follow are at work together.
    let mut other = scene.database.connection().await;
    database::run(&mut other, "begin; lock table rowcast.sessions").await;
    wire.emit("join:conversation", &json!(["first"]), Some(4))
        .await;
    sleep(Duration::from_millis(100)).await;
    network.stall(true);
    wire.emit("join:conversation", &json!(["b"]), Some(2)).await;
    let after = json!([{"contactId": "c", "after": before}]);
    wire.emit("join:conversation", &after, Some(3)).await;
    sleep(Duration::from_millis(100)).await;
    database::run(&mut other, "commit").await;
    sleep(Duration::from_millis(500)).await;
    network.cut();
    until("the end of the connection", async || {
        (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
    sleep(Duration::from_millis(500)).await;
    scene.database.say("a", "missed").await;
    network.stall(false);
    let auth = json!({"pid": connect["pid"], "offset": joined["offset"]});
    let (again, mut wire) = Wire::connect_with(network.address(), &auth).await;
    if again["pid"] == connect["pid"] {
        wire.find("what it missed", |frame| frame.contains("missed"))
            .await;
    } else {
        wire.find("the word of it", |frame| frame.contains("resync"))
            .await;
    }
}

/// A connection that ends in a TCP reset, as a middlebox ends it, without a close frame.
struct Abrupt {
    socket: tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>,
    pid: String,
    offset: String,
}

impl Abrupt {
    async fn joined(address: &str, contact: &str) -> Self {
        use futures_util::{SinkExt, StreamExt};
        use tokio_tungstenite::tungstenite::Message;
        let stream = tokio::net::TcpStream::connect(address).await.expect("TCP");
        rustix::net::sockopt::set_socket_linger(&stream, Some(Duration::ZERO)).expect("linger");
        let url = format!("ws://{address}/socket.io/?EIO=4&transport=websocket");
        let (mut socket, _) = tokio_tungstenite::client_async(url, stream)
            .await
            .expect("a handshake");
        let (mut pid, mut last) = (String::new(), String::new());
        socket.send(Message::text("40")).await.expect("sent");
        loop {
            let frame = socket.next().await.expect("a frame").expect("a frame");
            let frame = frame.to_text().expect("text").to_owned();
            if let Some(connect) = frame.strip_prefix("40") {
                let connect: Value = serde_json::from_str(connect).expect("JSON");
                pid = connect["pid"].as_str().expect("a pid").to_owned();
                let join = format!("421[\"join:conversation\",\"{contact}\"]");
                socket.send(Message::text(join)).await.expect("sent");
            } else if frame.starts_with("42") {
                last = offset_of(&frame);
            } else if frame.starts_with("431") {
                return Self {
                    socket,
                    pid,
                    offset: last,
                };
            }
        }
    }
}

/// Events that come while a connection is being lost are not counted as sent.
#[tokio::test]
async fn what_no_connection_took_was_not_sent() {
    const CLIENTS: usize = 150;
    const EVENTS: usize = 100;
    let scene = Scene::with(&crate::harness::trial::BUSY).await;
    for round in 0..5 {
        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            clients.push(Abrupt::joined(scene.server.address(), "a").await);
        }
        scene.server.freeze().await;
        let known: Vec<_> = clients
            .into_iter()
            .map(|client| {
                drop(client.socket);
                (client.pid, client.offset)
            })
            .collect();
        let burst = format!(
            "insert into messages (contact_id, body) select 'a', 'missed ' || n || ' of {round}' from generate_series(1, {EVENTS}) n"
        );
        scene.database.run(&burst).await;
        scene.server.signal(rustix::process::Signal::CONT);
        until("the end of the connections", async || {
            (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
        })
        .await;
        sleep(Duration::from_millis(300)).await;
        scene.database.say("a", "fence").await;
        for (pid, offset) in known {
            let auth = json!({"pid": pid, "offset": offset});
            let (again, mut wire) = Wire::connect_with(scene.server.address(), &auth).await;
            assert_eq!(again["pid"], json!(pid));
            let mut got = 0;
            loop {
                let frame = wire.frame().await.expect("an event");
                got += usize::from(frame.contains(&format!("of {round}")));
                if frame.contains("fence") {
                    break;
                }
            }
            assert_eq!(got, EVENTS, "round {round}");
        }
    }
}

/// A resync is lost with its connection. The client that comes back is told again, or gets a fresh resume session.
#[tokio::test]
async fn a_resync_that_did_not_arrive_is_not_forgotten() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let network = Proxy::to(server.address()).await;
    let (connect, mut wire) = Wire::connect_with(network.address(), &json!({})).await;
    wire.ask("join:conversation", &json!(["42"]), 1).await;
    postgres.stop_flushing(&database).await;
    let mut careless = database.careless().await;
    crate::harness::say(&mut careless, "42", "undone").await;
    let shown = wire
        .find("what will be undone", |frame| frame.contains("undone"))
        .await;
    network.stall(true);
    postgres.crash().await;
    postgres.up().await;
    server
        .log("the resync", |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("clients are told to reload")
        })
        .await;
    sleep(Duration::from_millis(200)).await;
    network.cut();
    until("the end of the connection", async || {
        (server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
    sleep(Duration::from_millis(500)).await;
    network.stall(false);
    let auth = json!({"pid": connect["pid"], "offset": offset_of(&shown)});
    let (again, mut wire) = Wire::connect_with(network.address(), &auth).await;
    if again["pid"] == connect["pid"] {
        wire.find("the resync", |frame| frame.contains("rowcast:resync"))
            .await;
    }
}

/// A repeated join that fails leaves the member in the room that it had joined.
#[tokio::test]
async fn a_join_that_is_repeated_without_a_database_leaves_no_room() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let (_, mut wire) = Wire::connect_with(server.address(), &json!({})).await;
    let joined = wire.ask("join:conversation", &json!(["42"]), 1).await;
    assert_eq!(joined["ok"], true, "{joined}");
    postgres.down(Signal::INT).await;
    wire.emit("join:conversation", &json!(["42"]), Some(2))
        .await;
    sleep(Duration::from_secs(9)).await;
    postgres.up().await;
    wire.answer(2).await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    database.say("42", "for its members").await;
    wire.find("an event", |frame| frame.contains("for its members"))
        .await;
}

/// A leave that was answered also holds for the client that comes back.
#[tokio::test]
async fn a_leave_without_a_database_is_not_undone_by_coming_back() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let (connect, mut wire) = Wire::connect_with(server.address(), &json!({})).await;
    let joined = wire.ask("join:conversation", &json!(["42"]), 1).await;
    wire.ask("join:conversation", &json!(["43"]), 2).await;
    postgres.down(Signal::INT).await;
    wire.emit("leave:conversation", &json!(["42"]), Some(3))
        .await;
    sleep(Duration::from_secs(9)).await;
    postgres.up().await;
    let left = wire.answer(3).await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    drop(wire);
    until("the end of the connection", async || {
        (server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
    sleep(Duration::from_secs(1)).await;
    let auth = json!({"pid": connect["pid"], "offset": joined["offset"]});
    let (again, mut wire) = Wire::connect_with(server.address(), &auth).await;
    assert_eq!(again["pid"], connect["pid"]);
    database.say("42", "of a room that was left").await;
    database.say("43", "of a room it is in").await;
    let frame = wire
        .find("an event", |frame| frame.contains("of a room"))
        .await;
    assert!(
        left["ok"] != true || frame.contains("it is in"),
        "{left} and then {frame}"
    );
}
