//! Events on their way out: what is sent, and the offset that it carries.
//!
//! Built once for however many subscribers get it. How it looks on the wire is the transport's: the first transport that
//! needs the bytes makes them, and the others share them.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::Serialize;
use serde_json::json;
use serde_json::value::{RawValue, to_raw_value};

use crate::event::{Event, Room, name};
use crate::offset::Offset;

/// An event as it is sent.
pub(crate) struct Outgoing {
    content: Content,
    /// The last argument of a stored event: a client comes back with it.
    offset: Option<String>,
    encoded: OnceLock<Bytes>,
}

enum Content {
    Stored(Arc<Event>),
    Ours(Box<str>, Box<RawValue>),
}

impl Outgoing {
    /// A stored event, which carries the offset that its subscriber has with it.
    pub(crate) fn stored(event: Arc<Event>, offset: &Offset) -> Self {
        Self::new(Content::Stored(event), Some(offset.pack()))
    }

    /// A stored event with its subscriber's offset. One that does not say what the subscriber has is made to prove nothing: no
    /// resume and no join takes it, so whoever comes back with it is told to reload. It is as of a database that there isn't.
    pub(crate) fn stored_if_exact(event: Arc<Event>, offset: &Offset, is_exact: bool) -> Self {
        if is_exact {
            return Self::stored(event, offset);
        }
        let mut unprovable = offset.clone();
        unprovable.epoch.value = !unprovable.epoch.value;
        Self::stored(event, &unprovable)
    }

    /// An event that is never stored, and carries no offset.
    pub(crate) fn transient(name: &str, payload: &impl Serialize) -> Self {
        Self::new(Self::ours(name, payload), None)
    }

    /// An event of the server's own that carries an offset.
    pub(crate) fn with_offset(name: &str, payload: &impl Serialize, offset: &Offset) -> Self {
        Self::new(Self::ours(name, payload), Some(offset.pack()))
    }

    /// Tells that a room's continuity can't be proved, and why.
    pub(crate) fn resync(room: &Room, reason: &str) -> Self {
        Self::transient(
            name::RESYNC,
            &json!({ "contactId": room.contact(), "room": room.as_str(), "reason": reason }),
        )
    }

    /// Tells that the client is not in a room any more, and why.
    pub(crate) fn left(room: &Room, reason: &str) -> Self {
        Self::transient(
            name::LEFT,
            &json!({ "room": room.as_str(), "reason": reason }),
        )
    }

    fn ours(name: &str, payload: &impl Serialize) -> Content {
        let payload = to_raw_value(payload).expect("our own payloads have string keys");
        Content::Ours(name.into(), payload)
    }

    fn new(content: Content, offset: Option<String>) -> Self {
        Self {
            content,
            offset,
            encoded: OnceLock::new(),
        }
    }

    /// The event's name.
    pub(crate) fn name(&self) -> &str {
        match &self.content {
            Content::Stored(event) => &event.name,
            Content::Ours(name, _) => name,
        }
    }

    /// The event's payload.
    pub(crate) fn payload(&self) -> &RawValue {
        match &self.content {
            Content::Stored(event) => &event.payload,
            Content::Ours(_, payload) => payload,
        }
    }

    /// The offset that it carries.
    pub(crate) fn offset(&self) -> Option<&str> {
        self.offset.as_deref()
    }

    /// The bytes for the wire, made by `encode` when they are first asked for.
    pub(crate) fn encoded(&self, encode: impl FnOnce(&Self) -> Bytes) -> &Bytes {
        self.encoded.get_or_init(|| encode(self))
    }
}
