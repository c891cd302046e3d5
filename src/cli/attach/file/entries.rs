//! The file of `rowcast attach --file`: TOML, an entry for each source, with the members that `rowcast.attach` has as parameters.
//!
//! Refuses what it doesn't know, by its line. Guarantees that what the database refuses of an entry is told with a line, too: the one that says
//! it, or where that can't be told the one that names the table.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use toml::Spanned;

use super::super::argument::{parameter_of, quoted};
use crate::one_line::one_line;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    source: Vec<Entry>,
}

/// A source. Its members are the parameters of `rowcast.attach`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    table: Spanned<String>,
    room: Option<String>,
    on_insert: Option<String>,
    on_update: Option<String>,
    on_delete: Option<String>,
    update_columns: Option<Vec<String>>,
    rules: Option<Vec<Rule>>,
    condition: Option<String>,
    payload: Option<Map<String, Value>>,
    omit: Option<Vec<String>>,
    key_case: Option<String>,
    order_column: Option<String>,
    order_columns: Option<Vec<String>>,
    rooms: Option<Vec<RoomEntry>>,
    lookups: Option<BTreeMap<String, Lookup>>,
    words: Option<BTreeMap<String, Map<String, Value>>>,
    defaults: Option<Map<String, Value>>,
    as_text: Option<Vec<String>>,
    timezone: Option<String>,
    capture: Option<String>,
    always: Option<bool>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Rule {
    on: String,
    event: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    payload: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<String>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct RoomEntry {
    room: String,
    on_insert: Option<String>,
    on_update: Option<String>,
    on_delete: Option<String>,
    update_columns: Option<Vec<String>>,
    rules: Option<Vec<Rule>>,
    condition: Option<String>,
    payload: Option<Map<String, Value>>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Lookup {
    table: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    column: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    row: Option<Value>,
}

/// The sources of a file, in its order.
pub(super) struct Entries {
    /// The table and its arguments, and the line that names it.
    all: Vec<(String, Map<String, Value>, usize)>,
    lines: Vec<String>,
}

impl Entries {
    /// Reads them. An error begins with its line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let line_of = |at: usize| text[..at.min(text.len())].matches('\n').count() + 1;
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map_or(1, |span| line_of(span.start));
            format!("{line}: {}", one_line(error.message(), |_| false))
        })?;
        if file.source.is_empty() {
            return Err("1: there is no source; accepted: [[source]] with table, room and events, for each table".to_owned());
        }
        let mut all = Vec::with_capacity(file.source.len());
        for entry in file.source {
            let line = line_of(entry.table.span().start);
            let (table, arguments) = entry.split();
            if arguments.values().any(has_time) {
                return Err(format!(
                    "{line}: {table}: a time is not in quotes; accepted: values of JSON"
                ));
            }
            all.push((table, arguments, line));
        }
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { all, lines })
    }

    /// Each table, and what is said of it.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, &Map<String, Value>)> {
        let all = self.all.iter();
        all.map(|(table, arguments, _)| (&**table, arguments))
    }

    /// The line that names the table.
    pub(super) fn line(&self, nth: usize) -> usize {
        self.all[nth].2
    }

    /// A refusal of the database's, with its line and its table.
    pub(super) fn refused(&self, nth: usize, why: &str) -> String {
        let (table, arguments, line) = &self.all[nth];
        let said = parameter_of(why, arguments).and_then(|name| self.line_of(nth, name, why));
        let why = one_line(why, |_| false);
        format!("{}: {table}: {why}", said.unwrap_or(*line))
    }

    /// The line that says a member of a source: its key, or the header of its table. Of several, the one that has what was refused.
    fn line_of(&self, nth: usize, name: &str, why: &str) -> Option<usize> {
        let is_head = |line: &String| line.replace(' ', "").starts_with("[[source]]");
        let named = self.line(nth) - 1;
        let first = self.lines[..named].iter().rposition(is_head)?;
        let rest = self.lines[first + 1..].iter().position(is_head);
        let last = rest.map_or(self.lines.len(), |rest| first + 1 + rest);
        let says = |name: &str, line: &str| {
            let line = line.trim_start().trim_start_matches('[');
            let key = line
                .strip_prefix("source.")
                .unwrap_or(line)
                .strip_prefix(name);
            key.is_some_and(|rest| rest.starts_with(['=', ' ', '.', ']']))
        };
        let lines = (first..last).filter(|at| says(name, &self.lines[*at]));
        let rooms = (first..last).filter(|at| name == "rooms" && says("room", &self.lines[*at]));
        let lines: Vec<_> = lines.chain(rooms).collect();
        let has = |at: &&usize| quoted(why).is_some_and(|it| self.lines[**at].contains(it));
        let at = lines.iter().find(has).or(lines.first())?;
        Some(at + 1)
    }
}

impl Entry {
    /// The table, and the arguments that were given.
    fn split(self) -> (String, Map<String, Value>) {
        let value = |it: Result<Value, serde_json::Error>| it.expect("texts and JSON are JSON");
        macro_rules! arguments {
            ($($name:ident),+) => {
                [$((stringify!($name), self.$name.map(|it| value(serde_json::to_value(it))))),+]
            };
        }
        let arguments = arguments![
            room,
            on_insert,
            on_update,
            on_delete,
            update_columns,
            rules,
            condition,
            payload,
            omit,
            key_case,
            order_column,
            order_columns,
            rooms,
            lookups,
            words,
            defaults,
            as_text,
            timezone,
            capture,
            always
        ];
        let said = arguments.into_iter();
        let said = said.filter_map(|(name, value)| Some((name.to_owned(), value?)));
        (self.table.into_inner(), said.collect())
    }
}

/// Whether there is a time in it, which JSON has not. The parser shows one as an object with a name of its own.
fn has_time(value: &Value) -> bool {
    match value {
        Value::Object(all) => {
            all.contains_key("$__toml_private_datetime") || all.values().any(has_time)
        }
        Value::Array(all) => all.iter().any(has_time),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
