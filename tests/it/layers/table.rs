//! Who may import whom, and what the check says of whoever does otherwise.

use super::imports;
use super::source::Source;

/// What everybody may import that is no leaf: types, settings, and what is written down for others to read.
const LEAVES: [&str; 14] = [
    "backoff",
    "config",
    "event",
    "http_error",
    "metrics",
    "offset",
    "one_line",
    "presence",
    "quota",
    "revocations",
    "shutdown",
    "spans",
    "status",
    "stdout",
];

/// What each part of `src` may import, beside the leaves: all of another part, or one thing of it.
const TABLE: [(&str, &[&str]); 16] = [
    ("main", &["run"]),
    ("lib", &["app", "cli", "embedded", "telemetry"]),
    (
        "app",
        &[
            "auth",
            "cli",
            "db",
            "delivery",
            "demo",
            "embedded",
            "feed",
            "http",
            "inspector",
            "socketio",
            "telemetry",
            "tls",
            "transport",
        ],
    ),
    ("auth", &["db::Policy", "db::Verdict"]),
    (
        "cli",
        &[
            "auth",
            "db",
            "embedded",
            "feed::RelayTrial",
            "feed::try_relay",
            "tls",
        ],
    ),
    ("db", &[]),
    ("delivery", &[]),
    ("demo", &["auth", "db", "delivery", "http"]),
    ("embedded", &[]),
    // What the reader drives: the sink, and what goes into it.
    (
        "feed",
        &[
            "db",
            "delivery::Affected",
            "delivery::Batch",
            "delivery::BatchEvent",
            "delivery::EventSink",
        ],
    ),
    ("http", &["auth", "db", "delivery"]),
    // Of the clients what their own folder shows of them.
    ("inspector", &["db", "http", "socketio::inspection"]),
    ("socketio", &["auth", "db", "delivery", "transport"]),
    ("telemetry", &[]),
    ("tls", &[]),
    // What the first look at a request has left in it.
    ("transport", &["auth::HostRefused", "delivery"]),
];

/// What a leaf may import of the others.
const LEAF_TABLE: [(&str, &[&str]); 5] = [
    ("metrics", &["event", "quota"]),
    ("offset", &["event"]),
    ("presence", &["event"]),
    ("revocations", &["event"]),
    ("spans", &["event"]),
];

/// What this part may import, itself not named; `None` for a part that is in no table.
fn allowed(folder: &str) -> Option<Vec<&'static str>> {
    let row = |table: &[(&str, &'static [&'static str])]| {
        let row = table.iter().find(|(name, _)| *name == folder);
        row.map(|(_, allowed)| allowed.to_vec())
    };
    if LEAVES.contains(&folder) {
        return Some(row(&LEAF_TABLE).unwrap_or_default());
    }
    let mut allowed = row(&TABLE)?;
    if folder != "main" {
        allowed.extend(LEAVES);
    }
    Some(allowed)
}

/// Every import that the table does not allow, in words.
pub(super) fn violations(sources: &[Source]) -> Vec<String> {
    let mut found = Vec::new();
    for source in sources {
        let (file, folder) = (&source.file, source.folder());
        let Some(allowed) = allowed(folder) else {
            found.push(format!(
                "{file}: {folder} is in no table: say in tests/it/layers/table.rs what it may import"
            ));
            continue;
        };
        for import in imports::of(source).all {
            let Some(first) = import.path.first() else {
                continue;
            };
            let item = import.path.get(1).map(|item| format!("{first}::{item}"));
            let is_allowed = first == folder
                || allowed.contains(&&**first)
                || item.is_some_and(|item| allowed.contains(&&*item));
            if !is_allowed {
                found.push(format!(
                    "{file}:{}: {folder} imports {}; {folder} may import {}",
                    import.line,
                    import.path.join("::"),
                    allowed.join(", ")
                ));
            }
        }
    }
    found
}
