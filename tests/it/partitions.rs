//! Partitioned tables with their partitions, inheritance, triggers for each row: a row is captured once, whatever a statement names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::harness::wait::until_for;
use crate::harness::{Database, Scene, database};
use crate::history_tables::without_chat;

const PARTED: &str = "
create table m (id bigint, chat text not null, body text, state text default 'sent', at timestamptz not null, primary key (id, at))
  partition by range (at);
create table m_1 partition of m for values from ('2026-01-01') to ('2026-02-01');
-- Its columns are in another order, and one is gone.
create table m_2 (state text, junk int, at timestamptz not null, body text, id bigint not null, chat text not null);
alter table m_2 drop column junk;
alter table m attach partition m_2 for values from ('2026-02-01') to ('2026-03-01');";

const ATTACH: &str = "select rowcast.attach('m', room => 'conversation:{chat}', on_insert => 'message:new', on_update => 'message:updated',
  on_delete => 'message:deleted', rules => '[{\"on\": \"update\", \"columns\": [\"state\"], \"event\": \"message:status\"}]',
  order_columns => '{at}'";

/// What was written since the last call: the event, and the body or the id of its row.
async fn told(database: &Database) -> Vec<String> {
    let told = database
        .value(
            "with gone as (delete from rowcast.events returning id, event, data)
             select coalesce(json_agg(concat_ws(' ', event, coalesce(data -> 'message' ->> 'body', data ->> 'messageId')) order by id), '[]')
             from gone",
        )
        .await;
    serde_json::from_str(&told).expect("JSON")
}

async fn problems(database: &Database, source: &str) -> String {
    database
        .value(&format!(
            "select array_to_string(problems, '; ') from rowcast.sources where source = '{source}'"
        ))
        .await
}

async fn follow(database: &Database) -> String {
    database
        .value(
            "select coalesce(string_agg(line, '; '), 'nothing') from rowcast.follow_tables() line",
        )
        .await
}

