//! Columns behind a foreign key: a message has a chat's number, and its room is called after the chat's jid.

use serde_json::json;
use sqlx::Connection as _;

use crate::harness::api::column;
use crate::harness::database::{run, value};
use crate::harness::wait::until;
use crate::harness::{Database, Scene, Server};
use crate::rooms_per_row::outbox;

const TABLES: &str = r#"
create table chats (id bigint generated always as identity primary key, jid text not null, title text, kind text default 'person');
create table msgs (id bigint generated always as identity primary key, chat_id bigint not null references chats, body text);
create index on msgs (chat_id, id);
insert into chats (jid, title) values ('ana@s', 'Ana'), ('beto@s', null);
select rowcast.attach('msgs', room => 'conversation:{chat.jid}', on_insert => 'message:new', on_update => 'message:updated',
  on_delete => 'message:deleted', lookups => '{"chat": {"table": "chats", "row": ["title"]}}')"#;

#[tokio::test]
async fn a_message_is_in_the_room_of_its_chat() {
    let scene = Scene::new().await;
    scene.database.run(TABLES).await;
    let mut ana = scene.joined("ana@s").await;
    scene
        .database
        .run("with c as (insert into chats (jid, title) values ('eva@s', 'Eva') returning id) insert into msgs (chat_id, body) select id, 'in one statement' from c;
              insert into msgs (chat_id, body) select n % 2 + 1, n::text from generate_series(1, 8) n")
        .await;
    let event = ana.next().await;
    assert_eq!(
        event.payload(),
        &json!({"message": {"id": "3", "chatId": "1", "body": "2", "chat": {"title": "Ana"}}, "contactId": "ana@s"})
    );
    assert_eq!(ana.take(3).await[2].body(), "8");
    let page = scene.server.read("ana@s", "messages?limit=2").await;
    assert_eq!(column(&page["messages"], "/body"), ["6", "8"]);
    assert_eq!(page["messages"][1]["chat"], json!({"title": "Ana"}));
    let older = scene.server.read("ana@s", "messages?before=7").await;
    assert_eq!(column(&older["messages"], "/body"), ["2", "4"]);
    let eva = scene.server.read("eva@s", "messages").await;
    assert_eq!(column(&eva["messages"], "/body"), ["in one statement"]);
    assert_eq!(
        scene.server.read("nobody@s", "messages").await["messages"],
        json!([])
    );
    // A message that moves to another chat leaves one room for the other.
    scene
        .database
        .run("update msgs set chat_id = 2 where id = 9")
        .await;
    let gone = ana.next().await;
    assert_eq!(
        (gone.name.as_str(), &gone.payload()["messageId"]),
        ("message:deleted", &json!("9"))
    );
    scene.assert_nothing_more("ana@s", &mut ana).await;
}

#[tokio::test]
async fn history_of_a_looked_up_room_is_read_by_indexes() {
    let database = Database::chat().await;
    database.run(TABLES).await;
    database
        .run("create unique index on chats (jid);
              insert into chats (jid) select n || '@s' from generate_series(1, 2000) n;
              insert into msgs (chat_id, body) select n % 2000 + 1, n::text from generate_series(1, 40000) n; analyze chats, msgs")
        .await;
    let server = Server::on(&database).await;
    let whole = "select sum(seq_scan) from pg_stat_user_tables where relname in ('chats', 'msgs')";
    let indexed =
        "select min(idx_scan) from pg_stat_user_tables where relname in ('chats', 'msgs')";
    // Postgres counts what its processes did when they end.
    let written =
        "select sum(n_tup_ins) from pg_stat_user_tables where relname in ('chats', 'msgs')";
    until("what was written to be counted", async || {
        (database.value(written).await == "42002").then_some(())
    })
    .await;
    let (whole_before, indexed_before) =
        (database.value(whole).await, database.value(indexed).await);
    let page = server.read("77@s", "messages").await;
    assert_eq!(column(&page["messages"], "/body").len(), 20);
    server.stop().await;
    until("the page to be counted", async || {
        (database.value(indexed).await != indexed_before).then_some(())
    })
    .await;
    assert_eq!(
        database.value(whole).await,
        whole_before,
        "no table was read as a whole"
    );
    // Without the index, it is said which one is missing.
    database
        .run("drop index msgs_chat_id_id_idx; analyze msgs")
        .await;
    let problems = database
        .value("select problems from rowcast.sources where source = 'public.msgs'")
        .await;
    assert!(
        problems.contains("create index on public.msgs (chat_id, id)"),
        "{problems}"
    );
    let mend = problems
        .rsplit_once(": ")
        .expect("a mend")
        .1
        .trim_end_matches("\"}")
        .to_owned();
    database.run(&mend).await;
    assert_eq!(
        database
            .value("select problems from rowcast.sources where source = 'public.msgs'")
            .await,
        "{}"
    );
}

#[tokio::test]
async fn whatever_happens_to_the_table_that_is_looked_up_no_writer_fails() {
    for (breakage, problem, found) in [
        (
            "alter table chats rename to people",
            "the table public.chats of the lookup \"chat\" is gone, renamed, or no table",
            false,
        ),
        (
            "drop table chats cascade",
            "the table public.chats of the lookup \"chat\" is gone, renamed, or no table",
            false,
        ),
        (
            "alter table chats rename column title to name",
            "the column title of public.chats of the lookup \"chat\" is gone",
            true,
        ),
        (
            "alter table chats drop column title",
            "the column title of public.chats of the lookup \"chat\" is gone",
            true,
        ),
        (
            "alter table chats drop column jid",
            "the column jid of public.chats of the lookup \"chat\" is gone",
            false,
        ),
        (
            "alter table chats drop column id cascade",
            "the column id of public.chats",
            false,
        ),
        (
            "alter table msgs drop constraint msgs_chat_id_fkey; alter table chats alter id drop identity; alter table chats alter id type text",
            "the type of the column id of public.chats of the lookup \"chat\" was bigint and is text",
            false,
        ),
        (
            "create type odd as enum ('ana@s', 'beto@s'); alter table chats alter jid type odd using jid::odd",
            "",
            true,
        ),
        (
            "alter table chats alter title type json using to_json(title)",
            "",
            true,
        ),
        (
            "alter table chats rename to people; create view chats as select * from people",
            "the table public.chats of the lookup \"chat\" is gone, renamed, or no table",
            false,
        ),
        (
            "alter table msgs rename column chat_id to chat",
            "the column chat_id is gone",
            false,
        ),
    ] {
        let database = Database::chat().await;
        database.run(TABLES).await;
        let server = Server::on(&database).await;
        let mut writer = database.connection().await;
        // The plans are kept.
        run(
            &mut writer,
            "insert into msgs (chat_id, body) values (1, 'before')",
        )
        .await;
        run(&mut writer, breakage).await;
        run(&mut writer, "truncate rowcast.events").await;
        run(&mut writer, "do $$ declare col text := (select attname from pg_attribute where attrelid = 'msgs'::regclass and attnum = 2); begin
                            execute format('insert into msgs (%I, body) values (1, ''after'')', col); end $$").await;
        run(
            &mut writer,
            "update msgs set body = 'changed'; delete from msgs where body = 'changed' and id = 2",
        )
        .await;
        let events = outbox_of(&database).await;
        assert_eq!(events.len(), 4, "{breakage}: {events:?}");
        let in_room = events.iter().all(|room| room == "conversation:ana@s");
        assert_eq!(in_room, found, "{breakage}: {events:?}");
        assert!(
            found || events.iter().all(String::is_empty),
            "{breakage}: {events:?}"
        );
        let problems = database
            .value("select problems from rowcast.sources where source = 'public.msgs'")
            .await;
        assert!(
            problems.replace('\\', "").contains(problem),
            "{breakage}: {problems}"
        );
        let answer = server.ask("ana@s", "messages", &[]).await;
        let has_row = answer.status == 200 && answer.body.contains("changed");
        assert_eq!(has_row, found, "{breakage}: {answer:?}");
    }
}

async fn outbox_of(database: &Database) -> Vec<String> {
    let rooms = database
        .value(
            "select coalesce(json_agg(coalesce(room, '') order by id), '[]') from rowcast.events",
        )
        .await;
    serde_json::from_str(&rooms).expect("JSON")
}

#[tokio::test]
async fn code_of_the_looked_up_table_does_not_run() {
    let database = Database::chat().await;
    database.run(TABLES).await;
    database
        .run(
            "create type mood as (x text); create table ran (who text);
             create function evil(mood) returns json language plpgsql as $$ begin insert into public.ran values (current_user); return '{}'; end $$;
             create cast (mood as json) with function evil(mood);
             alter table chats alter title type mood using row(title)::mood;
             insert into msgs (chat_id, body) values (1, 'x')",
        )
        .await;
    let events = outbox(&database).await;
    assert_eq!(events[0].2["message"]["chat"]["title"], "(Ana)");
    assert_eq!(database.value("select count(*) from ran").await, "0");
    let server = Server::on(&database).await;
    let page = server.read("ana@s", "messages").await;
    assert_eq!(page["messages"][0], events[0].2["message"]);
    assert_eq!(database.value("select count(*) from ran").await, "0");
}

#[tokio::test]
async fn neither_a_view_in_its_place_nor_the_type_of_its_key_runs_code() {
    for plant in [
        "alter table chats rename to people;
         create view chats as select id, run(jid) as jid, title from people",
        "create type odd as (x text); create function evil(odd) returns bigint language sql volatile as $$ select length(public.run('x')) $$;
         create cast (odd as bigint) with function evil(odd) as implicit;
         alter table msgs drop constraint msgs_chat_id_fkey; alter table chats drop constraint chats_pkey; alter table chats alter id drop identity;
         alter table chats alter id type odd using row(id)::odd",
    ] {
        let database = Database::chat().await;
        database.run(TABLES).await;
        let server = Server::on(&database).await;
        database
            .run("create table ran (who text); create function run(text) returns text language plpgsql as $$
                  begin insert into public.ran values (current_user); return $1; end $$")
            .await;
        database.run(plant).await;
        database.run("truncate ran; insert into msgs (chat_id, body) values (1, 'x'); update msgs set body = 'y'; delete from msgs").await;
        assert_eq!(database.value("select count(*) from ran").await, "0", "{plant}");
        database.run("insert into msgs (chat_id, body) values (1, 'x')").await;
        let answer = server.ask("ana@s", "messages", &[]).await;
        assert!(answer.status == 503 || answer.body.contains("\"messages\":[]"), "{plant}: {answer:?}");
    }
}

#[tokio::test]
async fn a_lookup_is_one_call_per_statement() {
    let database = Database::chat().await;
    database.run(TABLES).await;
    let mut writer = database.connection().await;
    run(&mut writer, "set track_functions = 'all'; insert into chats (jid) select n || '@x' from generate_series(1, 3000) n").await;
    run(&mut writer, "insert into msgs (chat_id, body) select n % 3000 + 1, n::text from generate_series(1, 6000) n; update msgs set body = body || '!'").await;
    // Postgres counts what its processes did when they end.
    writer.close().await.expect("it ends");
    let calls =
        "select sum(calls) from pg_stat_user_functions where funcname = 'lookup_public_msgs_1'";
    let calls = until("the calls to be counted", async || {
        let counted: u64 = database.value(calls).await.parse().ok()?;
        (counted > 0).then_some(counted)
    });
    assert_eq!(calls.await, 2);
    let mut writer = database.connection().await;
    let events = "select count(*), count(room) from rowcast.events";
    assert_eq!(value(&mut writer, events).await, "12000");
    let wrong = "select count(*) from rowcast.events e join chats c on c.id = (data -> 'message' ->> 'chatId')::bigint
                 where room is distinct from 'conversation:' || jid";
    assert_eq!(value(&mut writer, wrong).await, "0");
    let order = "select bool_and((data -> 'message' ->> 'id')::bigint > lag) from (select data, lag((data -> 'message' ->> 'id')::bigint)
                 over (order by id) from rowcast.events where event = 'message:new') x";
    assert_eq!(
        value(&mut writer, order).await,
        "t",
        "in the order of the rows"
    );
}

#[tokio::test]
async fn a_status_finds_the_room_of_its_message_by_way_of_the_message() {
    let scene = Scene::new().await;
    scene.database.run(TABLES).await;
    scene
        .database
        .run(
            r#"create table states (id bigint generated always as identity primary key, msg int references msgs, ack int);
               select rowcast.attach('states', room => 'conversation:{chat.jid}',
                 rules   => '[{"on": "insert", "event": "message:status", "condition": "$.chat.kind == \"person\"",
                               "payload": {"messageId": "{msg}", "status": "{ack}", "contactId": "{contactId}", "at": "{at}"}}]',
                 lookups => '{"message": {"table": "msgs", "column": "msg"}, "chat": {"table": "chats", "column": "message.chat_id"}}',
                 words   => '{"ack": {"2": "delivered"}}');
               insert into msgs (chat_id, body) values (2, 'hi')"#,
        )
        .await;
    let mut client = scene.joined("beto@s").await;
    scene.database.run("insert into states (msg, ack) values (1, 2); insert into states (msg, ack) values (1, 3)").await;
    let [first, second] = client.take(2).await.try_into().expect("two");
    assert_eq!(
        (&first.payload()["messageId"], &first.payload()["status"]),
        (&json!("1"), &json!("delivered"))
    );
    assert_eq!(
        second.payload()["status"],
        json!(3),
        "what has no word is sent as it is"
    );
}

#[tokio::test]
async fn what_is_no_lookup_is_refused_in_plain_words() {
    let database = Database::chat().await;
    database
        .run("create table chats (id bigint primary key, jid text, code text, at date unique, raw json); create view v as select 1 as id;
              create table msgs (id int primary key, chat_id bigint, other uuid, chat text)")
        .await;
    for (lookups, words) in [
        ("[]", "lookups is not understood"),
        (
            r#"{"chat": {"table": "chats", "column": "chat_id"}}"#,
            "the lookup \"chat\" has a name that a column has",
        ),
        (
            r#"{"x": {"table": "nope", "column": "chat_id"}}"#,
            "there is no table public.nope",
        ),
        (
            r#"{"x": {"table": "v", "column": "chat_id"}}"#,
            "is no ordinary table",
        ),
        (
            r#"{"x": {"table": "chats", "column": "chat_id", "key": "code"}}"#,
            "has no unique key (code)",
        ),
        (r#"{"x": {"table": "chats"}}"#, "needs \"column\""),
        (
            r#"{"x": {"table": "chats", "column": "nope"}}"#,
            "names \"nope\"",
        ),
        (
            r#"{"x": {"table": "chats", "column": "other"}}"#,
            "other is uuid, and the key of public.chats is bigint",
        ),
        (
            r#"{"x": {"table": "chats", "column": "chat_id", "key": "at"}}"#,
            "at of public.chats is date",
        ),
        (
            r#"{"x": {"table": "chats", "column": "chat_id", "row": ["raw"]}}"#,
            "names \"raw\"",
        ),
        (
            r#"{"x": {"table": "chats", "column": "chat_id", "rows": []}}"#,
            "is not understood",
        ),
        (
            r#"{"x": {"table": "chats", "column": "chat_id", "row": ["jid"]}, "y": {"table": "chats", "column": "chat_id"}}"#,
            "a lookup is not used",
        ),
        (
            r#"{"x": {"table": "chats", "column": "y.id"}, "y": {"table": "chats", "column": "x.id"}}"#,
            "lookups need each other",
        ),
    ] {
        let attach = format!(
            "select rowcast.attach('msgs', room => 'conversation:{{id}}', on_insert => 'message:new', lookups => '{lookups}')"
        );
        let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(attach))
            .execute(&database.pool)
            .await;
        let message = refused.expect_err(lookups).to_string();
        assert!(message.contains(words), "{lookups}: {message}");
    }
}
