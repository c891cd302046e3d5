//! The types of payloads, out of their templates. Follows rowcast.payload_sql (`migrations/0007_values.sql`).

use std::collections::BTreeMap;

use serde_json::Value;

use super::column::{Reference, type_of};
use super::text::literal;
use super::{Members, union};
use crate::db::Shape;

/// The events of all sources, each with the types of its payload.
#[derive(Default)]
pub(super) struct Events(BTreeMap<String, Vec<String>>);

impl Events {
    /// Adds the events of a source whose rows have the type `row`.
    pub(super) fn add(&mut self, shape: &Shape, row: &str) {
        for event in &shape.events {
            let Some(name) = event["event"].as_str() else {
                continue;
            };
            let payload = payload(shape, row, event);
            self.0.entry(name.to_owned()).or_default().push(payload);
        }
    }

    /// Their names, and the types of their payloads.
    pub(super) fn all(&self) -> impl Iterator<Item = (&str, String)> {
        self.0
            .iter()
            .map(|(name, payloads)| (name.as_str(), union(payloads.iter().cloned())))
    }
}

/// An event's payload: what its template makes, and what is added to it.
fn payload(shape: &Shape, row: &str, event: &Value) -> String {
    let Value::Object(template) = &event["payload"] else {
        return "unknown".to_owned();
    };
    let mut members = members(shape, row, template.iter());
    let is_plain = event["payload"]
        == serde_json::json!({ "message": "{row}", "contactId": "{contactId}" })
        || template.keys().eq(["contactId", "messageId"]);
    if event["on"] != "update" && is_plain && shape.may_move {
        members.add_true("moved");
    }
    format!("Sent<{}>", members.inline())
}

fn members<'a>(
    shape: &Shape,
    row: &str,
    template: impl Iterator<Item = (&'a String, &'a Value)>,
) -> Members {
    let mut members = Members::default();
    for (name, value) in template {
        let of = match value {
            // An id is a string, as ids are.
            Value::String(text) if name == "messageId" => match column(shape, text) {
                Some(reference) => type_of(shape, &reference, true),
                None => part(shape, row, value),
            },
            value => part(shape, row, value),
        };
        members.add(name, &of);
    }
    members
}

/// A part of a template.
fn part(shape: &Shape, row: &str, template: &Value) -> String {
    match template {
        Value::Object(all) => members(shape, row, all.iter()).inline(),
        Value::Array(all) => {
            let all: Vec<_> = all.iter().map(|one| part(shape, row, one)).collect();
            format!("[{}]", all.join(", "))
        }
        Value::String(text) => match alone(text) {
            Some("row") => row.to_owned(),
            Some("room" | "contactId" | "at") => "string".to_owned(),
            Some(name) => match Reference::parse(shape, name) {
                Some(reference) => type_of(shape, &reference, false),
                None => "unknown".to_owned(),
            },
            None if has_placeholder(text) => "string".to_owned(),
            None => literal(template),
        },
        other => literal(other),
    }
}

/// The column that a text is nothing but the placeholder of.
fn column<'a>(shape: &Shape, text: &'a str) -> Option<Reference<'a>> {
    let name = alone(text).filter(|name| !["row", "room", "contactId", "at"].contains(name))?;
    Reference::parse(shape, name)
}

/// The name of the only placeholder of a text that is nothing else.
fn alone(text: &str) -> Option<&str> {
    let name = text.strip_prefix('{')?.strip_suffix('}')?;
    (!name.contains(['{', '}'])).then_some(name)
}

fn has_placeholder(text: &str) -> bool {
    let mut parts = text.split('{').skip(1);
    parts.any(|part| part.contains('}'))
}
