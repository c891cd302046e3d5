//! The inbox of the chat tables: public.conversations is what the messages say, whoever writes them at the same time, and so is what
//! the room inbox:all hears.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor};
use tokio::task::JoinSet;

use crate::harness::api::column;
use crate::harness::database::run;
use crate::harness::dump::{dump, restore};
use crate::harness::{Database, Launch, Server, Stock};

/// What differs between the inbox and the messages, counted anew.
const DIFFERENCES: &str = "
select coalesce(string_agg(contact_id || ' ' || coalesce(c.unread::text, 'none') || ' ' || coalesce(m.unread::text, 'none'), ', '), '')
from conversations c full join (
    select contact_id, (array_agg(id::text order by created_at desc, id desc))[1] as id, (array_agg(left(body, 200) order by created_at desc, id desc))[1] as body,
           (array_agg(status order by created_at desc, id desc))[1] as status, max(created_at) as at,
           count(*) filter (where direction = 'inbound' and status <> 'read') as unread
    from messages group by 1) m using (contact_id)
where (c.last_message ->> 'id', c.last_message ->> 'body', c.last_message ->> 'status', c.last_message_at, c.unread)
      is distinct from (m.id, m.body, m.status, m.at, m.unread)";

/// What differs between the inbox and the last that each conversation's events said of it.
const UNHEARD: &str = "
select coalesce(string_agg(coalesce(c.contact_id, e.contact_id), ', '), '')
from conversations c full join (
    select contact_id, message from (
        select distinct on (1) coalesce(data -> 'message' ->> 'contactId', data ->> 'messageId') as contact_id, (data -> 'message')::jsonb as message
        from rowcast.events where room = 'inbox:all' order by 1, id desc) last
    where message is not null) e using (contact_id)
where (c.last_message, c.unread) is distinct from (e.message -> 'lastMessage', (e.message ->> 'unread')::int)";

async fn is_exact(database: &Database) {
    for question in [DIFFERENCES, UNHEARD] {
        assert_eq!(database.value(question).await, "", "{question}");
    }
    let due = "select count(*) from rowcast.inbox_due";
    assert_eq!(database.value(due).await, "0");
    let corrected = "select rowcast.recount_conversations()";
    assert_eq!(database.value(corrected).await, "0");
}

/// One of the things that back ends do. None waits for a row of `messages`, so that whoever waits, waits for the inbox.
fn statement(kind: u64, contact: u64) -> String {
    let newest = format!(
        "(select id from messages where contact_id = '{contact}' order by created_at desc, id desc limit 1 for update skip locked)"
    );
    let some = format!(
        "(select id from messages where contact_id = '{contact}' limit 5 for update skip locked)"
    );
    match kind {
        0 => format!("delete from messages where id in {some}"),
        1 => format!("delete from messages where id in {newest}"),
        2 => format!("update messages set status = 'read' where id in {some}"),
        3 => format!("update messages set body = 'edited', status = 'failed' where id = {newest}"),
        4 => format!(
            "update messages set contact_id = '{}' where id in {some}",
            (contact + 1) % 6
        ),
        5 => format!(
            "update messages set created_at = created_at - interval '1 s' where id = {newest}"
        ),
        6 => format!(
            "savepoint s; insert into messages (contact_id, body) values ('{contact}', 'undone'); rollback to s"
        ),
        7 => format!(
            "insert into messages (contact_id, body) select (n + {contact})::text, 'bulk' from generate_series(0, 3) n"
        ),
        8 => format!(
            "insert into messages (contact_id, body, created_at) values ('{contact}', 'late', now() - interval '3 s')"
        ),
        _ => format!(
            "insert into messages (contact_id, body, direction) values ('{contact}', 'one', '{}')",
            if kind < 11 { "inbound" } else { "outbound" }
        ),
    }
}

