//! Stopping: in order, under a deadline, at once when asked twice, and clients come back by themselves.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::wait::until_for;
use crate::harness::{Launch, Scene, Wire};
use serde_json::json;

#[tokio::test]
async fn a_drained_server_ends_well_and_its_clients_find_the_next_one() {
    for signal in [Signal::TERM, Signal::INT] {
        let scene = Scene::new().await;
        let mut clients = Vec::new();
        for transport in ["websocket", "polling"].into_iter().cycle().take(20) {
            let client = scene.stock.connect_by(transport, &scene.server).await;
            client.join("42").await;
            clients.push(client);
        }
        scene.database.say("42", "the last before the end").await;
        scene.server.signal(signal);
        for client in &mut clients {
            let reason = client.disconnected().await;
            assert!(
                ["transport close", "transport error"].contains(&reason.as_str()),
                "{reason}: no client reconnects after it"
            );
        }
        assert_eq!(scene.server.ended().await.code(), Some(0));
        for line in scene.server.lines() {
            assert!(
                !line.contains("\"ERROR\""),
                "an orderly stop is no error: {line}"
            );
        }

        let (_, port) = scene.server.address().rsplit_once(':').expect("a port");
        let next = Launch::serve()
            .database(&scene.database.url)
            .env("PORT", port)
            .start()
            .await;
        for client in &mut clients {
            client.connected().await;
            client.join("42").await;
        }
        scene.database.say("42", "hello again").await;
        for client in &mut clients {
            let mut bodies = Vec::new();
            while bodies.last().map(String::as_str) != Some("hello again") {
                bodies.push(client.event("message:new").await.body().to_owned());
            }
            assert!(bodies.len() <= 2, "nothing twice: {bodies:?}");
        }
        next.stop().await;
    }
}

#[tokio::test]
async fn what_was_committed_before_the_signal_is_delivered() {
    for _ in 0..5 {
        let scene = Scene::new().await;
        let mut client = scene.joined("42").await;
        scene.database.run("insert into messages (contact_id, body) select '42', n::text from generate_series(1, 500) n").await;
        assert_eq!(client.next().await.body(), "1");
        scene.server.signal(Signal::TERM);
        // The read at hand is finished before sockets are closed.
        for number in 2..=500 {
            assert_eq!(client.next().await.body(), number.to_string());
        }
        scene.server.ended().await;
    }
}

#[tokio::test]
async fn a_draining_server_accepts_nobody_and_keeps_its_deadline() {
    let scene = Scene::with(&[("ROWCAST_DRAIN", "3s")]).await;
    let mut stuck = Wire::connect(scene.server.address()).await;
    stuck.ask("join:conversation", &json!(["42"]), 1).await;
    let _client = scene.joined("42").await;
    let began = Instant::now();
    scene.server.signal(Signal::TERM);
    until_for(
        Duration::from_secs(5),
        "the listener to be closed",
        async || {
            tokio::net::TcpStream::connect(scene.server.address())
                .await
                .err()
        },
    )
    .await;
    assert_eq!(scene.server.ended().await.code(), Some(0));
    assert!(
        began.elapsed() < Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_second_signal_ends_at_once() {
    let scene = Scene::with(&[("ROWCAST_DRAIN", "1h")]).await;
    let mut clients = Vec::new();
    for _ in 0..20 {
        clients.push(scene.joined("42").await);
    }
    // A request that never ends holds an orderly stop up.
    let mut half = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    tokio::io::AsyncWriteExt::write_all(
        &mut half,
        b"POST /socket.io/?EIO=4&transport=polling HTTP/1.1\r\n",
    )
    .await
    .expect("written");
    scene.server.signal(Signal::TERM);
    scene
        .server
        .log("the drain to begin", |line| {
            line.to_string().to_lowercase().contains("drain") || line.to_string().contains("stop")
        })
        .await;
    if scene.server.exited().is_none() {
        scene.server.signal(Signal::TERM);
    }
    until_for(
        Duration::from_secs(3),
        "the server to end at once",
        async || scene.server.exited(),
    )
    .await;
}

#[tokio::test]
async fn a_server_without_a_database_stops_as_well() {
    let (mut postgres, database) = crate::harness::Postgres::with_chat().await;
    let server = crate::harness::Server::on(&database).await;
    postgres.down(Signal::INT).await;
    server.readiness(503).await;
    server.stop().await;

    let waiting = Launch::serve().database(&postgres.url()).spawn();
    waiting
        .log("a word about the database", |line| {
            line["level"] == "WARN" || line["level"] == "ERROR"
        })
        .await;
    waiting.signal(Signal::TERM);
    waiting.ended().await;
}
