//! The migrations: never edited once applied, true in their example, and refused where others were applied. And detach, which
//! must find the one table that is meant.

use sha2::{Digest as _, Sha256};

use crate::harness::database::{run, value};
use crate::harness::{Database, Launch, Server, Stock};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every migration with the SHA-256 of its file.
const RELEASED: [(&str, &str); 25] = [
    (
        "0001_outbox.sql",
        "68fd3cb21bd6401694df4f0906639035d3344888ac9de25649b710455070fcb2",
    ),
    (
        "0002_epoch.sql",
        "6ac1221ce985a2c3a82a739307df8d85907ff654c8ccde5d2a73176df87e4663",
    ),
    (
        "0003_secret.sql",
        "77dc726e4d0b37830435d1f23404327c11821bc925a57a79ea7a95965d7303cf",
    ),
    (
        "0004_sessions.sql",
        "bad87c12eecb2eb7605fbe3d2c3c72c524ca93dad776c0ac5b4b35f47963eae3",
    ),
    (
        "0005_attached.sql",
        "8899e343fc7a46300ef3763d4c19f7bae844c0348e16d22070f82ff0aafcfc87",
    ),
    (
        "0006_template.sql",
        "6fe7708fd0443ed421a081a0d10bf6ac0b08a306ad091f77b2297981e4e56d62",
    ),
    (
        "0007_values.sql",
        "aa05ef9d306ca0491c4c8552fcf3d1968dc850caff7f7669606cfbaafebda922",
    ),
    (
        "0008_unusual.sql",
        "4b13b0a0cff590ad76256c4ad22b6f30ef189e9f7a0d574e8eab0180700ceaca",
    ),
    (
        "0009_lookups.sql",
        "669dd731ec3409a8a313bde9f161eafd293b66c340f2de6fbe5854e79528dca6",
    ),
    (
        "0010_rooms.sql",
        "35f9ba666677a315695f348da49871737e2ff06a276b65ecbb97ff3a8dec1aaa",
    ),
    (
        "0011_capture.sql",
        "0e4f132d3aca3bb63a0c2a40542a55efc8fe817ee2ada11e6603e3fc82b79b80",
    ),
    (
        "0012_trees.sql",
        "655bb435f89318e7bcdf4cb42ce011882cb6fc785f4ba4b8cabd3b15f5948cbb",
    ),
    (
        "0013_check.sql",
        "183fafc038f3fb9853a230642d8909e78867665ae58ac55e7274a194508865b2",
    ),
    (
        "0014_define.sql",
        "403ba45556561dbf7715ce353647a63a0237305e7ae11683b05f98827a83934d",
    ),
    (
        "0015_doubts.sql",
        "a18333c524f523b74c3e0f3c0710ec1ed9f2f8becc6308a729dc21eb52518ddd",
    ),
    (
        "0016_attach.sql",
        "c153f99819d81fa3df07886e7c43a4b5140768fcc1ffd4cb76974ba9a902125a",
    ),
    (
        "0017_sources.sql",
        "dda9d509f841e46a6aee48ad7958a42d339ccd84526cb427b07a35c9bee56bf7",
    ),
    (
        "0018_preview.sql",
        "7700cff351837d9d94e680af4b12a653ac6a89e98e45c32f6aa11324c300a5cf",
    ),
    (
        "0019_emit.sql",
        "b2e65d127ed46fc49f2895e0f611739669e2c2fa28267d3f34503fddfc5eeb27",
    ),
    (
        "0020_policy.sql",
        "bf827e7534046d07a1437e49dcc135a09b095bbe67e00f030ecc7a3cda633c01",
    ),
    (
        "0021_whatsapp.sql",
        "ea2fe12f6fc094c05c70f1c8f12b260f2504a44ed51c4b100c53632ec762f2e7",
    ),
    (
        "0022_presence.sql",
        "b17b3bdcd00bdc67236558ba7c27e3dc1c15060f9ed5ab7f26e6a4abdfaa6538",
    ),
    (
        "chat/0001_chat.sql",
        "4be987964ae8961d118824381ad299861792b4ed77049f7ce974803bbd2d8adf",
    ),
    (
        "chat/0002_webhook.sql",
        "12eabe1dea85c316626b306eff29cedbce48781f057e0075115b8f100756fa0d",
    ),
    (
        "chat/0003_inbox.sql",
        "07e6f6e06fa8acdb3aba5bfd55d07daa97bc306ff52d7d5bcae5b166a48f1eae",
    ),
];

