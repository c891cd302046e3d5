//! What a role may plant in a schema of the path runs as itself alone: never as the server's role, nor as the migrator's.

use serde_json::json;

use crate::doctor::Role;
use crate::harness::{Database, Launch, Stock};

/// Runs as whoever may create in `public`. Functions with the names and arguments of Postgres's own, and some that fit ours better;
/// operators; types and tables with the names of Postgres's and of ours. Each that runs says as whom, or fails what called it.
const PLANT: &str = r#"
set search_path = pg_catalog, pg_temp;
create table public.ran (who text, what text);
grant all on public.ran to public;
do $plant$
declare
  f record;
  t text;
  planted int := 0;
  body constant text := $b$ begin
    begin insert into public.ran values (current_user, %L); exception when others then null; end;
    raise exception 'planted: %s'; end $b$;
begin
  for f in
    select proname, oidvectortypes(proargtypes) as arguments, case when proretset then 'setof ' else '' end || format_type(prorettype, null) as result
    from pg_proc where pronamespace = 'pg_catalog'::regnamespace and prokind = 'f' and proname in (
      'format', 'current_setting', 'set_config', 'to_jsonb', 'row_to_json', 'to_json', 'jsonb_build_object', 'json_build_object',
      'octet_length', 'length', 'substr', 'strpos', 'concat', 'concat_ws', 'coalesce', 'greatest', 'left', 'replace', 'md5', 'encode',
      'decode', 'quote_ident', 'quote_literal', 'unnest', 'array_agg', 'now', 'clock_timestamp', 'pg_notify', 'date_trunc', 'to_char',
      'pg_current_snapshot', 'pg_snapshot_xmax', 'pg_snapshot_xip', 'pg_visible_in_snapshot', 'pg_current_xact_id', 'pg_backend_pid',
      'pg_try_advisory_lock', 'pg_try_advisory_lock_shared', 'pg_advisory_unlock', 'pg_advisory_unlock_shared', 'pg_is_in_recovery',
      'pg_advisory_xact_lock', 'pg_notification_queue_usage', 'pg_control_system', 'pg_control_checkpoint', 'pg_current_wal_insert_lsn',
      'pg_current_wal_flush_lsn', 'pg_walfile_name', 'pg_column_size', 'pg_column_compression', 'has_table_privilege',
      'has_schema_privilege', 'has_function_privilege', 'row_security_active', 'pg_get_userbyid', 'pg_get_expr', 'parse_ident',
      'format_type', 'to_regclass', 'to_regnamespace', 'gen_random_uuid', 'generate_series', 'regexp_matches', 'json_array_elements',
      'jsonb_array_elements', 'jsonb_array_elements_text', 'jsonb_each', 'jsonb_populate_record', 'pg_relation_size',
      'pg_total_relation_size', 'pg_postmaster_start_time', 'split_part', 'make_interval', 'timezone', 'sha256', 'uuid_send', 'lpad',
      'to_hex', 'get_byte', 'pg_blocking_pids', 'jsonb_path_query_array', 'array_position', 'age', 'pg_has_role', 'aclexplode')
    union all
    select * from (values ('format', 'text, name, name', 'text'), ('format', 'text, text, text', 'text'), ('format', 'text, name', 'text'),
      ('concat_ws', 'text, text, text', 'text'), ('concat', 'text, text', 'text'), ('strpos', 'text, character varying', 'integer'),
      ('has_table_privilege', 'oid, character varying', 'boolean'), ('coalesce', 'text, text', 'text'), ('count', 'anyelement', 'bigint'),
      ('string_agg', 'text, text', 'text'), ('json_build_object', 'text, text, text, text', 'json')) own
  loop
    begin
      execute format('create function public.%I(%s) returns %s language plpgsql as %L', f.proname, f.arguments, f.result,
                     format(body, f.proname, f.proname));
      planted := planted + 1;
    exception when others then null; -- Of arguments that only C can take.
    end;
  end loop;
  for f in
    select distinct o.oprname, format_type(a.l, null) as l, format_type(a.r, null) as r
    from pg_operator o cross join (values ('jsonb'::regtype, 'jsonb'::regtype), ('jsonb', 'text'), ('text', 'text'), ('name', 'text'),
      ('name', 'name'), ('oid', 'oid'), ('oid', 'regclass'), ('int4', 'int4'), ('int8', 'int8'), ('int8', 'int4'), ('bytea', 'bytea'),
      ('xid8', 'xid8'), ('timestamptz', 'interval'), ('timestamptz', 'timestamptz'), ('text', 'varchar'), ('bool', 'bool')) a (l, r)
    where o.oprname in ('=', '<', '<=', '>=', '<>', '->', '->>', '||', '@@', '?', '#>>', '+', '-', '@>', '~')
  loop
    t := 'op' || planted;
    begin
      execute format('create function public.%I(%s, %s) returns boolean language plpgsql as %L', t, f.l, f.r, format(body, f.oprname, 'op'));
      execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.%I)', f.oprname, f.l, f.r, t);
      planted := planted + 1;
    exception when others then null;
    end;
  end loop;
  foreach t in array array['text', 'jsonb', 'int8', 'regclass', 'regnamespace', 'pg_snapshot', 'timestamptz', 'name'] loop
    execute format('create type public.%I as enum ()', t);
  end loop;
  foreach t in array array['events', 'sessions', 'epoch', 'attached', 'sources', 'pg_class', 'pg_proc', 'pg_namespace', 'pg_locks',
                           'pg_database', 'pg_attribute', 'pg_type', 'pg_roles', 'pg_trigger', 'pg_settings', 'pg_stat_activity'] loop
    execute format('create table public.%I ()', t);
    execute format('grant all on public.%I to public', t);
  end loop;
  if planted < 200 then
    raise exception 'only % were planted', planted;
  end if;
