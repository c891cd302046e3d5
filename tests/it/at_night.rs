//! Faults that leave a server with nothing to complain of by itself, told before anybody asks, with what mends them.

use std::fs::{self, File};
use std::io::Write as _;
use std::time::Duration;

use serde_json::Value;

use crate::doctor::{Role, examined};
use crate::harness::database::run;
use crate::harness::wait::until_for;
use crate::harness::{Database, Launch, Postgres, Scratch, Server};

/// A check is made twice a minute, or six seconds apart.
const PATIENCE: Duration = Duration::from_secs(60);

/// What `/readyz` has of this check, once it fails or passes. `meanwhile` runs before each look.
async fn told(server: &Server, check: &str, fails: bool, meanwhile: impl AsyncFn()) -> String {
    until_for(PATIENCE, format!("{check} to fail: {fails}"), async || {
        meanwhile().await;
        let answer = server.get("/readyz").await;
        let said = answer.json()["degraded"][check].clone();
        (answer.status == 200 && said.is_string() == fails)
            .then(|| said.as_str().unwrap_or_default().to_owned())
    })
    .await
}

async fn ready(server: &Server, check: &str) -> f64 {
    let label = format!("check=\"{check}\"");
    server.metric("rowcast_ready", &[&label]).await
}

fn lines(server: &Server, words: &[&str]) -> usize {
    let lines = server.lines();
    let has_all = |line: &&String| words.iter().all(|word| line.contains(word));
    lines.iter().filter(has_all).count()
}

/// Sessions fit into pages that are there, and no event comes, so nothing of the server's own fails.
#[tokio::test]
async fn a_full_disk_is_told_while_everything_of_ours_still_works() {
    let Some(folder) = Scratch::disk(160) else {
        return eprintln!("nothing can be mounted here, so no disk can be full");
    };
    let settings = ["min_wal_size=32MB", "max_wal_size=48MB"];
    let postgres = Postgres::start_in(folder, &settings).await;
    let database = postgres.chat().await;
    let role = Role::granted(&database, []).await;
    let server = Launch::serve().database(&role.url).start().await;
    server.readiness(200).await;
    let ballast = postgres.folder().join("ballast");
    let mut file = File::create(&ballast).expect("a file can be made");
    while file.write_all(&[0; 64 * 1024]).is_ok() {}
    drop(file);
    let cause = told(&server, "disk", true, async || {}).await;
    assert!(
        cause.contains("make room on the disk of Postgres"),
        "{cause}"
    );
    assert!(cause.contains("df -h"), "{cause}");
    assert_eq!(ready(&server, "disk").await, 0.0);
    assert_eq!(lines(&server, &["degraded: ", "\"check\":\"disk\""]), 1);
    let (findings, code) = examined(&role.url).await;
    let is_disk = |finding: &&Value| finding["check"] == "disk";
    let found = findings.iter().find(is_disk).expect("disk");
    assert_eq!((&found["level"], code), (&"failure".into(), 2), "{found}");
    fs::remove_file(&ballast).expect("it is there");
    told(&server, "disk", false, async || {}).await;
    assert_eq!(ready(&server, "disk").await, 1.0);
    assert_eq!(lines(&server, &["mended: ", "\"check\":\"disk\""]), 1);
    server.stop().await;
}

/// The server's role may not see what others do; that a transaction is the same one as before is for everybody to see.
#[tokio::test]
async fn dead_rows_that_an_open_transaction_keeps_are_told_with_who_it_is() {
    let database = Database::chat().await;
    let role = Role::granted(&database, []).await;
    let server = Launch::serve().database(&role.url).start().await;
    server.readiness(200).await;
    let mut holder = database.connection().await;
    let begin =
        "set application_name = 'the holder'; begin isolation level repeatable read; select 1";
    run(&mut holder, begin).await;
    let churn = "insert into rowcast.sessions (pid_hash, identity, owner, last_sent_offset, complete_to_offset, ended_at)
                   select int8send(n), '', 0, '', '', now() from generate_series(1, 110000) n;
                 delete from rowcast.sessions where owner = 0";
    database.run(churn).await;
    let vacuum = async || database.run("vacuum rowcast.sessions").await;
    let cause = told(&server, "vacuum", true, vacuum).await;
    assert!(cause.contains("dead rows of rowcast.sessions"), "{cause}");
    assert!(cause.contains("the holder"), "{cause}");
    assert_eq!(ready(&server, "vacuum").await, 0.0);
    assert_eq!(lines(&server, &["degraded: ", "\"check\":\"vacuum\""]), 1);
    let (_, mend) = cause.split_once("; ").expect("what to paste");
    database.run(mend).await;
    told(&server, "vacuum", false, vacuum).await;
    assert_eq!(lines(&server, &["mended: ", "\"check\":\"vacuum\""]), 1);
    server.stop().await;
    role.gone(&database).await;
}

#[tokio::test]
async fn rows_that_were_lost_are_no_problem_once_the_table_is_attached_again() {
    let database = Database::chat().await;
    let break_it = "create table orders (id bigint primary key, customer_id bigint);
         select rowcast.attach('public.orders', room => 'order:{customer_id}', on_insert => 'order:new');
         alter table orders rename customer_id to client_id";
    database.run(break_it).await;
    let ask = "select problems::text from rowcast.sources where source = 'public.orders'";
    database.run("insert into orders values (1, 7)").await;
    let problems = database.value(ask).await;
    assert!(problems.contains("was not sent lately"), "{problems}");
    let attach = "select rowcast.attach('public.orders', room => 'order:{client_id}', on_insert => 'order:new')";
    database.run(attach).await;
    assert_eq!(database.value(ask).await, "{}");
    database.run("insert into orders values (2, null)").await;
    let problems = database.value(ask).await;
    assert!(problems.contains("was not sent lately"), "{problems}");
}

/// As where a full disk has ended Postgres for good.
#[tokio::test]
async fn a_postgres_that_is_stopped_is_told_from_an_address_that_is_silent() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = free.local_addr().expect("its number").port();
    drop(free);
    let (findings, code) = examined(&format!("postgres://rowcast@127.0.0.1:{port}/chat")).await;
    let means = findings[0]["means"].as_str().unwrap_or_default();
    assert!(means.contains("No space left on device"), "{findings:#?}");
    assert_eq!((&findings[0]["check"], code), (&"connection".into(), 2));
    assert!(
        findings[0]["paste"]
            .as_str()
            .is_some_and(|paste| paste.contains("df -h"))
    );
}
