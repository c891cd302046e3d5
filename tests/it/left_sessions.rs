//! A client that connects, joins and goes, again and again, leaves so much in the database and no more.

use serde_json::{Value, json};

use crate::harness::wait::until;
use crate::harness::{Scene, Wire};

/// Connects, resuming if it says how, and joins rooms of names that don't compress. Returns what it needs to come back.
async fn visit(scene: &Scene, auth: &Value, rooms: u32) -> (Value, Wire) {
    let (connect, mut wire) = Wire::connect_with(scene.server.address(), auth).await;
    let mut offset = Value::Null;
    for number in 0..rooms {
        let name: String = (0..10)
            .map(|_| format!("{:032x}", rand::random::<u128>()))
            .collect();
        wire.emit("join:conversation", &json!([name]), Some(number))
            .await;
    }
    for number in 0..rooms {
        let mut answer = wire.answer(number).await;
        assert_eq!(answer["ok"], true, "{answer}");
        offset = answer["offset"].take();
    }
    let back = json!({ "pid": connect["pid"], "offset": offset });
    (back, wire)
}

/// Whether it comes back to its session.
async fn resumes(scene: &Scene, back: &Value) -> bool {
    let (connect, _wire) = Wire::connect_with(scene.server.address(), back).await;
    connect["pid"] == back["pid"]
}

#[tokio::test]
async fn whoever_comes_and_goes_leaves_so_much_and_no_more() {
    let scene = Scene::with(&[("ROWCAST_MAX_SESSIONS_SIZE", "64KB")]).await;
    let (stays, stays_wire) = visit(&scene, &json!({}), 20).await;
    let mut left = Vec::new();
    for _ in 0..16 {
        let (back, mut wire) = visit(&scene, &json!({}), 20).await;
        left.push(back);
        wire.end().await;
    }
    // It goes before its join is answered: what it stored has ended all the same.
    let (_, mut hasty) = visit(&scene, &json!({}), 0).await;
    hasty
        .emit("join:conversation", &json!(["hasty"]), None)
        .await;
    hasty.end().await;

    // A quarter more may have come since it was looked at last, and one more has then.
    let kept = "select sum(pg_column_size(rooms)) filter (where ended_at is not null) < 64000 * 1.25 + 10000
        and count(*) filter (where ended_at is null) = 1 from rowcast.sessions";
    until("what has ended to be little", async || {
        (scene.database.value(kept).await == "t").then_some(())
    })
    .await;
    let server = &scene.server;
    server
        .counted("rowcast_limits_total", &["\"sessions_size\""], 1.0)
        .await;
    server
        .counted("rowcast_pruned_sessions_total", &[], 1.0)
        .await;
    let [first, .., last] = &left[..] else {
        panic!("some have left");
    };
    assert!(resumes(&scene, last).await, "the last is the latest");
    assert!(!resumes(&scene, first).await, "the first has gone");
    drop(stays_wire);
    assert!(
        resumes(&scene, &stays).await,
        "it was connected all the time"
    );
}
