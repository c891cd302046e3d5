//! docs/sql.md: each block of SQL in "attach" runs as it stands, and answers what the page shows. docs/cli.md: so does each command.

use std::process::{Command, Stdio};

use tokio::task::spawn_blocking;

use crate::harness::{Database, Scratch, postgres};
use crate::history_tables::without_chat;
use crate::operating::paste;

/// What psql prints for these statements.
async fn psql(url: &str, sql: String) -> (String, String) {
    let mut command = Command::new(postgres::psql().expect("psql is installed"));
    command.args(["-qX", "-v", "ON_ERROR_STOP=1", "-c", &sql, url]);
    command.stdin(Stdio::null());
    let ended = spawn_blocking(move || command.output()).await;
    let ended = ended.expect("no panic").expect("psql starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&ended.stdout), text(&ended.stderr))
}

/// The cells of a table as psql prints it, without its frame.
fn cells(table: &str) -> Vec<Vec<String>> {
    let lines = table
        .lines()
        .filter(|line| !line.starts_with("--") && !line.starts_with('(') && !line.is_empty());
    lines
        .map(|line| {
            line.split(" | ")
                .map(|cell| cell.trim().to_owned())
                .collect()
        })
        .collect()
}

/// Runs the blocks of SQL of a text, and compares what the last statement of one answers with what the text shows below it. Returns how
/// many answers there were.
pub(crate) async fn run_examples(database: &Database, text: &str) -> usize {
    let blocks: Vec<_> = text.split("```").collect();
    let mut shown = 0;
    for (place, block) in blocks.iter().enumerate() {
        let Some(sql) = block.strip_prefix("sql\n").filter(|_| place % 2 == 1) else {
            continue;
        };
        let answer = blocks
            .get(place + 2)
            .filter(|_| blocks[place + 1].trim().is_empty());
        let answer = answer.filter(|answer| answer.starts_with('\n'));
        let (said, complaints) = if answer.is_some() {
            // What comes before the last statement shows nothing.
            let statements = sql.trim_end().trim_end_matches(';');
            let last = statements.rfind(";\n").map_or(0, |at| at + 2);
            let (_, before) = psql(&database.url, statements[..last].to_owned()).await;
            let (said, after) = psql(&database.url, statements[last..].to_owned()).await;
            (said, before + &after)
        } else {
            psql(&database.url, sql.to_owned()).await
        };
        assert!(!complaints.contains("ERROR"), "{sql}\n{complaints}");
        if let Some(answer) = answer {
            assert_eq!(cells(&said), cells(answer), "{sql}\n{said}");
            shown += 1;
        }
    }
    shown
}

#[tokio::test]
async fn the_examples_of_attach_run_and_answer_what_is_shown() {
    let docs = include_str!("../../docs/sql.md");
    let from = docs.find("## attach").expect("a heading");
    let to = docs.find("## detach, sources").expect("a heading");
    let database = without_chat().await;
    let shown = run_examples(&database, &docs[from..to]).await;
    assert!(shown >= 6, "{shown} answers");
}

#[tokio::test]
async fn the_commands_run_and_answer_what_is_shown() {
    let page = include_str!("../../docs/cli.md");
    let database = without_chat().await;
    let folder = Scratch::folder();
    let parts: Vec<_> = page.split("\n```").collect();
    let mut shown = 0;
    for (place, block) in parts.iter().enumerate().filter(|(place, _)| place % 2 == 1) {
        let (language, text) = block.split_once('\n').expect("a block");
        match language {
            "toml" => {
                let file = folder.path().join("rowcast.toml");
                std::fs::write(file, text).expect("a file");
            }
            "sh" | "sql" => {
                let said =
                    paste(language, text.to_owned(), &database.url, &[], folder.path()).await;
                let answer = parts
                    .get(place + 2)
                    .and_then(|next| next.strip_prefix('\n'));
                if let Some(answer) = answer.filter(|_| parts[place + 1].trim().is_empty()) {
                    assert_eq!(said.trim_end(), answer.trim_end(), "{text}");
                    shown += 1;
                }
            }
            // tests/it/guide/types.rs compiles it.
            "ts" => {}
            "" => {}
            other => panic!("{other} is not run"),
        }
    }
    assert_eq!(shown, 4);
}