#[tokio::test]
async fn a_row_of_a_partitioned_table_is_captured_once_whatever_a_statement_names() {
    let database = Database::chat().await;
    database.run(PARTED).await;
    database.run(&format!("{ATTACH})")).await;
    database
        .run(
            "insert into m (id, chat, body, at) values (1, 'a', 'one', '2026-01-05'), (2, 'a', 'two', '2026-02-05');
             insert into m_2 (id, chat, body, at) values (3, 'a', 'three', '2026-02-06');
             with v as (select 4, 'a', 'four', '2026-01-06'::timestamptz) insert into m_1 (id, chat, body, at) select * from v",
        )
        .await;
    let shown = database
        .value("select string_agg(data ->> 'message', ' ' order by id) from rowcast.events where event = 'message:new'")
        .await;
    let row = |id: u8, body: &str, state: &str, at: &str| {
        format!(
            "{{\"id\":\"{id}\",\"chat\":\"a\",\"body\":\"{body}\",\"state\":{state},\"at\":\"2026-{at}T00:00:00Z\"}}"
        )
    };
    assert_eq!(
        shown,
        [
            row(1, "one", "\"sent\"", "01-05"),
            row(2, "two", "\"sent\"", "02-05"),
            row(3, "three", "null", "02-06"),
            row(4, "four", "\"sent\"", "01-06")
        ]
        .join(" ")
    );
    told(&database).await;

    // Rows that move from one partition to another are told once, in the order of their rows. Their key changes.
    database
        .run("update m set at = '2026-02-20', body = 'moved' where id = 1; update m set at = '2026-01-20', state = 'read' where id = 3")
        .await;
    assert_eq!(
        told(&database).await,
        [
            "message:deleted 1:2026-01-05T00:00:00Z",
            "message:new moved",
            "message:deleted 3:2026-02-06T00:00:00Z",
            "message:new three"
        ]
    );
    database
        .run(
            "delete from m_1 where id = 4;
             insert into m (id, chat, body, at) values (2, 'a', 'again', '2026-02-05') on conflict (id, at) do update set body = excluded.body;
             update m_2 set state = 'read' where id = 2",
        )
        .await;
    assert_eq!(
        told(&database).await,
        [
            "message:deleted 4:2026-01-06T00:00:00Z",
            "message:updated again",
            "message:status 2:2026-02-05T00:00:00Z"
        ]
    );

    // Detached: the transaction that detaches lets it go. What comes is followed.
    database
        .run(
            "begin; alter table m detach partition m_1; insert into m_1 (id, chat, body, at) values (9, 'a', 'loose', '2026-01-06'); commit;
             create table m_3 partition of m for values from ('2026-03-01') to ('2026-04-01')",
        )
        .await;
    assert!(told(&database).await.is_empty());
    assert_eq!(
        problems(&database, "public.m").await,
        "rows that are written to its part public.m_3 by that name are not sent: select rowcast.follow_tables()"
    );
    assert_eq!(
        follow(&database).await,
        "public.m: writes to public.m_3 are captured from now on; public.m: the triggers of public.m_1 are as they should be"
    );
    assert_eq!(follow(&database).await, "nothing");
    assert_eq!(problems(&database, "public.m").await, "");
    database
        .run(
            "insert into m_3 (id, chat, body, at) values (10, 'a', 'followed', '2026-03-06');
             -- Two levels, and rows of before: some may have been written by the partition's name.
             create table m_4 (id bigint not null, chat text not null, body text, state text, at timestamptz not null) partition by list (chat);
             create table m_4a partition of m_4 default;
             insert into m_4a (id, chat, body, at) values (11, 'a', 'early', '2026-04-06');
             alter table m drop constraint m_pkey; alter table m attach partition m_4 for values from ('2026-04-01') to ('2026-05-01')",
        )
        .await;
    assert_eq!(told(&database).await, ["message:new followed"]);
    assert!(follow(&database).await.contains(
        "public.m: writes to public.m_4a are captured from now on, and listeners are told to reload"
    ));
    database
        .run(
            "insert into m_4a (id, chat, body, at) values (12, 'a', 'leaf', '2026-04-06');
             insert into m_4 (id, chat, body, at) values (13, 'a', 'branch', '2026-04-06');
             insert into m (id, chat, body, at) values (14, 'a', 'root', '2026-04-06')",
        )
        .await;
    assert_eq!(
        told(&database).await,
        [
            "reload",
            "message:new leaf",
            "message:new branch",
            "message:new root"
        ]
    );
    // One statement truncates a table with its parts: that is told once.
    database.run("truncate m").await;
    assert_eq!(told(&database).await, ["reload"]);
    database
        .run("begin; truncate m_3; insert into m (id, chat, body, at) values (15, 'a', 'between', '2026-03-06'); truncate m; commit; delete from m_1")
        .await;
    // So is one transaction, after all that it wrote before the last.
    assert_eq!(told(&database).await, ["message:new between", "reload"]);
    database.run("select rowcast.detach('m')").await;
    let left = "select count(*) from pg_trigger where tgname ~ '^rowcast' and tgrelid in (select oid from pg_class where relname ~ '^m(_[0-9].*)?$')";
    assert_eq!(database.value(left).await, "0");
    let left = "select count(*) from pg_proc where proname ~ '^capture_public_m_'";
    assert_eq!(database.value(left).await, "0");
}

