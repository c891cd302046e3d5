//! Replays across a crash of Postgres: no hole in one that takes several reads, and nothing twice for a client that falls
//! behind right after the crash.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use crate::harness::raw::offset_of;
use crate::harness::wait::until;
use crate::harness::{Postgres, Proxy, Server, Wire, database};

#[tokio::test]
async fn a_long_replay_after_a_crash_has_no_hole() {
    // With the event of the inbox that is not more than one read hands over.
    const ROWS: usize = 9_900;
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("create table noise (n int)").await;
    let server = Server::on(&database).await;
    let (connect, mut wire) = Wire::connect_with(server.address(), &json!({})).await;
    wire.ask("join:conversation", &json!(["c"]), 1).await;
    postgres.stop_flushing(&database).await;
    let pool = postgres.processes(&database, "application_name = 'rowcast'");
    postgres.kill(&pool.await, Signal::STOP);
    let mut careless = database.careless().await;
    server.freeze().await;
    let import = format!(
        "insert into messages (contact_id, body) select 'c', 'row ' || n || '.' || repeat('x', 500) from generate_series(1, {ROWS}) n"
    );
    database.run(&import).await;
    database::run(&mut careless, "insert into noise values (1)").await;
    server.signal(Signal::CONT);
    let mut got = 0;
    let mut last = String::new();
    while got < 300 {
        last = wire.find("a row", |frame| frame.contains("row ")).await;
        got += 1;
    }
    drop(wire);
    server
        .counted("rowcast_events_read_total", &[], ROWS as f64)
        .await;
    postgres.crash().await;
    postgres.up().await;
    server
        .log("the reader to be back", |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("the database has recovered")
        })
        .await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    database.say("c", "fence").await;
    sleep(Duration::from_secs(1)).await;
    let auth = json!({"pid": connect["pid"], "offset": offset_of(&last)});
    let (again, mut wire) = Wire::connect_with(server.address(), &auth).await;
    if again["pid"] == connect["pid"] {
        loop {
            let frame = wire.frame().await.expect("an event");
            if frame.contains("fence") {
                break;
            }
            assert!(
                frame.contains(&format!("row {}.", got + 1)),
                "after {got}: {frame}"
            );
            got += 1;
        }
        assert_eq!(got, ROWS);
    }
}

/// A client is live across a crash, and its buffers are too full for the first event after it.
#[tokio::test]
async fn a_client_that_falls_behind_right_after_a_crash_gets_nothing_twice() {
    nothing_comes_twice(false).await;
}

#[tokio::test]
async fn a_client_that_falls_behind_right_after_a_crash_that_it_was_told_of_gets_nothing_twice() {
    nothing_comes_twice(true).await;
}

/// With `also_careless`, one of the last events that the client got was committed without waiting for its flush, and the
/// flush of another transaction saved it.
async fn nothing_comes_twice(also_careless: bool) {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("create table noise (n int)").await;
    let server = Server::on(&database).await;
    let big = "x".repeat(900_000);
    let fallen = async || server.metric("rowcast_fell_behind_total", &[]).await;
    let read = async || server.metric("rowcast_events_read_total", &[]).await;
    // How many events the kernel's buffers and the server's take together.
    let mut room_for = 0;
    {
        let network = Proxy::to(server.address()).await;
        let (_, mut wire) = Wire::connect_with(network.address(), &json!({})).await;
        wire.ask("join:conversation", &json!(["x"]), 1).await;
        network.stall(true);
        while fallen().await == 0.0 {
            let before = read().await;
            database.say("x", &big).await;
            server
                .counted("rowcast_events_read_total", &[], before + 1.0)
                .await;
            sleep(Duration::from_millis(50)).await;
            room_for += 1;
        }
        network.cut();
    }
    let network = Proxy::to(server.address()).await;
    let (_, mut wire) = Wire::connect_with(network.address(), &json!({})).await;
    wire.ask("join:conversation", &json!(["c"]), 1).await;
    network.stall(true);
    for _ in 1..room_for {
        let before = read().await;
        database.say("c", &big).await;
        server
            .counted("rowcast_events_read_total", &[], before + 1.0)
            .await;
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(fallen().await, 1.0, "it is live still");
    let writers = "backend_type in ('walwriter', 'background writer', 'checkpointer')";
    let writers = postgres.processes(&database, writers).await;
    postgres.kill(&writers, Signal::STOP);
    let pool = postgres.processes(&database, "application_name = 'rowcast'");
    postgres.kill(&pool.await, Signal::STOP);
    let mut careless = database.connection().await;
    database::run(&mut careless, "set synchronous_commit = off").await;
    let before = read().await;
    server.freeze().await;
    if also_careless {
        crate::harness::say(&mut careless, "c", "saved").await;
    }
    database.say("c", "once").await;
    database::run(&mut careless, "insert into noise values (1)").await;
    server.signal(Signal::CONT);
    server
        .counted("rowcast_events_read_total", &[], before + 1.0)
        .await;
    postgres.crash().await;
    postgres.up().await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    database.say("c", &big).await;
    server.counted("rowcast_fell_behind_total", &[], 2.0).await;
    network.stall(false);
    database.say("c", "fence").await;
    let mut once = 0;
    loop {
        let frame = wire.frame().await.expect("an event");
        once += usize::from(frame.contains("\"once\""));
        if frame.contains("rowcast:resync") || frame.contains("\"fence\"") {
            break;
        }
    }
    assert_eq!(once, 1);
}
