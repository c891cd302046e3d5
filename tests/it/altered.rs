//! Tables that were altered after they were attached: no row of theirs fails its writer, and what can be sent is sent.

use serde_json::json;

use crate::harness::Scene;
use crate::harness::database::{run, value};

/// What is JSON and not jsonb.
const NOT_JSONB: [&str; 3] = [r#""\u0000""#, r#""\ud800""#, r#"{"a": ["\udc00 half"]}"#];

const TABLE: &str = "
create table m (id int primary key, c text, body text, extra text);
select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated',
                      on_delete => 'message:deleted');
create type pair as (a int, b json); create domain doc as json; create domain docs as doc; create type grade as enum ('a')";

/// Ways in which a column comes to hold JSON that jsonb refuses; `VALUE` stands for it.
const ALTERED: [(&str, &str); 7] = [
    ("add column j json", "VALUE"),
    ("add column j json default '{}'", "VALUE"),
    ("add column j json[]", "array[VALUE::json]"),
    ("add column j docs", "VALUE"),
    ("add column j pair", "row(1, VALUE)::pair"),
    ("add column j pair[]", "array[row(1, VALUE)::pair]"),
    ("alter extra type json using null", "VALUE"),
];

#[tokio::test]
async fn a_json_column_added_after_attach_fails_no_writer() {
    for (alter, value) in ALTERED {
        let scene = Scene::new().await;
        let mut client = scene.joined("42").await;
        let mut writer = scene.database.connection().await;
        // The plans are kept: they are of the table as it was.
        run(&mut writer, &format!("{TABLE}; insert into m values (0, '42', 'before'); update m set body = 'b'; delete from m")).await;
        client.take(3).await;
        run(&mut writer, &format!("alter table m {alter}")).await;
        let column = if alter.starts_with("add") {
            "j"
        } else {
            "extra"
        };
        for (id, bad) in NOT_JSONB.iter().enumerate() {
            let bad = value.replace("VALUE", &format!("'{bad}'"));
            run(
                &mut writer,
                &format!(
                    "insert into m (id, c, body, {column}) values ({id}, '42', '{}', {bad});
                     update m set body = 'changed' where id = {id}; delete from m where id = {id}",
                    "x".repeat(5_000)
                ),
            )
            .await;
            let [new, updated, deleted] = client.take(3).await.try_into().expect("three");
            assert_eq!(deleted.payload()["messageId"], json!(id.to_string()));
            // A column that was added is not sent, so nothing that is sent is bad.
            if column == "j" {
                assert_eq!(new.body(), "x".repeat(5_000), "{alter}");
                assert_eq!(updated.body(), "changed", "{alter}");
            } else {
                assert_eq!(new.payload()["truncated"], true, "{alter}: {new:?}");
                assert_eq!(new.payload()["message"]["id"], json!(id.to_string()));
            }
        }
    }
}

#[tokio::test]
async fn an_older_snapshot_than_the_alteration_fails_no_writer() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    for (alter, column) in [
        ("add column j json", "j"),
        ("alter extra type json using null", "extra"),
    ] {
        for level in ["repeatable read", "serializable"] {
            let mut writer = scene.database.connection().await;
            run(&mut writer, &format!("drop schema if exists s cascade; create schema s; set search_path = s, public; {TABLE}")).await;
            run(&mut writer, &format!("begin isolation level {level}")).await;
            value(&mut writer, "select count(*) from messages").await;
            scene
                .database
                .run(&format!("alter table s.m {alter}"))
                .await;
            run(
                &mut writer,
                &format!(
                    r#"insert into m (id, c, body, {column}) values (1, '42', 'fine', '"\u0000"'); commit"#
                ),
            )
            .await;
            assert_eq!(client.next().await.name, "message:new", "{level} {alter}");
        }
    }
}

#[tokio::test]
async fn an_omitted_value_that_can_not_be_sent_truncates_nothing() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database
        .run(
            "create table m (id int primary key, c text, body text, raw json, blob bytea);
             select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated',
                                   omit => '{raw, blob}')",
        )
        .await;
    let mut client = scene.joined("42").await;
    let body = "0123456789".repeat(500);
    database
        .run(&format!(
            r#"insert into m values (1, '42', '{body}', '"\u0000"', null);
               insert into m values (2, '42', '{body}', null, decode(repeat('41', 20000000), 'hex'));
               update m set raw = '"\ud800"' where id = 1"#
        ))
        .await;
    for id in ["1", "2", "1"] {
        let event = client.next().await;
        let row = json!({"id": id, "c": "42", "body": body});
        assert_eq!(event.payload()["message"], row, "{event:?}");
        assert_eq!(event.payload().get("truncated"), None);
    }
    let history = scene.server.read("42", "messages").await;
    assert_eq!(
        history["messages"],
        json!([{"id": "1", "c": "42", "body": body}, {"id": "2", "c": "42", "body": body}])
    );
}
