//! One table, several rooms per row: a conversation, an inbox, an agent's queue, each with events of its own.

use serde_json::{Value, json};

use crate::harness::api::column;
use crate::harness::{Database, Scene, Server};

const TABLE: &str = r#"
create table tickets (id bigint generated always as identity primary key, chat text not null, tenant int not null, agent int, body text, state text default 'open');
select rowcast.attach('tickets',
  room      => 'conversation:{chat}',
  on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted',
  rooms     => '[
    {"room": "conversation:inbox-{tenant}", "on_insert": "inbox:new", "on_delete": "inbox:gone",
     "rules": [{"on": "update", "columns": ["state"], "event": "inbox:state", "condition": "$.state != \"draft\"",
                "payload": {"ticket": "{id}", "state": "{state}", "tenant": "{contactId}"}}],
     "payload": {"ticket": "{id}", "chat": "{chat}", "room": "{room}"}},
    {"room": "conversation:agent-{agent}", "condition": "$.agent != null", "on_insert": "message:new", "on_delete": "message:deleted"}]')"#;

/// Every event of the outbox, in its order.
pub(crate) async fn outbox(database: &Database) -> Vec<(String, String, Value)> {
    let all = database
        .value("select coalesce(json_agg(json_build_array(room, event, data) order by id), '[]') from rowcast.events")
        .await;
    serde_json::from_str(&all).expect("JSON")
}

fn names(events: &[(String, String, Value)]) -> Vec<String> {
    events
        .iter()
        .map(|(room, event, _)| format!("{} {event}", room.trim_start_matches("conversation:")))
        .collect()
}

