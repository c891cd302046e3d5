//! What a value is called on its way out: words for numbers, a default for null, text where a number stands, a zone for times.

use serde_json::{Value, json};

use crate::harness::database::run;
use crate::harness::{Scene, Server};
use crate::history_tables::without_chat;
use crate::rooms_per_row::outbox;

const TABLE: &str = r#"
create table wa (wa_id bigint primary key, chat text not null, ack int not null default 0, author text, flag boolean, reply_to bigint, sent timestamp,
                 nr int default 5);
select rowcast.attach('wa', room => 'conversation:{chat}', on_insert => 'message:new', on_update => 'message:updated',
  rules    => '[{"on": "update", "columns": ["ack"], "event": "message:status"}]',
  words    => '{"ack": {"0": "sent", "1": "delivered", "2": "read"}, "flag": {"true": 1}}',
  defaults => '{"author": "bot", "reply_to": "none"}',
  as_text  => '{nr}', timezone => 'America/Bogota', order_columns => '{sent}')"#;

#[tokio::test]
async fn words_defaults_texts_and_zones_are_alike_in_events_and_history() {
    let scene = Scene::new().await;
    scene.database.run(TABLE).await;
    let mut client = scene.joined("c").await;
    scene
        .database
        .run("insert into wa (wa_id, chat, flag, sent) values (1, 'c', true, '2026-05-01 12:00:00');
              update wa set ack = 1; update wa set ack = 7, reply_to = 844197938335842305, author = 'Ada', flag = null")
        .await;
    let events = client.take(4).await;
    assert_eq!(
        events[0].payload()["message"],
        json!({"id": "1", "waId": "1", "chat": "c", "ack": "sent", "author": "bot", "flag": 1, "replyTo": "none",
               "sent": "2026-05-01T17:00:00Z", "nr": "5"})
    );
    assert_eq!(
        (events[1].name.as_str(), &events[1].payload()["status"]),
        ("message:status", &json!("delivered"))
    );
    assert_eq!(events[1].payload()["messageId"], "1");
    assert_eq!(
        events[2].payload()["status"],
        json!(7),
        "what has no word stays what it is"
    );
    let updated = &events[3].payload()["message"];
    assert_eq!(
        (&updated["replyTo"], &updated["author"], &updated["flag"]),
        (&json!("844197938335842305"), &json!("Ada"), &Value::Null)
    );
    let page = scene.server.read("c", "messages").await;
    assert_eq!(page["messages"], json!([updated]));
    // A key that is a time in a zone.
    scene
        .database
        .run(
            "create table ticks (at timestamp primary key, chat text);
             select rowcast.attach('ticks', room => 'conversation:{chat}', on_insert => 'message:new', timezone => 'America/Bogota');
             insert into ticks values ('2026-05-01 12:00:00', 't'), ('2026-05-01 13:00:00', 't'), ('2026-05-01 17:00:00', 't')",
        )
        .await;
    let page = scene.server.read("t", "messages?limit=2").await;
    assert_eq!(page["messages"][0]["id"], "2026-05-01T18:00:00Z");
    let older = scene
        .server
        .read("t", "messages?before=2026-05-01T18%3A00%3A00Z")
        .await;
    assert_eq!(older["messages"][0]["id"], "2026-05-01T17:00:00Z");
    assert_eq!(older["messages"][1], Value::Null);
}

#[tokio::test]
async fn times_are_told_alike_whatever_a_writer_has_set() {
    let database = without_chat().await;
    let mut writer = database.connection().await;
    run(
        &mut writer,
        &format!(
            "{TABLE}; create table plain (id int primary key, at timestamptz, local timestamp, day date);
             select rowcast.attach('plain', room => 'conversation:{{id}}', on_insert => 'message:new')"
        ),
    )
    .await;
    for settings in [
        "reset all",
        "set standard_conforming_strings = off; set escape_string_warning = off; set backslash_quote = off",
        "set datestyle = 'SQL, DMY'; set timezone = 'Asia/Kolkata'; set intervalstyle = 'iso_8601'",
    ] {
        // What a session has once compiled it keeps.
        let mut writer = database.connection().await;
        run(&mut writer, settings).await;
        run(
            &mut writer,
            "insert into wa (wa_id, chat, sent) values (1, 'c', timestamp '2026-05-01 12:00:00.25');
             insert into plain values (1, timestamptz '2026-05-01 12:00:00+00', timestamp '2026-05-01 12:00:00', date '2026-05-01');
             delete from wa; delete from plain",
        )
        .await;
        let events = outbox(&database).await;
        let [.., (_, _, wa), (_, _, plain)] = &events[..] else {
            panic!("{events:?}");
        };
        assert_eq!(
            wa["message"]["sent"], "2026-05-01T17:00:00.25Z",
            "{settings}"
        );
        assert_eq!(
            plain["message"],
            json!({"id": "1", "at": "2026-05-01T12:00:00Z", "local": "2026-05-01T12:00:00Z", "day": "2026-05-01"}),
            "{settings}"
        );
    }
}

#[tokio::test]
async fn templates_say_how_a_value_is_to_be_shown() {
    let database = without_chat().await;
    database
        .run(
            r#"create table m (id int primary key, c text, ack int, "ack:text" text);
               select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'note', words => '{"ack": {"1": "sent"}}', payload => '{
                 "word": "{ack}", "raw": "{ack:raw}", "rawText": "n{ack:raw}", "inText": "is {ack}", "own": "{ack:text}", "messageId": "{ack}",
                 "id": "{id:text}", "at": "{at}"}');
               insert into m values (1, 'x', 1, 'a column'), (2, 'x', 2, null)"#,
        )
        .await;
    let events = outbox(&database).await;
    let mut first = events[0].2.clone();
    let at = first
        .as_object_mut()
        .and_then(|data| data.remove("at"))
        .expect("a time");
    assert!(at.as_str().is_some_and(|at| at.ends_with('Z')), "{at}");
    assert_eq!(
        first,
        json!({"word": "sent", "raw": 1, "rawText": "n1", "inText": "is sent", "own": "a column", "messageId": "sent", "id": "1"})
    );
    assert_eq!(events[1].2["word"], json!(2));
    assert_eq!(events[1].2["messageId"], "2", "an id is text");
}

