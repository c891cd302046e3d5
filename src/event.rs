//! What Rowcast moves: an event, its room, its name and its payload.
//!
//! Owns the types and their parsing, no I/O. A value of these types is valid: whoever holds a
//! [`Room`] or a [`ContactId`] need not check it again.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

mod reload;

pub(crate) use reload::Reload;

/// Names of the events that the server sends by itself, and of those it accepts; `docs/INTEGRATION.md` says what each means.
pub(crate) mod name {
    /// First event on every connection.
    pub(crate) const READY: &str = "rowcast:ready";
    /// What was wrong with a client's event that carried no ack.
    pub(crate) const ERROR: &str = "rowcast:error";
    /// Continuity of a room can't be proved: reload it over HTTP.
    pub(crate) const RESYNC: &str = "rowcast:resync";
    /// The client was put out of a room.
    pub(crate) const LEFT: &str = "rowcast:left";
    /// Someone else in the room began to type.
    pub(crate) const TYPING_START: &str = "typing:start";
    /// Nobody else in the room types any more.
    pub(crate) const TYPING_STOP: &str = "typing:stop";
    /// Who is in a room.
    pub(crate) const PRESENCE_STATE: &str = "presence:state";
    /// Somebody is in a room who was not.
    pub(crate) const PRESENCE_JOIN: &str = "presence:join";
    /// Somebody is in a room no more.
    pub(crate) const PRESENCE_LEAVE: &str = "presence:leave";
    /// A client asks to enter a conversation's room.
    pub(crate) const JOIN: &str = "join:conversation";
    /// A client asks to enter a room of any kind.
    pub(crate) const JOIN_ROOM: &str = "join:room";
    /// A client goes on with a later token.
    pub(crate) const AUTH_REFRESH: &str = "auth:refresh";
    /// A client leaves a conversation's room.
    pub(crate) const LEAVE: &str = "leave:conversation";
    /// A client leaves a room of any kind.
    pub(crate) const LEAVE_ROOM: &str = "leave:room";
    /// A message, as attached tables have it by convention: it ends typing.
    pub(crate) const MESSAGE: &str = "message:new";
    /// Stands for a client's event with binary arguments, which the transport drops.
    pub(crate) const BINARY: &str = "rowcast:binary";
}

/// Rooms of this kind are the servers' own.
const RESERVED: &str = "rowcast:";
const REVOCATIONS: &str = "rowcast:revocations";
const RELOADS: &str = "rowcast:reloads";
/// Why a client was put out of a room, as `rowcast:left` tells it.
pub(crate) mod left {
    /// The policy does not let it in any more.
    pub(crate) const FORBIDDEN: &str = "forbidden";
    /// The right was revoked, by `rowcast.revoke`.
    pub(crate) const REVOKED: &str = "revoked";
    /// The policy did not answer for this room when the client came back. It may join again.
    pub(crate) const UNAVAILABLE: &str = "unavailable";
}

/// A Socket.IO room: the unit of authorisation and of replay.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct Room(Arc<str>);

impl Room {
    /// The room's full name, `conversation:<contactId>` for a conversation.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The longest name, in bytes of UTF-8.
    pub(crate) const MAX_BYTES: usize = 2048;

    /// A room that a client or an operator names in full, `<kind>:<id>`.
    ///
    /// # Errors
    /// It is not of that form, too long, or the servers' own.
    pub(crate) fn named(name: &str) -> Result<Self, RoomError> {
        let Some((_, id)) = name.split_once(':').filter(|(kind, _)| !kind.is_empty()) else {
            return Err(RoomError::Form);
        };
        if id.is_empty() || id.len() > ContactId::MAX_BYTES || name.len() > Self::MAX_BYTES {
            return Err(RoomError::Length);
        }
        if name.contains('\0') {
            return Err(RoomError::Nul);
        }
        let room = Self::from(name);
        if room.is_reserved() {
            return Err(RoomError::Reserved);
        }
        Ok(room)
    }

    /// What its name begins with: the text before the first colon.
    pub(crate) fn kind(&self) -> &str {
        self.0.split_once(':').map_or(&self.0, |(kind, _)| kind)
    }

    /// A number that stands for the room in an offset, the same on every server.
    pub(crate) fn tag(&self) -> u64 {
        let digest = Sha256::digest(self.0.as_bytes());
        let (head, _) = digest
            .split_first_chunk::<8>()
            .expect("a digest has 32 bytes");
        u64::from_be_bytes(*head)
    }

    /// The room of which `rowcast.revoke` writes events, for the servers alone.
    pub(crate) fn of_revocations() -> Self {
        Self::from(REVOCATIONS)
    }

