//! The arguments of `rowcast attach`: a flag for each parameter of `rowcast.attach`, called as that is.
//!
//! Owns how lists, rules, words and the like are written on a command line. Each takes the JSON that the parameter takes, too.
//! Refuses what can't be understood without the table; what the table has to say about it is the database's to refuse.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

/// The arguments of [`Command::Attach`](super::Command::Attach).
#[derive(Clone, Debug, PartialEq, Eq, Args)]
pub(crate) struct AttachArgs {
    #[command(flatten)]
    pub flags: AttachFlags,
    /// Attach the tables of this file instead, as it says them; those that are attached and not in it are left alone
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with = "AttachFlags",
        required_unless_present = "table"
    )]
    pub file: Option<PathBuf>,
    /// With --file: detach what is attached and not in it
    #[arg(long, requires = "file")]
    pub prune: bool,
    /// Change nothing: print the SQL that would run, and an example of each event out of a row of the table; with --file the
    /// difference, and exit 3 where there is one
    #[arg(long)]
    pub dry_run: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// The table, and what is said of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub(crate) struct AttachFlags {
    /// The table, with its schema or found by the path of the database
    pub table: Option<String>,
    /// The room of a row, with columns in braces, such as conversation:{customer_id}
    #[arg(long, value_name = "TEMPLATE")]
    pub room: Option<String>,
    /// The event for a row that is inserted, such as message:new
    #[arg(long, value_name = "EVENT")]
    pub on_insert: Option<String>,
    /// The event for a row that changes in a column that no rule names
    #[arg(long, value_name = "EVENT")]
    pub on_update: Option<String>,
    /// The event for a row that is deleted
    #[arg(long, value_name = "EVENT")]
    pub on_delete: Option<String>,
    /// The columns whose change is an --on-update: direction,body
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    pub update_columns: Vec<Columns>,
    /// More events, such as "update of state: message:status"; or as JSON, with a payload or a condition of their own
    #[arg(long, value_name = "RULE", value_parser = rules)]
    pub rules: Vec<Objects>,
    /// Which rows: a jsonpath predicate, such as '$.direction == "inbound"'
    #[arg(long, value_name = "JSONPATH")]
    pub condition: Option<String>,
    /// The shape of every event that has none of its own, such as '{"chat": "{contactId}", "row": "{row}"}'
    #[arg(long, value_name = "JSON", value_parser = payload)]
    pub payload: Option<Value>,
    /// Columns left out of {row}: internal_note,updated_at
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    pub omit: Vec<Columns>,
    /// How columns are called in JSON: camel or as_is
    #[arg(long, value_name = "CASE")]
    pub key_case: Option<String>,
    /// The columns that history is sorted by, before the key: created_at,seq
    #[arg(long, value_name = "COLUMNS", value_parser = columns, visible_alias = "order-column")]
    pub order_columns: Vec<Columns>,
    /// A further room of each row, as JSON: {"room": "inbox:{tenant}", "on_insert": "inbox:new"}
    #[arg(long, value_name = "JSON", value_parser = rooms)]
    pub rooms: Vec<Objects>,
    /// Columns of a row that a foreign key points to: chat=chats; or as JSON, chat={"table": "chats", "row": ["title"]}
    #[arg(long, value_name = "NAME=TABLE", value_parser = lookups)]
    pub lookups: Vec<Named>,
    /// What is shown for a column's values: ack=0:sent,1:delivered
    #[arg(long, value_name = "COLUMN=VALUE:WORD,..", value_parser = words)]
    pub words: Vec<Named>,
    /// What is shown for null: author=bot; what is JSON is taken as that
    #[arg(long, value_name = "COLUMN=VALUE", value_parser = defaults)]
    pub defaults: Vec<Named>,
    /// Columns that are shown as strings: nr,code
    #[arg(long, value_name = "COLUMNS", value_parser = columns)]
    pub as_text: Vec<Columns>,
    /// The zone of columns of type timestamp, such as America/Bogota; UTC without it
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
    /// How rows are captured: statement (all rows of one at once) or row (each by itself)
    #[arg(long, value_name = "HOW")]
    pub capture: Option<String>,
    /// Also what logical replication applies, and what a session writes whose session_replication_role is replica
    #[arg(long)]
    pub always: bool,
}

/// Names of columns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Columns(Vec<String>);

/// JSON objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Objects(Vec<Value>);

/// Something for each of several names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named(Map<String, Value>);

