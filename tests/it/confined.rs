//! Code that an attached table brings along runs without rights: not as the owner of the schema, not as the server's role. And who
//! attaches a table must be able to read it.

use serde_json::Value;

use crate::doctor::Role;
use crate::harness::database::{connection, run, value};
use crate::harness::{Database, Launch, Postgres, Server, Stock};

/// A type of the role's own, whose cast to json says who runs it and what that one can do.
const CAST: &str = "
create table public.seen (who text);
grant all on public.seen to public;
create type public.evil as enum ('a', 'b');
create function public.evil_json(public.evil) returns json language plpgsql as $$
declare said text := current_user;
begin
  perform set_config('search_path', 'public, pg_catalog', false);
  begin perform set_config('transaction_read_only', 'off', false); said := said || ' ends read-only'; exception when others then null; end;
  begin insert into public.seen values (current_user); said := said || ' writes'; exception when others then null; end;
  begin alter function rowcast.confined_row(record) security invoker; said := said || ' alters'; exception when others then null; end;
  begin perform 1 from rowcast.sessions; said := said || ' reads'; exception when others then null; end;
  begin perform rowcast.server_secret(); said := said || ' knows'; exception when others then null; end;
  return to_json(said);
end $$;
create table public.traps (id int primary key, c text, e public.evil);";
const ATTACH: &str = "select rowcast.attach('public.traps', room => 'conversation:{c}', on_insert => 'message:new', on_update => 'message:updated',
  on_delete => 'message:deleted')";
/// Fits better than Postgres's own where it is in the path.
const PLANTED: &str = "create function public.octet_length(text) returns int language plpgsql as $$ begin raise exception 'planted'; end $$";
const PLANT: &str = "create cast (public.evil as json) with function public.evil_json(public.evil)";

#[tokio::test]
async fn a_cast_of_a_table_owners_runs_without_rights() {
    let database = Database::chat().await;
    let mallory = Role::granted(&database, ["--attach"]).await;
    let server_role = Role::granted(&database, []).await;
    database
        .run(&format!("grant all on schema public to {}", mallory.name))
        .await;
    let mut theirs = connection(&mallory.url).await;
    run(&mut theirs, CAST).await;
    run(&mut theirs, ATTACH).await;
    run(
        &mut theirs,
        &format!("grant select on public.traps to {}", server_role.name),
    )
    .await;
    // The session has planned its writes before there is a cast.
    run(
        &mut theirs,
        "insert into public.traps values (1, '42', 'a')",
    )
    .await;
    run(&mut theirs, PLANT).await;
    let written = "insert into public.traps values (2, '42', 'b'); update public.traps set c = '43' where id = 2; delete from public.traps";
    run(&mut theirs, written).await;
    let said = "select string_agg(distinct data #>> '{message,e}', ', ') from rowcast.events where (data -> 'message')::jsonb ? 'e'";
    assert_eq!(database.value(said).await, "a, rowcast_capture");

    // History, as the server's role: also of the table that is read next, when the path was changed.
    run(&mut theirs, PLANTED).await;
    database
        .run(&format!(
            "create table public.zz (id int primary key, c text); grant select on public.zz to {};
             select rowcast.attach('public.zz', room => 'conversation:{{c}}', on_insert => 'message:new');
             insert into public.zz values (1, '44')",
            server_role.name
        ))
        .await;
    run(
        &mut theirs,
        "insert into public.traps values (3, '44', 'b')",
    )
    .await;
    let serving = Launch::serve().database(&server_role.url).start().await;
    let page = serving.read("44", "messages").await;
    assert_eq!(page["messages"][0]["e"], "rowcast_capture", "{page}");
    assert_eq!(page["messages"].as_array().map(Vec::len), Some(2), "{page}");
    assert_eq!(
        database.value("select count(*) from public.seen").await,
        "0"
    );
    serving.stop().await;
    drop(theirs);
    server_role.gone(&database).await;
    mallory.gone(&database).await;
}

