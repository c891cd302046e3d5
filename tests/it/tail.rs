//! `rowcast tail`, `emit` and `detach`: what somebody at a terminal sees of the outbox, and does to it.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::wait::until;
use crate::harness::{Database, Launch, Postgres, Server};

/// A tail that has looked once: what is written from here on is printed.
async fn tailing<const N: usize>(database: &Database, arguments: [&str; N]) -> Server {
    let mut launch = Launch::command(["tail"]).database(&database.url);
    for argument in arguments {
        launch = launch.arg(argument);
    }
    let tails = "from pg_stat_activity where application_name = 'rowcast tail' and datname = current_database()";
    let others = format!("select coalesce(array_agg(pid), '{{}}') {tails}");
    let others = database.value(&others).await;
    let tail = launch.spawn();
    // It rests once when its statement is prepared, and then each time that it has looked.
    let rested = format!(
        "select coalesce(max(query_start)::text, '') {tails} and pid <> all ('{others}') and state = 'idle' and query ilike '%rowcast.events%'"
    );
    let mut before = String::new();
    for what in ["the tail to ask", "the tail to have looked"] {
        before = until(what, async || {
            let rested = database.value(&rested).await;
            (!rested.is_empty() && rested != before).then_some(rested)
        })
        .await;
    }
    tail
}

/// The lines that it has printed, once there are so many.
async fn printed(tail: &Server, count: usize) -> Vec<String> {
    until("the tail to print", async || {
        let lines = tail.lines();
        (lines.len() >= count).then_some(lines)
    })
    .await
}

/// The messages' bodies among these lines.
fn bodies(lines: &[String]) -> Vec<String> {
    let events = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    events
        .filter_map(|event| Some(event["data"]["message"]["body"].as_str()?.to_owned()))
        .collect()
}

#[tokio::test]
async fn what_is_committed_is_printed() {
    let database = Database::chat().await;
    let all = tailing(&database, []).await;
    let one = tailing(&database, ["conversation:42", "--json"]).await;
    database.say("41", "elsewhere").await;
    database.say("42", "hello").await;
    let lines = printed(&all, 2).await;
    assert!(
        lines[0].contains("Z  conversation:41  message:new  {\"message\":"),
        "{lines:?}"
    );
    assert!(lines[1].contains("hello"), "{lines:?}");
    let lines = printed(&one, 1).await;
    let line: Value = serde_json::from_str(&lines[0]).expect("JSON");
    assert_eq!(
        (
            &line["room"],
            &line["event"],
            &line["data"]["message"]["body"]
        ),
        (
            &json!("conversation:42"),
            &json!("message:new"),
            &json!("hello")
        )
    );
    // Its offset is one to go on from.
    database.say("42", "again").await;
    let offset = line["offset"].as_str().expect("an offset");
    let from_there = tailing(&database, ["--json", "--since", offset]).await;
    assert_eq!(bodies(&printed(&from_there, 1).await), ["again"]);
    all.signal(Signal::INT);
    assert_eq!(all.ended().await.code(), Some(0));
}

/// A room may be named after what a customer calls itself.
#[tokio::test]
async fn an_event_is_one_line_that_says_nothing_to_a_terminal() {
    let database = Database::chat().await;
    let all = tailing(&database, []).await;
    let emit =
        "select rowcast.emit(E'x:\\x1b[2J\\nFORGED', E'a\\u009b2J', E'{\"a\":\\n\"\\u009b\"}')";
    database.run(emit).await;
    database.say("42", "hello").await;
    let lines = printed(&all, 2).await;
    assert!(
        lines[0].contains("  x:\\u001b[2J\\nFORGED  a\\u009b2J  "),
        "{lines:?}"
    );
    assert!(lines[1].contains("hello"), "{lines:?}");
    for line in lines {
        assert!(line.chars().all(|it| !it.is_control()), "{line:?}");
    }
}

#[tokio::test]
async fn the_past_is_printed_first_and_then_what_comes() {
    let database = Database::chat().await;
    database.say("42", "before").await;
    database
        .run("insert into rowcast.events (at, room, event, data) values (now() - interval '1 hour', 'conversation:42', 'message:new', '{\"message\": {\"body\": \"long ago\"}}')")
        .await;
    let tail = tailing(&database, ["--json", "--since", "10m"]).await;
    database.say("42", "after").await;
    assert_eq!(bodies(&printed(&tail, 2).await), ["before", "after"]);
}