end $plant$"#;

#[tokio::test]
async fn nothing_that_is_planted_in_the_path_runs_as_ours() {
    let database = Database::empty().await;
    let roles = [
        Role::bare(&database).await,
        Role::bare(&database).await,
        Role::bare(&database).await,
    ];
    let [mallory, owner, server] = &roles;
    database
        .run(&format!(
            "grant all on schema public to {0}, {1}; grant create on database {2} to {1};
             alter role {1} set search_path = public, pg_catalog; alter role {3} set search_path = public, pg_catalog",
            mallory.name,
            owner.name,
            database.value("select current_database()").await,
            server.name,
        ))
        .await;
    Database::at(mallory.url.clone()).run(PLANT).await;

    Launch::command(["migrate", "--chat"])
        .database(&owner.url)
        .succeed()
        .await;
    // The role of the policy is the cluster's, and for others to give.
    database
        .run(&format!(
            "do $$ begin create role rowcast_policy nologin; exception when duplicate_object then null; end $$;
             grant rowcast_policy to {}",
            server.name
        ))
        .await;
    Launch::command(["grant", &server.name, "--apply"])
        .database(&owner.url)
        .succeed()
        .await;
    Database::at(owner.url.clone())
        .run(&format!(
            "grant select on public.messages to {0}, {1}",
            server.name, mallory.name
        ))
        .await;
    let serving = Launch::serve().database(&server.url).start().await;
    serving.readiness(200).await;
    let stock = Stock::start();
    let mut client = stock.joined(&serving, "42").await;
    let offset = serving.offset("42").await;
    database
        .run("insert into public.messages (contact_id, body) values ('42', 'hello')")
        .await;
    assert_eq!(client.event("message:new").await.body(), "hello");
    let history = serving.read("42", "messages?limit=10").await;
    assert_eq!(history["messages"][0]["body"], "hello");
    let events = serving.read("42", &format!("events?after={offset}")).await;
    assert_eq!(events["events"].as_array().map(Vec::len), Some(1));
    // A resume takes the session over, on another connection.
    client.cut();
    client.connected().await;
    database
        .run("insert into public.messages (contact_id, body) values ('42', 'again')")
        .await;
    assert_eq!(client.event("message:new").await.body(), "again");
    assert_eq!(client.ask("typing:start", json!(["42"])).await["ok"], true);
    let examined = Launch::command(["doctor", "--json"])
        .database(&server.url)
        .end()
        .await;
    assert!(!examined.stdout.contains("planted"), "{}", examined.stdout);
    let lines = serving.lines().join("\n");
    assert!(!lines.contains("planted"), "{lines}");
    serving.stop().await;
    let ran = database
        .value(
            "select coalesce(string_agg(who || ' ran ' || what, ', '), 'nothing') from public.ran",
        )
        .await;
    assert_eq!(ran, "nothing");
    for role in roles {
        role.gone(&database).await;
    }
}
