//! Tables that were attached before a migration: they get what the migration mends, without being attached again, and while
//! writers write.

use serde_json::json;

use crate::harness::database::{run, value};
use crate::history_tables::without_chat;

/// What an earlier generator might have written: functions that fail their writers, and rows of another form.
const FAULT: &str = r"
do $$
declare
  f record;
begin
  for f in select p.proname from pg_proc p where p.pronamespace = 'rowcast'::regnamespace and p.proname ~ '^capture_.*_(insert|update|delete)$' loop
    execute format('create or replace function rowcast.%I() returns trigger language plpgsql as $fault$ begin raise exception ''the fault''; end $fault$', f.proname);
  end loop;
  update rowcast.attached set row_sql = 'null';
end $$";

#[tokio::test]
async fn a_table_that_was_attached_before_is_captured_as_if_it_were_attached_now() {
    let database = without_chat().await;
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
    database.run(FAULT).await;
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
    // As a migration ends that changes what attach writes.
    run(&mut migrating, "select rowcast.regenerate()").await;
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
