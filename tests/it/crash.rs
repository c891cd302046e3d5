//! A crash of Postgres: what it undoes is told, what follows is not hidden, what was delivered is not repeated.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use sqlx::Connection as _;
use tokio::task::JoinSet;

use crate::harness::nats::Nats;
use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Postgres, Server, Stock, database, say};

/// How Postgres ends without warning.
enum Crash {
    /// The machine, or its container, is gone.
    Whole,
    /// One process was killed, as by the kernel out of memory: the postmaster lives and starts the others anew.
    OneProcess,
}

#[tokio::test]
async fn what_a_crash_undoes_is_told_and_nothing_that_follows_is_hidden() {
    what_was_undone_is_told(Crash::Whole, None).await;
}

#[tokio::test]
async fn what_a_killed_process_undoes_is_told_and_nothing_that_follows_is_hidden() {
    what_was_undone_is_told(Crash::OneProcess, None).await;
}

/// The client is at an edge: what was undone it had been told by a leader.
#[tokio::test]
async fn what_a_crash_undoes_is_told_by_an_edge_of_a_relay() {
    let nats = Nats::start().await;
    what_was_undone_is_told(Crash::Whole, Some(&nats)).await;
}

/// A commit that does not wait for its flush can be seen, delivered, and then undone by a crash; its ids are handed out
/// again (Postgres manual, "Asynchronous Commit").
async fn what_was_undone_is_told(crash: Crash, relay: Option<&Nats>) {
    let (mut postgres, database) = Postgres::with_chat().await;
    let url = relay.map(Nats::url).unwrap_or_default();
    let relayed = [("ROWCAST_RELAY", url.as_str())];
    let leader = if relay.is_some() {
        let leader = Server::with(&database, &relayed).await;
        leader.counted("rowcast_relay_role", &["leader"], 1.0).await;
        Some(leader)
    } else {
        None
    };
    let server = Server::with(&database, &relayed).await;
    if leader.is_some() {
        server.counted("rowcast_relay_role", &["edge"], 1.0).await;
    }
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let mut bystander = stock.joined(&server, "43").await;
    database.say("42", "kept").await;
    assert_eq!(client.next().await.body(), "kept");

    // Nobody writes the log out behind our back.
    let writers = postgres.stop_flushing(&database).await;
    let mut careless = database.careless().await;
    for number in 0..20 {
        say(&mut careless, "42", &format!("undone {number}")).await;
        assert_eq!(client.next().await.body(), format!("undone {number}"));
    }
    if leader.is_some() {
        let applied = server.metric("rowcast_relay_messages_total", &["applied"]);
        assert!(applied.await >= 20.0, "it was told");
    }
    match crash {
        Crash::Whole => {
            postgres.crash().await;
            postgres.up().await;
        }
        Crash::OneProcess => {
            postgres.kill(&writers, Signal::KILL);
            // Postgres throws everybody out before it starts over.
            until("the crash", async || {
                careless.ping().await.is_err().then_some(())
            })
            .await;
        }
    }
    answers(&database).await;
    let bodies = "select string_agg(body, ',') from messages";
    assert_eq!(
        database.value(bodies).await,
        "kept",
        "the crash has undone the rest"
    );

    // As many as were undone, and more: they get the ids and transactions of those.
    for number in 0..60 {
        database.say("42", &format!("new {number}")).await;
    }
    for number in 0..60 {
        let event = client.event("message:new").await;
        assert_eq!(event.body(), format!("new {number}"));
    }
    // What the client was shown and is not there any more is told, and to this room alone.
    let resync = client.event("rowcast:resync").await;
    assert_eq!(resync.payload()["contactId"], "42");
    assert_eq!(resync.offset(), None, "{resync:?}");
    database.say("43", "nothing happened here").await;
    assert_eq!(bystander.next().await.body(), "nothing happened here");
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_large_pass_loses_and_doubles_nothing() {
    a_large_pass_survives(false).await;
}

#[tokio::test]
async fn a_restart_in_the_middle_of_a_large_pass_beside_unflushed_writers_loses_and_doubles_nothing()
 {
    a_large_pass_survives(true).await;
}

async fn a_large_pass_survives(unflushed: bool) {
    const ROWS: usize = 60_000;
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let mut noise = JoinSet::new();
    if unflushed {
        // What is imported is flushed, but there is always something behind it in the log that is not.
        let writers = postgres
            .processes(&database, "backend_type = 'walwriter'")
            .await;
        postgres.kill(&writers, Signal::STOP);
        let mut connection = database.connection().await;
        let prepare = "set synchronous_commit = off; create table noise (n int)";
        database::run(&mut connection, prepare).await;
        noise.spawn(async move {
            while sqlx::query("insert into noise values (1)")
                .execute(&mut connection)
                .await
                .is_ok()
            {}
        });
    }
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    database.run(&import).await;
    for number in 1..=ROWS {
        let event = client.next_for(Duration::from_secs(30)).await;
        let is_told = matches!(event.name.as_str(), "rowcast:resync" | "rowcast:ready");
        if unflushed && is_told {
            // It was slow, and fell behind: what came behind the import in the log may have hidden something from it. That
            // is told by an event, or, where no event fits into what waits for it already, by a new session.
            return;
        }
        assert_eq!(event.name, "message:new", "{event:?}");
        assert_eq!(event.body(), number.to_string());
        if number == 1_000 {
            postgres.crash().await;
            postgres.up().await;
        }
    }
    answers(&database).await;
    database.say("42", "after").await;
    loop {
        let event = client.next().await;
        if event.name == "message:new" {
            assert_eq!(event.body(), "after");
            break;
        }
    }
}

#[tokio::test]
async fn a_postgres_restarted_in_the_middle_of_a_large_pass_loses_and_doubles_nothing() {
    const ROWS: usize = 40_000;
    let (mut postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let import = format!(
        "insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"
    );
    database.run(&import).await;
    for number in 1..=ROWS {
        let event = client
            .event_for(Duration::from_secs(30), "message:new")
            .await;
        assert_eq!(event.body(), number.to_string());
        if number == 1 {
            postgres.down(Signal::QUIT).await;
            postgres.up().await;
        }
    }
    answers(&database).await;
    database.say("42", "fence").await;
    assert_eq!(client.next().await.body(), "fence");
}

/// The kernel kills one backend when memory is short. Postgres ends all the others, and the postmaster stays.
#[tokio::test]
async fn a_crashed_backend_that_undoes_commits_loses_nothing() {
    let (_postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "flushed").await;
    assert_eq!(client.next().await.body(), "flushed");

    // From now on nothing flushes a commit but its own backend.
    let process = async |find: &str| {
        let pid = database.value(find).await.parse().expect("a process id");
        Pid::from_raw(pid).expect("a process id")
    };
    let flusher =
        process("select pid from pg_stat_activity where backend_type = 'walwriter'").await;
    kill_process(flusher, Signal::STOP).expect("it runs");
    let mut writer = database.connection().await;
    database::run(&mut writer, "set synchronous_commit = off").await;
    let victim = database::value(&mut writer, "select pg_backend_pid()").await;
    for number in 0..5 {
        say(&mut writer, "42", &format!("undone {number}")).await;
        assert_eq!(client.next().await.body(), format!("undone {number}"));
    }
    let victim = Pid::from_raw(victim.parse().expect("a process id")).expect("a process id");
    kill_process(victim, Signal::KILL).expect("it runs");
    server
        .log("the reader to lose its connection", |line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with("reading the outbox failed"))
        })
        .await;
    answers(&database).await;
    let left = database
        .value("select count(*) from messages where body like 'undone%'")
        .await;
    assert_eq!(left, "0", "the crash was to undo them");
    for number in 0..10 {
        database.say("42", &format!("after {number}")).await;
    }
    let mut resync = false;
    for number in 0..10 {
        loop {
            let event = client.next().await;
            if event.name == "rowcast:resync" {
                resync = true;
                continue;
            }
            assert_eq!(event.body(), format!("after {number}"));
            break;
        }
    }
    until("a resync of the room", async || {
        if !resync {
            resync = client.next().await.name == "rowcast:resync";
        }
        resync.then_some(())
    })
    .await;
}

/// Waits until the test's own pool is connected again.
async fn answers(database: &Database) {
    until_for(
        Duration::from_secs(30),
        "Postgres to answer again",
        async || sqlx::query("select 1").execute(&database.pool).await.ok(),
    )
    .await;
}
