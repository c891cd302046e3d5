//! A revocation in the middle of something.

use std::time::Duration;

use serde_json::json;

use super::{everything, guarded, options};
use crate::harness::Wire;
use crate::harness::token::token;
use crate::harness::wait::within_for;

/// The client takes what is replayed only after the room was closed to it.
#[tokio::test]
async fn a_replay_that_is_under_way_ends() {
    let scene = guarded().await;
    let offset = scene
        .stock
        .open(
            scene.server.address(),
            &options(&token("user-7", &everything())),
            &[],
        )
        .0
        .event("rowcast:ready")
        .await
        .offset()
        .map(str::to_owned);
    scene
        .database
        .run(
            "insert into messages (contact_id, body) select '42', n || repeat('x', 10000) from generate_series(1, 3000) n",
        )
        .await;
    let read = "rowcast_events_read_total";
    scene.server.counted(read, &[], 3_000.0).await;
    let auth = json!({ "token": token("user-7", &everything()) });
    let (_, mut wire) = Wire::connect_with(scene.server.address(), &auth).await;
    let join = json!([{ "contactId": "42", "after": offset }]);
    wire.emit("join:conversation", &join, Some(1)).await;
    wire.find("the replay", |frame| frame.contains("message:new"))
        .await;
    scene
        .database
        .run("select rowcast.revoke('user-7', 'conversation:42')")
        .await;
    scene.server.counted("rowcast_revocations", &[], 1.0).await;
    scene.database.say("42", "afterwards").await;
    let mut replayed = 0;
    let answer = within_for(Duration::from_secs(30), "the answer", async {
        loop {
            let frame = wire.frame().await.expect("the connection stays");
            assert!(!frame.contains("afterwards"), "{frame}");
            if frame.starts_with("431") {
                break frame;
            }
            replayed += u32::from(frame.contains("message:new"));
        }
    })
    .await;
    assert!(answer.contains("forbidden"), "{answer}");
    assert!(replayed < 2_900, "it went on: {replayed}");
}

#[tokio::test]
async fn a_long_poll_that_waits_is_not_answered_with_what_comes_later() {
    for (revoke, status) in [
        ("select rowcast.revoke('user-7', 'conversation:42')", 403),
        ("select rowcast.revoke('user-7')", 401),
    ] {
        let scene = guarded().await;
        let bearer = format!("Bearer {}", token("user-7", &everything()));
        let headers = [("authorization", bearer.as_str())];
        let now = scene.server.ask("42", "events", &headers).await.json();
        let offset = now["offset"].as_str().expect("an offset");
        let asked = format!("events?after={offset}&wait=25");
        let poll = scene.server.ask("42", &asked, &headers);
        let write = async {
            scene.server.counted("rowcast_long_polls", &[], 1.0).await;
            scene.database.run(revoke).await;
            scene.database.say("42", "afterwards").await;
        };
        let (answer, ()) = tokio::join!(poll, write);
        assert_eq!(answer.status, status, "{answer:?}");
        assert!(!answer.body.contains("afterwards"));
    }
}