#[tokio::test]
async fn what_is_altered_or_dropped_is_not_trusted_and_mended() {
    let database = Database::chat().await;
    database
        .run(&format!(
            "{CAST} {ATTACH}; {PLANT}; alter function rowcast.confined_row(record) security invoker;
             alter function rowcast.bounded_value(anyelement) security invoker; insert into public.traps values (1, '42', 'a')"
        ))
        .await;
    let last = "select data #>> '{message,e}' from rowcast.events order by id desc limit 1";
    assert_eq!(database.value(last).await, "a", "as Postgres prints it");
    database
        .run("drop function rowcast.confined_row(record); insert into public.traps values (2, '42', 'b')")
        .await;
    assert_eq!(database.value(last).await, "b");
    assert_eq!(database.value("select rowcast.confine()").await, "");
    database
        .run("insert into public.traps values (3, '42', 'b')")
        .await;
    assert_eq!(database.value(last).await, "rowcast_capture");
    assert_eq!(
        database.value("select count(*) from public.seen").await,
        "0"
    );
}

/// The doctor's finding of that name that is not ok.
async fn finding(url: &str, check: &str) -> Option<Value> {
    let ended = Launch::command(["doctor", "--json"])
        .database(url)
        .end()
        .await;
    let report: Value = serde_json::from_str(&ended.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    let found = findings
        .iter()
        .find(|finding| finding["check"] == check && finding["level"] != "ok");
    found.cloned()
}

#[tokio::test]
async fn where_no_role_can_be_made_capture_works_and_the_doctor_says_so() {
    let postgres = Postgres::start().await;
    let admin = Database::at(postgres.url());
    admin
        .run("create role plain login; grant all on database postgres to plain; grant all on schema public to plain")
        .await;
    let url = postgres.url().replacen("postgres@", "plain@", 1);
    Launch::command(["migrate", "--chat"])
        .database(&url)
        .succeed()
        .await;
    let database = Database::at(url.clone());
    database
        .run(&format!(
            "{CAST} {ATTACH}; {PLANT}; insert into public.traps values (1, '42', 'a')"
        ))
        .await;
    // It runs as the owner of the schema, who is the table's owner here; and changes nothing.
    let said = database
        .value("select data #>> '{message,e}' from rowcast.events order by id desc limit 1")
        .await;
    assert!(
        said.starts_with("plain") && !said.contains("writes"),
        "{said}"
    );
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "hello").await;
    assert_eq!(client.event("message:new").await.body(), "hello");
    let told = finding(&url, "confined").await.expect("the doctor says so");
    assert!(told["said"].to_string().contains("plain"), "{told}");
    server.stop().await;
    // What it says to paste mends it.
    admin
        .run("create role rowcast_capture nologin; grant rowcast_capture to plain")
        .await;
    assert_eq!(database.value("select rowcast.confine()").await, "");
    assert_eq!(finding(&url, "confined").await, None);
    database
        .run("insert into public.traps values (2, '42', 'a')")
        .await;
    let said = database
        .value("select data #>> '{message,e}' from rowcast.events order by id desc limit 1")
        .await;
    assert_eq!(said, "rowcast_capture");
}

#[tokio::test]
async fn who_attaches_a_table_must_be_able_to_read_all_of_it() {
    let database = Database::chat().await;
    let mallory = Role::granted(&database, ["--attach"]).await;
    database
        .run(
            "create table public.payroll (id int primary key, c text, salary int);
              create table public.mine (id int primary key, c text, salary int)",
        )
        .await;
    let attach = |table: &str| {
        format!(
            "select rowcast.attach('public.{table}', room => 'conversation:{{c}}', on_insert => 'message:new')"
        )
    };
    let refused = async |sql: String, words: &str| {
        let mut theirs = connection(&mallory.url).await;
        let done = sqlx::raw_sql(sqlx::AssertSqlSafe(sql.clone()))
            .execute(&mut theirs)
            .await;
        let said = done.expect_err(&sql).to_string();
        assert!(said.contains(words), "{said}");
    };
    refused(attach("payroll"), "may not read public.payroll").await;
    refused(
        attach("payroll").replace("on_insert", "dry_run => true, on_insert"),
        "may not read public.payroll",
    )
    .await;
    // A role that was set counts, and not the one that logged in.
    let mut admin = database.connection().await;
    run(&mut admin, &format!("set role {}", mallory.name)).await;
    let done = sqlx::raw_sql(sqlx::AssertSqlSafe(attach("payroll")))
        .execute(&mut admin)
        .await;
    done.expect_err("as that role");
    // Some columns are not all, and neither are some rows.
    database
        .run(&format!(
            "grant select (id, c) on public.payroll to {}",
            mallory.name
        ))
        .await;
    refused(attach("payroll"), "may not read public.payroll").await;
    database
        .run(&format!(
            "grant select on public.mine to {0}; alter table public.mine enable row level security;
             create policy own on public.mine for select to {0} using (salary < 10)",
            mallory.name
        ))
        .await;
    refused(attach("mine"), "row security may hide rows of public.mine").await;
    // Attached by its owner, it is not for others to attach again, or to detach.
    database.run(&attach("payroll")).await;
    refused(
        "select rowcast.detach('public.payroll')".to_owned(),
        "may not read public.payroll, and so not detach it",
    )
    .await;
    refused(
        attach("payroll").replace("conversation:{c}", "conversation:mallory"),
        "may not read public.payroll",
    )
    .await;
    database
        .run(&format!(
            "grant select on public.payroll to {}",
            mallory.name
        ))
        .await;
    run(&mut admin, &attach("payroll")).await;
    let attached = "select count(*) from rowcast.attached where source = 'public.payroll'";
    assert_eq!(value(&database.pool, attached).await, "1");
    drop(admin);
    mallory.gone(&database).await;
}

