//! What becomes an event, and what doesn't: the writes of one transaction, of many, and of none.

use serde_json::json;

use crate::harness::{Event, Scene, database, say};

#[tokio::test]
async fn an_update_that_changes_nothing_emits_nothing() {
    let scene = Scene::new().await;
    let id = scene.database.say("42", "same").await;
    let mut client = scene.joined("42").await;
    let database = &scene.database;
    database
        .run(&format!(
            "update messages set body = body, status = status where id = '{id}'"
        ))
        .await;
    database
        .run("update messages set body = 'x' where false")
        .await;
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn rollback_emits_nothing() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut undone = scene.database.pool.begin().await.expect("a transaction");
    say(&mut *undone, "42", "never").await;
    undone.rollback().await.expect("it rolls back");
    scene.assert_nothing_more("42", &mut client).await;
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
    scene.assert_nothing_more("42", &mut client).await;
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
        database::run(&mut *writer, &statement).await;
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
    assert_eq!(
        (events[0].name.as_str(), events[0].body()),
        ("message:new", "one")
    );
    assert_eq!(
        (events[1].name.as_str(), events[1].body()),
        ("message:updated", "two")
    );
    scene.assert_nothing_more("42", &mut client).await;
}

#[tokio::test]
async fn an_emit_from_sql_is_an_event_of_its_transaction() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let database = &scene.database;
    database
        .run("begin; select rowcast.emit('conversation:42', 'note', '{\"never\": 1}'); rollback")
        .await;
    database
        .run("select rowcast.emit('conversation:42', 'note', '{\"any\": \"json\"}')")
        .await;
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
    database
        .run("insert into wa_messages values (9007199254740993, 7, 'hi', null)")
        .await;
    let event = client.next().await;
    assert_eq!(event.name, "message:new");
    assert!(event.payload().to_string().contains("hi"), "{event:?}");

    // A schema change never fails the writer.
    database
        .run("alter table wa_messages rename message_text to words")
        .await;
    database
        .run("insert into wa_messages values (2, 7, 'there', null)")
        .await;
    assert!(client.next().await.payload().to_string().contains("there"));

    database
        .run("select rowcast.detach('public.wa_messages')")
        .await;
    database
        .run("insert into wa_messages values (3, 7, 'unheard', null)")
        .await;
    database
        .run("select rowcast.emit('conversation:7', 'fence', '{}')")
        .await;
    assert_eq!(client.next().await.name, "fence");
}

fn bodies(events: &[Event]) -> Vec<String> {
    events.iter().map(|event| event.body().to_owned()).collect()
}
