//! Retention: what is old goes, what nobody can have read yet stays.

use std::time::Duration;

use rustix::process::Signal;

use crate::harness::raw::Wire;
use crate::harness::wait::{until, until_for};
use crate::harness::{Scene, Server, say};

const SHORT: (&str, &str) = ("ROWCAST_RETENTION", "1s");

async fn pruned(scene: &Scene) {
    until_for(
        Duration::from_secs(20),
        "the outbox to be pruned",
        async || {
            (scene
                .database
                .value("select count(*) from rowcast.events")
                .await
                == "0")
                .then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn retention_prunes_what_is_older() {
    let scene = Scene::with(&[SHORT]).await;
    let mut client = scene.joined("42").await;
    scene.database.run("insert into messages (contact_id, body) select '42', n::text from generate_series(1, 3000) n").await;
    client.take(3_000).await;
    pruned(&scene).await;
    scene
        .server
        .counted("rowcast_pruned_events_total", &[], 3_000.0)
        .await;
    assert_ne!(
        scene
            .database
            .value("select pruned from rowcast.epoch")
            .await,
        ""
    );
    // And nothing else changed.
    scene.database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
}

#[tokio::test]
async fn an_event_that_is_old_when_it_is_committed_is_delivered() {
    let scene = Scene::with(&[SHORT]).await;
    let mut client = scene.joined("42").await;
    let mut open = scene.database.pool.begin().await.expect("a transaction");
    say(&mut *open, "42", "written long ago").await;
    // Events that came after it are pruned before it is committed.
    scene.database.say("42", "in between").await;
    assert_eq!(client.next().await.body(), "in between");
    pruned(&scene).await;
    open.commit().await.expect("it commits");
    assert_eq!(client.next().await.body(), "written long ago");
}

#[tokio::test]
async fn a_server_that_slept_longer_than_the_retention_says_so() {
    let scene = Scene::with(&[SHORT]).await;
    let sleeper = Server::on(&scene.database).await;
    let mut client = scene.stock.joined(&sleeper, "42").await;
    scene.database.say("42", "before").await;
    assert_eq!(client.next().await.body(), "before");
    sleeper.freeze().await;
    scene.database.say("42", "meanwhile").await;
    pruned(&scene).await;
    sleeper.signal(Signal::CONT);
    scene.database.say("42", "after").await;
    // Silence never stands for loss.
    let event = client.next().await;
    assert_eq!(event.name, "rowcast:resync", "it missed one: {event:?}");
    assert_eq!(event.payload()["contactId"], "42");
}

/// A server is cut off, or suspended, for longer than events are kept.
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

#[tokio::test]
async fn rows_that_are_stamped_in_the_future_keep_nothing_else_from_being_pruned() {
    let scene = Scene::with(&[SHORT]).await;
    let write =
        "insert into rowcast.events (room, event, data, at) select 'conversation:42', 'e', '{}'";
    let future = format!("{write}, now() + interval '1 year' from generate_series(1, 5100)");
    scene.database.run(&future).await;
    let old = format!("{write}, now() - interval '1 day' from generate_series(1, 300)");
    scene.database.run(&old).await;
    let left = "select count(*) from rowcast.events";
    until("what is old to go", async || {
        (scene.database.value(left).await == "5100").then_some(())
    })
    .await;
}

#[tokio::test]
async fn sessions_are_pruned_until_none_is_too_old() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "10s")]).await;
    let mut client = scene.joined("42").await;
    let many = "insert into rowcast.sessions (pid_hash, identity, owner, last_sent_offset, complete_to_offset, updated_at)
        select int4send(n), 'anonymous', n, '', '', now() - interval '1 hour' from generate_series(1, 12000) n";
    scene.database.run(many).await;
    until("old sessions to go", async || {
        let left = scene
            .database
            .value("select count(*) from rowcast.sessions");
        (left.await == "1").then_some(())
    })
    .await;
    let pruned = scene.server.metric("rowcast_pruned_sessions_total", &[]);
    assert!(pruned.await >= 12_000.0);
    scene.database.say("42", "still there").await;
    assert_eq!(client.next().await.body(), "still there");
}

#[tokio::test]
async fn a_client_that_leaves_right_after_it_joined_leaves_no_session() {
    let scene = Scene::new().await;
    // Their connections stay: one that is cut takes along what the server has not read yet, the goodbye among it.
    let mut wires = Vec::new();
    for _ in 0..40 {
        let mut wire = Wire::connect(scene.server.address()).await;
        let join = serde_json::json!(["42"]);
        wire.emit("join:conversation", &join, Some(1)).await;
        wire.send("41").await;
        wires.push(wire);
    }
    // This one is stored after all of them.
    let mut last = Wire::connect(scene.server.address()).await;
    last.ask("join:conversation", &serde_json::json!(["42"]), 1)
        .await;
    until("the sessions of those who left to go", async || {
        let left = scene
            .database
            .value("select count(*) from rowcast.sessions");
        let sockets = scene.server.metric("rowcast_sockets", &[]).await;
        (left.await == "1" && sockets == 1.0).then_some(())
    })
    .await;
}
