//! History of tables that somebody else made: any names, any types, any template.

use serde_json::json;

use crate::harness::api::column;
use crate::harness::{Database, Scene, Server};

/// A server on a database without the chat tables, in which this was run.
async fn serving(sql: &str) -> (Database, Server) {
    let database = Database::chat().await;
    database
        .run("select rowcast.detach('messages'); drop table message_statuses, messages")
        .await;
    database.run(sql).await;
    let server = Server::on(&database).await;
    (database, server)
}

async fn bodies(server: &Server, contact: &str) -> Vec<String> {
    let page = server.read(contact, "messages").await;
    column(&page["messages"], "/body")
}

#[tokio::test]
async fn a_foreign_table_is_read_as_it_was_attached() {
    let scene = Scene::new().await;
    scene
        .database
        .run(
            r#"create table wa_messages (nr bigint generated always as identity primary key, customer_id bigint not null, direction text not null,
                 "after" text, "select" text, internal_note text, "sent At" timestamp not null default now());
               create index on wa_messages (customer_id, "sent At");
               select rowcast.attach('wa_messages', room => 'conversation:{customer_id}', on_insert => 'message:new',
                 condition => '$.direction == "in"', omit => '{internal_note}', order_column => 'sent At')"#,
        )
        .await;
    let mut client = scene.joined("9007199254740993").await;
    scene
        .database
        .run(
            r#"insert into wa_messages (customer_id, direction, "after", "select", internal_note)
               values (9007199254740993, 'in', 'first', 'x', 'secret'), (9007199254740993, 'out', 'hidden', 'x', 'secret'),
                      (9007199254740993, 'in', 'second', null, 'secret'), (7, 'in', 'other', 'x', 'secret')"#,
        )
        .await;
    let events = client.take(2).await;
    let page = scene.server.read("9007199254740993", "messages").await;
    let expected: Vec<_> = events
        .iter()
        .map(|event| &event.payload()["message"])
        .collect();
    assert_eq!(page["messages"], json!(expected));
    assert_eq!(page["messages"][0]["nr"], "1", "ids are text");
    assert!(!page.to_string().contains("secret"), "{page}");
    let older = scene
        .server
        .read("9007199254740993", "messages?before=3&limit=1")
        .await;
    assert_eq!(older["messages"], json!([expected[0]]));
    // The row that the condition hides has no place, nor has one of another room.
    for id in ["2", "4", "03", "3x", "99999999999999999999"] {
        scene
            .server
            .refused(
                "9007199254740993",
                &format!("messages?before={id}"),
                400,
                "bad_request",
            )
            .await;
    }
    // The same number in other words is another room.
    for contact in ["07", " 7", "7.0", "+7", "seven", "99999999999999999999"] {
        let page = scene.server.read(contact, "messages").await;
        assert_eq!(page["messages"], json!([]), "{contact}: {page}");
    }
}

#[tokio::test]
async fn the_rooms_column_may_be_of_any_type() {
    let types = [
        (
            "uuid",
            "6f0d0a04-de41-48af-972a-120a2da27863",
            &["6F0D0A04-DE41-48AF-972A-120A2DA27863", "x"][..],
        ),
        ("numeric(10,2)", "1.50", &["1.5", "1.505", "x"]),
        ("char(5)", "ab   ", &["ab", "ab    "]),
        ("varchar(5)", "abcde", &["abcdef", "abcd"]),
        ("boolean", "true", &["t", "yes", "false"]),
        (
            "timestamptz",
            "2026-01-02T03:04:05+00:00",
            &["2026-01-02 03:04:05+00", "x"],
        ),
        ("jsonb", "[1, 2]", &["[1,2]", "x"]),
        ("int[]", "[1, 2]", &["{1,2}", "x"]),
        ("mood", "fine", &["bad", "FINE"]),
        ("small", "3", &["4", "40", "x"]),
        ("float8", "0.1", &["0.10", "x"]),
    ];
    let mut sql =
        "create type mood as enum ('fine'); create domain small as int check (value < 4);"
            .to_owned();
    for (number, (kind, room, _)) in types.iter().enumerate() {
        let value = if *kind == "int[]" { "{1,2}" } else { room };
        sql += &format!(
            "create table t{number} (id int primary key, c {kind}, body text);
             select rowcast.attach('t{number}', room => 'conversation:{number}/{{c}}', on_insert => 'message:new');
             insert into t{number} values (1, '{value}', '{kind}'), (2, null, 'no room');"
        );
    }
    let (database, server) = serving(&sql).await;
    for (number, (kind, room, others)) in types.iter().enumerate() {
        let stored = format!(
            "select room from rowcast.events where source = 'public.t{number}' and room is not null"
        );
        assert_eq!(
            database.value(&stored).await,
            format!("conversation:{number}/{room}")
        );
        assert_eq!(bodies(&server, &format!("{number}/{room}")).await, [*kind]);
        for other in *others {
            let none = bodies(&server, &format!("{number}/{other}")).await;
            assert_eq!(none, [""; 0], "{kind}: {other}");
        }
    }
}

#[tokio::test]
async fn templates_are_compared_as_a_whole() {
    let (_database, server) = serving(
        r#"create table pairs (a text, b int, "key'""s" text, body text, at timestamptz default now(), primary key (a, b));
           select rowcast.attach('pairs', room => 'conversation:{a}:{b}', on_insert => 'message:new', order_column => 'at');
           insert into pairs values ('x', 1, 'k', 'x 1'), ('x', 2, 'k', 'x 2'), ('x:1', 1, 'k', 'x:1 1'), ('', 1, 'k', ' 1');
           create table lobby (id int primary key, body text);
           select rowcast.attach('lobby', room => 'conversation:the lobby''s \', on_insert => 'message:new');
           insert into lobby values (1, 'all');
           create table odd ("key'"" \s" text, id int, body text, nr serial primary key);
           select rowcast.attach('odd', room => 'conversation:o''{key''" \s}{id}', on_insert => 'message:new');
           insert into odd values ('1', 1, 'one'), ('', 11, 'eleven'), ('x', 1, 'x one')"#,
    )
    .await;
    for (contact, expected) in [
        ("x:1", vec!["x 1"]),
        ("x:2", vec!["x 2"]),
        ("x:1:1", vec!["x:1 1"]),
        (":1", vec![" 1"]),
        ("x:3", vec![]),
        ("x", vec![]),
        ("the lobby's \\", vec!["all"]),
        ("the lobby's", vec![]),
        ("o'11", vec!["one", "eleven"]),
        ("o'x1", vec!["x one"]),
    ] {
        assert_eq!(bodies(&server, contact).await, expected, "{contact}");
    }
    // The key of several columns is their values with colons between.
    let all = server.read("x:1:1", "messages").await;
    assert_eq!(all["messages"][0]["b"], "1");
    let none = server.read("x:1:1", "messages?before=x:1:1").await;
    assert_eq!(none["messages"], json!([]));
    server
        .refused("x:1:1", "messages?before=x:1", 400, "bad_request")
        .await;
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
