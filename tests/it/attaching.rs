//! `rowcast attach` of one table: each parameter is a flag, refusals name it, and a dry run shows what would be sent and changes nothing.

use serde_json::{Value, json};

use crate::harness::{Database, Launch};
use crate::history_tables::without_chat;

/// `rowcast attach` with these arguments.
fn attach<const N: usize>(database: &Database, arguments: [&str; N]) -> Launch {
    let launch = Launch::command(["attach"]).database(&database.url);
    arguments.into_iter().fold(launch, Launch::arg)
}

const CONDITIONS: &str =
    "accepted: a predicate over the row's columns, such as $.direction == \"inbound\"";

const TABLES: &str = "
create table chats (id bigint primary key, jid text not null unique, title text);
insert into chats values (7, '57@s', 'Ana');
create table wa (
  id bigint generated always as identity primary key, chat_id bigint not null references chats, tenant int not null default 5,
  ack int not null default 0, author text, nr int, sent timestamp, note text
);
insert into wa (chat_id, nr, sent, note) values (7, 1, '2026-05-01 12:00:00', E'two\\nlines');";

/// A table with all that can be said of it.
const FLAGS: [&str; 31] = [
    "wa",
    "--room",
    "conversation:{chat.jid}",
    "--on-insert",
    "message:new",
    "--on-update",
    "message:updated",
    "--on-delete",
    "message:deleted",
    "--update-columns",
    "author,note",
    "--rules",
    "update of ack: message:status",
    "--condition",
    "$.tenant > 0",
    "--omit",
    "tenant",
    "--key-case",
    "camel",
    "--order-columns",
    "sent",
    "--rooms",
    r#"{"room": "inbox:{tenant}", "on_insert": "inbox:new", "payload": {"chat": "{chat.jid}"}}"#,
    "--lookups",
    r#"chat={"table": "chats", "row": ["title"]}"#,
    "--words",
    "ack=0:sent,1:delivered",
    "--defaults",
    "author=bot",
    "--as-text",
    "nr",
];

/// Whatever is there: rows of the catalog, and where sequences are.
const TRACE: &str = "select md5(concat(
    (select string_agg(concat(p.oid, p.xmin), ',' order by p.oid) from pg_proc p),
    (select string_agg(concat(t.oid, t.xmin), ',' order by t.oid) from pg_trigger t),
    (select string_agg(concat(s.sequencename, s.last_value), ',' order by s.sequencename) from pg_sequences s),
    (select count(*) from rowcast.attached), (select count(*) from rowcast.events)))";

/// The same from SQL, with a lookup.
const PREVIEW: &str = r#"select rowcast.preview('wa', '{"room": "conversation:{chat.jid}", "on_insert": "message:new", "lookups": {"chat": {"table": "chats"}}}')"#;

