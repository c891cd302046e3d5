//! The migrations: never edited once applied, true in their example, and refused where others were applied. And detach, which
//! must find the one table that is meant.

use sha2::{Digest as _, Sha256};

use crate::harness::database::{run, value};
use crate::harness::{Database, Launch, Server, Stock};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Every migration with the SHA-256 of its file.
const RELEASED: [(&str, &str); 48] = [
    (
        "0001_outbox.sql",
        "8a202595a90dd4209fe9dbe4f22e364183d8b0135bb5b410841f0276d3ed3af4",
    ),
    (
        "0002_epoch.sql",
        "3d51eebb1b21dd58ed1958ebc51835ed21e44ae0afa845f9ad7229dc5be4066a",
    ),
    (
        "0003_sessions.sql",
        "3608f428105696fe2abd1254c77735f5714851608bc89bdcce386ff31ad952c9",
    ),
    (
        "0004_capture.sql",
        "6fabd0e4ee3357170390e0bb214ce599417221e660704188d8be986f75af291b",
    ),
    (
        "0005_template.sql",
        "2e97c6cc8d4fa6ab17b8fc4f6814028dbcb29c7d8485aa644a095c83451819c5",
    ),
    (
        "0006_generate.sql",
        "069caa4a11c5e9062896fa5021628a851c1787c16a44d0270ca232ec82e4a383",
    ),
    (
        "0007_check.sql",
        "323abecdc0c71e70a969dcb73ebba483d5a2ee618d2af90fa371403c85fab5dd",
    ),
    (
        "0008_attach.sql",
        "8e79e2a19c52affa5f162bff7bd971da242f25b2b33bef312633774dc1c245f1",
    ),
    (
        "0009_sources.sql",
        "598a1582d946c6a3502818f96072b8281db2fae7a3d2c7a372eb1497647d16c9",
    ),
    (
        "0010_emit.sql",
        "d68586b3306be586e86c6d7dd480086ace9cec2b5e804794fab5defd6831c1f4",
    ),
    (
        "0011_capture.sql",
        "5a2698a097871a7d8e3b24e1d977dbeac368144a760b52ebd70f931093c49304",
    ),
    (
        "0012_notify.sql",
        "8b1e51d2fd0d57c59cd8febd6ce4426c21a6b5209881c8462e26a579f25a5152",
    ),
    (
        "0013_regenerate.sql",
        "38ed821226bc5ac32a8ba5b5ba2321f3f61b47aeed1a247e911613ede0d139c4",
    ),
    (
        "0014_databases.sql",
        "1c65c75751a0a67ec5f2ee15a4f465718e59eec3069071062aa8496104e9de1e",
    ),
    (
        "0016_sessions_updated.sql",
        "a3fd448ec21f59685d36141c75626ab5447d1d9a9bae91ad76cdac4eb9e7e81f",
    ),
    (
        "0020_attached_as.sql",
        "3e74f7986b5dd5c981c81b70942f6a577e3515d26650c98327e7f653372e73b1",
    ),
    (
        "0021_problems.sql",
        "61dc6f2568a47b4e76aed5f3fd1289ee55aa0f26451d7a00fbf0811404193892",
    ),
    (
        "0022_flushed.sql",
        "e69a6579ea7a4d775378b2ef37829e1283e24ea31788c5f562ba8c5c9a9fdb04",
    ),
    (
        "0031_policy.sql",
        "37911fd996bdcc6f4addf75dec6673202007c5c385af4559547a59c3380f2434",
    ),
    (
        "0032_revocations.sql",
        "45c981e946991ae2a3ab9604cdd37e9235b34d789d7bfa1e81f15892026d32d9",
    ),
    (
        "0034_unchecked.sql",
        "397873be9ce29f3624f0ed89f10d6e00ecadc1cae378aedc3943fa2d3dd168f4",
    ),
    (
        "0035_confined.sql",
        "ee7093d47e22e5c3aa65be35d90c14621d5ff7c8853d4193625c9b1fdf549801",
    ),
    (
        "0036_readers.sql",
        "a9940042101868e3688b0799264138a2c4e20e4c6040ffbca22625d4e67fb194",
    ),
    (
        "0037_secret.sql",
        "41c820a5e407d10ffa1f97e97de667a76bbc29be96880bfd3dbb59bc404be145",
    ),
    (
        "0038_turns.sql",
        "3c1a4fdd3210099c9ef43ca7fbd7857049aad72e343307dcc1369ae5e6a11ebc",
    ),
    (
        "0040_reserved.sql",
        "df4ebfdc5bb9a755854c459d1bd56155683418ef7dc5d993ead50e3af1c70fe8",
    ),
    (
        "0041_policy_confined.sql",
        "ecbc901e1848d18c724bdeb351953b0df8e26948a2abc84f4eb25f4206278ecd",
    ),
    (
        "0043_read_only.sql",
        "f4726ed821552e45f34b0e126431135183ae56c807cb8de38d5b960c7fd51182",
    ),
    (
        "0050_values.sql",
        "42ddb7bb98744ede98e67af64b6011e6d375b5573d5b56131867ad3178a4ff77",
    ),
    (
        "0051_rooms.sql",
        "e1d96415bc5c20f7ada1a22894f928339a8ab70114b86a7cd2752e1c6b830ae7",
    ),
    (
        "0052_attach.sql",
        "53ab0af941e0f57eddb25c2c9fecb89ab3554e7e1004d386cc9ebcdfaa67876e",
    ),
    (
        "0053_problems.sql",
        "9cfc1703519e8d788e32b7533a553fc493d1ecdefeeb0cd086cdbe6e89a88754",
    ),
    (
        "0054_typing.sql",
        "a417e0e2fe754ec15f703d2896e60ebfaff9d6c1b72ea04398b9b6f0adea6777",
    ),
    (
        "0055_members.sql",
        "4d05e16b708b4ef46df8396b87c8f5cb7ec109d41658014a611408ee4da5083e",
    ),
    (
        "0056_reload.sql",
        "50790c06f6e0f623dfbeabb38266f0f053eccb67aca8154d3ab37378013e858c",
    ),
    (
        "0057_trees.sql",
        "885582b32f13190f2c5849a074193529a71cb5582ea58957bbc9d57ce45298c1",
    ),
    (
        "0058_tree_problems.sql",
        "ab1acde7d9fe8db85f681f17cd02b3da2e551c220d4422cb37a4d3c01a335330",
    ),
    (
        "0059_keys.sql",
        "227376bc0c08ace93d622dba87bc8241a42ac68c1cb0ddd3f00db93744887a6a",
    ),
    (
        "0060_sessions_ended.sql",
        "3988ee23068f7ac9e73d862349b863d36265c3a49b9f819e921f048b30fb597a",
    ),
    (
        "0061_preview.sql",
        "9ea27a4e3f6c8b4ffdf8f34fbe405457c3c7b29b5b7f095b54bfe90baab7943c",
    ),
    (
        "0062_whatsapp.sql",
        "5b9d4062f53c7144b2c719d56610d469717f0b28ec8b3ced5ee61fa43e17e872",
    ),
    (
        "0063_plans.sql",
        "6ca7992aa441221aa66483db149a7daed9ad9ce6ab933a657e3ef0309f496564",
    ),
    (
        "0064_reloads.sql",
        "0d83ccdbc020a1600a1b3d1cbbfbf45c85f4d6666b914ab353819a65b43a1c83",
    ),
    (
        "0065_doubts.sql",
        "6d17dad5b35cf641a955d08c8bcab2f6bb5ac21f9783732a112887efdfb16c96",
    ),
    (
        "0066_bare_names.sql",
        "0a867cac55cc60d57a328c3b242cb3b447e332e89f5c307edefe2dba4092555d",
    ),
    (
        "chat/0001_chat.sql",
        "72bcbf3eb359b6c59ec6b21c001bfc30d53560624dd9b29b04c66e2a25136d6b",
    ),
    (
        "chat/0002_order.sql",
        "0ebd885bcdc45a9f16ed4e4f4107c156818b70809e1d950dc37185a75ef44ddb",
    ),
    (
        "chat/0003_webhook.sql",
        "c69e62070224a43d288742bcdca04e74559f17034c6f3ba7227581a4d63bcca8",
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
    assert_eq!(
        value(&mut session, "show check_function_bodies").await,
        "on"
    );
    let confined = "select current_setting('transaction_read_only') || (rowcast.confined_row(row(1)) ->> 'f1') || current_setting('transaction_read_only')";
    assert_eq!(value(&mut session, confined).await, "off1off");
}

/// `migrations/0006_generate.sql` begins with a simple table, and `migrations/0011_capture.sql` with the trigger that it gets.
#[tokio::test]
async fn the_example_of_a_trigger_is_the_one_that_attach_writes() {
    let database = Database::chat().await;
    let comment = |migration: &'static str| -> Vec<_> {
        let lines = migration.lines().map_while(|line| line.strip_prefix("--"));
        lines.map(str::trim).collect()
    };
    let intro = comment(include_str!("../../migrations/0006_generate.sql"));
    let trigger = comment(include_str!("../../migrations/0011_capture.sql"));
    let begin = trigger
        .iter()
        .position(|line| line.starts_with("create or replace function"));
    let trigger = &trigger[begin.expect("a trigger in the comment")..];
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
