//! Statuses: told as such, and only ever forward.

use serde_json::json;

use crate::harness::Scene;
use crate::payload::assert_rfc3339;

#[tokio::test]
async fn a_changed_status_is_a_status_event() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(&format!(
            "update messages set status = 'delivered' where id = '{id}'"
        ))
        .await;
    let event = client.next().await;
    assert_eq!(event.name, "message:status");
    let at = event.payload()["at"].clone();
    assert_eq!(
        event.payload(),
        &json!({"messageId": id, "status": "delivered", "contactId": "42", "at": at})
    );
    assert_rfc3339(&at);
}

#[tokio::test]
async fn a_status_and_a_body_changed_together_are_both_told() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "before").await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(&format!(
            "update messages set status = 'read', body = 'after' where id = '{id}'"
        ))
        .await;
    let mut names: Vec<_> = client
        .take(2)
        .await
        .into_iter()
        .map(|event| event.name)
        .collect();
    names.sort();
    assert_eq!(names, ["message:status", "message:updated"]);
}

#[tokio::test]
async fn a_reported_status_moves_the_message_and_is_told_once() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene.database.report(&id, "delivered").await;
    let event = client.next().await;
    assert_eq!(event.name, "message:status");
    assert_eq!(event.payload()["status"], "delivered");
    let status = scene
        .database
        .value(&format!("select status from messages where id = '{id}'"))
        .await;
    assert_eq!(status, "delivered");
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn statuses_only_move_forward() {
    let scene = Scene::new().await;
    let database = &scene.database;
    let mut client = scene.joined("42").await;
    // What is reported, and what the client is told, for each message.
    let courses: [(&[&str], &[&str]); 6] = [
        (&["sent", "delivered", "read"], &["delivered", "read"]),
        (&["read", "delivered", "sent", "queued", "read"], &["read"]),
        (&["delivered", "delivered", "failed"], &["delivered"]),
        (&["failed", "failed"], &["failed"]),
        (&["read", "failed"], &["read"]),
        (&["queued", "sent"], &[]),
    ];
    for (number, (reported, told)) in courses.into_iter().enumerate() {
        let id = database.say("42", "hi").await;
        for status in reported {
            database.report(&id, status).await;
        }
        database
            .run(&format!("delete from messages where id = '{id}'"))
            .await;

        assert_eq!(client.next().await.name, "message:new");
        let mut seen = Vec::new();
        loop {
            let event = client.next().await;
            if event.name == "message:deleted" {
                break;
            }
            assert_eq!(event.name, "message:status", "course {number}");
            seen.push(
                event.payload()["status"]
                    .as_str()
                    .expect("a status")
                    .to_owned(),
            );
        }
        assert_eq!(seen, told, "course {number}: {reported:?}");
    }
}

#[tokio::test]
async fn statuses_reported_in_one_statement_only_move_forward() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(&format!(
            "insert into message_statuses (message_id, status) values ('{id}', 'read'), ('{id}', 'delivered'), ('{id}', 'sent')"
        ))
        .await;
    loop {
        let event = client.next().await;
        assert_eq!(event.name, "message:status");
        if event.payload()["status"] == "read" {
            break;
        }
    }
    scene.assert_nothing_more("42", &mut client).await;
}
