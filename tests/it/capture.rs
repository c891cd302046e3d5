//! What becomes an event, and what doesn't: rows of the chat tables, to the letter of the contract.

use serde_json::{Value, json};

use crate::harness::{Event, Scene, say};

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
    assert_eq!(event.arguments.len(), 2, "the payload, then the offset: {event:?}");
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
    scene.database.run(&format!("update messages set body = 'after' where id = '{id}'")).await;
    let event = client.next().await;
    assert_eq!(event.name, "message:updated");
    assert_eq!(event.payload()["message"]["id"], json!(id));
    assert_eq!(event.body(), "after");
    assert_eq!(event.payload()["contactId"], "42");
    assert_eq!(event.payload()["message"].as_object().map(serde_json::Map::len), Some(10));
    assert!(event.offset().is_some());
}

#[tokio::test]
async fn a_changed_status_is_a_status_event() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene.database.run(&format!("update messages set status = 'delivered' where id = '{id}'")).await;
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
        .run(&format!("update messages set status = 'read', body = 'after' where id = '{id}'"))
        .await;
    let mut names: Vec<_> = client.take(2).await.into_iter().map(|event| event.name).collect();
    names.sort();
    assert_eq!(names, ["message:status", "message:updated"]);
}

#[tokio::test]
async fn an_update_that_changes_nothing_emits_nothing() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "same").await;
    let mut client = scene.joined("42").await;
    let database = &scene.database;
    database.run(&format!("update messages set body = body, status = status where id = '{id}'")).await;
    database.run("update messages set body = 'x' where false").await;
    assert_nothing_but_a_fence(&scene, &mut client).await;
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
    let status = scene.database.value(&format!("select status from messages where id = '{id}'")).await;
    assert_eq!(status, "delivered");
    assert_nothing_but_a_fence(&scene, &mut client).await;
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
        database.run(&format!("delete from messages where id = '{id}'")).await;

        assert_eq!(client.next().await.name, "message:new");
        let mut seen = Vec::new();
        loop {
            let event = client.next().await;
            if event.name == "message:deleted" {
                break;
            }
            assert_eq!(event.name, "message:status", "course {number}");
            seen.push(event.payload()["status"].as_str().expect("a status").to_owned());
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
    assert_nothing_but_a_fence(&scene, &mut client).await;
}

#[tokio::test]
async fn a_deleted_row_is_told_by_its_ids() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "hi").await;
    let mut client = scene.joined("42").await;
    scene.database.run(&format!("delete from messages where id = '{id}'")).await;
    let event = client.next().await;
    assert_eq!(event.name, "message:deleted");
    assert_eq!(event.payload(), &json!({"messageId": id, "contactId": "42"}));
    assert!(event.offset().is_some());
}

#[tokio::test]
async fn rollback_emits_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut undone = scene.database.pool.begin().await.expect("a transaction");
    say(&mut *undone, "42", "never").await;
    undone.rollback().await.expect("it rolls back");
    assert_nothing_but_a_fence(&scene, &mut client).await;
}

#[tokio::test]
async fn a_savepoint_rolled_back_takes_only_its_own_events() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run(
            "begin; insert into messages (contact_id, body) values ('42', 'one');
             savepoint s; insert into messages (contact_id, body) values ('42', 'never'); rollback to s;
             savepoint t; insert into messages (contact_id, body) values ('42', 'two'); release t; commit",
        )
        .await;
    assert_eq!(bodies(&client.take(2).await), ["one", "two"]);
    assert_nothing_but_a_fence(&scene, &mut client).await;
}

#[tokio::test]
async fn one_transactions_events_come_in_write_order() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut writer = scene.database.pool.begin().await.expect("a transaction");
    let first = say(&mut *writer, "42", "first").await;
    let second = say(&mut *writer, "42", "second").await;
    for statement in [
        format!("update messages set body = 'changed' where id = '{first}'"),
        format!("update messages set status = 'delivered' where id = '{second}'"),
        format!("update messages set body = 'again' where id = '{first}'"),
        format!("insert into message_statuses (message_id, status) values ('{second}', 'read')"),
        format!("delete from messages where id = '{first}'"),
    ] {
        crate::harness::database::run(&mut *writer, &statement).await;
    }
    writer.commit().await.expect("it commits");

    let events = client.take(7).await;
    let names: Vec<_> = events.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "message:new",
            "message:new",
            "message:updated",
            "message:status",
            "message:updated",
            "message:status",
            "message:deleted"
        ]
    );
    assert_eq!(events[2].body(), "changed");
    assert_eq!(events[3].payload()["status"], "delivered");
    assert_eq!(events[4].body(), "again");
    assert_eq!(events[5].payload()["status"], "read");
    assert_eq!(events[6].payload()["messageId"], json!(first));
    assert!(events.iter().all(|event| event.offset().is_some()));
}

