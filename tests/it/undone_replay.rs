//! A replay that takes more than one read, across a crash of Postgres.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::sleep;

use crate::claims::{connected, offset};
use crate::harness::wait::until;
use crate::harness::{Postgres, Server, database};

/// A replay across a crash of Postgres takes more than one read.
#[tokio::test]
async fn a_long_replay_after_a_crash_has_no_hole() {
    const ROWS: usize = 10_000;
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("create table noise (n int)").await;
    let server = Server::on(&database).await;
    let (connect, mut wire) = connected(server.address(), &json!({})).await;
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
    let auth = json!({"pid": connect["pid"], "offset": offset(&last)});
    let (again, mut wire) = connected(server.address(), &auth).await;
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