#[tokio::test]
async fn a_dry_run_shows_each_event_as_it_will_be_sent_and_leaves_no_trace() {
    let database = without_chat().await;
    database.run(TABLES).await;
    let before = database.value(TRACE).await;
    database.run(PREVIEW).await;
    assert_eq!(database.value(TRACE).await, before, "from SQL");
    // Attaching would wait for this one.
    let mut writer = database.pool.begin().await.expect("a transaction");
    let write = sqlx::query("update wa set ack = 1").execute(&mut *writer);
    write.await.expect("a write");
    let attach = || {
        attach(&database, FLAGS)
            .arg("--timezone")
            .arg("America/Bogota")
    };
    let shown = attach().arg("--dry-run").succeed().await.stdout;
    let json = attach().arg("--dry-run").arg("--json").succeed().await;
    let json: Value = serde_json::from_str(&json.stdout).expect("JSON");
    writer.rollback().await.expect("a rollback");
    assert_eq!(database.value(TRACE).await, before);
    for words in [
        "--   select rowcast.attach('public.wa', room => 'conversation:{chat.jid}', on_insert",
        "create or replace function rowcast.capture_public_wa_insert()",
        "\n-- Examples, out of 1 row of public.wa:\n",
        "\n-- update of ack: message:status to conversation:57@s\n--   {",
    ] {
        assert!(shown.contains(words), "{words}: {shown}");
    }

    // What it shows may be run as it stands, and is what attaching does.
    assert_eq!(attach().succeed().await.stdout, "public.wa is attached\n");
    let made = "select md5(concat(row_sql, feeds, events)) from rowcast.attached";
    let attached = database.value(made).await;
    database.run("select rowcast.detach('wa')").await;
    database.run(&shown).await;
    assert_eq!(database.value(made).await, attached);
    database
        .run(
            "create table row as table wa; delete from wa; insert into wa overriding system value table row;
             update wa set ack = 1, note = ''; update wa set ack = 0; update wa set note = row.note from row",
        )
        .await;
    let sent =
        "select json_agg(json_build_array(room, event, data::jsonb - 'at')) from rowcast.events";
    let sent: Value = serde_json::from_str(&database.value(sent).await).expect("JSON");
    let mut examples = json["examples"].as_array().expect("examples").clone();
    assert_eq!(examples.len(), 5, "{json}");
    for example in &mut examples {
        let payload = example["data"].as_object_mut().expect("a payload");
        payload.remove("at");
        let event = json!([example["room"], example["event"], example["data"]]);
        let is_sent = sent.as_array().expect("events").contains(&event);
        assert!(is_sent, "{event}\n{sent}");
    }

    // Where there is nothing to show, it says why.
    database
        .run("create table t (id int primary key, c text, kind text)")
        .await;
    let other = |condition| {
        let launch = Launch::command(["attach", "t", "--room", "conversation:{c}", "--on-insert"]);
        let launch = launch.database(&database.url).arg("message:new");
        launch.arg("--condition").arg(condition).arg("--dry-run")
    };
    let shown = other("$.kind == \"a\"").succeed().await.stdout;
    assert!(
        shown.ends_with("-- No examples: public.t is empty\n"),
        "{shown}"
    );
    database.run("insert into t values (1, '42', 'b')").await;
    let shown = other("$.kind == \"a\"").succeed().await.stdout;
    assert!(
        shown.ends_with("-- insert: message:new: none of 1 would cause it\n"),
        "{shown}"
    );
}