#[tokio::test]
async fn rows_of_one_statement_come_in_their_order() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run("insert into messages (contact_id, body) select '42', n::text from generate_series(1, 200) n")
        .await;
    let expected: Vec<_> = (1..=200).map(|n| n.to_string()).collect();
    assert_eq!(bodies(&client.take(200).await), expected);
}

#[tokio::test]
async fn a_conflict_that_updates_is_an_update() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let upsert = "insert into messages (contact_id, body, external_id) values ('42', 'BODY', 'x')
                  on conflict (external_id) do update set body = excluded.body";
    scene.database.run(&upsert.replace("BODY", "one")).await;
    scene.database.run(&upsert.replace("BODY", "two")).await;
    scene
        .database
        .run("insert into messages (contact_id, body, external_id) values ('42', 'three', 'x') on conflict do nothing")
        .await;
    let events = client.take(2).await;
    assert_eq!((events[0].name.as_str(), events[0].body()), ("message:new", "one"));
    assert_eq!((events[1].name.as_str(), events[1].body()), ("message:updated", "two"));
    assert_nothing_but_a_fence(&scene, &mut client).await;
}

#[tokio::test]
async fn an_emit_from_sql_is_an_event_of_its_transaction() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let database = &scene.database;
    database.run("begin; select rowcast.emit('conversation:42', 'note', '{\"never\": 1}'); rollback").await;
    database.run("select rowcast.emit('conversation:42', 'note', '{\"any\": \"json\"}')").await;
    let event = client.next().await;
    assert_eq!(event.name, "note");
    assert_eq!(event.payload(), &json!({"any": "json"}));
    assert!(event.offset().is_some());
}

#[tokio::test]
async fn a_table_of_ones_own_is_attached_by_one_call() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run("create table wa_messages (wa_id bigint primary key, customer_id int not null, message_text text, secret text)")
        .await;
    database
        .run("select rowcast.attach('public.wa_messages', room => 'conversation:{customer_id}', on_insert => 'message:new')")
        .await;
    let mut client = scene.joined("7").await;
    database.run("insert into wa_messages values (9007199254740993, 7, 'hi', null)").await;
    let event = client.next().await;
    assert_eq!(event.name, "message:new");
    assert!(event.payload().to_string().contains("hi"), "{event:?}");

    // A schema change never fails the writer.
    database.run("alter table wa_messages rename message_text to words").await;
    database.run("insert into wa_messages values (2, 7, 'there', null)").await;
    assert!(client.next().await.payload().to_string().contains("there"));

    database.run("select rowcast.detach('public.wa_messages')").await;
    database.run("insert into wa_messages values (3, 7, 'unheard', null)").await;
    database.run("select rowcast.emit('conversation:7', 'fence', '{}')").await;
    assert_eq!(client.next().await.name, "fence");
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
    assert!(event.payload().to_string().contains(&id), "the message's id is told: {event:?}");
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

/// The next event is one that is written now.
async fn assert_nothing_but_a_fence(scene: &Scene, client: &mut crate::harness::Client) {
    scene.database.run("select rowcast.emit('conversation:42', 'fence', '{}')").await;
    let event = client.next().await;
    assert_eq!(event.name, "fence", "nothing was to come before it: {event:?}");
}

fn bodies(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.body().to_owned()).collect()
}

fn assert_instant(value: &Value, start: &str) {
    assert_rfc3339(value);
    assert!(value.as_str().is_some_and(|text| text.starts_with(start)), "{value} is {start} UTC");
}

fn assert_rfc3339(value: &Value) {
    let text = value.as_str().unwrap_or_default();
    let (date, zone) = text.split_at(text.len().min(19));
    let digits = date.char_indices().all(|(at, each)| match at {
        4 | 7 => each == '-',
        10 => each == 'T',
        13 | 16 => each == ':',
        _ => each.is_ascii_digit(),
    });
    let zoned = zone.ends_with('Z') || zone.ends_with("+00:00");
    assert!(date.len() == 19 && digits && zoned, "{value} is RFC 3339 in UTC");
}