#[tokio::test]
async fn a_transaction_that_was_open_meanwhile_is_not_missed() {
    let database = Database::chat().await;
    let tail = tailing(&database, ["--json"]).await;
    let mut open = database.pool.begin().await.expect("a transaction");
    crate::harness::say(&mut *open, "42", "late").await;
    database.say("42", "early").await;
    assert_eq!(bodies(&printed(&tail, 1).await), ["early"]);
    open.commit().await.expect("a commit");
    assert_eq!(bodies(&printed(&tail, 2).await), ["early", "late"]);
}

#[tokio::test]
async fn it_goes_on_where_it_was_when_the_database_was_away() {
    let (mut postgres, database) = Postgres::with_chat().await;
    let tail = tailing(&database, ["--json"]).await;
    database.say("42", "before").await;
    printed(&tail, 1).await;
    postgres.down(Signal::INT).await;
    until("the tail to say so", async || {
        let lines = tail.lines();
        lines
            .iter()
            .any(|line| line.contains("can't be read, it is tried again"))
            .then_some(())
    })
    .await;
    postgres.up().await;
    database.say("42", "after").await;
    // What it says of itself comes on another way than the events.
    until("the tail to go on, and to say so", async || {
        let lines = tail.lines();
        let has_said = lines.iter().any(|line| line.contains("is there again"));
        (has_said && bodies(&lines).len() > 1).then_some(())
    })
    .await;
    assert_eq!(bodies(&tail.lines()), ["before", "after"]);
}

#[tokio::test]
async fn what_can_not_be_told_of_the_past_is_refused() {
    let database = Database::chat().await;
    let tail = |arguments: [&'static str; 2]| {
        let launch = Launch::command(["tail"]).database(&database.url);
        arguments.into_iter().fold(launch, Launch::arg)
    };
    tail(["--since", "nothing"])
        .refuse(&["--since \"nothing\" can't be gone on from", "not an offset"])
        .await;
    tail(["--since", "10x"]).refuse(&["10x", "--since"]).await;
    tail(["lobby", "--json"])
        .refuse(&["ROOM \"lobby\"", "<kind>:<id>"])
        .await;
}

#[tokio::test]
async fn an_event_of_ones_own_is_emitted() {
    let database = Database::chat().await;
    let emit = |room: &str, data: &str| {
        Launch::command(["emit"])
            .database(&database.url)
            .arg(room)
            .arg("note")
            .arg(data)
    };
    emit("inbox:7", r#"{"n": 1.50}"#).succeed().await;
    let stored = "select room || ' ' || event || ' ' || data from rowcast.events";
    assert_eq!(database.value(stored).await, r#"inbox:7 note {"n": 1.50}"#);
    emit("inbox:7", "hello")
        .refuse(&["JSON is not JSON", "a text is quoted twice"])
        .await;
    emit("inbox", "1")
        .refuse(&["ROOM \"inbox\"", "<kind>:<id>"])
        .await;
    Launch::command(["emit", "inbox:7", "", "1"])
        .database(&database.url)
        .refuse(&["rowcast.emit", "event"])
        .await;
}

#[tokio::test]
async fn a_table_is_detached_by_its_name() {
    let database = Database::chat().await;
    let detach = |table: &str| {
        Launch::command(["detach"])
            .database(&database.url)
            .arg(table)
    };
    // Of two tables that are called alike, neither is taken for the one that is meant.
    database
        .run(
            "create schema s; create table s.messages (id int primary key, c text);
             select rowcast.attach('s.messages', room => 'conversation:{c}', on_insert => 'message:new')",
        )
        .await;
    let both = "2 tables are attached that are called messages: public.messages, s.messages; say which with its schema";
    detach("messages").refuse(&[both]).await;
    let reload = "do $$ begin perform rowcast.reload('messages'); exception when ambiguous_alias then raise exception using message = sqlerrm || '!'; end $$";
    let refused = sqlx::query(reload).execute(&database.pool).await;
    let refused = refused.expect_err("there are two").to_string();
    assert!(refused.contains(&format!("{both}!")), "{refused}");
    let done = detach("s.messages").succeed().await;
    assert_eq!(done.stdout, "s.messages is detached\n");
    let done = detach("messages").succeed().await;
    assert_eq!(done.stdout, "public.messages is detached\n");
    database.say("42", "unheard").await;
    assert_eq!(
        database.value("select count(*) from rowcast.events").await,
        "0"
    );
    detach("messages")
        .refuse(&["messages was not attached", "rowcast sources"])
        .await;
}
