//! What a conversation must show: the rows of the database.

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::Value;

use crate::harness::Database;

/// A message as it is in the database, or as the page shows it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) id: String,
    pub(super) direction: String,
    pub(super) status: String,
    pub(super) body: String,
}

/// A conversation's rows, the oldest first.
pub(super) async fn truth(database: &Database, contact: &str) -> Value {
    let rows = format!(
        "select coalesce(json_agg(json_build_object('id', id, 'direction', direction, 'status', status, 'body', body)
            order by created_at, id), '[]')::text
        from messages where contact_id = '{contact}'"
    );
    serde_json::from_str(&database.value(&rows).await).expect("JSON")
}

/// Says how what is shown differs from what is true; nothing when it does not.
pub(super) fn difference(shown: &[Row], truth: &[Row]) -> Option<String> {
    if shown == truth {
        return None;
    }
    let name = |row: &Row| format!("{} {:.40} ({})", row.id, row.body, row.status);
    let ids = |rows: &[Row]| rows.iter().map(|row| row.id.clone()).collect::<Vec<_>>();
    let (shown_ids, true_ids) = (ids(shown), ids(truth));
    let missing = lacking(truth, &shown_ids, name);
    let extra = lacking(shown, &true_ids, name);
    let mut seen = HashSet::new();
    let twice: Vec<_> = shown_ids.iter().filter(|id| !seen.insert(*id)).collect();
    let wrong: Vec<_> = shown
        .iter()
        .filter_map(|row| {
            let right = truth.iter().find(|right| right.id == row.id)?;
            (right != row).then(|| format!("{} is {}", name(row), name(right)))
        })
        .collect();
    let moved = shown_ids.iter().zip(&true_ids).position(|(a, b)| a != b);
    Some(format!(
        "{} shown of {}\nmissing: {missing:#?}\nnot in the database: {extra:#?}\ntwice: {twice:?}\nwrong: {wrong:#?}\nother order from number {moved:?} on",
        shown.len(),
        truth.len(),
    ))
}

fn lacking(rows: &[Row], ids: &[String], name: impl Fn(&Row) -> String) -> Vec<String> {
    let rows = rows.iter().filter(|row| !ids.contains(&row.id));
    rows.map(name).collect()
}
