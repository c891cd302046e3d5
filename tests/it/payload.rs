//! Payloads, to the letter of docs/sql.md, "Payload".

use serde_json::{Value, json};

use crate::harness::Scene;

#[tokio::test]
async fn an_insert_arrives_as_the_whole_row() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let id = scene
        .database
        .value(
            r#"insert into messages (contact_id, direction, author, body, status, external_id, metadata, created_at, updated_at)
               values ('42', 'outbound', 'Ada', E'Grüße "q" \\ \n\u2028 🎈', 'queued', 'wamid.1', '{"a": [1, 2.50, null], "deep": {"b_c": true}}',
                       '2026-01-02 03:04:05.678901+00', '2026-01-02 03:04:06+00') returning id"#,
        )
        .await;

    let event = client.event("message:new").await;
    let row = json!({
        "id": id,
        "contactId": "42",
        "direction": "outbound",
        "author": "Ada",
        "body": "Grüße \"q\" \\ \n\u{2028} 🎈",
        "status": "queued",
        "externalId": "wamid.1",
        "metadata": {"a": [1, 2.5, null], "deep": {"b_c": true}},
        "createdAt": event.payload()["message"]["createdAt"],
        "updatedAt": event.payload()["message"]["updatedAt"],
    });
    assert_eq!(event.payload(), &json!({"message": row, "contactId": "42"}));
    assert_instant(&row["createdAt"], "2026-01-02T03:04:05.678901");
    assert_instant(&row["updatedAt"], "2026-01-02T03:04:06");
    assert_eq!(
        event.arguments.len(),
        2,
        "the payload, then the offset: {event:?}"
    );
    assert!(event.offset().is_some(), "the offset is a text: {event:?}");
}

#[tokio::test]
async fn a_rows_defaults_and_nulls_are_there() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene.database.say("42", "hi").await;
    let event = client.event("message:new").await;
    let message = &event.payload()["message"];
    assert_eq!(message["direction"], "inbound");
    assert_eq!(message["status"], "sent");
    assert_eq!(message["metadata"], json!({}));
    let fields = message.as_object().expect("an object");
    assert_eq!(fields["author"], Value::Null);
    assert_eq!(fields["externalId"], Value::Null);
    assert_eq!(fields.len(), 10, "{message}");
}

#[tokio::test]
async fn a_changed_body_is_an_update() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "before").await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(&format!(
            "update messages set body = 'after' where id = '{id}'"
        ))
        .await;
    let event = client.next().await;
    assert_eq!(event.name, "message:updated");
    assert_eq!(event.payload()["message"]["id"], json!(id));
    assert_eq!(event.body(), "after");
    assert_eq!(event.payload()["contactId"], "42");
    assert_eq!(
        event.payload()["message"]
            .as_object()
            .map(serde_json::Map::len),
        Some(10)
    );
    assert!(event.offset().is_some());
}

#[tokio::test]
async fn a_deleted_row_is_told_by_its_ids() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(&format!("delete from messages where id = '{id}'"))
        .await;
    let event = client.next().await;
    assert_eq!(event.name, "message:deleted");
    assert_eq!(
        event.payload(),
        &json!({"messageId": id, "contactId": "42"})
    );
    assert!(event.offset().is_some());
}

#[tokio::test]
async fn an_oversized_payload_arrives_truncated_to_its_ids() {
    let scene = Scene::with(&[("ROWCAST_MAX_PAYLOAD", "2KB")]).await;
    let mut client = scene.joined("42").await;
    let id = scene.database.say("42", &"x".repeat(10_000)).await;
    let event = client.next().await;
    assert_eq!(event.name, "message:new");
    assert_eq!(event.payload()["truncated"], true, "{event:?}");
    assert_eq!(event.payload()["contactId"], "42", "{event:?}");
    assert!(
        event.payload().to_string().contains(&id),
        "the message's id is told: {event:?}"
    );
    assert!(event.payload().to_string().len() < 2_048, "{event:?}");
    assert!(event.offset().is_some());
    // The next one is whole again.
    scene.database.say("42", &"y".repeat(1_000)).await;
    assert_eq!(client.next().await.body(), "y".repeat(1_000));
}

#[tokio::test]
async fn a_payload_far_beyond_notify_arrives_whole() {
    let scene = Scene::new().await;
    let stock = &scene.stock;
    let mut websocket = scene.joined("42").await;
    let mut polling = stock.connect_by("polling", &scene.server).await;
    polling.join("42").await;
    let body = "0123456789".repeat(50_000);
    scene.database.say("42", &body).await;
    assert_eq!(websocket.next().await.body(), body);
    assert_eq!(polling.next().await.body(), body);
}

fn assert_instant(value: &Value, start: &str) {
    assert_rfc3339(value);
    assert!(
        value.as_str().is_some_and(|text| text.starts_with(start)),
        "{value} is {start} UTC"
    );
}

/// In UTC, as `2026-01-02T03:04:05.678+00:00` or with a `Z`.
pub(crate) fn assert_rfc3339(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let (date, zone) = text.split_at(text.len().min(19));
    let digits = date.char_indices().all(|(at, each)| match at {
        4 | 7 => each == '-',
        10 => each == 'T',
        13 | 16 => each == ':',
        _ => each.is_ascii_digit(),
    });
    let zoned = zone.ends_with('Z') || zone.ends_with("+00:00");
    assert!(
        date.len() == 19 && digits && zoned,
        "{value} is RFC 3339 in UTC"
    );
}
