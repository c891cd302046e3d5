//! What a hostile review found.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::wait::{until, until_for};
use crate::harness::{Postgres, Proxy, Scene, Server, Stock, Wire};

#[tokio::test]
async fn a_postgres_restarted_in_the_middle_of_a_large_pass_loses_and_doubles_nothing() {
    const ROWS: usize = 40_000;
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    database.run(&import).await;
    for number in 1..=ROWS {
        let event = client
            .event_for(Duration::from_secs(30), "message:new")
            .await;
        assert_eq!(event.body(), number.to_string());
        if number == 1 {
            postgres.down(Signal::QUIT).await;
            postgres.up().await;
        }
    }
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    database.say("42", "fence").await;
    assert_eq!(client.next().await.body(), "fence");
}

/// One backend dies, by the kernel's hand when memory is short: Postgres restarts all the others, and itself stays.
#[tokio::test]
async fn a_crashed_backend_that_undoes_commits_loses_nothing() {
    let (_postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "flushed").await;
    assert_eq!(client.next().await.body(), "flushed");

    // Nobody flushes what commits from now on.
    let process = async |find: &str| {
        let pid = database.value(find).await.parse().expect("a process id");
        Pid::from_raw(pid).expect("a process id")
    };
    let flusher =
        process("select pid from pg_stat_activity where backend_type = 'walwriter'").await;
    kill_process(flusher, Signal::STOP).expect("it runs");
    let mut writer = database.connection().await;
    crate::harness::database::run(&mut writer, "set synchronous_commit = off").await;
    let victim = crate::harness::database::value(&mut writer, "select pg_backend_pid()").await;
    for number in 0..5 {
        crate::harness::say(&mut writer, "42", &format!("undone {number}")).await;
        assert_eq!(client.next().await.body(), format!("undone {number}"));
    }
    let victim = Pid::from_raw(victim.parse().expect("a process id")).expect("a process id");
    kill_process(victim, Signal::KILL).expect("it runs");
    server
        .log("the reader to lose its connection", |line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("reading the outbox failed"))
        })
        .await;
    until_for(Duration::from_secs(30), "Postgres to be back", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    let left = database
        .value("select count(*) from messages where body like 'undone%'")
        .await;
    assert_eq!(left, "0", "the crash was to undo them");
    for number in 0..10 {
        database.say("42", &format!("after {number}")).await;
    }
    let mut resync = false;
    for number in 0..10 {
        loop {
            let event = client.next().await;
            if event.name == "rowcast:resync" {
                resync = true;
                continue;
            }
            assert_eq!(event.body(), format!("after {number}"));
            break;
        }
    }
    until("a resync of the room", async || {
        if !resync {
            resync = client.next().await.name == "rowcast:resync";
        }
        resync.then_some(())
    })
    .await;
}

/// A server that was cut off, or asleep, for longer than events are kept.
#[tokio::test]
async fn a_server_that_was_away_for_longer_than_the_retention_says_so() {
    let brief = [("ROWCAST_RETENTION", "1s")];
    let scene = Scene::with(&brief).await;
    let mut client = scene.joined("42").await;
    let other = Server::with(&scene.database, &brief).await;
    scene.server.signal(Signal::STOP);
    scene.database.say("42", "pruned").await;
    until("the event to be pruned by the other server", async || {
        let left = scene.database.value("select count(*) from rowcast.events");
        (left.await == "0").then_some(())
    })
    .await;
    scene.server.signal(Signal::CONT);
    assert_eq!(client.next().await.name, "rowcast:resync");
    scene.database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
    drop(other);
}

/// Its TCP is alive, its program is not: it must go, however much waits for it.
#[tokio::test]
async fn a_websocket_that_stops_reading_in_a_quiet_room_is_removed() {
    a_client_that_stops_reading_is_removed(serde_json::json!(["websocket"])).await;
}

#[tokio::test]
async fn an_upgraded_client_that_stops_reading_in_a_quiet_room_is_removed() {
    a_client_that_stops_reading_is_removed(serde_json::json!(["polling", "websocket"])).await;
}

async fn a_client_that_stops_reading_is_removed(transports: serde_json::Value) {
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let options = serde_json::json!({"transports": transports, "reconnection": false});
    let mut client = scene.stock.open(network.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    until("a websocket", async || {
        (scene.server.metric("rowcast_sockets", &["ebsocket"]).await == 1.0).then_some(())
    })
    .await;
    network.stall(true);
    let body = "x".repeat(500_000);
    for _ in 0..10 {
        scene.database.say("42", &body).await;
    }
    until_for(Duration::from_secs(75), "it to be removed", async || {
        (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
    })
    .await;
}

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

/// A reader that waits for an answer must not cost the clients their orderly end.
#[tokio::test]
async fn a_database_that_does_not_answer_keeps_no_socket_from_being_closed() {
    let (_postgres, database) = Postgres::with_chat().await;
    let server = Server::with(&database, &[("ROWCAST_DRAIN", "8s")]).await;
    let stock = Stock::start();
    let options = serde_json::json!({"reconnection": false});
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

#[tokio::test]
async fn a_client_that_connects_anew_on_its_transport_starts_anew() {
    let scene = Scene::new().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    for _ in 0..20 {
        wire.ask("join:conversation", &serde_json::json!(["42"]), 1)
            .await;
        wire.send("41").await;
        until("the end of the connection", async || {
            (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
        })
        .await;
        wire.send("40").await;
        let first = wire.frame().await.expect("a frame");
        assert!(
            first.starts_with("40"),
            "before the CONNECT packet came {first}"
        );
        let second = wire.frame().await.expect("a frame");
        assert!(second.contains("rowcast:ready"), "{second}");
    }
}

#[tokio::test]
async fn a_body_that_never_ends_keeps_no_connection() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "1s")]).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = scene.server.get(path).await;
    let open: serde_json::Value =
        serde_json::from_str(open.body.trim_start_matches('0')).expect("an open packet");
    let session = open["sid"].as_str().expect("a session id");
    let mut connection = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("the server accepts");
    let head =
        format!("POST {path}&sid={session} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4");
    connection
        .write_all(head.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    crate::harness::wait::within("the end", connection.read_to_string(&mut answer))
        .await
        .expect("an orderly end");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}