impl AttachFlags {
    /// What was said, by the names of the parameters of `rowcast.attach`.
    pub(crate) fn arguments(&self) -> Map<String, Value> {
        let text = |text: &Option<String>| text.clone().map(Value::String);
        let columns = |columns: &[Columns]| {
            let all: Vec<_> = columns.iter().flat_map(|some| &some.0).collect();
            (!columns.is_empty()).then(|| json!(all))
        };
        let objects = |objects: &[Objects]| {
            let all: Vec<_> = objects.iter().flat_map(|some| &some.0).collect();
            (!objects.is_empty()).then(|| json!(all))
        };
        let arguments = [
            ("room", text(&self.room)),
            ("on_insert", text(&self.on_insert)),
            ("on_update", text(&self.on_update)),
            ("on_delete", text(&self.on_delete)),
            ("update_columns", columns(&self.update_columns)),
            ("rules", objects(&self.rules)),
            ("condition", text(&self.condition)),
            ("payload", self.payload.clone()),
            ("omit", columns(&self.omit)),
            ("key_case", text(&self.key_case)),
            ("order_columns", columns(&self.order_columns)),
            ("rooms", objects(&self.rooms)),
            ("lookups", merged(&self.lookups)),
            ("words", merged(&self.words)),
            ("defaults", merged(&self.defaults)),
            ("as_text", columns(&self.as_text)),
            ("timezone", text(&self.timezone)),
            ("capture", text(&self.capture)),
            ("always", self.always.then_some(Value::Bool(true))),
        ];
        let said = arguments.into_iter();
        said.filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

/// All of them in one object. What several say of one name is put together.
fn merged(named: &[Named]) -> Option<Value> {
    let mut all = Map::new();
    for (name, value) in named.iter().flat_map(|some| some.0.clone()) {
        match (all.get_mut(&name), value) {
            (Some(Value::Object(before)), Value::Object(more)) => before.extend(more),
            (_, value) => drop(all.insert(name, value)),
        }
    }
    (!named.is_empty()).then_some(Value::Object(all))
}

fn columns(text: &str) -> Result<Columns, String> {
    if text.trim_start().starts_with('[') {
        let read = serde_json::from_str(text);
        return read.map(Columns).map_err(|error| {
            format!("{error}; accepted: columns such as a,b, or a JSON array of their names")
        });
    }
    let names = text.split(',').map(|name| name.trim().to_owned());
    let names: Vec<_> = names.collect();
    if names.iter().any(String::is_empty) {
        return Err("a name is empty; accepted: columns such as a,b".to_owned());
    }
    Ok(Columns(names))
}

fn objects(text: &str, accepted: &str) -> Result<Objects, String> {
    let read = serde_json::from_str(text).map_err(|error| format!("{error}; {accepted}"))?;
    let all = match read {
        Value::Array(all) => all,
        one => vec![one],
    };
    match all.iter().all(Value::is_object) {
        true => Ok(Objects(all)),
        false => Err(format!("not an object; {accepted}")),
    }
}

fn rooms(text: &str) -> Result<Objects, String> {
    let accepted =
        r#"accepted: {"room": "inbox:{tenant}", "on_insert": "inbox:new"}, or an array of such"#;
    objects(text, accepted)
}

fn rules(text: &str) -> Result<Objects, String> {
    let accepted =
        "accepted: \"update of state: message:status\", \"insert: message:new\", or JSON";
    if text.trim_start().starts_with(['{', '[']) {
        return objects(text, accepted);
    }
    let (when, event) = text.split_once(": ").ok_or(accepted)?;
    let (operation, names) = match when.split_once(" of ") {
        Some((operation, names)) => (operation, Some(columns(names)?)),
        None => (when, None),
    };
    let (operation, event) = (operation.trim(), event.trim());
    if !["insert", "update", "delete"].contains(&operation) || event.is_empty() {
        return Err(accepted.to_owned());
    }
    let mut rule = json!({ "on": operation, "event": event });
    if let Some(Columns(names)) = names {
        rule["columns"] = json!(names);
    }
    Ok(Objects(vec![rule]))
}

fn payload(text: &str) -> Result<Value, String> {
    let accepted = r#"accepted: a JSON object such as {"message": "{row}"}"#;
    match serde_json::from_str(text) {
        Ok(payload @ Value::Object(_)) => Ok(payload),
        Ok(_) => Err(format!("not an object; {accepted}")),
        Err(error) => Err(format!("{error}; {accepted}")),
    }
}

/// What is said of names: a JSON object, or `name=what`, of which `what` makes the value.
fn named(
    text: &str,
    accepted: &str,
    value: impl FnOnce(&str) -> Result<Value, String>,
) -> Result<Named, String> {
    if text.trim_start().starts_with('{') {
        let read = serde_json::from_str(text).map_err(|error| format!("{error}; {accepted}"));
        return read.map(Named);
    }
    let said = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, said) = said.ok_or(accepted)?;
    let named = (name.to_owned(), value(said)?);
    Ok(Named(Map::from_iter([named])))
}

fn words(text: &str) -> Result<Named, String> {
    let accepted = r#"accepted: ack=0:sent,1:delivered, or JSON: {"ack": {"0": "sent"}}"#;
    named(text, accepted, |pairs| {
        let pairs = pairs.split(',').map(|pair| {
            let (value, word) = pair.split_once(':')?;
            Some((value.to_owned(), Value::from(word)))
        });
        let words = pairs.collect::<Option<Map<_, _>>>().ok_or(accepted)?;
        Ok(Value::Object(words))
    })
}

fn defaults(text: &str) -> Result<Named, String> {
    let accepted = r#"accepted: author=bot, or JSON: {"author": "bot"}"#;
    named(text, accepted, |value| {
        Ok(serde_json::from_str(value).unwrap_or_else(|_| value.into()))
    })
}

fn lookups(text: &str) -> Result<Named, String> {
    let accepted = r#"accepted: chat=chats, or chat={"table": "chats", "row": ["title"]}"#;
    named(text, accepted, |lookup| {
        if lookup.trim_start().starts_with('{') {
            return serde_json::from_str(lookup).map_err(|error| format!("{error}; {accepted}"));
        }
        match lookup.is_empty() {
            true => Err(accepted.to_owned()),
            false => Ok(json!({ "table": lookup })),
        }
    })
}

#[cfg(test)]
mod tests;