#[tokio::test]
async fn what_came_while_a_partition_was_away_is_told_when_it_is_back() {
    let database = without_chat().await;
    database
        .run(
            "create table m (id int, chat text, at int not null default 1) partition by range (at);
             create table m_1 partition of m for values from (1) to (5) partition by list (id);
             create table m_1a partition of m_1 default;
             create table m_2 partition of m for values from (5) to (9);
             create table h (id int, chat text); create table h_1 () inherits (h);
             insert into m values (1, 'a', 1); insert into h_1 values (1, 'a');
             select rowcast.attach(t, room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{id}') from unnest('{m,h}'::text[]) t",
        )
        .await;
    assert_eq!(follow(&database).await, "nothing");
    for (table, away, back) in [
        (
            "m_1a",
            "alter table m_1 detach partition m_1a",
            "alter table m_1 attach partition m_1a default",
        ),
        // What is below went with it.
        (
            "m_1a",
            "alter table m detach partition m_1",
            "alter table m attach partition m_1 for values from (1) to (5)",
        ),
        (
            "h_1",
            "alter table h_1 no inherit h",
            "alter table h_1 inherit h",
        ),
    ] {
        database
            .run(&format!(
                "{away}; insert into {table} values (2, 'a'); {back}"
            ))
            .await;
        assert!(told(&database).await.is_empty(), "{away}");
        let followed = follow(&database).await;
        assert!(
            followed.contains("listeners are told to reload"),
            "{back}: {followed}"
        );
        assert_eq!(told(&database).await, ["reload"], "{back}");
        assert_eq!(follow(&database).await, "nothing", "{back}");
    }
    // An empty one has brought nothing.
    database
        .run("alter table m detach partition m_2; alter table m attach partition m_2 for values from (5) to (9)")
        .await;
    follow(&database).await;
    assert!(told(&database).await.is_empty());
}

#[tokio::test]
async fn tables_that_are_swapped_or_become_partitions_are_taken_over() {
    let database = Database::chat().await;
    // As pgslice and pg_partman have it: the new table is partitioned, is filled, and takes the old one's name.
    database
        .run(
            "create table v (id bigint primary key, chat text, body text, at timestamptz);
             select rowcast.attach('v', room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{at}');
             insert into v values (1, 'a', 'old', now());
             create table v_intermediate (id bigint, chat text, body text, at timestamptz, primary key (id, at)) partition by range (at);
             create table v_default partition of v_intermediate default;
             insert into v_intermediate select * from v",
        )
        .await;
    assert_eq!(told(&database).await, ["message:new old"]);
    database
        .run("begin; alter table v rename to v_retired; alter table v_intermediate rename to v; commit")
        .await;
    assert!(
        problems(&database, "public.v")
            .await
            .starts_with("renamed to public.v_retired, and rows of the table that is called public.v now are not sent")
    );
    database
        .run(
            "select rowcast.attach('v', room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{at}');
             insert into v values (2, 'a', 'through', now()); insert into v_default values (3, 'a', 'direct', now());
             insert into v_retired values (4, 'a', 'retired', now())",
        )
        .await;
    assert_eq!(
        told(&database).await,
        ["message:new through", "message:new direct"]
    );
    assert_eq!(problems(&database, "public.v").await, "");

    database
        .run(
            "create table w (id bigint, chat text, body text, at timestamptz, primary key (id, at));
             select rowcast.attach('w', room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{at}');
             create table w_all (like w) partition by range (at);
             alter table w_all attach partition w default",
        )
        .await;
    assert_eq!(
        problems(&database, "public.w").await,
        "the table became a partition, and rows that are written through public.w_all are not sent: attach that one, which takes it over"
    );
    database
        .run(
            "select rowcast.attach('w_all', room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{at}');
             insert into w values (1, 'a', 'direct', now()); insert into w_all values (2, 'a', 'through', now())",
        )
        .await;
    assert_eq!(
        told(&database).await,
        ["message:new direct", "message:new through"]
    );
    let sources =
        "select string_agg(source, ' ' order by source) from rowcast.sources where source ~ 'w'";
    assert_eq!(database.value(sources).await, "public.w_all");
}

#[tokio::test]
async fn a_trigger_for_each_row_captures_what_statements_do_not_show() {
    let database = Database::chat().await;
    // Columns are called as what the trigger itself has; an enum has an owner, whose code may run.
    database
        .run(
            "create type mood as enum ('fine');
             create table r (id bigint primary key, chat text not null, body text, tg_relid int, \"new\" int, mood mood);
             select rowcast.attach('r', room => 'conversation:{chat}', on_insert => 'message:new', on_update => 'message:updated',
               on_delete => 'message:deleted', capture => 'row', always => true);
             insert into r values (1, 'a', 'one', 2, 3, 'fine'), (2, 'a', 'two', 2, 3, 'fine');
             update r set body = body || '!'; update r set chat = 'b' where id = 2;
             alter table r drop column body; alter table r add column extra json;
             insert into r (id, chat, extra) values (3, 'a', '{\"a\": \"\\u0000\"}'); delete from r where id = 1;
             set session_replication_role = replica; insert into r (id, chat) values (4, 'a'); reset session_replication_role;
             truncate r",
        )
        .await;
    assert_eq!(
        told(&database).await,
        [
            "message:new one",
            "message:new two",
            "message:updated one!",
            "message:updated two!",
            "message:deleted 2",
            "message:new two!",
            "message:new",
            "message:deleted 1",
            "message:new",
            "reload"
        ]
    );
    database
        .run("alter table r enable trigger rowcast_insert; select rowcast.detach('r')")
        .await;

    // A partition may be attached by itself, and a partitioned table has its triggers from Postgres. A row that moves is a delete and
    // an insert.
    database.run(PARTED).await;
    database.run(&format!("{ATTACH}, capture => 'row')")).await;
    database
        .run(
            "insert into m (id, chat, body, at) values (1, 'a', 'one', '2026-01-05'); insert into m_2 (id, chat, body, at) values (2, 'a', 'two', '2026-02-05');
             create table m_3 partition of m for values from ('2026-03-01') to ('2026-04-01');
             insert into m_3 (id, chat, body, at) values (3, 'a', 'three', '2026-03-05');
             update m set at = '2026-02-01' where id = 1;
             alter table m detach partition m_2; insert into m_2 (id, chat, body, at) values (4, 'a', 'loose', '2026-02-05')",
        )
        .await;
    assert_eq!(
        told(&database).await,
        [
            "message:new one",
            "message:new two",
            "message:new three",
            "message:deleted 1:2026-01-05T00:00:00Z",
            "message:new one"
        ]
    );
    let attach = "select rowcast.attach('m_1', room => 'conversation:{chat}', on_insert => 'message:new', order_columns => '{at}'";
    let mut careless = database.connection().await;
    let refused = sqlx::raw_sql(sqlx::AssertSqlSafe(format!("{attach})")))
        .execute(&mut careless)
        .await
        .expect_err("a statement on the parent is not seen");
    assert!(
        refused.to_string().contains(
            "public.m_1 is a partition of public.m, through which its rows can be written, too"
        ),
        "{refused}"
    );
    database
        .run(&format!("select rowcast.detach('m'); {attach}, capture => 'row'); insert into m (id, chat, body, at) values (5, 'a', 'alone', '2026-01-05')"))
        .await;
    assert_eq!(told(&database).await, ["message:new alone"]);
    assert_eq!(problems(&database, "public.m_1").await, "");

    // What inherits is a part in either way of capturing.
    database
        .run("create table h (id bigint primary key, chat text not null, body text); create table h_1 (extra text) inherits (h)")
        .await;
    for capture in ["statement", "row"] {
        database
            .run(&format!(
                "select rowcast.attach('h', room => 'conversation:{{chat}}', on_insert => 'message:new', on_update => 'message:updated',
                   on_delete => 'message:deleted', capture => '{capture}');
                 insert into h values (1, 'a', 'root'); insert into h_1 values (2, 'a', 'child', 'more');
                 update h set body = body || '!'; update h_1 set body = body || '?'; update only h set body = 'only'; delete from h"
            ))
            .await;
        assert_eq!(
            told(&database).await,
            [
                "message:new root",
                "message:new child",
                "message:updated root!",
                "message:updated child!",
                "message:updated child!?",
                "message:updated only",
                "message:deleted 1",
                "message:deleted 2"
            ],
            "{capture}"
        );
    }
}

#[tokio::test]
async fn an_owner_without_rights_is_told_which_grant_a_partition_needs() {
    let database = Database::chat().await;
    let name = database.value("select current_database()").await;
    // The functions run as the owner of the schema, which is no superuser on a managed service.
    database
        .run(&format!(
            "create role {name}_owner; alter schema rowcast owner to {name}_owner;
             alter function rowcast.follow_tables() owner to {name}_owner;
             grant execute on all functions in schema rowcast to {name}_owner; grant all on all tables in schema rowcast to {name}_owner;
             {PARTED} {ATTACH});
             do $$ declare f regprocedure; begin
               for f in select oid from pg_proc where proname ~ '^capture_public_m_' loop execute format('alter function %s owner to {name}_owner', f); end loop;
             end $$;
             create table m_3 partition of m for values from ('2026-03-01') to ('2026-04-01')"
        ))
        .await;
    assert_eq!(follow(&database).await, "nothing");
    assert_eq!(
        problems(&database, "public.m").await,
        format!(
            "rows that are written to its part public.m_3 by that name are not sent: grant trigger on public.m_3 to {name}_owner"
        )
    );
    database
        .run(&format!("grant usage on schema public to {name}_owner; grant trigger on public.m_3 to {name}_owner"))
        .await;
    assert_eq!(
        follow(&database).await,
        "public.m: writes to public.m_3 are captured from now on"
    );
    assert_eq!(problems(&database, "public.m").await, "");
    database
        .run(&format!("select rowcast.detach('m'); reassign owned by {name}_owner to postgres; drop owned by {name}_owner; drop role {name}_owner"))
        .await;
}

/// Ids of a page, as history has them.
fn ids(page: &Value) -> Vec<String> {
    let messages = page["messages"].as_array().expect("messages");
    messages
        .iter()
        .map(|message| message["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn a_server_follows_partitions_and_reads_history_across_them() {
    let scene = Scene::new().await;
    let database = &scene.database;
    database.run(PARTED).await;
    database.run(&format!("{ATTACH})")).await;
    let mut client = scene.joined("a").await;
    database
        .run(
            "create table m_3 partition of m for values from ('2026-03-01') to ('2026-04-01');
             insert into m_3 (id, chat, body, at) values (3, 'a', 'by its name', '2026-03-06')",
        )
        .await;
    // A server looks every few seconds, and when it is told to; a partition that is locked is left for the next time.
    until_for(
        Duration::from_secs(60),
        "the partition to be captured",
        async || {
            database
                .run("select pg_notify('rowcast_sources', '')")
                .await;
            problems(database, "public.m")
                .await
                .is_empty()
                .then_some(())
        },
    )
    .await;
    // What was written before caused no event, and is told all the same.
    let resync = client.event("rowcast:resync").await;
    assert_eq!(resync.payload()["room"], "conversation:a", "{resync:?}");
    database
        .run("insert into m_3 (id, chat, body, at) values (4, 'a', 'followed', '2026-03-07')")
        .await;
    assert_eq!(client.next().await.body(), "followed");

    // As SQL has them, page by page, whichever partition they are in.
    let mut connection = database.connection().await;
    database::run(
        &mut connection,
        "set session_replication_role = replica;
         insert into m select n, 'a', n::text, 'sent', '2026-01-01'::timestamptz + n * interval '7 hours' from generate_series(100, 299) n;
         create index on m (chat, at, id)",
    )
    .await;
    let (mut all, mut before) = (Vec::new(), String::new());
    loop {
        let page = scene
            .server
            .read("a", &format!("messages?limit=70{before}"))
            .await;
        let (page_ids, oldest) = (ids(&page), &page["messages"][0]);
        before = format!(
            "&before={}",
            crate::harness::api::encoded(&format!(
                "{}:{}",
                oldest["id"].as_str().expect("an id"),
                oldest["at"].as_str().expect("a time")
            ))
        );
        all.splice(0..0, page_ids);
        if page["more"] == json!(false) {
            break;
        }
    }
    let expected = database
        .value("select string_agg(id::text, ' ' order by at, id) from m where chat = 'a'")
        .await;
    assert_eq!(all.join(" "), expected);

    // A partition that is large, and has no index of its own or its table's, is named.
    database::run(
        &mut connection,
        "drop index m_chat_at_id_idx; insert into m select n, 'b', null, 'sent', '2026-02-01' from generate_series(1, 10000) n; analyze m_2",
    )
    .await;
    assert_eq!(
        problems(database, "public.m").await,
        "history of its rooms conversation:{chat} reads all of public.m: create index on public.m (chat, at, id)"
    );
    database
        .run("create index on public.m (chat, at, id)")
        .await;
    assert_eq!(problems(database, "public.m").await, "");
}
