//! What clients say, past the transport.

use serde_json::Value;

use super::connect::ConnectAuth;
use super::protocol::{self, JoinArgs};
use super::session::resume::ResumeRequest;
use crate::fuzz::{self, answer};

const WORDS: &[&str] = &[
    "\"join:conversation\"",
    "\"leave:conversation\"",
    "\"typing:start\"",
    "\"contactId\"",
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
            let join = JoinArgs::parse(&args).map_err(|refusal| refusal.ack().to_string());
            let contact = protocol::contact_arg(&args).map_err(|refusal| refusal.ack().to_string());
            if let Ok(join) = &join {
                assert!(join.contact.room().as_str().len() <= 600);
            }
            answer((
                request as u8,
                join.map(|join| join.after.is_some()),
                contact.is_ok(),
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
