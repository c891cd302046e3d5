//! A right that ends while the client is away, and a client that comes back and is gone again before it has heard of that.

use serde_json::{Value, json};

use super::{SHORT, bearer, rule, ruled};
use crate::harness::Scene;
use crate::harness::raw::{Wire, offset_of};
use crate::harness::token::token;
use crate::harness::wait::until;

/// A connection of one that has been told something of the room `stays`, and the `auth` with which it comes back after that.
async fn in_rooms(scene: &Scene, contacts: &[&str]) -> (Wire, Value) {
    let token = token("one", &json!({}));
    let auth = json!({ "token": token });
    let (connect, mut wire) = Wire::in_rooms(scene.server.address(), &auth, contacts).await;
    scene.database.say(contacts[0], "told").await;
    let told = wire
        .find("a message", |frame| frame.contains("message:new"))
        .await;
    let auth = json!({ "token": token, "pid": connect["pid"], "offset": offset_of(&told) });
    (wire, auth)
}

/// Comes back, and is told that it was put out: as far as it will say, it has not heard.
async fn told_in_vain(scene: &Scene, auth: &Value) -> Wire {
    let (connect, mut wire) = Wire::connect_with(scene.server.address(), auth).await;
    assert_eq!(connect["pid"], auth["pid"], "it goes on");
    wire.find("its way out", |frame| frame.contains("rowcast:left"))
        .await;
    wire
}

#[tokio::test]
async fn whoever_may_not_have_heard_that_it_was_put_out_does_not_go_on() {
    let scene = ruled(&[]).await;
    let (wire, auth) = in_rooms(&scene, &["stays", "ends"]).await;
    drop(wire);
    rule(&scene, "ends", "deny").await;
    drop(told_in_vain(&scene, &auth).await);
    let (connect, mut wire) = Wire::connect_with(scene.server.address(), &auth).await;
    assert_ne!(connect["pid"], auth["pid"]);
    let resync = wire
        .find("a resync", |frame| frame.contains("rowcast:resync"))
        .await;
    assert!(resync.contains("conversation:stays"), "{resync}");
}

/// Such as after a crash of the server, which stores nothing any more.
#[tokio::test]
async fn nothing_is_stored_of_one_that_was_put_out_of_its_last_room() {
    let scene = ruled(&[SHORT]).await;
    let no_session = async || {
        let count = scene
            .database
            .value("select count(*) from rowcast.sessions");
        (count.await == "0").then_some(())
    };
    let (wire, auth) = in_rooms(&scene, &["ends"]).await;
    drop(wire);
    rule(&scene, "ends", "deny").await;
    let _still_there = told_in_vain(&scene, &auth).await;
    until("the session to be gone", no_session).await;

    let mut client = bearer(&scene, "two", &json!({})).await;
    client.join("42").await;
    assert!(no_session().await.is_none());
    rule(&scene, "42", "deny").await;
    client.event("rowcast:left").await;
    until("the session to be gone", no_session).await;
    rule(&scene, "42", "allow").await;
    client.join("42").await;
    assert!(no_session().await.is_none());
}
