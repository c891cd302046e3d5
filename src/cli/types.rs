//! `rowcast types`: TypeScript of the events of everything that is attached, for the stock client's `Socket`.
//!
//! Guarantees that the same database gives the same text, and that a value in an event is of the type that is written here, as long as the
//! table is as it was attached. What back ends emit by themselves (`rowcast.emit`) is not known here.

mod column;
mod payload;
mod row;
mod text;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;

use anyhow::Context as _;

use super::find_database::on_database;
use crate::config::Config;
use crate::db::{Shape, shapes};
use crate::stdout::print_line;
use payload::Events;
use text::{member, type_name};

/// What is sent and understood whatever is attached.
const FIXED: &str = include_str!("types/fixed.ts");

/// Prints the types, or puts them into a file.
///
/// # Errors
/// The database can't be reached or read, or the file can't be written; it is as it was then.
pub(crate) async fn types(config: &Config, out: Option<&Path>) -> anyhow::Result<()> {
    let read = async |database| shapes(&database).await;
    let shapes = on_database(config, read).await?;
    let text = typescript(&shapes);
    let Some(out) = out else {
        return print_line(text.trim_end());
    };
    replace(out, &text).with_context(|| format!("--out {}", out.display()))
}

/// Puts a text into a file, all of it or nothing.
fn replace(out: &Path, text: &str) -> std::io::Result<()> {
    let mut name = out.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let beside = out.with_file_name(name);
    let mut file = std::fs::File::create(&beside)?;
    let written = file
        .write_all(text.as_bytes())
        .and_then(|()| std::fs::rename(&beside, out));
    if written.is_err() {
        // What went wrong first is what is told.
        let _ = std::fs::remove_file(&beside);
    }
    written
}

fn typescript(shapes: &[Shape]) -> String {
    let mut rows = String::new();
    let mut events = Events::default();
    let mut taken = BTreeSet::new();
    for shape in shapes {
        let name = type_name(&shape.source, &mut taken);
        let source = &shape.source;
        rows += &format!(
            "\n/** A row of {}, in events and in history. */\nexport interface {name} {}\n",
            text::comment(source),
            row::of(shape).print()
        );
        events.add(shape, &name);
    }
    let mut listed = String::new();
    for (event, payloads) in events.all() {
        listed += &format!(
            "  {}: (payload: {payloads}, offset: string) => void;\n",
            member(event)
        );
    }
    FIXED
        .replacen("// ROWS\n", rows.trim_start_matches('\n'), 1)
        .replacen("  // EVENTS\n", &listed, 1)
}

/// The members of an object, in their order, as TypeScript writes each.
#[derive(Clone, Debug, Default)]
struct Members(Vec<String>);

impl Members {
    fn add(&mut self, name: &str, of: &str) {
        self.0.push(format!("{}: {of}", member(name)));
    }

    /// One that may not be there.
    fn add_true(&mut self, name: &str) {
        self.0.push(format!("{}?: true", member(name)));
    }

    /// As an object type, a member a line.
    fn print(&self) -> String {
        let members = self.0.iter().map(|member| format!("  {member};\n"));
        format!("{{\n{}}}", members.collect::<String>())
    }

    /// The same in one line.
    fn inline(&self) -> String {
        match self.0.is_empty() {
            true => "{}".to_owned(),
            false => format!("{{ {} }}", self.0.join("; ")),
        }
    }
}

/// Types of which a value is one; each once.
fn union(types: impl IntoIterator<Item = String>) -> String {
    let mut all: Vec<String> = Vec::new();
    for one in types {
        if !all.contains(&one) {
            all.push(one);
        }
    }
    all.join(" | ")
}

/// What is said of names, of which there may be none.
fn said<'a, T>(all: Option<&'a BTreeMap<String, T>>, name: &str) -> Option<&'a T> {
    all.and_then(|all| all.get(name))
}
