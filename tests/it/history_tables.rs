//! Which tables are history: several, changed, gone, not attached, not granted.

use serde_json::json;

use crate::harness::api::column;
use crate::harness::{Database, Server};

/// A database without the chat tables.
pub(crate) async fn without_chat() -> Database {
    let database = Database::chat().await;
    database
        .run("select rowcast.detach('messages'); drop table message_statuses, messages, conversations")
        .await;
    database
}

/// A server on such a database, in which this was run.
pub(crate) async fn serving(sql: &str) -> (Database, Server) {
    let database = without_chat().await;
    database.run(sql).await;
    let server = Server::on(&database).await;
    (database, server)
}

pub(crate) async fn bodies(server: &Server, contact: &str) -> Vec<String> {
    let page = server.read(contact, "messages").await;
    column(&page["messages"], "/body")
}

#[tokio::test]
async fn several_tables_are_one_history() {
    let (_database, server) = serving(
        "create table mails (id text primary key, c text, body text, at timestamptz);
         create table notes (id text primary key, c text, body text, on_day timestamp);
         create table plain (id text primary key, c text, body text);
         create table states (id int primary key, c text, body text);
         select rowcast.attach(t, room => 'conversation:{c}', on_insert => 'message:new', order_column => o)
           from (values ('mails', 'at'), ('notes', 'on_day'), ('plain', 'id')) v (t, o);
         select rowcast.attach('states', room => 'conversation:{c}', rules => '[{\"on\": \"insert\", \"event\": \"message:status\", \"payload\": {\"id\": \"{id}\"}}]');
         insert into states values (1, '42', 'no message');
         insert into mails select 'm' || n, '42', 'm' || n, '2026-01-01'::timestamptz + (n / 3) * interval '1 us' from generate_series(1, 40) n;
         insert into notes select 'n' || n, '42', 'n' || n, '2026-01-01'::timestamp + (n / 4) * interval '1 us' from generate_series(1, 40) n;
         insert into mails values ('mz', '42', 'mz', null), ('mi', '42', 'mi', 'infinity');
         insert into notes values ('nz', '42', 'nz', null), ('ny', '42', 'ny', null), ('mi', '43', 'mi', now());
         insert into plain select 'p' || n, '42', 'p' || n from generate_series(10, 20) n",
    )
    .await;
    let whole = server.pages("42", 200, "/id").await;
    let whole = column(&whole[0]["messages"], "/id");
    assert_eq!(whole.len(), 40 + 40 + 2 + 2 + 11);
    assert_eq!(whole[..2], ["p10", "p11"]);
    assert_eq!(whole[11..17], ["m1", "m2", "n1", "n2", "n3", "m3"]);
    assert_eq!(whole[whole.len() - 4..], ["mi", "mz", "ny", "nz"]);
    for limit in [3, 7] {
        let pages = server.pages("42", limit, "/id").await;
        let got: Vec<_> = pages
            .iter()
            .rev()
            .flat_map(|page| column(&page["messages"], "/id"))
            .collect();
        assert_eq!(got, whole, "limit={limit}");
    }
}

#[tokio::test]
async fn an_id_of_two_tables_can_not_be_a_place() {
    let (_database, server) = serving(
        "create table a (id int primary key, c text, body text); create table b (like a including all);
         select rowcast.attach(t, room => 'conversation:{c}', on_insert => 'message:new') from (values ('a'), ('b')) v (t);
         insert into a values (1, '42', 'a1'), (2, '42', 'a2'); insert into b values (1, '42', 'b1'), (3, '43', 'b3')",
    )
    .await;
    assert_eq!(bodies(&server, "42").await, ["a1", "a2", "b1"]);
    let message = server
        .refused("42", "messages?before=1", 400, "bad_request")
        .await;
    assert!(message.contains("several"), "{message}");
    let older = server.read("42", "messages?before=2").await;
    assert_eq!(column(&older["messages"], "/body"), ["a1"]);
}

#[tokio::test]
async fn a_table_that_changed_since_is_read_as_far_as_it_goes() {
    let (database, server) = serving(
        "create table m (id int primary key, c text, body text, note text, at timestamptz default now());
         select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', order_column => 'at');
         insert into m values (2, '42', 'two', 'n', now()), (1, '42', 'one', 'n', now() + interval '1 s')",
    )
    .await;
    assert_eq!(bodies(&server, "42").await, ["two", "one"]);
    database
        .run("alter table m rename to n; create table m (id int)")
        .await;
    assert_eq!(bodies(&server, "42").await, ["two", "one"]);
    database
        .run("alter table n drop column note, drop column at")
        .await;
    let page = server.read("42", "messages").await;
    assert_eq!(
        page["messages"][0],
        json!({"id": "1", "c": "42", "body": "one", "note": null, "at": null})
    );
    assert_eq!(
        bodies(&server, "42").await,
        ["one", "two"],
        "by the key, with no order column"
    );
    database
        .run("alter table n drop constraint m_pkey, drop column id")
        .await;
    assert_eq!(bodies(&server, "42").await.len(), 2);
    server
        .refused("42", "messages?before=1", 400, "bad_request")
        .await;
    database.run("alter table n drop column c").await;
    assert_eq!(
        server.read("42", "messages").await["messages"],
        json!([]),
        "no row has a room"
    );
    database.run("drop table n").await;
    let message = server.refused("42", "messages", 404, "not_found").await;
    assert!(message.contains("attach"), "{message}");
}

