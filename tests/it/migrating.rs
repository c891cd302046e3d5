//! Migrations while others work: writers don't wait, what is waited for is said, and everything that was made is named.

use std::time::{Duration, Instant};

use sqlx::migrate::Migrate as _;

use crate::harness::wait::{until, within_for};
use crate::harness::{Database, Launch, Server, Stock, database, http, say};

/// The names of the migrations in a folder, in their order.
fn names(folder: &str) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let files = std::fs::read_dir(root).expect("a readable folder");
    let mut names: Vec<_> = files
        .filter_map(|file| {
            let name = file.expect("a file").file_name();
            Some(name.to_str()?.strip_suffix(".sql")?.to_owned())
        })
        .collect();
    names.sort();
    names
}

/// What this server's log says that it applied.
fn applied(server: &Server) -> Vec<String> {
    let lines = server.lines();
    let lines = lines
        .iter()
        .filter(|line| line.contains("applied a migration"));
    let name = |line: &String| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        line["migration"].as_str().unwrap_or_default().to_owned()
    };
    lines.map(name).collect()
}

#[tokio::test]
async fn a_server_names_each_migration_that_it_applies() {
    let database = Database::empty().await;
    let server = Server::on(&database).await;
    assert_eq!(applied(&server), names("migrations"));
    assert_eq!(applied(&Server::on(&database).await), [""; 0]);
    let migrated = Launch::command(["migrate", "--chat"]).database(&database.url);
    let said = migrated.succeed().await.stdout;
    assert!(
        said.ends_with(&format!(
            "up to date, applied {}\n",
            names("migrations/chat").join(", ")
        )),
        "{said}"
    );
}

#[tokio::test]
async fn whoever_holds_up_the_migrations_is_named_until_the_time_is_over() {
    let database = Database::empty().await;
    let mut other = database.connection().await;
    let pid = database::value(&mut other, "select pg_backend_pid()").await;
    // As `sqlx migrate run` does: by the same lock, ours wait for it.
    other.lock().await.expect("the lock of migrations");
    let pid = format!("pid {pid}");
    Launch::command(["migrate", "--timeout", "4s"])
        .database(&database.url)
        .refuse(&[
            "gave up after 4s",
            "0001_outbox",
            &pid,
            "\"test\"",
            "idle, since 20",
            "pg_terminate_backend",
        ])
        .await;

    let server = Launch::serve().database(&database.url).spawn();
    let (address, _) = server.listening().await;
    server
        .log("a word about the lock", |line| {
            line["level"] == "WARN" && line.to_string().contains(&pid)
        })
        .await;
    let waiting = until("who it waits for", async || {
        let answer = http::get(&address, "/readyz", &[]).await;
        assert_eq!(answer.status, 503);
        answer.json()["failing"]["migrations"]
            .as_str()
            .map(str::to_owned)
            .filter(|it| it.contains(&pid))
    })
    .await;
    assert!(waiting.contains("0001_outbox"), "{waiting}");
    assert_eq!(http::get(&address, "/livez", &[]).await.status, 200);
    other.unlock().await.expect("it was locked");
    server.ready().await;
}

/// The chat tables are taken up again, which puts triggers on a table that is written to. One writer's transaction stays open.
#[tokio::test]
async fn no_writer_waits_behind_a_migration_that_waits() {
    let database = Database::chat().await;
    database.run("drop schema rowcast cascade").await;
    let mut open = database.pool.begin().await.expect("a transaction");
    say(&mut *open, "42", "open").await;
    let migrating = Launch::command(["migrate", "--chat", "--timeout", "25s"])
        .database(&database.url)
        .succeed();
    let writing = async {
        let held_up = "select count(*) > 0 from pg_stat_activity
                       where application_name = 'rowcast migrate' and wait_event_type = 'Lock'";
        until("the migration to be held up", async || {
            (database.value(held_up).await == "t").then_some(())
        })
        .await;
        let mut longest = Duration::ZERO;
        for number in 0..200 {
            let begun = Instant::now();
            database.say("42", &format!("{number}")).await;
            longest = longest.max(begun.elapsed());
        }
        open.commit().await.expect("it commits");
        longest
    };
    let (_, longest) = tokio::join!(migrating, writing);
    assert!(
        longest < Duration::from_secs(1),
        "a writer waited {longest:?}"
    );
    assert_eq!(database.value("select count(*) from messages").await, "201");
}

#[tokio::test]
async fn chat_tables_whose_schema_was_reset_are_made_again() {
    let database = Database::chat().await;
    database.say("42", "gone").await;
    database
        .run("drop schema public cascade; create schema public")
        .await;
    let migrate = || Launch::command(["migrate", "--chat"]).database(&database.url);
    let said = migrate().succeed().await.stdout;
    assert!(said.contains("applied 0001_chat"), "{said}");
    let server = Server::on(&database).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    let id = database.say("42", "anew").await;
    assert_eq!(client.next().await.body(), "anew");
    database.report(&id, "read").await;
    assert_eq!(client.next().await.payload()["status"], "read");
    let problems =
        "select coalesce(string_agg(p, ''), '') from rowcast.sources, unnest(problems) p";
    assert_eq!(database.value(problems).await, "");
    let said = migrate().succeed().await.stdout;
    assert!(said.ends_with(": up to date\n"), "{said}");
    // One of them alone can't be made again: that is said, and not passed over.
    database.run("drop table message_statuses").await;
    migrate()
        .refuse(&["the chat tables", "public.messages"])
        .await;
}

/// As a later version records the migration of this name.
async fn migrate_later(database: &Database, version: i64, name: &str) {
    let record = format!(
        "insert into rowcast.migrations (version, description, success, checksum, execution_time)
         values ({version}, '{name}', true, '\\x00', 0)"
    );
    database.run(&record).await;
}

#[tokio::test]
async fn an_older_version_serves_a_database_that_says_so() {
    let database = Database::chat().await;
    migrate_later(&database, 9001, "since 0001 more rooms").await;
    migrate_later(&database, 9002, "since 0021 fewer rooms").await;
    let migrate = Launch::command(["migrate"]).database(&database.url);
    let said = migrate.succeed().await.stdout;
    assert!(said.ends_with(": up to date\n"), "{said}");
    let server = Server::on(&database).await;
    let told = |line: &serde_json::Value| line.to_string().contains("a later version has migrated");
    server.log("that it serves on", told).await;
    let stock = Stock::start();
    let mut client = stock.joined(&server, "42").await;
    database.say("42", "served on").await;
    assert_eq!(client.next().await.body(), "served on");
    let doctor = Launch::command(["doctor"])
        .database(&database.url)
        .end()
        .await;
    assert!(
        doctor.stdout.contains("2 of them by a later version"),
        "{doctor:#?}"
    );
    // The next step takes away what this version needs.
    migrate_later(&database, 9003, "since 9001 no rooms").await;
    let again = Launch::serve()
        .database(&database.url)
        .env("ROWCAST_ADMIN", "");
    again.refuse(&["9003", "a later version of Rowcast"]).await;
}

#[tokio::test]
async fn an_older_version_says_which_one_is_to_be_run() {
    let database = Database::chat().await;
    migrate_later(&database, 9001, "of a later version").await;
    for command in ["serve", "migrate"] {
        let refused = Launch::command([command])
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "")
            .env("ROWCAST_MIGRATE", "off")
            .database(&database.url)
            .refuse(&[
                "9001",
                "a later version of Rowcast",
                "run that one",
                "backup",
            ]);
        within_for(Duration::from_secs(20), "the refusal", refused).await;
    }
}
