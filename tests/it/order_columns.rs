//! What history is sorted by: columns that were named, or a guess that is told; and what a page says of it.

use serde_json::{Value, json};

use crate::harness::api::{column, encoded};
use crate::harness::dump::restore;
use crate::harness::{Database, Server};
use crate::history_tables::without_chat;

#[tokio::test]
async fn several_columns_sort_history_nulls_and_ties_included() {
    let database = without_chat().await;
    database
        .run(
            "create table m (key uuid primary key default gen_random_uuid(), c text, day date, second int, seq bigint generated always as identity);
             select rowcast.attach('m', room => 'conversation:{c}', on_insert => 'message:new', order_columns => '{day,second,seq}');
             insert into m (c, day, second) select 'x', case when n % 7 <> 0 then '2026-01-01'::date + n / 20 end, case when n % 5 <> 0 then n % 3 end
             from generate_series(1, 60) n",
        )
        .await;
    let server = Server::with(&database, &[("ROWCAST_MAX_HTTP_RATE", "10000")]).await;
    let right = database
        .value("select json_agg(seq::text order by day, second, seq) from m")
        .await;
    let right: Vec<String> = serde_json::from_str(&right).expect("JSON");
    for limit in [1, 4, 60] {
        let pages = server.pages("x", limit, "/id").await;
        let got: Vec<_> = pages
            .iter()
            .rev()
            .flat_map(|page| column(&page["messages"], "/seq"))
            .collect();
        assert_eq!(got, right, "limit={limit}");
        assert_eq!(
            (&pages[0]["key"], &pages[0]["order"]),
            (&json!(["id"]), &json!(["day", "second", "seq", "key"]))
        );
    }
}

#[tokio::test]
async fn a_page_names_the_members_that_identify_and_sort_a_row() {
    let database = without_chat().await;
    let server = Server::on(&database).await;
    for (place, (columns, arguments, key, order)) in [
        (
            "id uuid primary key, at timestamptz",
            "order_column => 'at'",
            json!(["id"]),
            json!(["at", "id"]),
        ),
        (
            "message_id bigint primary key",
            "key_case => 'camel'",
            json!(["id"]),
            json!(["messageId"]),
        ),
        (
            "tenant int, id bigint, primary key (tenant, id)",
            "order_column => 'id'",
            json!(["tenant", "id"]),
            json!(["id", "tenant"]),
        ),
        (
            "a int, b int, at date, primary key (a, b)",
            "omit => '{a}'",
            json!(["id"]),
            json!(["at"]),
        ),
        (
            "tenant int, id bigint, primary key (tenant, id)",
            "omit => '{tenant}'",
            json!([]),
            json!([]),
        ),
        (
            "id bigint primary key, ack int",
            "order_column => 'ack', words => '{\"ack\": {\"1\": \"z\"}}'",
            json!(["id"]),
            json!([]),
        ),
        ("body text", "key_case => 'as_is'", json!([]), json!([])),
    ]
    .into_iter()
    .enumerate()
    {
        database
            .run(&format!(
                "create table t{place} (c text, {columns});
                 select rowcast.attach('t{place}', room => 'conversation:{place}-{{c}}', on_insert => 'message:new', {arguments})"
            ))
            .await;
        let page = server.read(&format!("{place}-x"), "messages").await;
        assert_eq!(
            (&page["key"], &page["order"]),
            (&key, &order),
            "{columns}, {arguments}"
        );
    }
}

#[tokio::test]
async fn the_id_that_a_row_shows_is_a_place_where_it_is_the_only_one() {
    let database = without_chat().await;
    database
        .run(
            "create table b (tenant int, id bigint, c text, body text, primary key (tenant, id));
             select rowcast.attach('b', room => 'conversation:{c}', on_insert => 'message:new', on_delete => 'message:deleted', order_column => 'id');
             insert into b values (1, 1, 'x', 'a'), (1, 2, 'x', 'b'), (1, 3, 'x', 'c'), (2, 3, 'y', 'other'), (2, 2, 'z', 'd'), (1, 2000, 'z', 'e'), (3, 2, 'z', 'f')",
        )
        .await;
    let server = Server::on(&database).await;
    for (contact, before, right) in [
        ("x", "1:3", "ab"),
        ("x", "3", "ab"),
        ("z", "1:2000", "df"),
        ("z", "2000", "df"),
        ("x", "1", ""),
    ] {
        let page = server
            .read(contact, &format!("messages?before={}", encoded(before)))
            .await;
        assert_eq!(
            column(&page["messages"], "/body").concat(),
            right,
            "{contact} before {before}"
        );
    }
    let message = server
        .refused("z", "messages?before=2", 400, "bad_request")
        .await;
    assert!(message.contains("several"), "{message}");
    server
        .refused("x", "messages?before=2000", 400, "bad_request")
        .await;
    database.run("delete from b where body = 'b'").await;
    let deleted = database
        .value("select data from rowcast.events where event = 'message:deleted'")
        .await;
    let deleted: Value = serde_json::from_str(&deleted).expect("JSON");
    assert_eq!(
        deleted["messageId"], "1:2",
        "as the members that a page names as its key"
    );
}