#[tokio::test]
async fn functions_that_a_restore_gave_to_somebody_else_are_mended_by_migrate() {
    let database = Database::chat().await;
    database
        .run(&format!(
            "alter function rowcast.confined_row(record) owner to current_user; alter function rowcast.bounded_value(anyelement) owner to current_user;
             {CAST} {ATTACH}; {PLANT}"
        ))
        .await;
    assert!(finding(&database.url, "confined").await.is_some());
    Launch::command(["migrate"])
        .database(&database.url)
        .succeed()
        .await;
    assert_eq!(finding(&database.url, "confined").await, None);
    database
        .run("insert into public.traps values (1, '42', 'a')")
        .await;
    let said = "select data #>> '{message,e}' from rowcast.events order by id desc limit 1";
    assert_eq!(database.value(said).await, "rowcast_capture");
}

/// Postgres runs a function of an index when it plans a read: in a session that has not read the table, as whoever reads.
const PLANNED: &str = "
create function public.told(int) returns int language plpgsql volatile as $$
begin execute 'insert into public.seen values (current_user)'; return 1; end $$;
create function public.evil_plan(int) returns int language plpgsql immutable as $$
begin if current_user <> MALLORY then perform public.told(1); end if; return 1; end $$;
create table public.seen (who text);
grant all on public.seen to public;
create table public.people (id int primary key, name text);
create index on public.people ((public.evil_plan(1)));
insert into public.people values (1, 'Ana');
grant select, trigger on public.people to OWNER;
create table public.notes (id int primary key, person int, room text);
grant select, trigger on public.notes to OWNER;";

#[tokio::test]
async fn what_is_planned_for_a_preview_or_a_lookup_runs_no_code() {
    let database = Database::chat().await;
    let mallory = Role::granted(&database, ["--attach"]).await;
    database
        .run(&format!("grant all on schema public to {}", mallory.name))
        .await;
    let owner = database
        .value("select pg_get_userbyid(nspowner) from pg_namespace where nspname = 'rowcast'")
        .await;
    let plant = PLANNED.replace("MALLORY", &format!("'{}'", mallory.name));
    run(
        &mut connection(&mallory.url).await,
        &plant.replace("OWNER", &owner),
    )
    .await;
    let seen = "select count(*) from public.seen";
    // A new session each time: none has planned a read of that table.
    let preview = r#"select rowcast.preview('public.people', '{"room": "k:{name}", "on_insert": "message:new"}') ->> 'unread'"#;
    let unread = value(&mut connection(&mallory.url).await, preview).await;
    assert!(unread.contains("runs code"), "{unread}");
    assert_eq!(database.value(seen).await, "0");
    let attach = r#"select rowcast.attach('public.notes', room => 'k:{room}', on_insert => 'message:new',
        lookups => '{"p": {"table": "public.people", "column": "person", "key": "id", "row": ["name"]}}')"#;
    run(&mut connection(&mallory.url).await, attach).await;
    let insert = "insert into public.notes values (1, 1, 'x')";
    run(&mut connection(&mallory.url).await, insert).await;
    assert_eq!(database.value(seen).await, "0");
    let event = "select count(*) from rowcast.events where room = 'k:x'";
    assert_eq!(database.value(event).await, "1", "no writer fails");
}
