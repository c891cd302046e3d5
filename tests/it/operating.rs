//! docs/operate.md and the pages below docs/operate, run: every block of them in the order of the page.

use std::path::Path;
use std::process::Command;

use crate::guide::free_address;
use crate::harness::cluster::with_database;
use crate::harness::postgres::binaries;
use crate::harness::{Database, Scratch, Server};

const OPERATE: &str = include_str!("../../docs/operate.md");
const BACKUP: &str = include_str!("../../docs/operate/backup.md");
const RESTORE: &str = include_str!("../../docs/operate/restore.md");
const UNINSTALL: &str = include_str!("../../docs/operate/uninstall.md");
const CONNECTIONS: &str = include_str!("../../docs/operate/connections.md");
const TEST_DATABASES: &str = include_str!("../../docs/operate/test-databases.md");

/// The pages' databases beside that of `DATABASE_URL`: what leads there, and the end of the name.
const COPIES: [(&str, &str); 4] = [
    ("RESTORED_URL", "restored"),
    ("TABLES_URL", "tables"),
    ("TEMPLATE_URL", "template"),
    ("TEST_URL", "test_1"),
];

/// A block of a page.
pub(crate) struct Block {
    /// What it stands under.
    pub(crate) heading: String,
    language: String,
    pub(crate) text: String,
}

