//! Which argument a refusal of `rowcast.attach` is about, and how that is called on a command line.
//!
//! The database names its parameters; whoever typed a flag looks for that.

use serde_json::{Map, Value};

/// The parameters with which a refusal may begin.
const PARAMETERS: [&str; 20] = [
    "rooms",
    "room",
    "on_insert",
    "on_update",
    "on_delete",
    "update_columns",
    "rules",
    "condition",
    "payload",
    "omit",
    "key_case",
    "order_columns",
    "order_column",
    "lookups",
    "words",
    "defaults",
    "as_text",
    "timezone",
    "capture",
    "always",
];

/// The parameter for a single column, of which the flag is another name of the one for several.
const ONE_ORDER_COLUMN: &str = "order_column";

/// What else a refusal begins with, and the parameter that it is about.
const BEGINNINGS: [(&str, &str); 8] = [
    ("a room is given twice", "rooms"),
    ("the rule", "rules"),
    ("the condition of the rule", "rules"),
    ("the lookup", "lookups"),
    ("a lookup", "lookups"),
    ("there are events", "room"),
    ("there is no event", "on_insert"),
    ("omit leaves", "omit"),
];

/// The parameter that a refusal is about, as far as its words say.
pub(super) fn parameter_of(refusal: &str, arguments: &Map<String, Value>) -> Option<&'static str> {
    if let Some(rest) = refusal.strip_prefix("room ")
        && rest
            .split_once(" of rooms")
            .is_some_and(|(nth, _)| nth.parse::<u8>().is_ok())
    {
        return Some("rooms");
    }
    let begins = |name: &str| {
        let rest = refusal.strip_prefix(name);
        rest.is_some_and(|rest| {
            !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_')
        })
    };
    if let Some(name) = PARAMETERS.into_iter().find(|name| begins(name)) {
        // One column is refused by the name of one, however it was said.
        if name == ONE_ORDER_COLUMN && !arguments.contains_key(name) {
            return Some("order_columns");
        }
        let is_first = arguments.get("room").and_then(Value::as_str) == quoted(refusal);
        let is_other = name == "room" && !is_first && arguments.contains_key("rooms");
        return Some(if is_other { "rooms" } else { name });
    }
    let known = BEGINNINGS
        .iter()
        .find(|(begin, _)| refusal.starts_with(begin));
    if let Some((_, name)) = known {
        return Some(name);
    }
    if refusal.contains("jsonpath") {
        return Some("condition");
    }
    if refusal.contains("would have one key") {
        return Some("omit");
    }
    let said = |name: &&str| arguments.contains_key(*name);
    if refusal.starts_with("the payload of") {
        return ["payload", "rules", "rooms"].into_iter().find(said);
    }
    let event = match refusal.strip_prefix("event name ") {
        Some(rest) => quoted(rest)?,
        None => ["message:status"]
            .into_iter()
            .find(|event| refusal.starts_with(event))?,
    };
    let is_it = |name: &&str| arguments.get(*name).is_some_and(|said| said == event);
    let plain = ["on_insert", "on_update", "on_delete"];
    let found = plain.into_iter().find(is_it);
    found.or_else(|| ["rules", "rooms"].into_iter().find(said))
}

/// The first text in quotes: what was refused.
pub(super) fn quoted(refusal: &str) -> Option<&str> {
    refusal.split('"').nth(1)
}

/// The refusal, with the flag that it is about in front.
pub(super) fn by_flag(refusal: &str, arguments: &Map<String, Value>) -> String {
    let Some(name) = parameter_of(refusal, arguments) else {
        return with_flags(refusal);
    };
    let flag = flag(name);
    let named = [name, ONE_ORDER_COLUMN].into_iter();
    let rest = named
        .filter_map(|name| refusal.strip_prefix(name))
        .find(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '_'));
    match rest {
        Some(rest) => format!("{flag}{}", with_flags(rest)),
        None => format!("{flag}: {}", with_flags(refusal)),
    }
}

/// The text, in which parameters are called as their flags, but for those that are English words.
pub(super) fn with_flags(text: &str) -> String {
    let mut text = text.to_owned();
    while let Some((before, rest)) = text.split_once("order_columns => '{")
        && let Some((columns, after)) = rest.split_once("}'")
    {
        text = format!("{before}--order-columns {columns}{after}");
    }
    for name in PARAMETERS.iter().filter(|name| name.contains('_')) {
        let words = text.split(' ').map(|word| {
            let bare = word.trim_end_matches([',', ';', ':']);
            match bare == *name {
                true => word.replacen(name, &flag(name), 1),
                false => word.to_owned(),
            }
        });
        text = words.collect::<Vec<_>>().join(" ");
    }
    text
}

fn flag(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_refusal_names_the_flag() {
        let said = json!({ "room": "x", "on_insert": "connect", "rules": [], "rooms": [] });
        let said = said.as_object().expect("an object");
        for (refusal, told) in [
            ("room \"x\" is none", "--room \"x\" is none"),
            (
                "room 2 of rooms: not understood",
                "--rooms: room 2 of rooms: not understood",
            ),
            ("rooms are too many", "--rooms are too many"),
            ("room \"y\" is none", "--rooms: room \"y\" is none"),
            ("omit names \"a\"", "--omit names \"a\""),
            (
                "update_columns is given without on_update",
                "--update-columns is given without --on-update",
            ),
            (
                "the rule for x needs \"columns\"",
                "--rules: the rule for x needs \"columns\"",
            ),
            (
                "event name \"connect\" is reserved",
                "--on-insert: event name \"connect\" is reserved",
            ),
            (
                "event name \"other\" is reserved",
                "--rules: event name \"other\" is reserved",
            ),
            ("the payload of x is", "--rules: the payload of x is"),
            (
                "there is no event; give at least one of on_insert, on_update, rules",
                "--on-insert: there is no event; give at least one of --on-insert, --on-update, rules",
            ),
            (
                "order_column names \"a\"; accepted: id",
                "--order-columns names \"a\"; accepted: id",
            ),
            (
                "order_columns is empty or too long",
                "--order-columns is empty or too long",
            ),
            (
                "message:status of public.t needs a payload",
                "--rules: message:status of public.t needs a payload",
            ),
            (
                "public.v is a view; accepted: ordinary tables",
                "public.v is a view; accepted: ordinary tables",
            ),
        ] {
            assert_eq!(by_flag(refusal, said), told);
        }
        assert_eq!(
            with_flags("say so by order_columns => '{at}', or give others"),
            "say so by --order-columns at, or give others"
        );
    }
}
