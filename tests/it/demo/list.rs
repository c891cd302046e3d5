//! The list of conversations, and the wait for another one.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{ON, list, post};
use crate::harness::Scene;
use crate::harness::api::column;
use crate::harness::http::{self, Response};
use crate::harness::wait::within;

/// No poll within a test's time: what is delivered was notified.
const NO_POLL: (&str, &str) = ("ROWCAST_POLL", "1h");

#[tokio::test]
async fn the_list_has_the_newest_message_of_each_conversation() {
    let scene = Scene::with(&[ON]).await;
    assert_eq!(list(&scene.server).await, json!([]));
    let mut client = scene.joined("a/b ñ").await;
    for (contact, body) in [
        ("42", "one"),
        ("43", "two"),
        ("42", "three"),
        ("a/b ñ", "four"),
    ] {
        scene.database.say(contact, body).await;
    }
    let all = list(&scene.server).await;
    assert_eq!(column(&all, "/contactId"), ["a/b ñ", "42", "43"]);
    assert_eq!(column(&all, "/last/body"), ["four", "three", "two"]);
    assert_eq!(all[0]["last"], client.next().await.payload()["message"]);
    let history = scene.server.read("42", "messages").await;
    assert_eq!(all[1]["last"], history["messages"][1]);
    let members: Vec<_> = all[0].as_object().expect("an object").keys().collect();
    assert_eq!(members, ["contactId", "last", "unread"]);
}

#[tokio::test]
async fn unread_is_what_the_contact_wrote_and_nobody_read() {
    let scene = Scene::with(&[ON]).await;
    let unread = async || {
        let all = list(&scene.server).await;
        all.as_array()
            .expect("a list")
            .iter()
            .map(|one| one["unread"].clone())
            .collect::<Vec<_>>()
    };
    for body in ["one", "two", "three"] {
        scene.database.say("42", body).await;
    }
    scene.database.say("43", "elsewhere").await;
    assert_eq!(unread().await, [1, 3]);
    post(
        &scene.server,
        "42",
        "messages",
        &json!({"body": "an answer"}),
    )
    .await;
    assert_eq!(unread().await, [3, 1], "an answer does not count");
    scene
        .database
        .run("update messages set status = 'read' where body = 'two'")
        .await;
    assert_eq!(unread().await, [2, 1]);

    let mut client = scene.joined("42").await;
    assert_eq!(
        post(&scene.server, "42", "read", &json!({})).await.status,
        204
    );
    assert_eq!(unread().await, [0, 1]);
    for event in client.take(2).await {
        assert_eq!(
            (&*event.name, &event.payload()["status"]),
            ("message:status", &json!("read"))
        );
    }
    assert_eq!(
        post(&scene.server, "42", "read", &json!({})).await.status,
        204
    );
    assert_eq!(
        post(&scene.server, "nobody", "read", &json!({}))
            .await
            .status,
        204
    );
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn a_long_list_ends_and_a_large_message_is_cut_to_its_ids() {
    let scene = Scene::with(&[ON, ("ROWCAST_MAX_PAYLOAD", "1KB")]).await;
    scene.database.run("insert into messages (contact_id, body, created_at) select n::text, 'x', now() + n * interval '1 s' from generate_series(1, 250) n").await;
    let large = "insert into messages (contact_id, body, created_at) values ('large', repeat('x', 2000), now() + interval '1 h')";
    scene.database.run(large).await;
    let all = list(&scene.server).await;
    let contacts = column(&all, "/contactId");
    assert_eq!(contacts.len(), 200);
    assert_eq!(contacts[..3], ["large", "250", "249"]);
    let history = scene.server.read("large", "messages").await;
    assert_eq!(all[0]["last"], history["messages"][0]);
    assert_eq!(all[0]["last"]["truncated"], true);
}

/// The list, for whoever has the one of this tag.
async fn wait(scene: &Scene, seconds: u8, tag: &str) -> Response {
    let path = format!("/demo/conversations?wait={seconds}");
    http::get(scene.server.address(), &path, &[("if-none-match", tag)]).await
}

fn tag(answer: &Response) -> String {
    answer.header("etag").expect("a tag").to_owned()
}

#[tokio::test]
async fn whoever_waits_is_answered_when_any_conversation_changes() {
    let scene = Scene::with(&[ON, NO_POLL]).await;
    let message = scene.database.say("42", "first").await;
    let known = within("what is not known", wait(&scene, 25, "")).await;
    let mut known = tag(&known);
    let report = format!("update messages set status = 'read' where id = '{message}'");
    let changes = [
        (
            "insert into messages (contact_id, body) values ('another', 'hi')",
            "/0/contactId",
            json!("another"),
        ),
        (&*report, "/1/unread", json!(0)),
    ];
    for (number, (change, place, value)) in changes.into_iter().enumerate() {
        let write = async {
            scene.server.counted("rowcast_long_polls", &[], 1.0).await;
            // It wakes and changes nothing.
            scene
                .database
                .run("select rowcast.emit('room:1', 'e', '{}')")
                .await;
            scene.database.run(change).await;
            Instant::now()
        };
        let answer = async { (wait(&scene, 25, &known).await, Instant::now()) };
        let ((answer, answered), written) = tokio::join!(answer, write);
        assert_eq!(answer.status, 200, "{number}: {answer:?}");
        assert_eq!(answer.json()["conversations"].pointer(place), Some(&value));
        assert!(answered.saturating_duration_since(written) < Duration::from_secs(5));
        known = tag(&answer);
    }
}

#[tokio::test]
async fn a_wait_ends_without_a_change() {
    let scene = Scene::with(&[ON]).await;
    scene.database.say("42", "first").await;
    let known = tag(&scene.server.get("/demo/conversations").await);
    assert_eq!(wait(&scene, 0, &known).await.status, 304);
    let begun = Instant::now();
    assert_eq!(wait(&scene, 1, &known).await.status, 304);
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    for bad in ["wait=26", "wait=-1", "wait=x", "limit=1"] {
        let answer = scene
            .server
            .get(&format!("/demo/conversations?{bad}"))
            .await;
        super::refused(&answer, 400, "bad_request");
    }
}

#[tokio::test]
async fn a_drain_ends_a_wait() {
    let scene = Scene::with(&[ON]).await;
    let known = tag(&scene.server.get("/demo/conversations").await);
    let stop = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        within("the server to stop", scene.server.stop()).await;
    };
    let (answer, ()) = tokio::join!(wait(&scene, 25, &known), stop);
    assert_eq!(answer.status, 304, "{answer:?}");
    assert_eq!(
        answer.body,
        Value::String(String::new()).as_str().expect("text")
    );
}
