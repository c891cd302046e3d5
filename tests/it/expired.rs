//! Offsets over HTTP that prove nothing: 410, never a wrong answer.

use std::time::Duration;

use serde_json::Value;

use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Scene, Server};

#[tokio::test]
async fn an_offset_that_proves_nothing_is_expired() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "1s")]).await;
    let after = scene.server.offset("42").await;
    let expired = async |server: &Server, offset: &str| {
        server
            .refused(
                "42",
                &format!("events?after={offset}"),
                410,
                "offset_expired",
            )
            .await
    };
    // Altered, in each of its bytes.
    for place in 0..after.len() {
        let mut altered = after.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        let answer = scene
            .server
            .ask("42", &format!("events?after={altered}"), &[])
            .await;
        assert!(matches!(answer.status, 400 | 410), "{altered}: {answer:?}");
    }
    // Of another database.
    let other = Database::empty().await;
    let other = Launch::serve().database(&other.url).start().await;
    let message = expired(&other, &after).await;
    assert!(message.contains("database"), "{message}");
    // Older than the retention.
    scene.database.say("42", "missed").await;
    let gone = "select count(*) from rowcast.events";
    until_for(
        Duration::from_secs(20),
        "the event to be pruned",
        async || (scene.database.value(gone).await == "0").then_some(()),
    )
    .await;
    let message = expired(&scene.server, &after).await;
    assert!(message.contains("retention"), "{message}");
    // The database has become another one under a running server: a copy of its own offsets.
    let after = scene.server.offset("42").await;
    scene
        .database
        .run("update rowcast.epoch set value = value + 1")
        .await;
    expired(&scene.server, &after).await;
    let after = scene.server.offset("42").await;
    assert_eq!(
        scene
            .server
            .read("42", &format!("events?after={after}"))
            .await["more"],
        Value::Bool(false)
    );
}