#[tokio::test]
async fn a_room_can_be_called_after_a_word() {
    let scene = Scene::new().await;
    scene
        .database
        .run(
            r#"create table m (id int primary key, queue int, body text);
               select rowcast.attach('m', room => 'conversation:{queue}', on_insert => 'message:new', words => '{"queue": {"1": "sales", "2": "sales"}}',
                                     defaults => '{"queue": "none"}');
               insert into m values (1, 1, 'a'), (2, 2, 'b'), (3, 3, 'c'), (4, null, 'd')"#,
        )
        .await;
    let bodies = async |contact: &str| {
        let page = scene.server.read(contact, "messages").await;
        crate::harness::api::column(&page["messages"], "/body").concat()
    };
    assert_eq!(bodies("sales").await, "ab");
    assert_eq!(bodies("3").await, "c");
    assert_eq!(bodies("none").await, "d");
    assert_eq!(bodies("1").await, "");
    let rooms = "select string_agg(room, ' ' order by id) from rowcast.events";
    assert_eq!(
        scene.database.value(rooms).await,
        "conversation:sales conversation:sales conversation:3 conversation:none"
    );
}

#[tokio::test]
async fn history_shows_a_message_as_its_events_do_whatever_their_payload() {
    let database = without_chat().await;
    database
        .run(
            r#"create table m (nr int primary key, c text, body text, at timestamptz default '2026-01-02 03:04:05+00');
               select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', order_column => 'at',
                 payload => '{"message": {"id": "{nr}", "text": "no. {nr}: {body}", "when": "{at}", "of": "{.at}", "to": "{contactId}", "deep": {"b": ["{body}"]}},
                              "contactId": "{contactId}"}');
               insert into m values (1, 'x', 'hi')"#,
        )
        .await;
    let server = Server::on(&database).await;
    let page = server.read("x", "messages").await;
    let mut sent = outbox(&database).await[0].2["message"].clone();
    sent["when"] = Value::Null;
    assert_eq!(
        page["messages"],
        json!([sent]),
        "when it was written isn't known any more"
    );
    assert_eq!(
        (&page["key"], &page["order"]),
        (&json!(["id"]), &json!(["of", "id"]))
    );
    let older = server.read("x", "messages?before=1").await;
    assert_eq!(older["messages"], json!([]));
}

