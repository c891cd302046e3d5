//! What may not stand in a file of `src`: foreign crates, SQL, too many lines, names for outsiders.

use super::source::{Source, item_end, line_of};

/// Crates that a part of `src` does without.
const NEVER: [(&str, &[&str]); 1] = [("delivery", &["axum", "hyper", "socketioxide", "sqlx"])];

/// Who may use sqlx.
const SQLX: [(&str, &str); 3] = [
    ("src/db", "owns every statement"),
    (
        "src/embedded",
        "connects once, to make the database that src/db is then given the address of",
    ),
    (
        "src/config/database_url.rs",
        "parses DATABASE_URL into the options that src/db connects with, and connects to nothing",
    ),
];

/// Who may have SQL.
const SQL: [(&str, &str); 4] = [
    ("src/db", "owns every statement"),
    (
        "src/embedded",
        "makes the database that src/db is then given the address of",
    ),
    (
        "src/app/announce.rs",
        "prints a statement for a person to run, and runs none",
    ),
    (
        "src/app/example.rs",
        "makes a line for a person to paste, and runs nothing",
    ),
];

const MAX_LINES: usize = 300;
const MAX_FUNCTION_LINES: usize = 60;
/// Files that may be longer.
const LONG_FILES: [(&str, &str); 2] = [
    (
        "src/config/tests.rs",
        "one table of every setting, with every value that is taken or refused",
    ),
    (
        "src/model",
        "a world of its own, in which tests run the core; no part of the server",
    ),
];

fn is_listed(file: &str, list: &[(&str, &str)]) -> bool {
    list.iter().any(|(name, _)| {
        file.strip_prefix(name)
            .is_some_and(|rest| rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
    })
}

/// Every use of a crate where it may not be used, in words.
pub(super) fn crates(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let never = NEVER.iter().find(|(folder, _)| *folder == source.folder());
        let mut forbidden = never.map_or(Vec::new(), |(_, crates)| crates.to_vec());
        if !is_listed(&source.file, &SQLX) && !forbidden.contains(&"sqlx") {
            forbidden.push("sqlx");
        }
        for name in forbidden {
            for line in lines_with(&source.code, name) {
                found.push(format!(
                    "{}:{line}: {name} has no business here: move the code, or name the file in NEVER or SQLX of \
                     tests/it/layers/limits.rs with its reason",
                    source.file
                ));
            }
        }
    }
    found
}

/// The lines on which a name stands as a word of its own.
fn lines_with(code: &str, name: &str) -> Vec<usize> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    code.match_indices(name)
        .filter(|(at, _)| {
            !code[..*at].ends_with(is_word) && !code[at + name.len()..].starts_with(is_word)
        })
        .map(|(at, _)| line_of(code, at))
        .collect()
}

/// Every string that is SQL and may not be where it is, in words.
pub(super) fn sql(sources: &[Source]) -> Vec<String> {
    sources
        .iter()
        .filter(|source| !is_listed(&source.file, &SQL))
        .flat_map(|source| {
            let statements = source.strings.iter().filter(|(_, text)| is_sql(text));
            statements.map(|(line, text)| {
                let text: String = text.trim().chars().take(60).collect();
                format!(
                    "{}:{line}: SQL belongs into src/db, in a function that is called from here; a file that only shows a \
                     statement is named in SQL of tests/it/layers/limits.rs with its reason: {text}",
                    source.file
                )
            })
        })
        .collect()
}

fn is_sql(text: &str) -> bool {
    let text = text.to_lowercase();
    let has = |words: &[&str]| words.iter().all(|word| text.contains(word));
    let begins = |word: &str| text.trim_start().starts_with(word);
    (begins("select ") && (has(&[" from "]) || has(&["("])))
        || (begins("with ") && has(&[" as (", "select"]))
        || has(&["insert into "])
        || (has(&["update ", " set "]) && !begins("update the"))
        || has(&["delete from "])
        || begins("create table")
        || begins("create database")
        || begins("set local ")
}

/// Every file and every function that is too long, in words.
pub(super) fn lengths(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let file = &source.file;
        if source.lines > MAX_LINES && !is_listed(file, &LONG_FILES) {
            found.push(format!(
                "{file}: {} lines, {MAX_LINES} are allowed: split it by what it owns, or move its tests to a file of their own",
                source.lines
            ));
        }
        for (line, name, lines) in functions(&source.code_and_tests) {
            if lines > MAX_FUNCTION_LINES && !is_listed(file, &LONG_FILES) {
                found.push(format!(
                    "{file}:{line}: fn {name} has {lines} lines, {MAX_FUNCTION_LINES} are allowed"
                ));
            }
        }
    }
    found
}

/// Each function's line, name and number of lines.
fn functions(code: &str) -> impl Iterator<Item = (usize, &str, usize)> {
    code.match_indices("fn ").filter_map(|(at, _)| {
        let starts_word = !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_');
        let rest = &code[at + 3..];
        let name = rest
            .split(|c: char| !c.is_alphanumeric() && c != '_')
            .next();
        let name = name.filter(|name| starts_word && !name.is_empty())?;
        let lines = code[at..item_end(code, at)].lines().count();
        Some((line_of(code, at), name, lines))
    })
}

/// What the library shows to outsiders, besides `run`.
pub(super) fn public(lib: &Source) -> Vec<String> {
    let lines = lib.code.lines().filter(|line| line.starts_with("pub"));
    lines
        .filter(|line| !line.starts_with("pub fn run()") && !line.starts_with("pub(crate)"))
        .map(|line| format!("{}: {line}: only run is public", lib.file))
        .collect()
}

/// What `ARCHITECTURE.md` names and is not there: files by their paths or names, and functions and constants of types.
pub(super) fn unknown_names(text: &str, sources: &[Source]) -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let is_file = |name: &str| {
        let is_of_src = |source: &Source| source.file.ends_with(&format!("/{name}"));
        root.join(name).exists() || (!name.contains('/') && sources.iter().any(is_of_src))
    };
    let is_item = |name: &str| {
        let declared = [format!("fn {name}"), format!("const {name}")];
        sources
            .iter()
            .any(|source| declared.iter().any(|words| source.code.contains(words)))
    };
    // Between each two backticks there is a name. A block of three is a diagram, and has none.
    let names = text
        .split("```")
        .step_by(2)
        .flat_map(|prose| prose.split('`').skip(1).step_by(2));
    names
        .filter(|name| {
            let ends = |endings: &[&str]| endings.iter().any(|ending| name.ends_with(ending));
            let is_path = ends(&[".rs", ".sql", ".md", ".ts"])
                || (name.starts_with("src/") && !name.contains('*'));
            let is_foreign = ["std::", "tokio::"]
                .iter()
                .any(|root| name.starts_with(root));
            let item = name.rsplit_once("::").filter(|_| !is_foreign);
            let item = item.map(|(_, item)| item);
            let is_constant = name.contains('_')
                && !name.starts_with("ROWCAST_")
                && name
                    .bytes()
                    .all(|byte| byte.is_ascii_uppercase() || byte == b'_');
            (is_path && !is_file(name))
                || item.is_some_and(|item| !item.is_empty() && !is_item(item))
                || (is_constant && !is_item(name))
        })
        .map(|name| format!("ARCHITECTURE.md names `{name}`, which does not exist"))
        .collect()
}
