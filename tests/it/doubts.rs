//! What attach is in doubt about, and says: ids by which no page finds a row, and deletes that no room hears of.

use serde_json::Value;

use crate::harness::Database;
use crate::harness::dump::restore;
use crate::history_tables::without_chat;

/// What a call of attach would be in doubt about, but for the order of history.
async fn doubts(database: &Database, table: &str, arguments: &str) -> Vec<String> {
    let ask =
        format!("select (rowcast.preview('{table}', '{arguments}', false) -> 'notices')::text");
    let told: Vec<String> = serde_json::from_str(&database.value(&ask).await).expect("texts");
    told.into_iter()
        .filter(|notice| !notice.starts_with("history of"))
        .collect()
}

const LETTERS: &str =
    r#""room": "conversation:{c}", "on_insert": "message:new", "order_columns": ["sent", "id"]"#;

#[tokio::test]
async fn a_message_id_by_which_no_page_finds_the_row_is_told() {
    let database = without_chat().await;
    database
        .run(
            "create table letters (id int, sent timestamptz, c text, body text, nr text, primary key (id, sent));
             create table plain (id int primary key, sent timestamptz, c text, body text, nr text);
             create table bare (a int, b int, c text, sent timestamptz, id_of text, primary key (a, b))",
        )
        .await;
    let deleted = |id: &str| {
        format!(
            r#", "rules": [{{"on": "delete", "event": "message:deleted", "payload": {{"messageId": "{id}", "contactId": "{{contactId}}"}}}}]"#
        )
    };
    let letters = |more: &str| format!("{{{LETTERS}{more}}}");
    let bare = |more: &str| letters(more).replace(r#"["sent", "id"]"#, r#"["sent"]"#);
    for (table, arguments, wanted) in [
        // One column of several.
        ("letters", letters(&deleted("{id}")), Some("its key (id, sent), joined by \":\": it does not find the row; give \"messageId\": \"{id}:{sent}\"")),
        ("letters", letters(&deleted("{sent}:{id}")), Some("{id}:{sent}")),
        ("letters", letters(&deleted("{id}:{sent}")), None),
        ("letters", letters(&deleted("{id:text}:{sent}")), None),
        ("letters", letters(r#", "on_delete": "message:deleted""#), None),
        ("bare", bare(&deleted("{a}")), Some("{a}:{b}")),
        ("bare", bare(&deleted("{a}:{b}")), None),
        // Where history does not show the key, a page goes by "id".
        ("letters", letters(r#", "omit": ["sent"], "on_delete": "message:deleted""#), Some("its member \"id\", \"{id}\"")),
        ("letters", letters(&format!(r#", "omit": ["sent"]{}"#, deleted("{id}"))), None),
        // So with one column.
        ("plain", letters(&deleted("{nr}")), Some("its key (id): it does not find the row; give \"messageId\": \"{id}\"")),
        ("plain", letters(&deleted("{id}")), None),
        (
            "plain",
            r#"{"room": "conversation:{c}", "order_columns": ["sent", "id"], "on_delete": "message:deleted",
                "rules": [{"on": "insert", "event": "message:new", "payload": {"message": {"id": "{nr}", "body": "{body}"}}}]}"#.to_owned(),
            Some("give \"messageId\": \"{nr}\""),
        ),
        // Messages of one's own by which rows can't be told apart, or that differ.
        (
            "plain",
            r#"{"room": "conversation:{c}", "order_columns": ["sent", "id"],
                "rules": [{"on": "insert", "event": "message:new", "payload": {"message": {"nr": "{nr}"}}}]}"#.to_owned(),
            Some("has no \"id\", and the client kit can't tell such rows of public.plain apart: give \"id\": \"{id}\""),
        ),
        (
            "plain",
            r#"{"room": "conversation:{c}", "order_columns": ["sent", "id"], "on_update": "message:updated",
                "rules": [{"on": "insert", "event": "message:new", "payload": {"message": {"id": "{nr}"}}}]}"#.to_owned(),
            Some("message:updated in the room \"conversation:{c}\" has the \"id\" \"{id}\", that of message:new has \"{nr}\""),
        ),
        (
            "plain",
            r#"{"room": "conversation:{c}", "order_columns": ["sent", "id"], "on_update": "message:updated",
                "rules": [{"on": "insert", "event": "message:new", "payload": {"message": {"id": "{id}", "body": "{body}"}}}]}"#.to_owned(),
            None,
        ),
        // What a page of messages doesn't take for a message's.
        ("letters", letters(&deleted("{id}").replace("message:deleted", "letter:gone")), None),
        ("letters", r#"{"room": "conversation:{c}", "rules": [{"on": "insert", "event": "message:status", "payload": {"messageId": "{id}"}}]}"#.to_owned(), None),
    ] {
        let told = doubts(&database, table, &arguments).await;
        match wanted {
            None => assert_eq!(told, [""; 0], "{arguments}"),
            Some(wanted) => assert!(told.len() == 1 && told[0].contains(wanted), "{arguments}: {told:?}"),
        }
    }
}

#[tokio::test]
async fn deletes_that_a_foreign_key_cascades_past_a_lookup_are_told() {
    let database = without_chat().await;
    database
        .run(
            "create table tenants (id int primary key, name text);
             create table chats (id int primary key, jid text unique, tenant_id int references tenants on delete cascade);
             create table kept (id int primary key, chat_id int references chats, sent timestamptz);
             create table gone (id int primary key, chat_id int constraint gone_with references chats on delete cascade, c text, sent timestamptz);
             create table loose (id int primary key, chat_id int references chats on delete set null, sent timestamptz);
             create table two (id int primary key, chat_id int references chats, forwarded_from int references chats on delete set null, sent timestamptz);
             create table parted (id int primary key, chat_id int references chats on delete cascade, sent timestamptz) partition by range (id);
             create table parted_1 partition of parted for values from (0) to (9)",
        )
        .await;
    let attach = |room: &str, more: &str| {
        format!(
            r#"{{"room": "{room}", "on_insert": "message:new", "order_columns": ["sent", "id"], "lookups": {{"chat": {{"table": "chats", "row": ["jid"]}}}}{more}}}"#
        )
    };
    let deletes = r#", "on_delete": "message:deleted""#;
    let nested = r#"{"room": "conversation:{tenant.name}", "on_insert": "message:new", "on_delete": "message:deleted", "order_columns": ["sent", "id"],
        "lookups": {"chat": {"table": "chats"}, "tenant": {"table": "tenants", "column": "chat.tenant_id"}}}"#;
    for (table, arguments, wanted) in [
        ("kept", attach("conversation:{chat.jid}", deletes), None),
        (
            "gone",
            attach("conversation:{chat.jid}", deletes),
            Some("the foreign key gone_with deletes rows of public.gone when that row is deleted"),
        ),
        ("gone", nested.to_owned(), Some("gone_with")),
        (
            "parted",
            attach("conversation:{chat.jid}", deletes),
            Some("rowcast.reload(\'public.parted\')"),
        ),
        (
            "loose",
            attach("conversation:{chat.jid}", deletes),
            Some("lets rows of public.loose point to nothing"),
        ),
        // Of two foreign keys to the table, the lookup goes by the other one.
        (
            "two",
            attach("conversation:{chat.jid}", deletes).replace(
                r#""table": "chats""#,
                r#""table": "chats", "column": "chat_id""#,
            ),
            None,
        ),
        (
            "two",
            attach("conversation:{chat.jid}", deletes).replace(
                r#""table": "chats""#,
                r#""table": "chats", "column": "forwarded_from""#,
            ),
            Some("two_forwarded_from_fkey lets rows"),
        ),
        // Nobody is told of deletes, or the room is the row's own.
        ("gone", attach("conversation:{chat.jid}", ""), None),
        ("gone", attach("conversation:{c}", deletes), None),
        (
            "gone",
            attach(
                "conversation:{c}",
                &format!(r#"{deletes}, "condition": "$.chat.jid starts with \"5\"""#),
            ),
            Some("gone_with"),
        ),
    ] {
        let told = doubts(&database, table, &arguments).await;
        match wanted {
            None => assert_eq!(told, [""; 0], "{arguments}"),
            Some(wanted) => {
                assert!(
                    told.len() == 1 && told[0].contains(wanted),
                    "{arguments}: {told:?}"
                );
                assert!(
                    told[0].contains("nobody hears of them; delete the rows of"),
                    "{told:?}"
                );
            }
        }
    }

    // What is true of it: nobody hears, unless the rows go before what they point to.
    database
        .run(
            r#"select rowcast.attach('gone', room => 'conversation:{chat.jid}', on_delete => 'message:deleted', lookups => '{"chat": {"table": "chats"}}');
               insert into chats values (1, 'ana'), (2, 'eva'); insert into gone values (1, 1), (2, 2);
               delete from chats where id = 1; delete from gone where chat_id = 2; delete from chats where id = 2"#,
        )
        .await;
    let sent = "select json_agg(room order by id)::text from rowcast.events";
    let sent: Value = serde_json::from_str(&database.value(sent).await).expect("rooms");
    assert_eq!(sent, serde_json::json!([null, "conversation:eva"]));
}

#[tokio::test]
async fn attach_itself_says_what_it_doubts_and_attaches() {
    let database = without_chat().await;
    let sql = r#"
        create table public.chats (id int primary key, jid text);
        create table public.letters (id int, sent timestamptz, chat_id int references public.chats on delete cascade, primary key (id, sent));
        set client_min_messages = notice;
        select rowcast.attach('public.letters', room => 'conversation:{chat.jid}', on_insert => 'message:new', order_columns => '{sent,id}',
          lookups => '{"chat": {"table": "chats"}}',
          rules => '[{"on": "delete", "event": "message:deleted", "payload": {"messageId": "{id}"}}]');"#;
    let said = restore(&database.url, sql.as_bytes().to_vec()).await;
    let told: Vec<_> = said
        .lines()
        .filter(|line| line.contains("NOTICE:  rowcast.attach: "))
        .collect();
    assert!(
        told.len() == 2
            && told[0].contains("give \"messageId\": \"{id}:{sent}\"")
            && told[1].contains("letters_chat_id_fkey deletes rows of public.letters"),
        "{said}"
    );
    let attached = "select count(*) from rowcast.sources where source = 'public.letters'";
    assert_eq!(database.value(attached).await, "1");
}
