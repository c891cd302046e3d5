//! Tables that were attached before a migration: they get what the migration mends, without being attached again, and while
//! writers write.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::Database;
use crate::harness::database::{run, value};

/// The first migrations, before the generator changed, and those after.
fn migrations() -> (Vec<String>, Vec<String>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let entries = fs::read_dir(folder).expect("a readable folder");
    let mut files: Vec<_> = entries
        .map(|entry| entry.expect("a readable folder").path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    let mut texts: Vec<_> = files
        .iter()
        .map(|path| fs::read_to_string(path).expect("a readable migration"))
        .collect();
    let later = texts.split_off(10);
    assert!(texts[9].contains("create function rowcast.emit"));
    (texts, later)
}

#[tokio::test]
async fn a_table_that_was_attached_before_is_captured_as_if_it_were_attached_now() {
    let database = Database::empty().await;
    let (first, later) = migrations();
    for migration in &first {
        database.run(migration).await;
    }
    database
        .run(
            r#"create table m (id int primary key, c text, o text);
               select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated',
                 on_delete => 'message:deleted');
               create table "Gone" (id int primary key, c text);
               select rowcast.attach('"Gone"', room => 'conversation:{c}', on_insert => 'message:new');
               drop table "Gone";
               create table old_name (id int primary key, c text, o text);
               select rowcast.attach('old_name', room => 'conversation:{c}', on_insert => 'message:new');
               alter table old_name rename to "New name""#,
        )
        .await;
    let mut before = database.connection().await;
    let failed = sqlx::raw_sql("insert into m values (0, '42', 'x')")
        .execute(&mut before)
        .await;
    failed.expect_err("the fault that is mended");

    // A writer in its transaction, and nobody waits for it, nor for the migration.
    let mut open = database.connection().await;
    run(
        &mut open,
        "begin; lock m in row exclusive mode; lock \"New name\" in row exclusive mode",
    )
    .await;
    let mut migrating = database.connection().await;
    run(&mut migrating, "set lock_timeout = '1s'; begin").await;
    for migration in &later {
        run(&mut migrating, migration).await;
    }
    let locks = "select count(*) from pg_locks where pid = pg_backend_pid()
                 and relation in ('m'::regclass, '\"New name\"'::regclass) and mode <> 'AccessShareLock'";
    assert_eq!(value(&mut migrating, locks).await, "0");
    run(&mut migrating, "commit").await;

    run(&mut open, "insert into m values (1, '42', 'x'); commit").await;
    run(
        &mut before,
        "update m set o = 'y'; delete from m; insert into \"New name\" values (1, '42', 'n')",
    )
    .await;
    let events = database
        .value("select json_agg(data order by id) from rowcast.events")
        .await;
    let row = |o: &str| json!({"message": {"id": "1", "c": "42", "o": o}, "contactId": "42"});
    assert_eq!(
        serde_json::from_str::<serde_json::Value>(&events).expect("JSON"),
        json!([row("x"), row("y"), {"messageId": "1", "contactId": "42"}, row("n")])
    );
    // Word for word what attach would write now.
    let source = "select prosrc || coalesce(array_to_string(proconfig, ' '), '') from pg_proc where proname = 'capture_public_m_update'";
    let regenerated = database.value(source).await;
    let row_sql = "select row_sql from rowcast.attached where source = 'public.m'";
    let regenerated_row = database.value(row_sql).await;
    database
        .run("select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated', on_delete => 'message:deleted')")
        .await;
    assert_eq!(database.value(source).await, regenerated);
    assert_eq!(database.value(row_sql).await, regenerated_row);
}