#[tokio::test]
async fn many_writers_at_once_leave_what_a_recount_finds() {
    let database = Database::inbox().await;
    let mut writers = JoinSet::new();
    for seed in 1..=12_u64 {
        let mut to = database.careless().await;
        writers.spawn(async move {
            let mut state = seed;
            let mut random = |below: u64| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 33) % below
            };
            for _ in 0..60 {
                let mut script = vec!["begin".to_owned()];
                for _ in 0..=random(3) {
                    script.push(statement(random(13), random(6)));
                }
                let end = if random(8) == 0 { "rollback" } else { "commit" };
                script.push(end.to_owned());
                for sql in script {
                    let done = to.execute(AssertSqlSafe(sql.clone())).await;
                    assert!(done.is_ok(), "{sql}: {done:?}");
                }
            }
            to.close().await.expect("the connection closes");
        });
    }
    while let Some(done) = writers.join_next().await {
        done.expect("nobody fails");
    }
    is_exact(&database).await;
}

/// Each holds what it has written until both have written both.
#[tokio::test]
async fn transactions_that_write_to_the_same_conversations_in_another_order_wait_for_nobody() {
    let database = Database::inbox().await;
    database.say("a", "of before").await;
    database.say("b", "of before").await;
    let mut writers = [database.connection().await, database.connection().await];
    for to in &mut writers {
        run(to, "begin").await;
    }
    for (writer, contact) in [
        (0, "a"),
        (1, "b"),
        (0, "b"),
        (1, "a"),
        (0, "new"),
        (1, "new"),
    ] {
        let sql = format!("insert into messages (contact_id, body) values ('{contact}', 'held')");
        run(&mut writers[writer], &sql).await;
    }
    let unread =
        "select string_agg(contact_id || unread, ' ' order by contact_id) from conversations";
    assert_eq!(database.value(unread).await, "a1 b1");
    run(&mut writers[0], "commit").await;
    assert_eq!(database.value(unread).await, "a2 b2 new1");
    run(&mut writers[1], "commit").await;
    assert_eq!(database.value(unread).await, "a3 b3 new2");
    is_exact(&database).await;
}

async fn told(client: &mut crate::harness::Client) -> (String, Value, Value) {
    let event = client.next().await;
    let payload = event.payload();
    assert_eq!(payload["contactId"], "all");
    match &payload["message"] {
        Value::Null => (
            event.name.clone(),
            payload["messageId"].clone(),
            Value::Null,
        ),
        row => (
            event.name.clone(),
            row["contactId"].clone(),
            json!([
                row["unread"],
                row["lastMessage"]["body"],
                row["lastMessage"]["status"]
            ]),
        ),
    }
}