#[tokio::test]
async fn a_guess_is_told() {
    let database = without_chat().await;
    for (columns, arguments, told) in [
        (
            "id bigint primary key, ts timestamptz",
            "",
            "is sorted by ts, a guess by its name",
        ),
        (
            "id bigint primary key, \"sentOn\" date",
            "",
            "is sorted by sentOn, a guess by its name",
        ),
        (
            "id bigint primary key, \"timestamp\" int",
            "",
            "is sorted by timestamp, a guess",
        ),
        (
            "id uuid primary key, created_at timestamptz",
            "",
            "where that is equal, by id, which is uuid and may be random",
        ),
        (
            "id uuid primary key, body text",
            "",
            "is sorted by id, which is uuid and may be random",
        ),
        (
            "id text primary key, n int",
            ", order_columns => '{n}'",
            "where n is equal, history of public.t is sorted by id",
        ),
        (
            "a int, b int, primary key (a, b)",
            "",
            "is sorted by its key alone (a, b)",
        ),
        (
            "body text, created_at timestamptz",
            ", order_column => 'created_at'",
            "has one page: the table has no primary key",
        ),
        // Nothing to tell.
        ("id bigint primary key, body text", "", ""),
        (
            "id bigint primary key, at timestamptz",
            ", order_column => 'at'",
            "",
        ),
        (
            "id uuid primary key, n bigint unique",
            ", order_columns => '{n}'",
            "",
        ),
        (
            "id uuid primary key, n bigint generated always as identity",
            ", order_columns => '{n,id}'",
            "",
        ),
        (
            "id uuid primary key, at timestamptz, n bigserial",
            ", order_columns => '{at,n}'",
            "",
        ),
        (
            "id uuid primary key, n bigint generated always as identity",
            ", order_columns => '{n}'",
            "",
        ),
        (
            "id bigint primary key, created_at timestamptz",
            "no message",
            "",
        ),
    ] {
        let event = if arguments == "no message" {
            "note"
        } else {
            "message:new"
        };
        let arguments = arguments.trim_start_matches("no message");
        let sql = format!(
            "drop table if exists t; create table t (c text, {columns});
             select rowcast.attach('t', room => 'conversation:{{c}}', on_insert => '{event}'{arguments});"
        );
        let said = restore(
            &database.url,
            format!(
                "set client_min_messages = notice;{}",
                sql.replacen(
                    "drop table if exists t;",
                    "drop table if exists public.t;",
                    1
                )
            )
            .into_bytes(),
        )
        .await;
        let notices: Vec<_> = said
            .lines()
            .filter(|line| line.contains("rowcast.attach"))
            .collect();
        if told.is_empty() {
            assert!(notices.is_empty(), "{columns}{arguments}: {said}");
        } else {
            assert!(
                notices.len() == 1 && notices[0].contains("NOTICE") && notices[0].contains(told),
                "{columns}{arguments}: {said}"
            );
        }
        assert!(
            !said.contains("ERROR") && !said.contains("skipping\nNOTICE:  trigger"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn whoever_might_attach_still_may_after_the_migration() {
    let database = without_chat().await;
    let role = database.value("select current_database() || '_app'").await;
    database
        .run(&format!(
            "create role {role} login; grant usage, create on schema public to {role}; grant usage on schema rowcast to {role};
             grant execute on function rowcast.attach, rowcast.detach to {role}"
        ))
        .await;
    let app = Database::at(database.url_as(&role));
    app.run("create table mine (id bigint primary key, c text); grant trigger, select on mine to postgres").await;
    // Arguments by place, as they were in the first version.
    app.run("select rowcast.attach('mine', 'conversation:{c}', 'message:new', null, 'message:deleted', null, null, '$.c != \"x\"', null, '{}', 'camel', 'id', false)")
        .await;
    app.run("insert into mine values (1, 'y')").await;
    assert_eq!(
        database
            .value("select count(*) from rowcast.events where source = 'public.mine'")
            .await,
        "1"
    );
    drop(app);
    database
        .run(&format!(
            "select rowcast.detach('mine'); drop owned by {role}; drop role {role}"
        ))
        .await;
}
