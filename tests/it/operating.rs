//! docs/operate.md, run: every block of it in the order of the page, on one database.

use std::path::Path;
use std::process::Command;

use crate::harness::cluster::with_database;
use crate::harness::postgres::binaries;
use crate::harness::{Database, Scratch};

/// The blocks of the page: the heading that each stands under, its language, and its text.
fn blocks() -> Vec<(String, String, String)> {
    let page = include_str!("../../docs/operate.md");
    let (mut blocks, mut heading) = (Vec::new(), String::new());
    let mut open: Option<(String, String)> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some((language, text))) => blocks.push((heading.clone(), language, text)),
            (Some(language), None) => open = Some((language.to_owned(), String::new())),
            (None, Some((language, text))) => open = Some((language, format!("{text}{line}\n"))),
            (None, None) => {
                if let Some(title) = line.strip_prefix("## ") {
                    title.clone_into(&mut heading);
                }
            }
        }
    }
    assert!(open.is_none(), "the last block is closed");
    blocks
}

/// Runs a block as a person would who pastes it, and returns what it printed.
#[expect(
    clippy::disallowed_methods,
    reason = "the page's programs are found by PATH"
)]
pub(crate) async fn paste(
    language: &str,
    text: String,
    url: &str,
    restored: &str,
    folder: &Path,
) -> String {
    let rowcast = Path::new(env!("CARGO_BIN_EXE_rowcast"));
    let path = format!(
        "{}:{}:{}",
        rowcast.parent().expect("a folder").display(),
        binaries().display(),
        std::env::var("PATH").expect("a PATH")
    );
    let mut command = match language {
        "sh" => {
            let mut bash = Command::new("bash");
            bash.args(["-euo", "pipefail", "-c", &text]);
            bash
        }
        "sql" => {
            std::fs::write(folder.join("block.sql"), text.clone()).expect("a file");
            let mut psql = Command::new("psql");
            psql.args(["-X", "-v", "ON_ERROR_STOP=1", "-f", "block.sql", url]);
            psql
        }
        other => panic!("{other} is not run"),
    };
    command
        .env_clear()
        .env("PATH", path)
        .env("DATABASE_URL", url)
        .env("RESTORED_URL", restored)
        .current_dir(folder);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it is waited for").expect("it starts");
    let both = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{text}\n{said}");
    said
}

#[tokio::test]
async fn every_block_of_the_page_works_in_its_order() {
    let database = Database::chat().await;
    let name = database.value("select current_database()").await;
    let restored = format!("{name}_restored");
    let restored_url = with_database(&database.url, &restored);
    for contact in ["41", "42", "43"] {
        database.say(contact, "here").await;
    }
    let folder = Scratch::folder();
    for (heading, language, text) in blocks() {
        let text = text
            .replace("app_restored", &restored)
            .replace("rowcast_server", &format!("{name}_server"))
            .replace(" app ", &format!(" {name}_app "));
        if heading == "Uninstall" {
            database
                .run(&format!("drop database {restored} with (force)"))
                .await;
        }
        let before = database.value("select count(*) from messages").await;
        let events = "select count(*) from rowcast.events";
        let told = if heading == "Uninstall" {
            String::new()
        } else {
            database.value(events).await
        };
        let said = paste(&language, text, &database.url, &restored_url, folder.path()).await;
        assert_eq!(
            database.value("select count(*) from messages").await,
            before,
            "{heading}"
        );
        match heading.as_str() {
            "Monitoring" => assert!(!said.contains("failure"), "{said}"),
            "Backup and restore" => assert!(said.contains("public.messages"), "{said}"),
            "A large backfill" => {
                let now = database.value(events).await;
                let batches = said.contains("DO");
                assert_eq!(now != told, batches, "{said}: {told} and {now} events");
            }
            _ => {}
        }
    }
    // Gone without a trace, and the table is as writable as before.
    let left = "select count(*) from pg_trigger where tgname like 'rowcast%'";
    assert_eq!(database.value(left).await, "0");
    assert_eq!(
        database.value("select to_regnamespace('rowcast')").await,
        ""
    );
    database
        .run(&format!("drop owned by {name}_app; drop role {name}_app"))
        .await;
    database
        .run("insert into messages (contact_id, body) values ('42', 'still here')")
        .await;
}

/// The numbers of the table are those of the code.
#[test]
fn the_connections_of_the_page_are_those_of_the_pools() {
    let pools = include_str!("../../src/db/pools.rs");
    let page = include_str!("../../docs/operate.md");
    let mut sum = 2;
    for (constant, name) in [
        ("MAIN_CONNECTIONS", "`rowcast`"),
        ("REPLAY_CONNECTIONS", "`rowcast replay`"),
        ("HTTP_CONNECTIONS", "`rowcast http`"),
        ("POLICY_CONNECTIONS", "`rowcast policy`"),
        ("CHAT_CONNECTIONS", "`rowcast demo`"),
    ] {
        let (_, value) = pools
            .split_once(&format!("{constant}: u32 = "))
            .expect(constant);
        let value: u32 = value
            .split(';')
            .next()
            .and_then(|v| v.parse().ok())
            .expect("a number");
        assert!(
            page.contains(&format!("| {name} | {value} |")),
            "{name}: {value}"
        );
        sum += value;
    }
    assert!(page.contains(&format!("up to {sum} connections")), "{sum}");
}
