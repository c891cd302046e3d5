//! The inbox of the chat tables: public.conversations is what the messages say, whoever writes them at the same time, and so is what
//! the room inbox:all hears.

use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection};
use tokio::task::JoinSet;

use crate::harness::api::column;
use crate::harness::database::run;
use crate::harness::dump::{dump, restore};
use crate::harness::wait::until;
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
    // A recount finds nothing to correct.
    let events = "select count(*) from rowcast.events";
    let before = database.value(events).await;
    recount(database).await;
    assert_eq!(database.value(events).await, before);
    assert_eq!(database.value(DIFFERENCES).await, "");
}

/// What a server does each second.
async fn settle(database: &Database) {
    let settled = "select settled || ' ' || failed || coalesce(problem, '') from rowcast.settle_conversations()";
    for _ in 0..100 {
        if database.value(settled).await == "0 0" {
            return;
        }
    }
    panic!("it is never settled");
}

async fn recount(database: &Database) {
    database.run("select rowcast.recount_conversations()").await;
    settle(database).await;
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
                // The stricter ones insert, which fails by nothing but the inbox.
                let (level, least) = [
                    ("read committed", 0),
                    ("read committed", 0),
                    ("repeatable read", 6),
                    ("serializable", 6),
                ][random(4) as usize];
                let mut script = vec![format!("begin isolation level {level}")];
                for _ in 0..=random(3) {
                    script.push(statement(least + random(13 - least), random(6)));
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
    settle(&database).await;
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
    recount(database).await;
    assert_eq!(database.value(DIFFERENCES).await, "");
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
    recount(&restored).await;
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
    settle(&database).await;
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
    settle(&database).await;
    let due = "select count(*) from rowcast.inbox_due";
    assert_eq!(database.value(due).await, "0");
}

/// Of a conversation: its unread messages and the text of its newest one.
async fn shown(database: &Database, contact: &str) -> String {
    let shown = format!(
        "select unread || ' ' || (last_message ->> 'body') from conversations where contact_id = '{contact}'"
    );
    database.value(&shown).await
}

#[tokio::test]
async fn what_a_commit_must_not_settle_a_server_does() {
    let database = Database::inbox().await;
    database.say("42", "of before").await;
    let mut to = database.connection().await;
    for (level, body) in [
        ("repeatable read", "mine"),
        ("serializable", "mine as well"),
    ] {
        run(&mut to, &format!("begin isolation level {level}; insert into messages (contact_id, body) values ('42', '{body}')")).await;
        database.say("42", "meanwhile").await;
        run(&mut to, "commit").await;
    }
    assert_eq!(shown(&database, "42").await, "3 meanwhile");
    let stock = Stock::start();
    let server = Server::on(&database).await;
    let mut client = stock.connect(&server).await;
    let answer = client.ask("join:room", json!(["inbox:all"])).await;
    assert_eq!(answer["ok"], true, "{answer}");
    until("the inbox is settled", async || {
        (shown(&database, "42").await == "5 meanwhile").then_some(())
    })
    .await;
    run(&mut to, "begin isolation level serializable; insert into messages (contact_id, body) values ('42', 'last'); commit").await;
    while told(&mut client).await.2 != json!([6, "last", "sent"]) {}
    is_exact(&database).await;
}

/// Messages are read before the note of another one, which added it, is settled.
#[tokio::test]
async fn what_is_not_settled_yet_is_counted_once() {
    let database = Database::inbox().await;
    let late = "begin isolation level repeatable read; insert into messages (contact_id, body) values ('42', 'late'); commit";
    database.run(late).await;
    // Counts what is there, with and without the late one.
    database.say("42", "first").await;
    assert_eq!(shown(&database, "42").await, "2 first");
    settle(&database).await;
    assert_eq!(shown(&database, "42").await, "2 first");
    database.run(late).await;
    let all_read =
        "update messages set status = 'read' where direction = 'inbound' and status <> 'read'";
    database.run(all_read).await;
    assert_eq!(shown(&database, "42").await, "0 late");
    settle(&database).await;
    is_exact(&database).await;
}

#[tokio::test]
async fn a_prepared_transaction_keeps_no_writer_waiting() {
    let database = Database::inbox().await;
    let prepared = database
        .value("select current_setting('max_prepared_transactions')")
        .await;
    if prepared == "0" {
        return;
    }
    database
        .run("alter table rowcast.events disable trigger wake")
        .await;
    database.say("42", "of before").await;
    let name = database.value("select current_database()").await;
    let prepare = "begin; insert into messages (contact_id, body) values ('42', 'prepared'), ('new', 'prepared'); prepare transaction";
    database.run(&format!("{prepare} '{name}'")).await;
    let begun = std::time::Instant::now();
    database.say("42", "beside").await;
    database.say("new", "beside").await;
    assert!(
        begun.elapsed().as_secs() < 10,
        "they don't wait for the end of 'p'"
    );
    assert_eq!(shown(&database, "42").await, "1 of before");
    database.run(&format!("commit prepared '{name}'")).await;
    settle(&database).await;
    assert_eq!(shown(&database, "42").await, "3 beside");
    is_exact(&database).await;
}

#[tokio::test]
async fn writers_go_on_whatever_becomes_of_the_list_and_their_notes_are_kept() {
    let database = Database::inbox().await;
    database.say("42", "of before").await;
    for (harm, mended) in [
        (
            "alter table conversations drop column updated_at",
            "alter table conversations add column updated_at timestamptz not null default clock_timestamp()",
        ),
        (
            "alter table conversations add constraint none check (unread is null) not valid",
            "alter table conversations drop constraint none",
        ),
        (
            "alter table messages rename column direction to way",
            "alter table messages rename column way to direction",
        ),
        ("drop function rowcast.chat_preview", ""),
    ] {
        database.run(harm).await;
        // A transaction with many statements tries once.
        database.run("begin; insert into messages (contact_id, body) values ('42', 'x'); insert into messages (contact_id, body) values ('43', 'y'); commit").await;
        database
            .run("update messages set status = 'delivered' where body = 'y'")
            .await;
        let due = "select count(*) > 0 from rowcast.inbox_due";
        assert_eq!(database.value(due).await, "t", "{harm}");
        if !mended.is_empty() {
            database.run(mended).await;
            recount(&database).await;
            is_exact_but_for_events(&database).await;
        }
    }
}

/// Whoever writes messages needs no right on the list, and each of several roles is noted.
#[tokio::test]
async fn writers_need_rights_on_the_messages_alone() {
    let database = Database::inbox().await;
    let name = database.value("select current_database()").await;
    for role in ["ana", "berta"] {
        database.run(&format!("create role {name}_{role}; grant select, insert, update, delete on messages, message_statuses to {name}_{role}")).await;
        database.run(&format!("begin; set local role {name}_{role}; insert into messages (contact_id, body) values ('42', '{role}'); commit")).await;
    }
    assert_eq!(shown(&database, "42").await, "2 berta");
    database.run(&format!("begin; set local role {name}_ana; delete from messages where body = 'berta'; insert into messages (contact_id, body) values ('42', 'as berta'); set local role {name}_berta; commit")).await;
    assert_eq!(shown(&database, "42").await, "2 as berta");
    is_exact(&database).await;
    for role in ["ana", "berta"] {
        database
            .run(&format!(
                "drop owned by {name}_{role}; drop role {name}_{role}"
            ))
            .await;
    }
}

/// Starts commits one after the other, each once the one before waits for what `holder` has locked; then lets them go.
async fn meet(database: &Database, mut holder: PgConnection, writers: Vec<PgConnection>) {
    let mut commits = JoinSet::new();
    for (before, mut writer) in writers.into_iter().enumerate() {
        commits.spawn(async move {
            run(&mut writer, "commit").await;
            writer.close().await.expect("the connection closes");
        });
        let waiting = "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
        let wanted = (before + 1).to_string();
        until("a commit that waits", async || {
            (database.value(waiting).await == wanted).then_some(())
        })
        .await;
    }
    run(&mut holder, "rollback").await;
    while let Some(done) = commits.join_next().await {
        done.expect("nobody fails");
    }
    is_exact(database).await;
}

#[tokio::test]
async fn commits_that_meet_read_what_the_other_one_wrote_and_wait_in_one_order() {
    let database = Database::inbox().await;
    // They wait for as long as this test holds them up.
    let patient = "alter function rowcast.chat_settle() set lock_timeout = 0";
    database.run(patient).await;
    for contact in ["a", "b"] {
        database.say(contact, "of before").await;
    }
    let write = |contact: &str, body: &str| {
        format!(
            "insert into messages (contact_id, body, created_at) values ('{contact}', '{body}', clock_timestamp())"
        )
    };
    let hold = "begin; select from conversations for update";
    let mut writers = Vec::new();
    for scripts in [
        // The second one that commits wrote first, so that the newest message is the other one's.
        [vec![("a", "older")], vec![("a", "newer")]],
        [vec![("a", "x"), ("b", "x")], vec![("b", "y"), ("a", "y")]],
    ] {
        for script in scripts {
            let mut writer = database.connection().await;
            run(&mut writer, "begin").await;
            for (contact, body) in script {
                run(&mut writer, &write(contact, body)).await;
            }
            writers.push(writer);
        }
        writers.reverse();
        let mut holder = database.connection().await;
        run(&mut holder, hold).await;
        meet(&database, holder, std::mem::take(&mut writers)).await;
    }
    assert_eq!(shown(&database, "a").await, "5 y");
}
