//! The TypeScript type of a column's value in JSON.
//!
//! Follows rowcast.json_sql and rowcast.text_sql (`migrations/0007_values.sql`): a test compares both.

use serde_json::Value;

use super::text::literal;
use super::{said, union};
use crate::db::{ColumnType, Shape};

/// What a placeholder, or a member of a row, names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference<'a> {
    /// The lookup that it is of; none for the table's own.
    pub lookup: Option<&'a str>,
    pub column: &'a str,
    /// How it is to be shown: `text`, `raw`.
    pub manner: Option<&'a str>,
}

impl<'a> Reference<'a> {
    /// What a name stands for; nothing that is known where it names no column.
    pub(super) fn parse(shape: &Shape, name: &'a str) -> Option<Self> {
        let column = |name: &'a str| {
            let has = |name: &str| shape.columns.iter().any(|column| column == name);
            let special = [".row", ".room", ".contactId", ".at"];
            match special.contains(&name) && !has(name) && has(&name[1..]) {
                true => Some(&name[1..]),
                false => has(name).then_some(name),
            }
        };
        let own = |column, manner| Self {
            lookup: None,
            column,
            manner,
        };
        if let Some(column) = column(name) {
            return Some(own(column, None));
        }
        let split = |name: &'a str| {
            let manner = ["text", "raw"].into_iter();
            manner
                .filter_map(|how| {
                    let bare = name.strip_suffix(how)?.strip_suffix(':')?;
                    Some((bare, &name[bare.len() + 1..]))
                })
                .next()
        };
        let (bare, manner) = split(name).map_or((name, None), |(bare, how)| (bare, Some(how)));
        if let Some(column) = column(bare).filter(|_| manner.is_some()) {
            return Some(own(column, manner));
        }
        let (lookup, column) = bare.split_once('.')?;
        let known = said(shape.lookups.as_ref(), lookup)?;
        known.columns.contains_key(column).then_some(Self {
            lookup: Some(lookup),
            column,
            manner,
        })
    }

    /// By which words, defaults and the like know it.
    fn told_name(&self) -> String {
        match self.lookup {
            Some(lookup) => format!("{lookup}.{}", self.column),
            None => self.column.to_owned(),
        }
    }

    fn of(&self, shape: &'a Shape) -> Option<&'a ColumnType> {
        let types = match self.lookup {
            Some(lookup) => said(shape.lookup_types.as_ref(), lookup),
            None => shape.types.as_ref(),
        };
        said(types, self.column)
    }

    fn form(&self, shape: &'a Shape) -> Option<&'a str> {
        match self.lookup {
            Some(lookup) => {
                let columns = &said(shape.lookups.as_ref(), lookup)?.columns;
                columns.get(self.column)?.as_deref()
            }
            None => said(shape.forms.as_ref(), self.column).map(String::as_str),
        }
    }

    /// Whether it is a string always.
    fn is_text(&self, shape: &Shape) -> bool {
        let told = self.told_name();
        let is_own = |names: &[String]| {
            self.lookup.is_none() && names.iter().any(|name| name == self.column)
        };
        matches!(self.form(shape), Some("text" | "instant" | "local"))
            || self.manner == Some("text")
            || shape.as_text.iter().flatten().any(|name| *name == told)
            || is_own(&shape.key_columns)
            || is_own(&shape.room_columns)
    }
}

/// The type of a value in JSON, or, where `as_text` says so, of its text.
pub(super) fn type_of(shape: &Shape, reference: &Reference<'_>, as_text: bool) -> String {
    let is_text = as_text || reference.is_text(shape);
    let Some(column) = reference.of(shape) else {
        return "null".to_owned();
    };
    let told = reference.told_name();
    let is_told = reference.manner != Some("raw");
    let words = said(shape.words.as_ref(), &told).filter(|_| is_told);
    let instead = said(shape.defaults.as_ref(), &told).filter(|_| is_told);
    let shown = |value: &Value| match (is_text, value) {
        (true, Value::String(_)) | (false, _) => literal(value),
        (true, value) => literal(&value.to_string().into()),
    };
    let mut types: Vec<String> = words
        .iter()
        .flat_map(|words| words.values().map(shown))
        .collect();
    let has_word = |value: &str| words.is_some_and(|words| words.contains_key(value));
    let base = base(column, reference.form(shape), is_text, has_word);
    // Beside the string that it may be, a word is a hint; without this, the type would hide it.
    let loose = |base: Vec<String>| {
        base.into_iter().map(|one| match one.as_str() {
            "string" => "(string & {})".to_owned(),
            _ => one,
        })
    };
    types.extend(match words.is_some() && !is_open(&base) {
        true => loose(base).collect(),
        false => base,
    });
    // A value that is looked up is null where its row isn't found; one in {row} is only then.
    if let Some(instead) = instead {
        types.push(match (types.iter().any(|one| one == "string"), instead) {
            (true, Value::String(_)) => "string".to_owned(),
            _ => shown(instead),
        });
    } else if !column.is_required || reference.lookup.is_some() {
        types.push("null".to_owned());
    }
    match types.iter().any(|one| one == "unknown") {
        true => "unknown".to_owned(),
        false => union(types),
    }
}

/// The same for a member of what was looked up, as `{row}` shows it: there is a row.
pub(super) fn found_type(shape: &Shape, reference: &Reference<'_>) -> String {
    let all = type_of(shape, reference, false);
    // Large values are left out.
    let is_there = reference
        .of(shape)
        .is_some_and(|column| column.is_required && column.is_short);
    match all.strip_suffix(" | null") {
        Some(rest) if is_there => rest.to_owned(),
        _ => all,
    }
}

fn is_open(base: &[String]) -> bool {
    base.iter().any(|one| one == "unknown")
}

/// What a value is that has no word.
fn base(
    column: &ColumnType,
    form: Option<&str>,
    is_text: bool,
    has_word: impl Fn(&str) -> bool,
) -> Vec<String> {
    let text = || vec!["string".to_owned()];
    let labels = || {
        let labels = column.labels.iter().flatten();
        let rest = labels.filter(|label| !has_word(label));
        rest.map(|label| literal(&label.as_str().into())).collect()
    };
    match (column.kind.as_str(), is_text) {
        ("enum", _) => labels(),
        (_, true) => text(),
        ("number", _) if form.is_none() => vec!["number".to_owned()],
        ("boolean", _) => {
            let rest = ["true", "false"]
                .into_iter()
                .filter(|value| !has_word(value));
            let rest: Vec<_> = rest.map(str::to_owned).collect();
            if rest.len() == 2 {
                vec!["boolean".to_owned()]
            } else {
                rest
            }
        }
        ("array", _) => {
            let element = match (form, column.element.as_deref()) {
                (Some("texts"), _) | (_, Some("text")) => "string".to_owned(),
                (_, Some("number")) => "number".to_owned(),
                (_, Some("boolean")) => "boolean".to_owned(),
                (_, Some("enum")) => union(labels()),
                _ => return vec!["unknown[]".to_owned()],
            };
            let dimensions = usize::try_from(column.dimensions).unwrap_or(1).max(1);
            vec![format!("({element} | null){}", "[]".repeat(dimensions))]
        }
        ("json", _) => vec!["unknown".to_owned()],
        _ => text(),
    }
}