#[tokio::test]
async fn a_stock_client_hears_of_every_change_of_the_list_and_history_has_it_sorted() {
    let database = Database::inbox().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.connect(&server).await;
    let answer = client.ask("join:room", json!(["inbox:all"])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    let new = |contact: &str, shown: Value| ("message:new".to_owned(), json!(contact), shown);
    let first = database.say("ana", "one").await;
    assert_eq!(
        told(&mut client).await,
        new("ana", json!([1, "one", "sent"]))
    );
    database.say("berta", "two").await;
    assert_eq!(
        told(&mut client).await,
        new("berta", json!([1, "two", "sent"]))
    );
    database.report(&first, "read").await;
    assert_eq!(
        told(&mut client).await,
        new("ana", json!([0, "one", "read"]))
    );
    database.run("insert into messages (contact_id, body, direction) select 'ana', 'n' || n, case n when 3 then 'outbound' else 'inbound' end from generate_series(1, 3) n").await;
    assert_eq!(
        told(&mut client).await,
        new("ana", json!([2, "n3", "sent"]))
    );
    let page = server.get("/api/rooms/inbox:all/messages").await.json();
    assert_eq!(column(&page["messages"], "/contactId"), ["berta", "ana"]);
    assert_eq!(page["messages"][1]["unread"], 2);
    assert_eq!(page["order"], json!(["lastMessageAt", "contactId"]));

    // What changes nothing of the list says nothing.
    database
        .run("update messages set external_id = 'x', metadata = '{\"a\": 1}' where body = 'n3'")
        .await;
    database.run("update messages set status = 'read' where contact_id = 'ana' and direction = 'inbound'").await;
    assert_eq!(
        told(&mut client).await,
        new("ana", json!([0, "n3", "sent"]))
    );
    database
        .run("update messages set contact_id = 'berta' where contact_id = 'ana'")
        .await;
    assert_eq!(
        told(&mut client).await,
        ("message:deleted".to_owned(), json!("ana"), Value::Null)
    );
    assert_eq!(
        told(&mut client).await,
        new("berta", json!([1, "n3", "sent"]))
    );
    database.run("delete from messages where body = 'n3'").await;
    assert_eq!(
        told(&mut client).await,
        new("berta", json!([1, "n2", "read"]))
    );
    database.run("truncate messages cascade").await;
    assert_eq!(client.next().await.name, "rowcast:resync");
    is_exact_but_for_events(&database).await;
}

async fn is_exact_but_for_events(database: &Database) {
    assert_eq!(database.value(DIFFERENCES).await, "");
    let corrected = "select rowcast.recount_conversations()";
    assert_eq!(database.value(corrected).await, "0");
}

async fn migrate(database: &Database) -> String {
    let ended = Launch::command(["migrate", "--chat"])
        .database(&database.url)
        .succeed()
        .await;
    ended.stdout
}

#[tokio::test]
async fn what_is_there_is_counted_when_the_inbox_is_made_and_after_a_restore() {
    let database = Database::inbox().await;
    database.run("insert into messages (contact_id, body, status) select n % 7, repeat('x', 300), case n % 3 when 0 then 'read' else 'sent' end from generate_series(1, 100) n").await;
    database
        .run("drop schema rowcast cascade; drop table conversations")
        .await;
    migrate(&database).await;
    is_exact_but_for_events(&database).await;
    let most = "select count(*) || ' ' || sum(unread) || ' ' || max(length(last_message ->> 'body')) from conversations";
    assert_eq!(database.value(most).await, "7 67 200");

    // Taken up again, after writes that no trigger saw.
    database.run("drop schema rowcast cascade; delete from messages where contact_id = '3'; insert into messages (contact_id, body) values ('8', 'x')").await;
    migrate(&database).await;
    is_exact_but_for_events(&database).await;

    let restored = Database::empty().await;
    assert_eq!(
        restore(&restored.url, dump(&database.url, &[]).await).await,
        ""
    );
    restored.say("8", "of after").await;
    assert_eq!(
        restored
            .value("select unread from conversations where contact_id = '8'")
            .await,
        "2"
    );
    is_exact_but_for_events(&restored).await;

    // Rows that are applied as a replica applies them.
    restored.run("set session_replication_role = replica; insert into messages (contact_id, body) values ('9', 'applied'); reset session_replication_role").await;
    assert_eq!(
        restored
            .value("select rowcast.recount_conversations()")
            .await,
        "1"
    );
    is_exact_but_for_events(&restored).await;
}

#[tokio::test]
async fn conversations_of_somebody_else_s_are_left_alone() {
    let database = Database::empty().await;
    let theirs = "create table conversations (contact_id text primary key, unread int); insert into conversations values ('42', 7)";
    database.run(theirs).await;
    let said = migrate(&database).await;
    assert!(said.contains("0003_inbox"), "{said}");
    let message = database.say("42", "written").await;
    database.report(&message, "read").await;
    let kept = "select string_agg(c::text, ' ') || (select count(*) from pg_trigger where tgrelid = 'messages'::regclass and tgname like 'note%') from conversations c";
    assert_eq!(database.value(kept).await, "(42,7)0");

    database
        .run("alter table conversations rename to theirs")
        .await;
    assert_eq!(
        database.value("select rowcast.create_inbox()").await,
        "public.conversations is made"
    );
    is_exact_but_for_events(&database).await;
    // Whoever wants another table in its place fails no writer, and keeps what is in it.
    database
        .run("drop table conversations; alter table theirs rename to conversations")
        .await;
    database.say("42", "written").await;
    assert_eq!(
        database.value("select c::text from conversations c").await,
        "(42,7)"
    );
}

#[tokio::test]
async fn a_transaction_with_a_snapshot_is_told_to_try_again() {
    let database = Database::inbox().await;
    database.say("42", "of before").await;
    let mut to = database.connection().await;
    run(&mut to, "begin isolation level repeatable read; insert into messages (contact_id, body) values ('42', 'mine')").await;
    database.say("42", "meanwhile").await;
    let refused = to.execute("commit").await.expect_err("it is refused");
    let code = refused
        .as_database_error()
        .and_then(|error| error.code().map(|code| code.into_owned()));
    assert_eq!(code.as_deref(), Some("40001"));
    is_exact(&database).await;
}
