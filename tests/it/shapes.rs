//! Shapes: whatever a table is like and however it was attached, a row is the same among the events and in history, and each of its
//! values is what SQL says it is.
//!
//! A shape is drawn from a seed: types, names, keys, orders, lookups, words, defaults, zones, rooms. What its rows should look like is
//! computed by plain SQL over the table, which knows nothing of Rowcast's own expressions.

mod attach;
mod column;
mod expected;
mod shape;
mod table;

use serde_json::{Value, json};

use crate::harness::api::encoded;
use crate::harness::{Database, Server};
use crate::history_tables::without_chat;
use shape::{ROWS, Shape};

/// As many are drawn.
const SHAPES: u64 = 30;

async fn list(database: &Database, sql: &str) -> Vec<Value> {
    let answer = database.value(sql).await;
    let list = serde_json::from_str::<Vec<Value>>(&answer);
    list.unwrap_or_else(|error| panic!("{sql}: {answer}: {error}"))
}

/// The events of a shape's table in a room, as SQL reads them out of the outbox.
async fn events(
    database: &Database,
    shape: &Shape,
    room: &str,
    event: &str,
    what: &str,
) -> Vec<Value> {
    let sql = format!(
        "select coalesce(json_agg(data -> '{what}' order by id), '[]') from rowcast.events
         where source = 'public.{}' and event = '{event}' and room = {}",
        shape.table,
        shape::literal(room)
    );
    list(database, &sql).await
}

/// A room's history, read in pages from the newest back, and what the pages say of key and order.
async fn history(server: &Server, shape: &Shape, room: &str) -> (Vec<Value>, Value) {
    let contact = room.strip_prefix("conversation:").expect("a conversation");
    let limit = if shape.key.is_empty() { 200 } else { 5 };
    let (mut rows, mut before) = (Vec::new(), String::new());
    loop {
        let page = server
            .read(contact, &format!("messages?limit={limit}{before}"))
            .await;
        let part = page["messages"].as_array().expect("an array").clone();
        assert!(part.len() <= limit && rows.len() <= ROWS, "{page}");
        let oldest = part.first().cloned();
        rows.splice(0..0, part);
        if page["more"] == json!(false) {
            return (rows, page);
        }
        before = format!(
            "&before={}",
            encoded(&key_of(&oldest.expect("a row"), &page["key"]))
        );
    }
}

/// What identifies a row, by the members that a page names.
fn key_of(row: &Value, key: &Value) -> String {
    let key = key.as_array().expect("an array").iter();
    let parts: Vec<_> = key
        .map(|member| {
            row[member.as_str().expect("a name")]
                .as_str()
                .expect("a text")
        })
        .collect();
    assert!(!parts.is_empty(), "a key: {row}");
    parts.join(":")
}

fn by_nth(mut rows: Vec<Value>) -> Vec<Value> {
    rows.sort_by_key(|row| row["nth"].as_i64());
    rows
}

/// Deletes a room's rows. The events name them as the members do that history calls their key.
async fn assert_deletes(
    database: &Database,
    shape: &Shape,
    room: &str,
    rows: &[Value],
    key: &Value,
) {
    let (table, of) = (&shape.table, shape.room_sql(0));
    database
        .run(&format!(
            "delete from {table} where {of} = {}",
            shape::literal(room)
        ))
        .await;
    let gone = events(database, shape, room, "message:deleted", "messageId").await;
    let mut gone: Vec<_> = gone
        .iter()
        .map(|id| id.as_str().expect("a text").to_owned())
        .collect();
    let mut keys: Vec<_> = rows.iter().map(|row| key_of(row, key)).collect();
    gone.sort();
    keys.sort();
    assert_eq!(gone, keys, "{table}, {room}");
}

#[tokio::test]
async fn a_row_of_any_shape_is_the_same_in_events_in_history_and_in_sql() {
    let database = without_chat().await;
    database.run(shape::TYPES).await;
    let server = Server::with(&database, &[("ROWCAST_MAX_HTTP_RATE", "100000")]).await;
    let mut compared = 0;
    for seed in 0..SHAPES {
        let shape = Shape::draw(seed);
        database.run(&shape.create()).await;
        database.run(&shape.attach()).await;
        database.run(&shape.insert()).await;
        for version in ["message:new", "message:updated"] {
            for room in list(&database, &shape.rooms_sql()).await {
                let room = room.as_str().expect("a room");
                let told = format!(
                    "seed {seed}, {room}, {version}\n{}\n{}",
                    shape.create(),
                    shape.attach()
                );
                let written = list(&database, &shape.expected_sql(room, "nth")).await;
                let sent = events(&database, &shape, room, version, "message").await;
                let sent = if version == "message:new" {
                    sent
                } else {
                    by_nth(sent)
                };
                assert_eq!(json!(sent), json!(written), "events, {told}");
                let order = if shape.key.is_empty() {
                    "nth".to_owned()
                } else {
                    shape.order_sql()
                };
                let sorted = list(&database, &shape.expected_sql(room, &order)).await;
                let (mut rows, page) = history(&server, &shape, room).await;
                if shape.key.is_empty() {
                    // Without a key nothing decides among rows that are equal.
                    rows = by_nth(rows);
                }
                assert_eq!(json!(rows), json!(sorted), "history, {told}");
                compared += rows.len();
                if version == "message:updated" && !shape.key.is_empty() && shape.rooms == 1 {
                    assert_deletes(&database, &shape, room, &rows, &page["key"]).await;
                }
            }
            if version == "message:new" {
                database.run(&shape.update()).await;
            }
        }
        let problems = database
            .value(&format!(
                "select problems from rowcast.sources where source = 'public.{}'",
                shape.table
            ))
            .await;
        assert!(
            problems == "{}" || problems.contains("was not sent lately"),
            "seed {seed}: {problems}"
        );
    }
    assert!(compared > 200, "{compared} rows");
}