/// The blocks of a page.
pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let (mut blocks, mut heading) = (Vec::new(), String::new());
    let mut open: Option<Block> = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(_), Some(block)) => blocks.push(block),
            (Some(language), None) => {
                open = Some(Block {
                    heading: heading.clone(),
                    language: language.to_owned(),
                    text: String::new(),
                });
            }
            (None, Some(mut block)) => {
                block.text += line;
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {
                if let Some(title) = line.trim_start_matches('#').strip_prefix(' ') {
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
    others: &[(String, String)],
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
        .envs(others.iter().cloned())
        .current_dir(folder);
    let output = tokio::task::spawn_blocking(move || command.output()).await;
    let output = output.expect("it is waited for").expect("it starts");
    let both = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{text}\n{said}");
    said
}

/// One database on which the pages are tried, and the names that their words stand for there.
struct Tried {
    database: Database,
    name: String,
    /// What leads to the other databases of the pages.
    others: Vec<(String, String)>,
    folder: Scratch,
}

impl Tried {
    async fn on(database: Database) -> Self {
        let name = database.value("select current_database()").await;
        let others = COPIES.map(|(variable, word)| {
            let url = with_database(&database.url, &format!("{name}_{word}"));
            (variable.to_owned(), url)
        });
        Self {
            database,
            name,
            others: others.to_vec(),
            folder: Scratch::folder(),
        }
    }

    /// Runs a block, and returns what it printed. Names of roles and databases are the cluster's, which other tests share.
    async fn run(&self, block: &Block) -> String {
        let name = &self.name;
        let mut text = block
            .text
            .replace("rowcast_server", &format!("{name}_server"))
            .replace(" app ", &format!(" {name}_app "));
        for (_, database) in COPIES {
            text = text.replace(&format!("app_{database}"), &format!("{name}_{database}"));
        }
        let (url, folder) = (&self.database.url, self.folder.path());
        paste(&block.language, text, url, &self.others, folder).await
    }

    async fn drop_copy(&self, word: &str) {
        let name = &self.name;
        self.database
            .run(&format!("drop database {name}_{word} with (force)"))
            .await;
    }
}

#[tokio::test]
async fn every_block_of_the_pages_works_in_their_order() {
    let database = Database::chat().await;
    for contact in ["41", "42", "43"] {
        database.say(contact, "here").await;
    }
    let tried = Tried::on(database).await;
    let database = &tried.database;
    let messages = database.value("select count(*) from messages").await;
    for block in blocks(OPERATE) {
        let events = "select count(*) from rowcast.events";
        let told = database.value(events).await;
        let said = tried.run(&block).await;
        match block.heading.as_str() {
            "Monitoring" => assert!(!said.contains("failure"), "{said}"),
            "A large backfill" => {
                let now = database.value(events).await;
                let batches = said.contains("DO");
                assert_eq!(now != told, batches, "{said}: {told} and {now} events");
            }
            _ => {}
        }
    }
    for block in blocks(BACKUP) {
        tried.run(&block).await;
    }
    come_back(&tried, &messages).await;
    for word in ["restored", "tables"] {
        tried.drop_copy(word).await;
    }
    go_without_a_trace(&tried, &messages).await;
}

/// docs/operate/restore.md: both ways lead to a database whose table is attached, with all its rows, and that makes events.
async fn come_back(tried: &Tried, messages: &str) {
    for block in blocks(RESTORE) {
        let said = tried.run(&block).await;
        if block.text.contains("rowcast sources") {
            assert!(said.contains("public.messages"), "{said}");
        }
    }
    for word in ["restored", "tables"] {
        let url = with_database(&tried.database.url, &format!("{}_{word}", tried.name));
        let copy = Database::at(url);
        assert_eq!(
            copy.value("select count(*) from messages").await,
            messages,
            "{word}"
        );
        let events = "select count(*) from rowcast.events where data #>> '{message,body}' = 'back'";
        copy.say("42", "back").await;
        assert_eq!(copy.value(events).await, "1", "{word}");
        copy.pool.close().await;
    }
}

/// docs/operate/uninstall.md: nothing is left, and the table is as writable as before.
async fn go_without_a_trace(tried: &Tried, messages: &str) {
    let database = &tried.database;
    let mut said = String::new();
    for block in blocks(UNINSTALL) {
        said = tried.run(&block).await;
    }
    assert!(said.contains("(0 rows)"), "{said}");
    let left = "select count(*) from pg_trigger where tgname like 'rowcast%'";
    assert_eq!(database.value(left).await, "0");
    let schema = "select to_regnamespace('rowcast')";
    assert_eq!(database.value(schema).await, "");
    let rows = "select count(*) from messages";
    assert_eq!(database.value(rows).await, messages);
    let app = format!("{}_app", tried.name);
    database
        .run(&format!("drop owned by {app}; drop role {app}"))
        .await;
    database
        .run("insert into messages (contact_id, body) values ('42', 'still here')")
        .await;
}

#[tokio::test]
async fn an_application_tests_its_own_events_as_the_page_says() {
    let tried = Tried::on(Database::empty().await).await;
    let address = free_address();
    let port = address.rsplit_once(':').expect("a port").1;
    let mut blocks = blocks(TEST_DATABASES).into_iter().peekable();
    let mut answers = 0;
    while let Some(mut block) = blocks.next() {
        block.text = block.text.replace("3901", port);
        let said = tried.run(&block).await;
        match block.heading.as_str() {
            "What is attached" => assert!(said.contains("public.orders"), "{said}"),
            // It ends by what it looks for.
            "A page that gets them" => assert!(said.contains("\"paid\""), "{said}"),
            _ => {}
        }
        if let Some(answer) = blocks.next_if(|next| next.language == "text") {
            assert_eq!(said, answer.text, "{}", block.text);
            answers += 1;
        }
    }
    assert_eq!(answers, 1);
    let left = format!(
        "select count(*) from pg_database where datname like '{}\\_%'",
        tried.name
    );
    assert_eq!(tried.database.value(&left).await, "0");
}

#[tokio::test]
async fn the_budget_of_connections_is_asked_as_the_page_says() {
    let tried = Tried::on(Database::chat().await).await;
    let role = format!("{}_server", tried.name);
    tried.database.run(&format!("create role {role}")).await;
    let server = Server::on(&tried.database).await;
    let mut said = String::new();
    for block in blocks(CONNECTIONS) {
        said += &tried.run(&block).await;
    }
    for name in ["rowcast listener", "rowcast reader"] {
        assert!(said.contains(name), "{name}: {said}");
    }
    server.stop().await;
    tried.database.run(&format!("drop role {role}")).await;
}

/// The numbers of the table are those of the code.
#[test]
fn the_connections_of_the_page_are_those_of_the_pools() {
    let pools = include_str!("../../src/db/pools.rs");
    let page = CONNECTIONS;
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
    let (demo, policy) = (3, 4);
    for (settings, most) in [
        ("neither", sum - demo - policy),
        ("`ROWCAST_DEMO=on`", sum - policy),
        ("`ROWCAST_AUTH=jwt`", sum - demo),
    ] {
        let line = format!("| {settings} | {most} |");
        assert!(page.contains(&line), "{line}");
    }
}
