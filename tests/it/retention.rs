//! Retention: what is old goes, what nobody can have read yet stays.

use std::time::Duration;

use rustix::process::Signal;

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
