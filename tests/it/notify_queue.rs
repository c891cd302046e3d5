//! A full NOTIFY queue: no writer fails, everything is delivered by the poll, and operators are told once.
//!
//! The queue of the shared cluster can't be filled up without harm to other tests, and before Postgres 17 it holds 8 GB. So in a
//! test's own database the function that says how full it is answers as the test wants; the last test fills a real one.

use std::process::Command;

use serde_json::Value;

use crate::harness::database::{run, value};
use crate::harness::postgres::binaries;
use crate::harness::wait::{until, within};
use crate::harness::{BackEnd, Database, Postgres, Scene, Scratch, Server, Stock};

/// A scene in whose database the queue looks as full as `pretend` says. The planner puts the body of such a function in place of
/// its call, and plans are kept: so it is replaced before anybody has one.
async fn pretending() -> Scene {
    let database = Database::chat().await;
    pretend_usage(&database).await;
    Scene {
        server: Server::on(&database).await,
        stock: Stock::start(),
        database,
    }
}

/// Has the queue look as full as the table `pretended` says.
pub(crate) async fn pretend_usage(database: &Database) {
    database
        .run(
            "create table pretended (usage float8); insert into pretended values (0);
             create function pretended_usage() returns float8 language sql volatile security definer
               as 'select usage from public.pretended';
             create or replace function pg_catalog.pg_notification_queue_usage() returns float8 language sql volatile
               as 'select public.pretended_usage()'",
        )
        .await;
}

async fn pretend(database: &Database, usage: &str) {
    database
        .run(&format!("update pretended set usage = {usage}"))
        .await;
}

/// `degraded` of `/readyz`, once it is there or gone.
async fn degraded(server: &Server, wanted: bool) -> Value {
    until("readiness to tell of the queue", async || {
        let answer = server.get("/readyz").await;
        let degraded = answer.json()["degraded"]["notify_queue"].clone();
        (degraded.is_string() == wanted).then_some(degraded)
    })
    .await
}

fn lines(server: &Server, words: &str) -> usize {
    let lines = server.lines();
    lines.iter().filter(|line| line.contains(words)).count()
}

#[tokio::test]
async fn nothing_is_added_to_a_queue_that_is_filling_up() {
    let scene = pretending().await;
    let database = &scene.database;
    let mut client = scene.joined("42").await;
    let mut listener = sqlx::postgres::PgListener::connect(&database.url)
        .await
        .expect("a listener");
    pretend(database, "0.5").await;
    let back_end = BackEnd::on(&database.url);
    let told = degraded(&scene.server, true).await.to_string();
    for word in ["50 %", "poll", "pg_terminate_backend"] {
        assert!(told.contains(word), "{told}");
    }
    listener
        .listen_all(["rowcast", "rowcast_typing", "rowcast_session", "own"])
        .await
        .expect("it listens");
    for number in 0..3 {
        let body = number.to_string();
        database.say("42", &body).await;
        database.run("select rowcast.typing('42')").await;
        assert_eq!(client.next().await.body(), body, "by the poll");
    }
    // A client that comes back is taken over, by a statement that notifies where it can.
    client.cut();
    client.disconnected().await;
    assert!(client.connected().await, "it is recovered");
    database.say("42", "resumed").await;
    assert_eq!(client.event("message:new").await.body(), "resumed");
    database.run("notify own, 'after'").await;
    let heard = within("a notification", listener.try_recv()).await;
    let heard = heard.expect("it is received").expect("no gap");
    assert_eq!(heard.channel(), "own", "nothing of ours was in the queue");
    assert_eq!(scene.server.get("/readyz").await.status, 200);
    scene
        .server
        .counted("rowcast_notify_queue_usage_ratio", &[], 0.5)
        .await;

    back_end.unharmed().await;
    pretend(database, "0.1").await;
    degraded(&scene.server, false).await;
    let over = "mended: notify_queue";
    scene
        .server
        .log("the end to be told", |line| {
            line["message"]
                .as_str()
                .is_some_and(|text| text.contains(over))
        })
        .await;
    assert_eq!(lines(&scene.server, "the NOTIFY queue is 50 % full"), 1);
    assert_eq!(lines(&scene.server, over), 1);
    let before = scene.server.metric("rowcast_wakes_total", &["otify"]).await;
    database.say("42", "woken").await;
    assert_eq!(client.event("message:new").await.body(), "woken");
    scene
        .server
        .counted("rowcast_wakes_total", &["otify"], before + 1.0)
        .await;
}

