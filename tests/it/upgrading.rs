//! Upgrades: the database of each release, kept as a dump, is migrated with all that is in it and served.
//!
//! `tests/it/schemas/<version>.sql` is what `keep_the_schema_of_this_release` writes, once for each release, and again while that is not
//! out and a migration of it is edited.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;

use crate::harness::api::column;
use crate::harness::dump::{dump, restore};
use crate::harness::{Database, Launch, Server, Stock};

/// What an older Postgres than that of the dump does not know, and what no restore needs.
const LEFT_OUT: [&str; 3] = ["\\restrict", "\\unrestrict", "SET transaction_timeout"];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/schemas")
}

/// A database as it is after a while: tables of one's own, events, and the session of a client that has gone.
async fn lived_in() -> Database {
    let database = Database::inbox().await;
    let scene = fs::read_to_string(folder().join("scene.sql"));
    database.run(&scene.expect("a readable file")).await;
    let server = Server::on(&database).await;
    let stock = Stock::start();
    stock.joined(&server, "42").await.cut();
    server.stop().await;
    database
}

#[tokio::test]
#[ignore = "writes a file of the sources: for a release"]
async fn keep_the_schema_of_this_release() {
    let database = lived_in().await;
    let dumped = dump(&database.url, &[]).await;
    let text = String::from_utf8(dumped).expect("text");
    let wanted = |line: &&str| !LEFT_OUT.iter().any(|start| line.starts_with(start));
    let lines: Vec<_> = text.lines().filter(wanted).collect();
    let file = folder().join(concat!(env!("CARGO_PKG_VERSION"), ".sql"));
    fs::write(file, lines.join("\n") + "\n").expect("it is written");
}

/// The schemas that are kept, by their versions.
fn kept() -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(folder()).expect("a readable folder");
    let mut kept = Vec::new();
    for file in files {
        let path = file.expect("a file").path();
        let name = path.file_stem().expect("a name").to_string_lossy();
        if name != "scene" && path.extension().is_some_and(|it| it == "sql") {
            let dump = fs::read(&path).expect("a readable file");
            kept.push((name.into_owned(), dump));
        }
    }
    kept
}

#[tokio::test]
async fn the_database_of_each_release_is_migrated_with_all_that_is_in_it() {
    let kept = kept();
    assert!(!kept.is_empty());
    // Its roles are those of the cluster.
    drop(Database::chat().await);
    for (version, dump) in kept {
        let database = Database::empty().await;
        assert_eq!(restore(&database.url, dump).await, "", "{version}");
        Launch::command(["migrate", "--chat"])
            .database(&database.url)
            .succeed()
            .await;
        goes_on(&database, &version).await;
    }
}

/// What was there is shown, and what is written to each table reaches who listens.
async fn goes_on(database: &Database, version: &str) {
    let problems = "select coalesce(string_agg(source || ': ' || p, '; '), '') from rowcast.sources, unnest(problems) p";
    assert_eq!(database.value(problems).await, "", "{version}");
    let server = Server::on(database).await;
    assert_eq!(
        server.get("/readyz").await.json(),
        json!({"status": "ready"})
    );
    let before = server.read("42", "messages").await;
    let bodies = column(&before["messages"], "/body");
    assert_eq!(bodies, ["of before", "and its answer"], "{version}");
    assert_eq!(before["messages"][1]["status"], "delivered", "{version}");
    let before = server.read("7", "messages").await;
    assert_eq!(before["messages"][0]["ack"], "delivered", "{version}");

    let stock = Stock::start();
    let mut client = stock.connect(&server).await;
    for contact in ["42", "7", "8"] {
        client.join(contact).await;
    }
    let joined = client.ask("join:room", json!(["order:9"])).await;
    assert_eq!(joined["ok"], true, "{joined}");
    let id = database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after", "{version}");
    database.report(&id, "read").await;
    assert_eq!(client.next().await.payload()["status"], "read", "{version}");
    for (sql, event) in [
        (
            "insert into wa (wa_id, chat, body) values (2, '7', 'x')",
            "message:new",
        ),
        ("update wa set ack = 2 where wa_id = 2", "message:status"),
        ("delete from wa where wa_id = 2", "message:deleted"),
        (
            "insert into letters_2026_01 values (2, '8', 'x', '2026-01-03')",
            "message:new",
        ),
        ("insert into notes values (2, 1, 'x')", "message:new"),
        (
            "select rowcast.emit('conversation:42', 'note', '{}')",
            "note",
        ),
    ] {
        database.run(sql).await;
        assert_eq!(client.next().await.name, event, "{version}: {sql}");
    }
    database.run("select rowcast.detach('wa')").await;
    server.stop().await;
}