#[tokio::test]
async fn each_parameter_is_a_flag_and_a_refusal_names_it() {
    let database = without_chat().await;
    database.run(TABLES).await;
    let help = Launch::command(["attach", "--help"]).succeed().await.stdout;
    let parameters = database
        .value("select array_to_string(proargnames, ' ') from pg_proc where pronamespace = 'rowcast'::regnamespace and proname = 'attach'")
        .await;
    for parameter in parameters.split(' ').filter(|name| *name != "source") {
        let flag = format!("--{}", parameter.replace('_', "-"));
        assert!(help.contains(&flag), "{flag} is missing");
    }
    for (flag, value, words) in [
        (
            "--room",
            "lobby",
            ["--room \"lobby\" is none", "accepted: <kind>:<id>"],
        ),
        (
            "--room",
            "{nr}",
            ["--room \"{nr}\" is none", "it has no kind"],
        ),
        (
            "--room",
            "conversation:{chat}",
            ["--room names \"chat\"", "accepted: id, chat_id"],
        ),
        (
            "--omit",
            "nothing",
            ["--omit names \"nothing\"", "accepted: id, chat_id"],
        ),
        (
            "--rules",
            "update of nothing: x",
            ["--rules: the rule for x names", "accepted: id"],
        ),
        (
            "--rules",
            "nothing",
            ["--rules", "accepted: \"update of state"],
        ),
        (
            "--condition",
            "$.ack +",
            ["--condition \"$.ack +\" is no jsonpath", CONDITIONS],
        ),
        (
            "--condition",
            "ack is null",
            ["--condition \"ack is null\"", CONDITIONS],
        ),
        (
            "--condition",
            "$.author like_regex \"(\"",
            ["--condition", CONDITIONS],
        ),
        (
            "--condition",
            "count(*)\n > 1",
            ["--condition \"count(*)\\n > 1\"", CONDITIONS],
        ),
        (
            "--condition",
            "$.ack",
            ["--condition", "is not a predicate; accepted: "],
        ),
        (
            "--order-columns",
            "nothing",
            ["--order-columns names \"nothing\"", "accepted: id, chat_id"],
        ),
        (
            "--rules",
            "insert: message:status",
            [
                "--rules: message:status of public.wa needs a payload",
                "Such as: \"payload\"",
            ],
        ),
        (
            "--payload",
            "{\"a\": \"{b}\"}",
            ["--payload: the payload of this table", "accepted:"],
        ),
        (
            "--key-case",
            "snake",
            ["--key-case is \"snake\"", "accepted: camel, as_is"],
        ),
        ("--words", "ack", ["--words", "accepted: ack=0:sent"]),
        (
            "--lookups",
            "chat=nothing",
            [
                "--lookups: the lookup \"chat\"",
                "there is no table public.nothing",
            ],
        ),
        (
            "--timezone",
            "Moon",
            ["--timezone is \"Moon\"", "pg_timezone_names"],
        ),
        (
            "--on-update",
            "typing:x",
            ["--on-update: event name \"typing:x\"", "reserved"],
        ),
    ] {
        let room = ["wa", "--on-insert", "message:new"];
        let mut launch = attach(&database, room).arg(flag).arg(value);
        if flag != "--room" {
            launch = launch.arg("--room").arg("conversation:{chat_id}");
        }
        let refused = launch.refuse(&words).await;
        assert_eq!(refused.code, Some(2), "{flag} {value}");
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    }
    attach(&database, ["nothing", "--room", "a:{b}"])
        .refuse(&[
            "there is no table \"nothing\"",
            "accepted: the name of a table",
        ])
        .await;
    for wrong in ["--nothing", ""] {
        let launch = Launch::command(["attach"]).database(&database.url);
        let launch = if wrong.is_empty() {
            launch
        } else {
            launch.arg(wrong)
        };
        let refused = launch.refuse(&["rowcast: "]).await;
        assert_eq!(refused.code, Some(2));
        assert_eq!(refused.stderr.lines().count(), 1, "{refused:?}");
    }
    assert_eq!(
        database
            .value("select count(*) from rowcast.attached")
            .await,
        "0"
    );

    // What was guessed is told.
    let told = attach(
        &database,
        [
            "wa",
            "--room",
            "conversation:{chat_id}",
            "--on-insert",
            "message:new",
        ],
    );
    let told = told.succeed().await.stderr;
    assert!(told.contains("rowcast: notice: history of public.wa is sorted by sent, a guess by its name: say so by --order-columns sent"), "{told}");
    // A table is found by the path that the role has in the database.
    database
        .run("create schema other; create table other.hidden (id int primary key, c text)")
        .await;
    let name = database.value("select current_database()").await;
    database
        .run(&format!(
            "alter database \"{name}\" set search_path = other"
        ))
        .await;
    let found = attach(
        &database,
        [
            "hidden",
            "--room",
            "conversation:{c}",
            "--on-delete",
            "message:deleted",
        ],
    );
    assert_eq!(found.succeed().await.stdout, "other.hidden is attached\n");
}

#[tokio::test]
async fn every_notice_of_attach_is_shown() {
    let database = without_chat().await;
    database
        .run(
            "create table m (id bigint, c text, at timestamptz, primary key (id, at)) partition by range (at);
             create table m_1 (like m including all);
             create table old (id uuid primary key, c text);
             select rowcast.attach('m_1', room => 'conversation:{c}', on_insert => 'message:new', order_columns => '{at}');
             alter table m attach partition m_1 default;
             select rowcast.attach('old', room => 'conversation:{c}', on_insert => 'message:new');
             alter table old rename to older; create table old (like older including all)",
        )
        .await;
    let said = |table: &'static str, flag: Option<&'static str>| {
        let arguments = [
            table,
            "--room",
            "conversation:{c}",
            "--on-insert",
            "message:new",
        ];
        flag.into_iter()
            .fold(attach(&database, arguments), Launch::arg)
    };
    let tables = [
        (
            "m",
            &["public.m_1 was attached by itself, and is captured as a part of public.m instead"][..],
        ),
        (
            "old",
            &[
                "public.older was attached as public.old, and is captured no more",
                "history of public.old is sorted by id, which is uuid and may be random",
            ],
        ),
    ];
    for flag in [Some("--dry-run"), None] {
        for (table, notices) in tables {
            let told = said(table, flag).succeed().await.stderr;
            assert_eq!(told.lines().count(), notices.len(), "{told}");
            for notice in notices {
                let line = format!("rowcast: notice: {notice}");
                assert!(told.contains(&line), "{line}: {told}");
            }
        }
    }
}
