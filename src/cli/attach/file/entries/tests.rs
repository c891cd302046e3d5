//! What a file says, and by which line it is refused.

use serde_json::json;

use super::*;

const FILE: &str = r#"
[[source]]
table = "messages"
room = "conversation:{chat}"
on_insert = "message:new"
words.ack = { 0 = "sent", 1 = "read" }

[[source.rules]]
on = "update"
columns = ["ack"]
event = "message:status"

[[source]]
table = "tickets"
rooms = [{ room = "inbox:{tenant}", on_insert = "inbox:new", payload = { chat = "{chat}" } }]

[source.lookups.chat]
table = "chats"
row = ["title"]
"#;

#[test]
fn a_file_says_what_attach_takes() {
    let entries = Entries::parse(FILE).expect("entries");
    let all: Vec<_> = entries.iter().collect();
    assert_eq!((all[0].0, entries.line(0)), ("messages", 3));
    assert_eq!(
        Value::Object(all[0].1.clone()),
        json!({
            "room": "conversation:{chat}", "on_insert": "message:new", "words": { "ack": { "0": "sent", "1": "read" } },
            "rules": [{ "on": "update", "columns": ["ack"], "event": "message:status" }]
        })
    );
    assert_eq!(
        all[1].1["lookups"],
        json!({ "chat": { "table": "chats", "row": ["title"] } })
    );
    assert_eq!(all[1].1["rooms"][0]["payload"], json!({ "chat": "{chat}" }));
}

#[test]
fn a_refusal_says_its_line() {
    let entries = Entries::parse(FILE).expect("entries");
    for (nth, why, line) in [
        (0, "room \"x\" is none", "4: messages: room"),
        (0, "the rule for x needs", "8: messages: the rule"),
        (0, "words names \"x\"", "6: messages: words"),
        (
            1,
            "the lookup \"chat\": there is no",
            "17: tickets: the lookup",
        ),
        (1, "room 1 of rooms: not understood", "15: tickets: room 1"),
        (1, "tickets is a view", "14: tickets: tickets"),
        (1, "timezone is \"x\"", "14: tickets: timezone"),
    ] {
        let told = entries.refused(nth, why);
        assert!(told.starts_with(line), "{told}");
    }
}

#[test]
fn what_is_not_known_is_refused_by_its_line() {
    for (text, words) in [
        (
            "[[source]]\ntable = \"t\"\nrom = \"x\"\n",
            "3: unknown field `rom`, expected one of",
        ),
        (
            "[[source]]\ntable = \"t\"\nroom = 7\n",
            "3: invalid type: integer `7`",
        ),
        (
            "[[sources]]\n",
            "1: unknown field `sources`, expected `source`",
        ),
        ("[[source]]\nroom = \"t\"\n", "1: missing field `table`"),
        (
            "[[source]]\ntable = \"t\"\n[[source.rules]]\non = \"insert\"\nevents = \"x\"\n",
            "5: unknown field `events`",
        ),
        ("a = \n", "1: "),
        ("", "1: there is no source"),
        (
            "[[source]]\ntable = \"t\"\ndefaults.at = 2026-01-01\n",
            "2: t: a time is not in quotes",
        ),
    ] {
        let refused = Entries::parse(text).err().expect("a refusal");
        assert!(refused.starts_with(words), "{refused}");
    }
}
