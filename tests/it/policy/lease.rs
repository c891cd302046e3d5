//! A right that ends while the client is in the room: by the lease, by another token, while a request waits.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use super::{SHORT, bearer, bearer_at, joining, metric, rule, ruled};
use crate::harness::token::token;
use crate::harness::wait::{until, until_for};
use crate::harness::{Proxy, http};

async fn stored_rooms(scene: &crate::harness::Scene) -> String {
    let stored = "select coalesce(string_agg(room, ' ' order by room), '') from rowcast.sessions, jsonb_object_keys(rooms) room";
    scene.database.value(stored).await
}

#[tokio::test]
async fn a_client_is_put_out_of_a_room_that_it_may_not_be_in_any_more() {
    let scene = ruled(&[SHORT]).await;
    let mut client = bearer(&scene, "one", &json!({})).await;
    client.join("ends").await;
    client.join("stays").await;
    rule(&scene, "ends", "deny").await;
    let left = client.event("rowcast:left").await;
    assert_eq!(
        *left.payload(),
        json!({ "room": "conversation:ends", "reason": "forbidden" })
    );
    scene.database.say("ends", "not for it").await;
    scene.assert_nothing_more("stays", &mut client).await;
    until("the session to be stored", async || {
        (stored_rooms(&scene).await == "conversation:stays").then_some(())
    })
    .await;
    assert_eq!(joining(&client, "ends").await, "forbidden");
    let reason = [r#"reason="forbidden""#];
    assert!(
        scene
            .server
            .metric("rowcast_rooms_left_total", &reason)
            .await
            >= 1.0
    );
    rule(&scene, "ends", "allow").await;
    assert_eq!(joining(&client, "ends").await, "ok");
}

#[tokio::test]
async fn a_lease_that_can_not_be_asked_about_keeps_the_room() {
    let scene = ruled(&[SHORT, ("ROWCAST_POLICY_TIMEOUT", "100ms")]).await;
    let mut client = bearer(&scene, "one", &json!({})).await;
    client.join("42").await;
    rule(&scene, "42", "hang").await;
    scene
        .server
        .counted("rowcast_policy_leases_kept_total", &[], 3.0)
        .await;
    scene.assert_nothing_more("42", &mut client).await;
    rule(&scene, "42", "deny").await;
    client.event("rowcast:left").await;
}

#[tokio::test]
async fn another_token_is_asked_about_at_once() {
    let scene = ruled(&[]).await;
    scene
        .database
        .run("create or replace function rowcast.may_join(claims jsonb, room text) returns boolean language sql return rowcast.claims_allow(claims, room)")
        .await;
    let mut client = bearer(&scene, "one", &json!({ "conversations": ["a", "b"] })).await;
    client.join("a").await;
    client.join("b").await;
    let less = token("one", &json!({ "conversations": ["b", "c"] }));
    let answer = client.ask("auth:refresh", json!([less])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    let left = client.arrived("rowcast:left");
    assert_eq!(left.len(), 1, "{left:?}");
    assert_eq!(left[0].payload()["room"], "conversation:a");
    assert_eq!(joining(&client, "c").await, "ok");
    assert_eq!(joining(&client, "a").await, "forbidden");
}

#[tokio::test]
async fn a_long_poll_is_asked_about_again_when_it_wakes() {
    let scene = ruled(&[]).await;
    let bearing = format!("Bearer {}", token("one", &json!({})));
    let headers = [("authorization", bearing.as_str())];
    let address = scene.server.address();
    let now = http::get(address, "/api/conversations/42/events", &headers)
        .await
        .json();
    let after = now["offset"].as_str().expect("an offset");
    let path = format!("/api/conversations/42/events?after={after}&wait=25");
    let poll = http::get(address, &path, &headers);
    let end = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        rule(&scene, "42", "deny").await;
        scene.database.say("42", "not for it").await;
    };
    let (answer, ()) = tokio::join!(poll, end);
    assert_eq!(answer.status, 403, "{answer:?}");
    assert!(!answer.body.contains("not for it"), "{answer:?}");
    rule(&scene, "43", "hang").await;
    let read = http::get(address, "/api/conversations/43/events", &headers).await;
    assert_eq!(read.status, 503, "{read:?}");
    assert_eq!(read.json()["error"]["code"], "unavailable");
    assert!(read.header("retry-after").is_some());
}

/// Nobody can be asked for, and so nobody is put out.
#[tokio::test]
async fn a_database_that_is_away_puts_nobody_out() {
    let (mut postgres, direct) = crate::harness::Postgres::with_chat().await;
    let mut launch = crate::harness::Launch::serve().database(&direct.url);
    for (name, value) in crate::harness::token::JWT.into_iter().chain([SHORT]) {
        launch = launch.env(name, value);
    }
    let server = launch.start().await;
    let stock = crate::harness::Stock::start();
    let network = Proxy::to(server.address()).await;
    let claims = json!({ "conversations": ["42"] });
    let mut client = bearer_at(&stock, network.address(), "one", &claims).await;
    client.join("42").await;
    postgres.down(Signal::INT).await;
    until_for(Duration::from_secs(40), "a lease to be kept", async || {
        (metric(&server, "rowcast_policy_leases_kept_total").await >= 1.0).then_some(())
    })
    .await;
    postgres.up().await;
    until_for(
        Duration::from_secs(40),
        "the server to be ready",
        async || (server.get("/readyz").await.status == 200).then_some(()),
    )
    .await;
    direct.say("42", "still in").await;
    assert_eq!(client.event("message:new").await.body(), "still in");
    assert_eq!(client.arrived("rowcast:left"), Vec::new());
}
