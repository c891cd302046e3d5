//! A leave that can't be stored, and one that a join of the same room follows at once.

use serde_json::json;

use crate::harness::raw::offset_of;
use crate::harness::{Scene, Wire};
use crate::unable::NO_ROOM;

async fn told(scene: &Scene, wire: &mut Wire, contact: &str, body: &str) -> String {
    scene.database.say(contact, body).await;
    wire.find(body, |frame| frame.contains(&format!("\"{body}\"")))
        .await
}

/// Or what came meanwhile would be missing when it comes back: its session has the room, and its offset is that of a later event of
/// another room.
#[tokio::test]
async fn whoever_can_not_leave_is_served_on() {
    let scene = Scene::new().await;
    let (connect, mut wire) = Wire::in_rooms(scene.server.address(), &json!({}), &["a", "b"]).await;
    scene.database.run(NO_ROOM).await;
    let answer = wire.ask("leave:conversation", &json!(["a"]), 9).await;
    assert_eq!(answer["error"]["code"], "unavailable", "{answer}");
    told(&scene, &mut wire, "a", "one").await;
    let offset = offset_of(&told(&scene, &mut wire, "b", "two").await);
    wire.end().await;
    scene.database.say("a", "three").await;
    let auth = json!({ "pid": connect["pid"], "offset": offset });
    let (again, mut wire) = Wire::connect_with(scene.server.address(), &auth).await;
    assert_eq!(again["pid"], connect["pid"], "it goes on");
    let next = wire
        .find("a message", |frame| frame.contains("message:new"))
        .await;
    assert!(next.contains("\"three\""), "{next}");

    scene.database.run("drop function no_room cascade").await;
    let answer = wire.ask("leave:conversation", &json!(["a"]), 10).await;
    assert_eq!(answer["ok"], true, "{answer}");
    scene.database.say("a", "four").await;
    let next = told(&scene, &mut wire, "b", "five").await;
    assert!(
        next.contains("\"five\""),
        "nothing of the other room comes: {next}"
    );
    let rooms = "select string_agg(room, ' ') from rowcast.sessions, jsonb_object_keys(rooms) room";
    assert_eq!(scene.database.value(rooms).await, "conversation:b");
}

#[tokio::test]
async fn a_join_may_follow_a_leave_at_once() {
    let scene = Scene::new().await;
    let (_, mut wire) = Wire::in_rooms(scene.server.address(), &json!({}), &["a"]).await;
    for ack in [20, 30, 40] {
        wire.emit("leave:conversation", &json!(["a"]), Some(ack))
            .await;
        wire.emit("join:conversation", &json!(["a"]), Some(ack + 1))
            .await;
        assert_eq!(wire.answer(ack).await["ok"], true);
        assert_eq!(wire.answer(ack + 1).await["ok"], true);
        told(&scene, &mut wire, "a", &format!("after {ack}")).await;
    }
}
