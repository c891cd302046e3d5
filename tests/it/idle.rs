//! A server with nobody connected: few statements, and none of ours is ever compiled.
//!
//! Each test has a Postgres of its own, whose log says what was sent by whom.

use std::time::{Duration, Instant};

use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Postgres, Scratch, Server, Stock};

/// A Postgres whose log begins each entry with who is connected.
pub(crate) async fn telling(settings: &[&str]) -> (Postgres, Database) {
    let settings = [&["log_line_prefix=%a|"], settings].concat();
    let postgres = Postgres::start_in(Scratch::folder(), &settings).await;
    let database = postgres.chat().await;
    (postgres, database)
}

/// The log's entries, each with who caused it, without those of before `from`.
pub(crate) fn entries(postgres: &Postgres, from: usize) -> Vec<(String, String)> {
    let log = std::fs::read(postgres.folder().join("log")).expect("a log");
    let log = String::from_utf8_lossy(&log[from..]).into_owned();
    let mut entries: Vec<(String, String)> = Vec::new();
    for line in log.lines() {
        match line.split_once('|') {
            Some((who, said)) if !line.starts_with('\t') => {
                entries.push((who.to_owned(), said.to_owned()));
            }
            _ => {
                if let Some((_, entry)) = entries.last_mut() {
                    entry.push_str(line);
                }
            }
        }
    }
    entries
}

pub(crate) fn size(postgres: &Postgres) -> usize {
    let log = std::fs::metadata(postgres.folder().join("log")).expect("a log");
    log.len().try_into().expect("a size")
}

#[tokio::test]
async fn an_idle_server_sends_few_statements() {
    let (postgres, database) = telling(&["log_statement=all"]).await;
    database.say("42", "of before").await;
    let server = Server::on(&database).await;
    // The clock of this test: a poll a second.
    let polls = async |least: f64| {
        let what = format!("{least} polls");
        until_for(Duration::from_secs(90), what, async || {
            let polls = server.metric("rowcast_wakes_total", &["poll"]).await;
            (polls >= least).then_some(())
        })
        .await;
    };
    polls(3.0).await;
    let (from, begun) = (size(&postgres), Instant::now());
    polls(33.0).await;
    let elapsed = begun.elapsed();
    let sent: Vec<_> = entries(&postgres, from)
        .into_iter()
        .filter(|(who, said)| {
            let is_sent = said.contains("  execute ") || said.contains("  statement: ");
            who.starts_with("rowcast") && is_sent
        })
        .collect();
    // docs/databases.md says fewer than 100 a minute. Some come once in ten or twelve seconds, and so in lumps.
    let most = usize::try_from(elapsed.as_secs() * 100 / 60 + 6).expect("a count");
    let count = sent.len();
    assert!(
        (30..=most).contains(&count),
        "{count} in {elapsed:?}: {sent:#?}"
    );
    let asked = sent
        .iter()
        .filter(|(who, _)| who == "rowcast listener")
        .count();
    assert_eq!(asked, 0, "a listener that hears is not asked");
    server.readiness(200).await;
}

#[tokio::test]
async fn no_statement_of_ours_is_compiled() {
    let (postgres, database) = telling(&[
        "jit=on",
        "jit_above_cost=0",
        "session_preload_libraries=auto_explain",
        "auto_explain.log_min_duration=0",
        "auto_explain.log_analyze=on",
    ])
    .await;
    let compiles = database.value("select pg_jit_available()").await == "t";
    let server = Server::with(&database, &[("ROWCAST_RETENTION", "1s")]).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "hello").await;
    assert_eq!(client.event("message:new").await.body(), "hello");
    server.read("42", "messages").await;
    let offset = server.offset("42").await;
    server.read("42", &format!("events?after={offset}")).await;
    server
        .counted("rowcast_pruned_events_total", &[], 1.0)
        .await;
    let is_compiled = |(_, said): &&(String, String)| said.contains("JIT:");
    let wanted = ["rowcast", "rowcast reader", "rowcast http"];
    until("a plan of each kind of connection", async || {
        let said = entries(&postgres, 0);
        let planned = |wanted: &&str| {
            said.iter()
                .any(|(who, said)| who == wanted && said.contains("plan:"))
        };
        wanted.iter().all(planned).then_some(())
    })
    .await;
    let said = entries(&postgres, 0);
    let ours: Vec<_> = said
        .iter()
        .filter(|(who, _)| who.starts_with("rowcast"))
        .filter(is_compiled)
        .collect();
    assert!(ours.is_empty(), "{ours:#?}");
    // Anybody else's is, or this test would see nothing.
    let others = said.iter().filter(is_compiled).count();
    assert!(!compiles || others > 0);
}