#[tokio::test]
async fn a_rows_events_are_adjacent_over_its_rooms_and_in_order() {
    let database = Database::chat().await;
    database.run(TABLE).await;
    database
        .run("insert into tickets (chat, tenant, agent, body) values ('a', 1, null, 'one'), ('b', 1, 7, 'two')")
        .await;
    let written = outbox(&database).await;
    assert_eq!(
        names(&written),
        [
            "a message:new",
            "inbox-1 inbox:new",
            "b message:new",
            "inbox-1 inbox:new",
            "agent-7 message:new"
        ]
    );
    assert_eq!(
        written[1].2,
        json!({"ticket": "1", "chat": "a", "room": "conversation:inbox-1"})
    );
    assert_eq!(written[4].2["contactId"], "agent-7");
    database.run("truncate rowcast.events").await;

    // One statement, each row in another way: the first is given to an agent and closed, the second moves to another tenant.
    database
        .run("update tickets set agent = case id when 1 then 8 else agent end, state = case id when 1 then 'closed' else 'draft' end,
                                 tenant = case id when 2 then 2 else tenant end")
        .await;
    let changed = outbox(&database).await;
    assert_eq!(
        names(&changed),
        [
            "a message:updated",
            "inbox-1 inbox:state",
            "agent-8 message:new",
            "b message:updated",
            "inbox-1 inbox:gone",
            "inbox-2 inbox:new"
        ]
    );
    assert_eq!(
        changed[1].2,
        json!({"ticket": "1", "state": "closed", "tenant": "inbox-1"})
    );
    database.run("truncate rowcast.events").await;
    // The rule's own condition.
    database.run("update tickets set state = 'draft' where id = 1; update tickets set agent = null where id = 2; delete from tickets where id = 1").await;
    assert_eq!(
        names(&outbox(&database).await),
        [
            "a message:updated",
            "b message:updated",
            "agent-7 message:deleted",
            "a message:deleted",
            "inbox-1 inbox:gone",
            "agent-8 message:deleted"
        ]
    );
}

#[tokio::test]
async fn each_room_has_its_own_history_and_its_own_listeners() {
    let scene = Scene::new().await;
    scene.database.run(TABLE).await;
    let mut agent = scene.joined("agent-7").await;
    let mut inbox = scene.joined("inbox-1").await;
    scene
        .database
        .run("insert into tickets (chat, tenant, agent, body) select 'c' || n % 2, 1, case when n % 3 = 0 then 7 end, n::text from generate_series(1, 9) n")
        .await;
    let got: Vec<_> = agent
        .take(3)
        .await
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    assert_eq!(got, ["3", "6", "9"]);
    assert_eq!(inbox.take(9).await[8].payload()["ticket"], "9");
    let read = async |contact: &str, query: &str| {
        let page = scene
            .server
            .read(contact, &format!("messages{query}"))
            .await;
        column(&page["messages"], "/body")
    };
    assert_eq!(read("agent-7", "").await, ["3", "6", "9"]);
    assert_eq!(read("agent-7", "?before=9").await, ["3", "6"]);
    assert_eq!(read("c1", "").await, ["1", "3", "5", "7", "9"]);
    // It has no message:new, so its rows are no messages.
    assert!(read("inbox-1", "").await.is_empty());
    // A row that the condition of its room leaves out is in no history of that room.
    scene
        .database
        .run("update tickets set agent = null where id = 6")
        .await;
    assert_eq!(read("agent-7", "").await, ["3", "9"]);
    scene
        .database
        .run("alter table tickets alter agent type text using coalesce(agent::text, '')")
        .await;
    assert_eq!(
        read("agent-7", "").await,
        ["3", "9"],
        "an altered column is still found by its text"
    );
}

#[tokio::test]
async fn a_direct_message_is_in_both_peoples_rooms() {
    let database = Database::chat().await;
    database
        .run(
            r#"create table dms (id bigint generated always as identity primary key, sender int, receiver int, body text, at timestamptz default clock_timestamp());
               select rowcast.attach('dms', rooms => '[{"room": "conversation:user-{sender}", "on_insert": "message:new"},
                                                       {"room": "conversation:user-{receiver}", "on_insert": "message:new"}]', order_column => 'at')"#,
        )
        .await;
    for n in 0..6 {
        database
            .run(&format!(
                "insert into dms (sender, receiver, body) values ({}, {}, '{n}')",
                n % 2 + 1,
                2 - n % 2
            ))
            .await;
    }
    let server = Server::on(&database).await;
    for user in ["user-1", "user-2"] {
        let pages = server.pages(user, 2, "/id").await;
        let got: Vec<_> = pages
            .iter()
            .rev()
            .flat_map(|page| column(&page["messages"], "/body"))
            .collect();
        assert_eq!(got, ["0", "1", "2", "3", "4", "5"], "{user}");
    }
}

#[tokio::test]
async fn what_is_no_room_is_refused_in_plain_words() {
    let database = Database::chat().await;
    database
        .run("create table m (id int primary key, c text, t int)")
        .await;
    for (arguments, words) in [
        (r#"rooms => '{"room": "a"}'"#, "rooms is a JSON object"),
        (
            r#"rooms => '[{"room": "conversation:{c}"}]'"#,
            "room 1 of rooms: there is no event",
        ),
        (
            r#"rooms => '[{"room": "conversation:{x}", "on_insert": "a"}]'"#,
            "names \"x\", which is not a column of public.m",
        ),
        (
            r#"rooms => '[{"rom": "a"}]'"#,
            "room 1 of rooms: not understood",
        ),
        (
            r#"on_insert => 'a', rooms => '[{"room": "conversation:{c}", "on_insert": "b"}]'"#,
            "there are events, and no room for them",
        ),
        (
            r#"room => 'conversation:{c}', on_insert => 'a', rooms => '[{"room": "conversation:{c}", "on_insert": "b"}]'"#,
            "a room is given twice",
        ),
        (
            r#"room => 'conversation:{c}', rules => '[{"on": "insert", "event": "a", "condition": "$.c"}]'"#,
            "is not a predicate",
        ),
        (
            r#"room => 'conversation:{c}', rules => '[{"on": "insert", "event": "a", "condition": "$.nope == 1"}]'"#,
            "names \"nope\"",
        ),
        (
            r#"room => 'conversation:{c}', rules => '[{"on": "insert", "event": "a", "condition": "c = 1"}]'"#,
            "is no jsonpath",
        ),
        ("on_insert => 'message:new'", "room is empty"),
    ] {
        let attach = format!("select rowcast.attach('m', {arguments})");
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(attach))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err(arguments).to_string();
        assert!(message.contains(words), "{arguments}: {message}");
    }
}

#[tokio::test]
async fn a_moved_row_can_be_told_from_a_new_one() {
    let database = Database::chat().await;
    database
        .run(
            r#"create table m (id int primary key, c text, hidden bool default false);
               select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated',
                 on_delete => 'message:deleted', condition => '$.hidden == false',
                 rooms => '[{"room": "conversation:own-{c}", "on_insert": "message:new", "payload": {"id": "{id}"}}]');
               insert into m values (1, 'a'); update m set c = 'b'; update m set hidden = true; update m set hidden = false;
               update m set id = 2; delete from m"#,
        )
        .await;
    let told: Vec<_> = outbox(&database)
        .await
        .into_iter()
        .filter(|(room, ..)| !room.contains("own-"))
        .map(|(room, event, data)| (room, event, data["moved"].clone()))
        .collect();
    let event = |room: &str, event: &str, moved: Value| {
        (format!("conversation:{room}"), event.to_owned(), moved)
    };
    assert_eq!(
        told,
        [
            event("a", "message:new", Value::Null),
            event("a", "message:deleted", json!(true)),
            event("b", "message:new", json!(true)),
            event("b", "message:deleted", Value::Null),
            event("b", "message:new", Value::Null),
            // Whoever shows it knows it by its key.
            event("b", "message:deleted", json!(true)),
            event("b", "message:new", json!(true)),
            event("b", "message:deleted", Value::Null),
        ]
    );
    let own = "select count(*) from rowcast.events where room like '%own-%' and data::text <> '{\"id\":\"1\"}'";
    assert_eq!(
        database.value(own).await,
        "0",
        "a payload of one's own stays as it is"
    );
}
