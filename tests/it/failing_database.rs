//! A database that falls silent, or fails every read: readiness says so, and no join and no orderly end waits for it.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::sleep;

use crate::harness::{Postgres, Scene, Server, Stock, Wire, database};

#[tokio::test]
async fn a_reader_that_fails_is_not_ready_however_rarely_it_polls() {
    let scene = Scene::with(&[("ROWCAST_POLL", "1h")]).await;
    scene.server.readiness(200).await;
    scene
        .database
        .run("alter table rowcast.events rename column event to moved; notify rowcast")
        .await;
    scene
        .server
        .log("the reader to fail", |line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("reading the outbox failed"))
        })
        .await;
    let failing = scene.server.readiness(503).await;
    assert!(failing.body.contains("reader"), "{failing:?}");
    scene
        .database
        .run("alter table rowcast.events rename column moved to event")
        .await;
    scene.server.readiness(200).await;
}

/// The reader waits for an answer that never comes. The drain must close the sockets all the same.
#[tokio::test]
async fn a_database_that_does_not_answer_keeps_no_socket_from_being_closed() {
    let (_postgres, database) = Postgres::with_chat().await;
    let server = Server::with(&database, &[("ROWCAST_DRAIN", "8s")]).await;
    let stock = Stock::start();
    let options = json!({"reconnection": false});
    let mut client = stock.open(server.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    let find = "select pid from pg_stat_activity where application_name = 'rowcast reader'";
    let backend = database.value(find).await.parse().ok();
    let backend = backend.and_then(Pid::from_raw).expect("a reader");
    kill_process(backend, Signal::STOP).expect("it runs");
    database.say("42", "unread").await;
    let begun = std::time::Instant::now();
    server.signal(Signal::TERM);
    client.disconnected().await;
    assert!(
        begun.elapsed() < Duration::from_secs(6),
        "not before {:?}",
        begun.elapsed()
    );
    server.ended().await;
    kill_process(backend, Signal::CONT).expect("it runs");
}

/// Two connections to the database fall silent, as when a host between them vanishes. New connections work.
#[tokio::test]
async fn a_connection_to_the_database_that_falls_silent_holds_up_no_join() {
    let (postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let mut wires = Vec::new();
    for _ in 0..4 {
        wires.push(Wire::connect_with(server.address(), &json!({})).await.1);
    }
    let mut other = database.connection().await;
    database::run(&mut other, "begin; lock table rowcast.sessions").await;
    for wire in &mut wires[..2] {
        wire.emit("join:conversation", &json!(["42"]), Some(1))
            .await;
        sleep(Duration::from_millis(100)).await;
    }
    let stuck = "application_name = 'rowcast' and wait_event_type = 'Lock'";
    let stuck = postgres.processes(&database, stuck).await;
    assert_eq!(stuck.len(), 2);
    postgres.kill(&stuck, Signal::STOP);
    database::run(&mut other, "commit").await;
    wires[2]
        .emit("join:conversation", &json!(["42"]), Some(1))
        .await;
    let answer = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            if let Some(frame) = wires[2].frame_whenever().await
                && frame.starts_with("431[")
            {
                return frame;
            }
        }
    })
    .await;
    postgres.kill(&stuck, Signal::CONT);
    assert!(answer.is_ok(), "a join was never answered");
}