#[tokio::test]
async fn a_status_of_a_table_of_its_own_guesses_no_message() {
    let database = without_chat().await;
    database
        .run("create table states (id int primary key, message_id int, c text, status text)")
        .await;
    for arguments in [
        r#"rules => '[{"on": "insert", "event": "message:status"}]'"#,
        "on_insert => 'message:status'",
        "on_update => 'message:status'",
        r#"rooms => '[{"room": "conversation:2{c}", "on_insert": "message:status"}]'"#,
    ] {
        let attach = format!(
            "select rowcast.attach('states', room => 'conversation:{{c}}', on_delete => 'gone', {arguments})"
        );
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(attach))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err(arguments).to_string();
        assert!(
            message.contains("message:status of public.states needs a payload"),
            "{arguments}: {message}"
        );
    }
    database
        .run(
            r#"select rowcast.attach('states', room => 'conversation:{c}', rules => '[{"on": "insert", "event": "message:status",
                 "payload": {"messageId": "{message_id}", "status": "{status}", "contactId": "{contactId}", "at": "{at}"}}]');
               insert into states values (9, 7, 'x', 'read')"#,
        )
        .await;
    assert_eq!(outbox(&database).await[0].2["messageId"], json!("7"));
}

#[tokio::test]
async fn what_is_no_word_is_refused_in_plain_words() {
    let database = without_chat().await;
    database
        .run("create table m (id int primary key, c text, ack int)")
        .await;
    for (arguments, words) in [
        (r#"words => '{"ack": "sent"}'"#, "words is"),
        (r#"words => '{"ack": {"1": {}}}'"#, "words is"),
        (r#"words => '{"nope": {"1": "a"}}'"#, "words names \"nope\""),
        (
            r#"words => '{"id": {"1": "a"}}'"#,
            "which is of the primary key",
        ),
        (
            r#"words => '{"ack:raw": {"1": "a"}}'"#,
            "accepted: the column by itself",
        ),
        (r#"defaults => '{"ack": null}'"#, "defaults is"),
        (r#"defaults => '[1]'"#, "defaults is"),
        ("as_text => '{nope}'", "as_text names \"nope\""),
        ("timezone => 'Mars/Olympus'", "timezone is \"Mars/Olympus\""),
        ("order_columns => '{}'", "order_columns is empty"),
        (
            "order_columns => '{c,nope}'",
            "order_columns names \"nope\"",
        ),
        ("order_columns => '{c}', order_column => 'c'", "both given"),
    ] {
        let attach = format!(
            "select rowcast.attach('m', room => 'conversation:{{c}}', on_insert => 'message:new', {arguments})"
        );
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(attach))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err(arguments).to_string();
        assert!(message.contains(words), "{arguments}: {message}");
    }
}

#[tokio::test]
async fn an_altered_column_with_a_word_or_a_zone_fails_no_writer() {
    for alter in [
        "alter wa_id type text",
        "alter sent type text using '2026-99-99T99:99:99'",
        "alter sent type jsonb using '{\"a\": 1}'",
        "alter ack drop not null, alter ack drop default, alter ack type jsonb using to_jsonb(ack)",
        "drop column ack, drop column sent, drop column author",
        "rename column ack to sent_ack",
        "alter reply_to type bigint[] using array[reply_to]",
    ] {
        let database = without_chat().await;
        database
            .run(&format!(
                "{TABLE}; insert into wa (wa_id, chat) values (1, 'c'); alter table wa {alter}"
            ))
            .await;
        database.run("insert into wa (wa_id, chat) values (2, 'c'); update wa set flag = true; delete from wa").await;
        let server = Server::on(&database).await;
        let rooms = "select count(room) from rowcast.events";
        assert_eq!(database.value(rooms).await, "4", "{alter}");
        database
            .run("insert into wa (wa_id, chat) values (3, 'c')")
            .await;
        let page = server.read("c", "messages").await;
        assert_eq!(page["messages"][0]["waId"], "3", "{alter}: {page}");
    }
}
