//! What clients say, past the transport.

use serde_json::Value;

use super::connect::ConnectAuth;
use super::protocol::{self, JoinArgs, RoomForm};
use super::session::resume::ResumeRequest;
use crate::event::Room;
use crate::fuzz::{self, answer};

const WORDS: &[&str] = &[
    "\"join:conversation\"",
    "\"leave:conversation\"",
    "\"typing:start\"",
    "\"contactId\"",
    "\"join:room\"",
    "\"leave:room\"",
    "\"room\"",
    "\"inbox:7\"",
    "\"after\"",
    "\"pid\"",
    "\"offset\"",
    "\"token\"",
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "true",
    "1.5",
    "\\ud800",
    "\\u0000",
    "{\"contactId\":1,\"after\":\"x\"}",
    "[[[[[[[[",
    "0,0,0,0,0,0,0,0,",
];

fn count(value: &Value) -> usize {
    1 + match value {
        Value::Array(values) => values.iter().map(count).sum::<usize>(),
        Value::Object(members) => members.values().map(count).sum(),
        _ => 0,
    }
}

#[test]
fn no_event_panics_or_becomes_many_values() {
    fuzz::run(
        "event",
        include_str!("../fuzz/corpus/events.txt"),
        WORDS,
        |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return 0;
            };
            let (request, args) = protocol::parse(text);
            let args = match args {
                Ok(args) => args,
                Err(refusal) => return answer((refusal.code(), refusal.ack().to_string().len())),
            };
            assert!(args.iter().map(count).sum::<usize>() < 64);
            let parse =
                |form| JoinArgs::parse(form, &args).map_err(|refusal| refusal.ack().to_string());
            let joins = [parse(RoomForm::Conversation), parse(RoomForm::Room)];
            for join in joins.iter().flatten() {
                assert!(join.room.as_str().len() <= Room::MAX_BYTES);
            }
            let left =
                [RoomForm::Conversation, RoomForm::Room].map(|form| form.only_arg(&args).is_ok());
            answer((
                format!("{request:?}"),
                joins.map(|join| join.map(|join| join.after.is_some())),
                left,
            ))
        },
    );
}

#[test]
fn nothing_said_with_connect_panics_or_becomes_many_values() {
    fuzz::run(
        "connect",
        include_str!("../fuzz/corpus/connect.txt"),
        WORDS,
        |input| {
            let Ok(text) = std::str::from_utf8(input) else {
                return 0;
            };
            let Ok(auth) = ConnectAuth::of(Some(text)).read() else {
                return 1;
            };
            let Some(auth) = auth else {
                return 2;
            };
            assert!(count(&auth) <= 64);
            let members: Vec<String> = auth
                .as_object()
                .into_iter()
                .flatten()
                .map(|(name, _)| name.clone())
                .collect();
            answer((members, ResumeRequest::of(&auth).is_some()))
        },
    );
}
