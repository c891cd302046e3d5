//! A database that crashes, falls silent or is asked for nothing, while clients join and come back.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::harness::wait::until;
use rustix::process::Signal;

use crate::harness::{Postgres, Proxy, Scene, Server, database};

use crate::claims::{connected, offset};

/// A request that names a session which is not there leaves nothing behind.
#[tokio::test]
async fn an_upgrade_of_no_session_is_not_remembered() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    const REQUESTS: usize = 4_000;
    let scene = Scene::new().await;
    let mut tcp = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("TCP");
    let before = scene.server.peak_memory_bytes();
    let long = "x".repeat(50_000);
    let mut buffer = vec![0; 64 * 1024];
    for number in 0..REQUESTS {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket&sid={long}{number} HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.expect("sent");
        let read = tcp.read(&mut buffer).await.expect("an answer");
        assert!(
            buffer[..read].starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&buffer[..read])
        );
    }
    let grown = scene.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "it took {} MB", grown >> 20);
}

/// A transaction that writes no event and does not wait for its flush is seen, undone, and its id handed to another.
#[tokio::test]
async fn an_offset_that_saw_what_a_crash_undid_hides_nothing() {
    let (mut postgres, database) = Postgres::with_chat().await;
    database.run("create table noise (n int)").await;
    let server = Server::on(&database).await;
    let (connect, mut wire) = connected(server.address(), &json!({})).await;
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
    let auth = json!({"pid": connect["pid"], "offset": offset(&kept)});
    let (again, mut wire) = connected(server.address(), &auth).await;
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

/// Two of the database's connections fall silent, as when a machine is gone without a word; new ones work.
#[tokio::test]
async fn a_connection_to_the_database_that_falls_silent_holds_up_no_join() {
    let (postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let mut wires = Vec::new();
    for _ in 0..4 {
        wires.push(connected(server.address(), &json!({})).await.1);
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

/// Postgres crashes while a join is at work that has shown what is undone then.
#[tokio::test]
async fn a_crash_in_the_middle_of_a_join_is_told() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let network = Proxy::to(server.address()).await;
    // One that any crash leaves alone.
    database.say("b", "flushed").await;
    let before = server.offset("c").await;
    let body = "x".repeat(100_000);
    for _ in 0..40 {
        database.say("c", &body).await;
    }
    let (_, mut wire) = connected(network.address(), &json!({})).await;
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
