//! What a hostile review found.

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::wait::{until, until_for};
use crate::harness::{Postgres, Server, Stock};

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
    until("the test's own connection", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
    database.say("42", "fence").await;
    assert_eq!(client.next().await.body(), "fence");
}

/// One backend dies, by the kernel's hand when memory is short: Postgres restarts all the others, and itself stays.
#[tokio::test]
async fn a_crashed_backend_that_undoes_commits_loses_nothing() {
    let (_postgres, database) = Postgres::with_chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "flushed").await;
    assert_eq!(client.next().await.body(), "flushed");

    // Nobody flushes what commits from now on.
    let process = async |find: &str| {
        let pid = database.value(find).await.parse().expect("a process id");
        Pid::from_raw(pid).expect("a process id")
    };
    let flusher =
        process("select pid from pg_stat_activity where backend_type = 'walwriter'").await;
    kill_process(flusher, Signal::STOP).expect("it runs");
    let mut writer = database.connection().await;
    crate::harness::database::run(&mut writer, "set synchronous_commit = off").await;
    let victim = crate::harness::database::value(&mut writer, "select pg_backend_pid()").await;
    for number in 0..5 {
        crate::harness::say(&mut writer, "42", &format!("undone {number}")).await;
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
    until_for(Duration::from_secs(30), "Postgres to be back", async || {
        sqlx::query("select 1").execute(&database.pool).await.ok()
    })
    .await;
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