#[tokio::test]
async fn without_an_attached_table_there_is_no_history() {
    let (database, server) = serving("create table m (id int primary key, c text)").await;
    server.refused("42", "messages", 404, "not_found").await;
    database
        .run("select rowcast.attach('m', room => 'order:{c}', on_insert => 'message:new')")
        .await;
    server.refused("42", "messages", 404, "not_found").await;
    database
        .run("select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new')")
        .await;
    assert_eq!(server.read("42", "messages").await["messages"], json!([]));
    // Events need no table.
    database.run("select rowcast.detach('m')").await;
    let after = server.offset("42").await;
    database
        .run("select rowcast.emit('conversation:42', 'hello', '{}')")
        .await;
    let events = server.read("42", &format!("events?after={after}")).await;
    assert_eq!(column(&events["events"], "/event"), ["hello"]);
}

#[tokio::test]
async fn a_value_that_jsonb_refuses_hides_no_other_row() {
    let (_database, server) = serving(
        r#"create table m (id int primary key, c text, body text, raw json);
           select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new');
           insert into m values (1, '42', 'fine', '{"a": 1}'), (2, '42', repeat('x', 5000), '"\u0000"'), (3, '42', 'fine', null)"#,
    )
    .await;
    let page = server.read("42", "messages").await;
    assert_eq!(
        page["messages"],
        json!([
            {"id": "1", "c": "42", "body": "fine", "raw": {"a": 1}},
            {"truncated": true, "id": "2"},
            {"id": "3", "c": "42", "body": "fine", "raw": null},
        ])
    );
}

#[tokio::test]
async fn a_missing_grant_is_for_the_operator_to_read() {
    let database = Database::chat().await;
    let role = database
        .value("select current_database() || '_server'")
        .await;
    let docs = include_str!("../../docs/sql.md");
    let documented: String = docs
        .lines()
        .skip_while(|line| !line.starts_with("-- the role of `rowcast serve`"))
        .take_while(|line| !line.starts_with("-- a back end whose own"))
        .filter(|line| !line.contains("wa_messages"))
        .map(|line| line.replace("rowcast_server", &role) + "\n")
        .collect();
    assert!(documented.matches("grant").count() > 5, "{documented}");
    database
        .run(&format!("create role {role} login; {documented}"))
        .await;
    let server = Server::on(&Database::at(database.url_as(&role))).await;
    database.say("42", "hi").await;
    let message = server.refused("42", "messages", 503, "unavailable").await;
    assert!(
        !message.contains("messages") && !message.contains("grant"),
        "{message}"
    );
    let grant = format!("grant select on public.messages to \"{role}\"");
    server
        .log("the grant", |line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains(&grant))
        })
        .await;
    database.run(&grant).await;
    let page = server.read("42", "messages").await;
    assert_eq!(column(&page["messages"], "/body"), ["hi"]);
    server.offset("42").await;
    server.stop().await;
    database
        .run(&format!("drop owned by {role}; drop role {role}"))
        .await;
}

#[tokio::test]
async fn the_types_of_an_extension_are_compared_by_its_own_operators() {
    let database = Database::chat().await;
    let there = "select count(*) from pg_available_extensions where name = 'citext'";
    if database.value(there).await == "0" {
        return; // This Postgres came without its extensions.
    }
    database
        .run(
            "create schema ext; create extension citext schema ext;
             create table letters (id ext.citext primary key, c ext.citext, body text);
             select rowcast.attach('letters', room => 'conversation:{c}', on_insert => 'message:new');
             insert into letters select i, 'abc', i from unnest('{a,B,c,D,e}'::text[]) i;
             insert into letters values ('f', 'ABC', 'another room')",
        )
        .await;
    let server = Server::on(&database).await;
    let pages = server.pages("abc", 2, "/id").await;
    let got: Vec<_> = pages
        .iter()
        .rev()
        .flat_map(|page| column(&page["messages"], "/id"))
        .collect();
    assert_eq!(got, ["a", "B", "c", "D", "e"]);
}
