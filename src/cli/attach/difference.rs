//! What is different between two definitions of a source, in lines.
//!
//! A definition is compared by its members, so that what a later version adds is compared, too. What follows from others, or from the moment,
//! is left out.

use serde_json::{Map, Value};

/// Members that say nothing of their own.
const DERIVED: [&str; 7] = [
    "attached_at",
    "capture",
    "careful",
    "feeds",
    "made",
    "room_columns",
    "row_sql",
];

/// The lines that are gone (`- `) and that are new (`+ `); none where the definitions are alike.
pub(super) fn between(before: &Map<String, Value>, after: &Map<String, Value>) -> Vec<String> {
    let compared = |definition: &Map<String, Value>| {
        let mut definition = definition.clone();
        let says = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
        definition.retain(|name, value| !DERIVED.contains(&name.as_str()) && says(value));
        definition
    };
    let (before, after) = (compared(before), compared(after));
    if before == after {
        return Vec::new();
    }
    let (old, new) = (lines(&before), lines(&after));
    let gone = old.iter().filter(|line| !new.contains(line));
    let come = new.iter().filter(|line| !old.contains(line));
    let gone = gone.map(|line| format!("- {line}"));
    let told: Vec<_> = gone.chain(come.map(|line| format!("+ {line}"))).collect();
    match told.is_empty() {
        true => vec!["the same in another order".to_owned()],
        false => told,
    }
}

/// A definition in lines, each of which can be read by itself.
pub(super) fn lines(definition: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    let one = [definition.clone()].map(Value::Object);
    let rooms = match definition.get("rooms") {
        Some(Value::Array(rooms)) => rooms.as_slice(),
        _ => &one,
    };
    for room in rooms {
        room_lines(room, rooms.len() == 1 && rooms == one, &mut lines);
    }
    for (name, value) in definition {
        match (name.as_str(), value) {
            ("room" | "rooms" | "events", _) => {}
            ("order_column", _) if definition.get("order_columns").is_some_and(Value::is_array) => {
            }
            (_, Value::Null) => {}
            (_, value) if DERIVED.contains(&name.as_str()) || is_empty(value) => {}
            ("key_columns" | "order_columns", value) => {
                lines.push(format!("{name} {}", text(value)));
            }
            (_, Value::Array(all)) => {
                lines.extend(all.iter().map(|value| format!("{name} {}", text(value))));
            }
            (_, Value::Object(all)) => {
                let members = all.iter();
                lines.extend(members.map(|(of, value)| format!("{name} {of} {}", text(value))));
            }
            (_, value) => lines.push(format!("{name} {}", text(value))),
        }
    }
    lines
}

/// A room with its events. The condition of the only one is the definition's own.
fn room_lines(room: &Value, is_only: bool, lines: &mut Vec<String>) {
    let name = text(&room["room"]);
    lines.push(format!("room {name}"));
    if !is_only && !room["condition"].is_null() {
        lines.push(format!(
            "room {name}: condition {}",
            text(&room["condition"])
        ));
    }
    for event in room["events"].as_array().into_iter().flatten() {
        let columns = match &event["columns"] {
            Value::Array(_) => format!(" of {}", text(&event["columns"])),
            _ => String::new(),
        };
        let cause = format!(
            "room {name}: {}{columns}: {}",
            text(&event["on"]),
            text(&event["event"])
        );
        if !event["condition"].is_null() {
            lines.push(format!("{cause}: condition {}", text(&event["condition"])));
        }
        if !event["payload"].is_null() {
            lines.push(format!("{cause}: payload {}", event["payload"]));
        }
        lines.push(cause);
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty) || value.as_object().is_some_and(Map::is_empty)
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(all) if all.iter().all(Value::is_string) => {
            all.iter().map(text).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn definition(changed: &Value) -> Map<String, Value> {
        let mut definition = json!({
            "source": "public.t", "room": "conversation:{c}", "rooms": null, "attached_at": "now",
            "events": [{ "on": "update", "columns": ["state"], "event": "message:status", "payload": { "a": "{c}" } }],
            "omit": ["note"], "key_columns": ["id"], "order_column": "at", "words": { "ack": { "0": "sent" } }
        });
        for (name, value) in changed.as_object().expect("an object") {
            definition[name] = value.clone();
        }
        definition.as_object().expect("an object").clone()
    }

    #[test]
    fn what_differs_is_told_in_lines() {
        let before = definition(&json!({}));
        assert!(between(&before, &definition(&json!({ "attached_at": "later" }))).is_empty());
        let after = json!({ "omit": ["note", "other"], "words": { "ack": { "0": "sent", "1": "read" } }, "order_column": null, "capture_mode": "row" });
        assert_eq!(
            between(&before, &definition(&after)),
            [
                "- order_column at",
                "- words ack {\"0\":\"sent\"}",
                "+ capture_mode row",
                "+ omit other",
                "+ words ack {\"0\":\"sent\",\"1\":\"read\"}"
            ]
        );
        let after = json!({ "events": [{ "on": "update", "columns": ["state"], "event": "message:status", "payload": { "a": "{c}", "b": 1 } }] });
        assert_eq!(
            between(&before, &definition(&after)),
            [
                "- room conversation:{c}: update of state: message:status: payload {\"a\":\"{c}\"}",
                "+ room conversation:{c}: update of state: message:status: payload {\"a\":\"{c}\",\"b\":1}"
            ]
        );
        let rooms = json!([{ "room": "conversation:{c}", "condition": "x", "events": [] }, { "room": "inbox:{t}", "events": [] }]);
        let told = between(&before, &definition(&json!({ "rooms": rooms })));
        assert!(told.contains(&"+ room inbox:{t}".to_owned()), "{told:?}");
        assert!(
            told.contains(&"+ room conversation:{c}: condition x".to_owned()),
            "{told:?}"
        );
    }

    #[test]
    fn another_order_is_a_difference() {
        let other = |first, second| definition(&json!({ "omit": [first, second] }));
        assert_eq!(
            between(&other("a", "b"), &other("b", "a")),
            ["the same in another order"]
        );
    }
}
