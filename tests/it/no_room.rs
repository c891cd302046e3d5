//! Rows without a room that a client may join: they fail no writer, and are told instead of being stored where nobody hears them.

use serde_json::json;

use crate::harness::api::column;
use crate::harness::{Database, Scene};

/// How an event without a room is stored: the source, the key and the reason.
async fn untold(database: &Database) -> String {
    let find =
        "select coalesce(string_agg(data #>> '{key,id}', ' ' order by id), '') from rowcast.events
                where room is null and data ->> 'reason' like '%500 bytes%'";
    database.value(find).await
}

#[tokio::test]
async fn an_id_that_no_client_may_join_is_told() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run(
            "create table plain (id int primary key, c text);
             create table whole (id int primary key, c text);
             select rowcast.attach('plain', room => 'conversation:{c}', on_insert => 'message:new');
             select rowcast.attach('whole', room => '{c}', on_insert => 'note')",
        )
        .await;
    let (edge, wide) = ("9".repeat(500), "\u{fc}".repeat(250));
    let mut clients = Vec::new();
    for contact in [&edge, &wide] {
        clients.push(scene.joined(contact).await);
    }
    database
        .run(&format!(
            "insert into plain values (1, '{edge}'), (2, '{wide}'), (3, '{edge}9'), (4, '{wide}u'), (5, repeat('9', 2035)),
               (6, repeat('9', 2036)), (7, ''), (8, null);
             insert into whole values (11, 'conversation:{edge}'), (12, 'conversation:{edge}9'), (13, 'conversation:'),
               (14, repeat('k', 1547) || ':{edge}'), (15, repeat('k', 1548) || ':{edge}'), (16, ''), (17, null),
               (18, 'conversation:{wide}'), (19, 'conversation:{wide}u'), (20, '42'), (21, ':42')"
        ))
        .await;
    assert_eq!(
        untold(database).await,
        "3 4 5 6 7 8 12 13 15 16 17 19 20 21"
    );
    for (client, contact, own) in [(0, &edge, ["1", "11"]), (1, &wide, ["2", "18"])] {
        let events = clients[client].take(2).await;
        let ids = json!([
            events[0].payload()["message"]["id"],
            events[1].payload()["message"]["id"]
        ]);
        assert_eq!(ids, json!(own));
        let history = scene.server.read(contact, "messages").await;
        assert_eq!(column(&history["messages"], "/id"), own[..1]);
    }
    scene
        .server
        .counted("rowcast_capture_errors_total", &[], 14.0)
        .await;
    // What a back end emits by itself it is told itself.
    for (room, words) in [
        (format!("conversation:{edge}9"), "501 bytes"),
        ("conversation:".to_owned(), "0 bytes"),
        ("lobby".to_owned(), "accepted: <kind>:<id>"),
        (":42".to_owned(), "accepted: <kind>:<id>"),
    ] {
        let emit = format!("select rowcast.emit('{room}', 'note', '{{}}')");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(emit))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err("nobody could hear it").to_string();
        assert!(message.contains(words), "{message}");
    }
}

#[tokio::test]
async fn a_thousand_rows_without_a_room_are_one_line() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run(
            "create table m (id int primary key, c text);
             select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new');
             insert into m select n from generate_series(1, 1000) n;
             insert into messages (contact_id, body) values ('', 'of another source')",
        )
        .await;
    for (source, count) in [("public.m", 1_000), ("public.messages", 1)] {
        let line = scene
            .server
            .log("the rows to be told", |line| {
                line["source"] == source && line["count"].is_number()
            })
            .await;
        assert_eq!(line["count"], count, "{line}");
    }
    for _again in 0..3 {
        database
            .run("insert into m select max(id) + 1 from m")
            .await;
        let mut client = scene.joined("42").await;
        scene.assert_nothing_more("42", &mut client).await;
    }
    scene
        .server
        .counted("rowcast_capture_errors_total", &[], 1_004.0)
        .await;
    let lines = scene.server.lines();
    let told = lines.iter().filter(|line| line.contains("can't be sent"));
    assert_eq!(told.count(), 2, "one for each source and minute");
}
