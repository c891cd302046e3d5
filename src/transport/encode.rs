//! Socket.IO packets as WebSocket frames (Socket.IO protocol v5, "Packet encoding", inside Engine.IO v4 message packets).
//!
//! Guarantees that a payload goes out as the text that the database holds: it is neither parsed nor written anew.

use bytes::Bytes;
use serde_json::Value;

use super::frame;
use crate::delivery::Outgoing;

/// The frame of an event: `42["name",payload,"offset"]`. An event without an offset ends in its payload, which is never a
/// string: a stock client keeps the last string argument of any event as its offset (`socket.io-client`, `_lastOffset`).
pub(super) fn event(event: &Outgoing) -> Bytes {
    let name = serde_json::to_string(event.name()).expect("a string is JSON");
    let (name, payload) = (name.as_bytes(), event.payload().get().as_bytes());
    match event.offset() {
        // An offset is base64url: nothing in it needs escaping.
        Some(offset) => frame::text(&[
            b"42[",
            name,
            b",",
            payload,
            b",\"",
            offset.as_bytes(),
            b"\"]",
        ]),
        None => frame::text(&[b"42[", name, b",", payload, b"]"]),
    }
}

/// The frame that answers ack `id`: `43id[answer]`.
pub(super) fn ack(id: i64, answer: &Value) -> Bytes {
    frame::text(&[
        format!("43{id}[").as_bytes(),
        answer.to_string().as_bytes(),
        b"]",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_event_without_an_offset_ends_in_its_payload() {
        let frame = event(&Outgoing::transient("a\"b", &json!({ "x": 1 })));
        assert_eq!(&frame[2..], br#"42["a\"b",{"x":1}]"#);
    }

    #[test]
    fn an_ack_has_its_number_before_the_answer() {
        assert_eq!(
            &ack(12, &json!({ "ok": true }))[2..],
            br#"4312[{"ok":true}]"#
        );
    }
}
