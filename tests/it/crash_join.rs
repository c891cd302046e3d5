//! Crashes of Postgres around a join: the client that joins or comes back afterwards misses nothing that is there.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::raw::offset_of;
use crate::harness::wait::until;
use crate::harness::{Postgres, Proxy, Server, Wire, database};

/// A transaction that writes no event and does not wait for its flush: the offset has seen it, the crash undoes it, and
/// another transaction gets its id.
#[tokio::test]
async fn an_offset_that_saw_what_a_crash_undid_hides_nothing() {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("create table noise (n int)").await;
    let server = Server::on(&database).await;
    let (connect, mut wire) = Wire::connect_with(server.address(), &json!({})).await;
    wire.ask("join:conversation", &json!(["42"]), 1).await;
    postgres.stop_flushing(&database).await;
    let mut careless = database.careless().await;

    server.freeze().await;
    database.say("42", "kept").await;
    for _ in 0..5 {
        database::run(&mut careless, "insert into noise values (1)").await;
    }
    let last = "select max(xmin::text::int8) from noise";
    let last: i64 = database.value(last).await.parse().expect("a number");
    server.signal(Signal::CONT);
    let kept = wire
        .find("what is kept", |frame| frame.contains("kept"))
        .await;
    server.crash().await;
    postgres.crash().await;
    postgres.up().await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    let left = database.value("select count(*) from noise").await;
    assert_eq!(left, "0", "the crash was to undo them");
    for number in 0..10 {
        database.say("42", &format!("missed {number}.")).await;
    }
    let again = "select min(xid::text::int8) from rowcast.events where data::text like '%missed%'";
    let first: i64 = database.value(again).await.parse().expect("a number");
    assert!(first <= last, "ids are handed out again");

    let server = Server::on(&database).await;
    let auth = json!({"pid": connect["pid"], "offset": offset_of(&kept)});
    let (again, mut wire) = Wire::connect_with(server.address(), &auth).await;
    if again["pid"] == connect["pid"] {
        for number in 0..10 {
            let frame = wire
                .find("an event", |frame| frame.contains("missed"))
                .await;
            assert!(
                frame.contains(&format!("missed {number}.")),
                "{number}: {frame}"
            );
        }
    }
}

/// Postgres crashes while a join is at work that has replayed events which the crash undoes.
#[tokio::test]
async fn a_crash_in_the_middle_of_a_join_is_told() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let network = Proxy::to(server.address()).await;
    // An event that no crash undoes.
    database.say("b", "flushed").await;
    let before = server.offset("c").await;
    let body = "x".repeat(100_000);
    for _ in 0..40 {
        database.say("c", &body).await;
    }
    let (_, mut wire) = Wire::connect_with(network.address(), &json!({})).await;
    wire.ask("join:conversation", &json!(["a"]), 1).await;
    postgres.stop_flushing(&database).await;
    // The server's own commits would flush those of others.
    let pool = postgres.processes(&database, "application_name = 'rowcast'");
    postgres.kill(&pool.await, Signal::STOP);
    let mut careless = database.careless().await;
    for number in 0..10 {
        crate::harness::say(&mut careless, "a", &format!("undone {number}")).await;
        crate::harness::say(&mut careless, "c", &format!("undone {number}")).await;
    }
    wire.find("the last", |frame| frame.contains("undone 9"))
        .await;
    sleep(Duration::from_millis(100)).await;
    network.stall(true);
    let after = json!([{"contactId": "c", "after": before}]);
    wire.emit("join:conversation", &after, Some(2)).await;
    sleep(Duration::from_millis(300)).await;
    server.freeze().await;
    postgres.crash().await;
    postgres.up().await;
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    let left = database.value("select count(*) from messages where body like 'undone%'");
    assert_eq!(left.await, "0", "the crash was to undo them");
    for number in 0..40 {
        database.say("c", &format!("new {number}.")).await;
    }
    server.signal(Signal::CONT);
    server
        .log("the reader to be back", |line| {
            let message = line["message"].as_str().unwrap_or_default();
            message.starts_with("clients are told to reload")
        })
        .await;
    sleep(Duration::from_millis(300)).await;
    network.stall(false);
    let (mut new, mut undone, mut answer) = (Vec::new(), 0, Value::Null);
    loop {
        let frame = wire.frame().await.expect("a frame");
        let of_c = frame.contains(r#""contactId":"c""#);
        if frame.starts_with("432[") {
            answer = serde_json::from_str(&frame[3..]).expect("JSON");
            database.say("c", "fence").await;
        } else if of_c && frame.contains("undone") {
            undone += 1;
        } else if of_c && frame.contains("rowcast:resync") {
            answer = json!([{"resync": true}]);
        } else if of_c && frame.contains("new ") {
            new.push(frame);
        } else if frame.contains("fence") {
            break;
        }
    }
    if answer[0]["resync"] != true {
        assert_eq!((new.len(), undone), (40, 0), "{answer}");
    }
}