/// The record that a development version left: what it called its migrations, and the first bytes of their checksums.
const OF_A_DEVELOPMENT_VERSION: [(&str, &str); 10] = [
    ("outbox", "61a00e5dad1a6b25"),
    ("capture", "b45e724d964c5f2f"),
    ("template", "f8d8ca4143b5f982"),
    ("generate", "5d4a2e1c6f2eb1e8"),
    ("check", "848903553d9cd99e"),
    ("attach", "543dc0bb7aea829f"),
    ("sources", "adf43995406af65d"),
    ("emit", "a5297fa440f02ab2"),
    ("resume", "4ffa2f1df2de93f0"),
    ("whole row", "19f5de92bf5d0091"),
];

#[test]
fn an_applied_migration_is_never_edited() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut found = BTreeMap::new();
    for folder in ["", "chat/"] {
        for entry in fs::read_dir(root.join(folder)).expect("a readable folder") {
            let path = entry.expect("a readable folder").path();
            if path.extension().is_some_and(|extension| extension == "sql") {
                let name = path.file_name().expect("a name").to_string_lossy();
                let digest = Sha256::digest(fs::read(&path).expect("a readable migration"));
                let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
                found.insert(format!("{folder}{name}"), digest);
            }
        }
    }
    for (name, released) in RELEASED {
        let digest = found.remove(name);
        assert_eq!(
            digest.as_deref(),
            Some(released),
            "migrations/{name} was applied to databases as it was: add a new migration instead of editing it"
        );
    }
    assert!(
        found.is_empty(),
        "new migrations belong in RELEASED: {found:#?}"
    );
}

/// Postgres 16 and later refuse it, when a function is made and when it is called.
#[tokio::test]
async fn no_function_has_a_setting_that_belongs_to_its_transaction() {
    let database = Database::chat().await;
    let found = "select coalesce(string_agg(p.oid::regprocedure::text, ', '), 'none') from pg_proc p, unnest(p.proconfig) setting
                 where p.pronamespace = 'rowcast'::regnamespace and setting like 'transaction%'";
    assert_eq!(database.value(found).await, "none");
}

/// As `sqlx migrate run` applies them: each file in a transaction of its own, all in one session.
#[tokio::test]
async fn the_files_alone_make_the_schema_and_leave_the_session_as_it_was() {
    let database = Database::empty().await;
    let mut session = database.connection().await;
    run(&mut session, "create schema rowcast").await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let mut files: Vec<_> = fs::read_dir(root)
        .expect("a readable folder")
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "sql"))
        .collect();
    files.sort();
    for file in files {
        let sql = fs::read_to_string(&file).expect("a readable file");
        run(&mut session, "begin").await;
        run(&mut session, &sql).await;
        run(&mut session, "commit").await;
    }
    let confined = "select current_setting('transaction_read_only') || (rowcast.confined_row(row(1)) ->> 'f1') || current_setting('transaction_read_only')";
    assert_eq!(value(&mut session, confined).await, "off1off");
}

/// `migrations/0011_capture.sql` begins with a simple table, and with the trigger that it gets.
#[tokio::test]
async fn the_example_of_a_trigger_is_the_one_that_attach_writes() {
    let database = Database::chat().await;
    let intro: Vec<_> = include_str!("../../migrations/0011_capture.sql")
        .lines()
        .map_while(|line| line.strip_prefix("--"))
        .map(str::trim)
        .collect();
    let begin = intro
        .iter()
        .position(|line| line.starts_with("create or replace function"));
    let trigger = &intro[begin.expect("a trigger in the comment")..];
    let [table, call] = ["create table", "select rowcast.attach("].map(|statement| {
        let found = intro.iter().find(|line| line.starts_with(statement));
        found.unwrap_or_else(|| panic!("{statement} in the comment"))
    });
    database.run(table).await;
    let written = database
        .value(&call.replace(");", ", dry_run => true)"))
        .await;
    let inserts = written.split("\n\n").next().unwrap_or_default();
    let end = trigger.iter().position(|line| line.is_empty());
    let end = end.unwrap_or(trigger.len());
    let squeezed = |text: &str| text.split_whitespace().collect::<String>();
    assert_eq!(
        squeezed(&trigger[..end].concat()),
        squeezed(inserts),
        "the comment on top of 0011_capture.sql shows another trigger than this:\n{inserts}"
    );
}