    /// Whether it is that room.
    pub(crate) fn is_of_revocations(&self) -> bool {
        &*self.0 == REVOCATIONS
    }

    /// The room of which `rowcast.tell_to_reload` writes events, for the servers alone: [`Reload`].
    pub(crate) fn of_reloads() -> Self {
        Self::from(RELOADS)
    }

    /// Whether it is that room.
    pub(crate) fn is_of_reloads(&self) -> bool {
        &*self.0 == RELOADS
    }

    /// Whether it is of the kind that is the servers' own: nobody may be in such a room.
    pub(crate) fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED)
    }

    /// Its id, of a conversation its contact: what follows the first colon, or nothing.
    pub(crate) fn contact(&self) -> &str {
        self.0.split_once(':').map_or("", |(_, contact)| contact)
    }
}

impl From<&str> for Room {
    fn from(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Room({:?})", &*self.0)
    }
}

/// Why a text names no room.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum RoomError {
    /// Not a string, or without a kind.
    #[error("room must be a string of the form <kind>:<id>, such as inbox:7")]
    Form,
    /// Nothing after the colon, or too much.
    #[error(
        "room must have an id of 1 to {} bytes after its first colon, and at most {} bytes in all",
        ContactId::MAX_BYTES,
        Room::MAX_BYTES
    )]
    Length,
    /// With the one character that text in Postgres can't have.
    #[error("room must not contain the character U+0000")]
    Nul,
    /// Of a kind that is not for clients.
    #[error("rooms of the kind rowcast are the servers' own")]
    Reserved,
}

impl TryFrom<&Value> for Room {
    type Error = RoomError;

    fn try_from(value: &Value) -> Result<Self, Self::Error> {
        Self::named(value.as_str().ok_or(RoomError::Form)?)
    }
}

/// Whom a conversation is with: 1 to 500 bytes of text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ContactId(String);

/// Why a value is not a contact id.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContactIdError {
    /// Neither a string nor a whole number.
    #[error("contactId must be a string or a whole number")]
    Kind,
    /// A number that JavaScript may have rounded.
    #[error("contactId is a number beyond 2^53, where JavaScript rounds: send it as a string")]
    Rounded,
    /// Empty, or longer than [`ContactId::MAX_BYTES`].
    #[error("contactId must have 1 to {} bytes", ContactId::MAX_BYTES)]
    Length,
    /// With the one character that text in Postgres can't have.
    #[error("contactId must not contain the character U+0000")]
    Nul,
}

impl ContactId {
    /// The longest contact id, in bytes of UTF-8.
    pub(crate) const MAX_BYTES: usize = 500;
    /// Up to here each whole number is its own in JavaScript (`Number.MAX_SAFE_INTEGER`).
    const LAST_EXACT: f64 = 9_007_199_254_740_991.0;

    /// The room of the conversation with this contact.
    pub(crate) fn room(&self) -> Room {
        Room(format!("conversation:{}", self.0).into())
    }

    /// The id itself.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ContactId {
    type Error = ContactIdError;

    fn try_from(id: String) -> Result<Self, Self::Error> {
        if id.is_empty() || id.len() > Self::MAX_BYTES {
            return Err(ContactIdError::Length);
        }
        if id.contains('\0') {
            return Err(ContactIdError::Nul);
        }
        Ok(Self(id))
    }
}

impl TryFrom<&Value> for ContactId {
    type Error = ContactIdError;

    fn try_from(value: &Value) -> Result<Self, Self::Error> {
        match value {
            Value::String(id) => id.clone().try_into(),
            Value::Number(id) if id.as_f64().is_some_and(|id| id.abs() > Self::LAST_EXACT) => {
                Err(ContactIdError::Rounded)
            }
            Value::Number(id) if id.is_i64() || id.is_u64() => id.to_string().try_into(),
            _ => Err(ContactIdError::Kind),
        }
    }
}

/// One row of the outbox, as it is broadcast.
#[derive(Debug)]
pub(crate) struct Event {
    /// Position in the outbox; neither contiguous nor in commit order.
    pub id: i64,
    /// The transaction that wrote it.
    pub xid: u64,
    /// Where it goes.
    pub room: Room,
    /// The Socket.IO event name.
    pub name: Arc<str>,
    /// The JSON payload, sent as it stands.
    pub payload: Box<RawValue>,
    /// When the change was made by the database's clock, in microseconds since 1970.
    pub at_us: i64,
    /// How long before it was read the change was made, by the database's clock.
    pub age: Duration,
    /// The trace that wrote it, as W3C Trace Context has it, if its transaction said one. Anybody who writes may say anything.
    pub traceparent: Option<Box<str>>,
}

#[cfg(test)]
mod tests;
