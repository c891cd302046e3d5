//! The bot's play, as a stock client sees it, and its end when nobody waits for it any more.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{JSON, ON, post, post_with, refused};
use crate::harness::Scene;
use crate::harness::wait::within;

const BOT: &str = "select count(*) from messages where author = 'bot'";

#[tokio::test]
async fn the_bot_types_replies_and_is_read() {
    let scene = Scene::with(&[ON]).await;
    let mut ids = Vec::new();
    for (direction, status) in [
        ("outbound", "queued"),
        ("outbound", "failed"),
        ("outbound", "read"),
        ("inbound", "sent"),
        ("outbound", "delivered"),
    ] {
        let insert = format!(
            "insert into messages (contact_id, body, direction, status) values ('42', 'x', '{direction}', '{status}') returning id"
        );
        ids.push(scene.database.value(&insert).await);
    }
    let (queued, delivered) = (&*ids[0], &*ids[4]);
    let mut client = scene.joined("42").await;
    let mut elsewhere = scene.joined("43").await;
    let begun = Instant::now();
    let play = async { post(&scene.server, "42", "bot", &json!({})).await };
    let watch = async {
        assert_eq!(client.next().await.name, "typing:start");
        let reply = client.event("message:new").await;
        client.event("typing:stop").await;
        let mut statuses = Vec::new();
        while statuses.len() < 5 {
            let event = client.next().await;
            assert_eq!(event.name, "message:status", "{event:?}");
            let field = |name: &str| event.payload()[name].as_str().expect("text").to_owned();
            statuses.push((field("messageId"), field("status")));
        }
        (reply.payload()["message"].clone(), statuses)
    };
    let (answer, (reply, statuses)) = tokio::join!(play, watch);
    assert_eq!((answer.status, &*answer.body), (204, ""));
    assert_eq!(
        (&reply["direction"], &reply["author"], &reply["status"]),
        (&json!("outbound"), &json!("bot"), &json!("sent"))
    );
    assert!(
        begun.elapsed() >= Duration::from_secs(3),
        "{:?}",
        begun.elapsed()
    );
    let reply = reply["id"].as_str().expect("an id");
    let expected = [
        (queued, "delivered"),
        (reply, "delivered"),
        (queued, "read"),
        (delivered, "read"),
        (reply, "read"),
    ];
    let expected = expected.map(|(id, status)| (id.to_owned(), status.to_owned()));
    assert_eq!(statuses, expected);
    let left = "select string_agg(status, ' ' order by created_at, id) from messages";
    assert_eq!(
        scene.database.value(left).await,
        "read failed read sent read read"
    );
    scene.assert_nothing_more("42", &mut client).await;
    scene.assert_nothing_more("43", &mut elsewhere).await;
}

#[tokio::test]
async fn the_bot_speaks_the_pages_language() {
    let scene = Scene::with(&[ON]).await;
    let plays = [("es", "es-MX,en;q=0.5"), ("en", "en-GB"), ("none", "")];
    let plays = plays.map(|(contact, languages)| {
        let headers = [JSON, ("accept-language", languages)];
        let server = &scene.server;
        async move { post_with(server, contact, "bot", &headers, "{}").await }
    });
    futures_util::future::join_all(plays).await;
    let said =
        "select string_agg(contact_id || left(body, 3), ' ' order by contact_id) from messages";
    assert_eq!(scene.database.value(said).await, "enHi! es¡Ho none¡Ho");
}

#[tokio::test]
async fn a_play_ends_with_its_request() {
    let scene = Scene::with(&[ON]).await;
    let mut client = scene.joined("42").await;
    let none = json!({});
    tokio::select! {
        answer = post(&scene.server, "42", "bot", &none) => panic!("answered: {answer:?}"),
        event = client.next() => assert_eq!(event.name, "typing:start"),
    }
    let event = client.next().await;
    assert_eq!(
        (&*event.name, event.payload()),
        ("typing:stop", &json!({"contactId": "42"}))
    );
    // A play that went on would have replied by then. The wait above is shorter than typing that ends by itself.
    assert_eq!(scene.database.value(BOT).await, "0");
}

#[tokio::test]
async fn a_drain_ends_a_play() {
    let scene = Scene::with(&[ON, ("ROWCAST_DRAIN", "1h")]).await;
    let mut client = scene.joined("42").await;
    let stop = async {
        assert_eq!(client.next().await.name, "typing:start");
        within("the server to stop", scene.server.stop()).await;
    };
    let none = json!({});
    let (answer, ()) = tokio::join!(post(&scene.server, "42", "bot", &none), stop);
    refused(&answer, 503, "unavailable");
    assert_eq!(scene.database.value(BOT).await, "0");
}