#[tokio::test]
async fn a_database_of_a_development_version_is_refused_and_can_start_over() {
    let database = Database::chat().await;
    let id = database.say("42", "from before").await;
    database.run("create table wa_messages (id bigint primary key, c text); insert into wa_messages values (1, '42')").await;
    database
        .run("select rowcast.attach('wa_messages', room => 'conversation:{c}', on_insert => 'message:new')")
        .await;
    database.run("delete from rowcast.migrations").await;
    for (place, (description, checksum)) in OF_A_DEVELOPMENT_VERSION.iter().enumerate() {
        let version = place + 1;
        database
            .run(&format!(
                "insert into rowcast.migrations (version, description, success, checksum, execution_time)
                 values ({version}, '{description}', true, '\\x{checksum}', 0)"
            ))
            .await;
    }
    let everything = "select (select count(*) from rowcast.events) || ' ' || (select count(*) from messages) || ' '
        || (select count(*) from wa_messages) || ' ' || (select count(*) from rowcast.migrations)";
    let before = database.value(everything).await;
    for command in [["serve"], ["migrate"]] {
        let words = [
            "development version",
            "`drop schema rowcast cascade`",
            "attach",
        ];
        Launch::command(command)
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "")
            .database(&database.url)
            .refuse(&words)
            .await;
    }
    assert_eq!(
        database.value(everything).await,
        before,
        "nothing is touched"
    );

    // What the line says works.
    database.run("drop schema rowcast cascade").await;
    let migrated = Launch::command(["migrate", "--chat"]).database(&database.url);
    migrated.succeed().await;
    database
        .run("select rowcast.attach('wa_messages', room => 'conversation:{c}', on_insert => 'message:new')")
        .await;
    let left = "select (select body from messages) || ' ' || (select count(*) from wa_messages)";
    assert_eq!(database.value(left).await, "from before 1");
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.report(&id, "read").await;
    assert_eq!(client.next().await.payload()["status"], "read");
    database.say("42", "from after").await;
    assert_eq!(client.next().await.body(), "from after");
    database
        .run("insert into wa_messages values (2, '42')")
        .await;
    assert_eq!(client.next().await.name, "message:new");
}

#[tokio::test]
async fn a_database_of_a_later_version_asks_for_that_version() {
    let database = Database::chat().await;
    for table in ["migrations", "chat_migrations"] {
        let database = Database::chat().await;
        database
            .run(&format!(
                "insert into rowcast.{table} (version, description, success, checksum, execution_time)
                 values (9001, 'of a later version', true, '\\x00', 0)"
            ))
            .await;
        Launch::command(["migrate", "--chat"])
            .database(&database.url)
            .refuse(&["a later version of Rowcast has migrated this database"])
            .await;
    }
    Launch::command(["migrate", "--chat"])
        .database(&database.url)
        .succeed()
        .await;
}

#[tokio::test]
async fn the_chat_tables_do_not_take_the_place_of_others() {
    for others in [
        "create table messages (id uuid primary key)",
        "create view message_statuses as select 1 as id",
        "create table message_statuses (id bigint primary key)",
    ] {
        let database = Database::empty().await;
        database.run(others).await;
        Launch::command(["migrate", "--chat"])
            .database(&database.url)
            .refuse(&["the chat tables", "another public.messages"])
            .await;
    }
}

#[tokio::test]
async fn detach_takes_no_other_table() {
    let database = Database::chat().await;
    let detach = async |name: &str| {
        let quoted = name.replace('\'', "''");
        database
            .value(&format!("select rowcast.detach('{quoted}')"))
            .await
    };
    for name in ["waxmessages", "\"100%\"", "\"Wa.Messages\"", "a", "s.a"] {
        database
            .run(&format!(
                "create schema if not exists s; create table {name} (id int primary key, c text);
                 select rowcast.attach('{name}', room => 'conversation:{{c}}', on_insert => 'message:new')"
            ))
            .await;
    }
    // Neither a pattern, nor the end of a name, nor a name that says two tables.
    for none in [
        "wa_messages",
        "\"%\"",
        "\"Messages\"",
        "public.b",
        "\"_\"",
        "messages_",
    ] {
        assert_eq!(detach(none).await, format!("{none} was not attached"));
    }
    let two = sqlx::query("select rowcast.detach('a')")
        .execute(&database.pool)
        .await;
    let two = two.expect_err("there are two").to_string();
    assert!(two.contains("called a: public.a, s.a; say which"), "{two}");
    // Names are written as attach takes them.
    for (name, source) in [
        ("s.a", "s.a"),
        ("A", "public.a"),
        ("waxmessages", "public.waxmessages"),
        ("\"100%\"", "public.\"100%\""),
        ("public.\"Wa.Messages\"", "public.\"Wa.Messages\""),
    ] {
        assert_eq!(detach(name).await, format!("{source} is detached"));
    }
    database.run("alter table messages rename to letters").await;
    assert_eq!(detach("letters").await, "public.messages is detached");
    assert_eq!(detach("messages").await, "messages was not attached");
    let left = "select count(*) from pg_proc where pronamespace = 'rowcast'::regnamespace and proname ~ '^capture_.*_(insert|update|delete)$'";
    assert_eq!(database.value(left).await, "0");
}
