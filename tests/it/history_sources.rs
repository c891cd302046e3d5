//! History of tables that somebody else made: any names, any types, any template.

use serde_json::json;

use crate::harness::Scene;
use crate::history_tables::{bodies, serving};

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
