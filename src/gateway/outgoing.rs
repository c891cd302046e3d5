//! Events and answers on their way out, encoded once for every socket that gets them.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use socketioxide::SendError;
use socketioxide::extract::SocketRef;

use crate::event::{Event, Room, name};
use crate::wire::frame;

/// An event as it is sent.
pub(super) struct Outgoing {
    what: What,
    /// The last argument of a stored event: stock clients keep it (`socket.io-client`, `_lastOffset`).
    offset: Option<String>,
    frame: Bytes,
}

enum What {
    Stored(Arc<Event>),
    Ours(Box<str>, Box<RawValue>),
}

impl What {
    fn parts(&self) -> (&str, &RawValue) {
        match self {
            Self::Stored(event) => (&event.name, &event.payload),
            Self::Ours(name, payload) => (name, payload),
        }
    }
}

impl Outgoing {
    /// A stored event, which ends in its offset.
    pub(super) fn stored(event: Arc<Event>, offset: String) -> Self {
        Self::encode(What::Stored(event), Some(offset))
    }

    /// An event that is never stored. It must end in an object: a string would pass for an offset.
    pub(super) fn transient(name: &str, payload: &impl Serialize) -> Self {
        Self::encode(Self::ours(name, payload), None)
    }

    /// The first event on every connection: it gives a stock client its first offset.
    pub(super) fn ready(offset: String) -> Self {
        let payload = json!({ "server": env!("CARGO_PKG_VERSION") });
        Self::encode(Self::ours(name::READY, &payload), Some(offset))
    }

    /// Tells that a room's continuity can't be proved, and why.
    pub(super) fn resync(room: &Room, reason: &str) -> Self {
        Self::transient(
            name::RESYNC,
            &json!({ "contactId": room.contact(), "reason": reason }),
        )
    }

    fn ours(name: &str, payload: &impl Serialize) -> What {
        let payload = to_raw_value(payload).expect("our own payloads have string keys");
        What::Ours(name.into(), payload)
    }

    fn encode(what: What, offset: Option<String>) -> Self {
        let (name, payload) = what.parts();
        let quoted = serde_json::to_string(name).expect("a string is JSON");
        let head: [&[u8]; 4] = [b"42[", quoted.as_bytes(), b",", payload.get().as_bytes()];
        let [a, b, c, d] = head;
        let frame = match &offset {
            // An offset is base64url: nothing in it needs escaping.
            Some(offset) => frame::text(&[a, b, c, d, b",\"", offset.as_bytes(), b"\"]"]),
            None => frame::text(&[a, b, c, d, b"]"]),
        };
        Self {
            what,
            offset,
            frame,
        }
    }

    pub(super) fn frame(&self) -> Bytes {
        self.frame.clone()
    }

    /// Emits through socketioxide's own queue.
    pub(super) fn emit(&self, socket: &SocketRef) -> Result<(), SendError> {
        let (name, payload) = self.what.parts();
        match &self.offset {
            Some(offset) => socket.emit(name, &(payload, offset)),
            None => socket.emit(name, payload),
        }
    }
}

/// The frame that answers ack `id` (Socket.IO protocol v5, "Acknowledgement").
pub(super) fn ack_frame(id: i64, answer: &Value) -> Bytes {
    frame::text(&[
        format!("43{id}[").as_bytes(),
        answer.to_string().as_bytes(),
        b"]",
    ])
}