#[tokio::test]
async fn a_right_to_notify_that_was_revoked_fails_no_writer() {
    let scene = Scene::new().await;
    let database = &scene.database;
    let role = database
        .value("select current_database() || '_owner'")
        .await;
    database
        .run(&format!(
            "create role {role}; grant all on all tables in schema rowcast to {role}; grant usage on schema rowcast to {role};
             grant execute on all functions in schema rowcast to {role};
             alter function rowcast.capture_public_messages_insert() owner to {role};
             alter function rowcast.emit(text, text, json) owner to {role};
             alter function rowcast.typing(text, boolean) owner to {role};
             revoke execute on function pg_notification_queue_usage() from public"
        ))
        .await;
    let mut client = scene.joined("42").await;
    database.say("42", "one").await;
    assert_eq!(client.next().await.body(), "one");
    database.run("select rowcast.typing('42')").await;
    assert_eq!(
        client.next().await.name,
        "typing:start",
        "there is room, for all that is known"
    );
    database
        .run("revoke execute on function pg_notify(text, text) from public")
        .await;
    database.say("42", "two").await;
    assert_eq!(client.event("message:new").await.body(), "two");
    database
        .run(&format!("alter function rowcast.typing(text, boolean) owner to current_user; drop owned by {role} cascade"))
        .await;
    database.run(&format!("drop role {role}")).await;
}

/// The major of the Postgres that private clusters run on.
fn major() -> u32 {
    let version = Command::new(binaries().join("postgres"))
        .arg("--version")
        .output()
        .expect("postgres starts");
    let version = String::from_utf8_lossy(&version.stdout).into_owned();
    let number = version
        .split(' ')
        .nth(2)
        .and_then(|all| all.split(|c: char| !c.is_numeric()).next());
    number
        .and_then(|major| major.parse().ok())
        .expect("a version")
}

/// The queue's size is a setting since Postgres 17.
#[tokio::test]
async fn a_full_queue_fails_no_writer() {
    if major() < 17 {
        return;
    }
    let postgres = Postgres::start_in(Scratch::folder(), &["max_notify_queue_pages=64"]).await;
    let database = postgres.chat().await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let mut holder = database.connection().await;
    run(&mut holder, "listen x").await;
    run(&mut holder, "begin; select 1").await;
    // It fails, and leaves the queue full.
    let fill = "do $$ begin for i in 1..200 loop perform pg_notify('y', i || repeat('x', 7000)); end loop; end $$";
    sqlx::raw_sql(fill)
        .execute(&database.pool)
        .await
        .expect_err("the queue is too small for this");
    for number in 0..20 {
        database.say("42", &number.to_string()).await;
        database.run("select rowcast.typing('42')").await;
    }
    for number in 0..20 {
        assert_eq!(client.next().await.body(), number.to_string());
    }
    let told = degraded(&server, true).await.to_string();
    let pid = value(&mut holder, "select pg_backend_pid()").await;
    assert!(told.contains(&format!("pid {pid} ")), "{told}");
    server.readiness(503).await;
    // What was said is done. The server's own listener has read nothing of what failed, and does not hold the queue up either.
    database
        .run(&format!("select pg_terminate_backend({pid})"))
        .await;
    degraded(&server, false).await;
    server.readiness(200).await;
    database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
}
