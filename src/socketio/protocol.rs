//! What travels between a client and the server: arguments, answers and errors, as `docs/INTEGRATION.md` describes them.
//!
//! Owns their shapes, and knows neither sockets nor who is in a room. Parses each argument once, into a type that is valid.
//! Refuses arguments and members that it does not know, because one that was ignored would change the question.

use serde_json::{Value, json};

use super::bounded_json;
use crate::auth::ConnectError;
use crate::delivery::{JoinError, Outgoing};
use crate::event::{ContactId, Room, name};
use crate::offset::Offset;

/// The events a client may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Join(RoomForm),
    Leave(RoomForm),
    TypingStart,
    TypingStop,
    AuthRefresh,
    /// Nothing that a client can send: the server's own wish to ask again about the client's rooms.
    Recheck,
    /// Anything else: answered by an error that names the known events.
    Unknown,
}

impl Request {
    const NAMED: [(&str, Self); 7] = [
        (name::JOIN, Self::Join(RoomForm::Conversation)),
        (name::LEAVE, Self::Leave(RoomForm::Conversation)),
        (name::JOIN_ROOM, Self::Join(RoomForm::Room)),
        (name::LEAVE_ROOM, Self::Leave(RoomForm::Room)),
        (name::TYPING_START, Self::TypingStart),
        (name::TYPING_STOP, Self::TypingStop),
        (name::AUTH_REFRESH, Self::AuthRefresh),
    ];

    fn named(name: &str) -> Self {
        let known = Self::NAMED.into_iter().find(|(known, _)| *known == name);
        known.map_or(Self::Unknown, |(_, request)| request)
    }
}

/// Why a client's event is refused. The text is the client's to see.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(super) enum Refusal {
    #[error("{0}")]
    BadRequest(String),
    #[error("{0}")]
    Forbidden(&'static str),
    #[error("{}", token_refusal(*.0))]
    Token(ConnectError),
    #[error("the database can't be reached, try again")]
    Unavailable,
    #[error("it can't be told at the moment whether you may, try again")]
    PolicyUnavailable,
    #[error(
        "the server can't store sessions at the moment, so no room can be entered or left: its log and /readyz say why; try again"
    )]
    CantStore,
    #[error("a socket may be in {0} rooms, leave one first")]
    TooManyRooms(usize),
    #[error("too many events, slow down")]
    TooManyRequests,
}

impl Refusal {
    pub(super) fn binary() -> Self {
        Self::BadRequest("binary arguments are not accepted".to_owned())
    }

    pub(super) fn unknown_event() -> Self {
        let known = Request::NAMED.map(|(name, _)| name).join(", ");
        Self::BadRequest(format!("unknown event: {known} are accepted"))
    }

    /// A join that can't be stored: Postgres refused it, or can't be reached.
    pub(super) fn not_stored(is_refused: bool) -> Self {
        if is_refused {
            Self::CantStore
        } else {
            Self::Unavailable
        }
    }

    /// The stable code that clients may test.
    pub(super) fn code(&self) -> &'static str {
        match self {
            Self::BadRequest(_) => "bad_request",
            Self::Forbidden(_) => "forbidden",
            Self::Token(ConnectError::TokenExpired) => "token_expired",
            Self::Token(ConnectError::Unavailable) => "unavailable",
            Self::Token(_) => "unauthorized",
            Self::Unavailable | Self::CantStore | Self::PolicyUnavailable => "unavailable",
            Self::TooManyRooms(_) => "too_many_rooms",
            Self::TooManyRequests => "too_many_requests",
        }
    }

    fn body(&self) -> Value {
        json!({ "code": self.code(), "message": self.to_string() })
    }

    /// As the answer to an ack.
    pub(super) fn ack(&self) -> Value {
        json!({ "ok": false, "error": self.body() })
    }

    /// As the event that a client is sent if it asked for no ack.
    pub(super) fn event(&self) -> Outgoing {
        Outgoing::transient(name::ERROR, &self.body())
    }
}

fn token_refusal(error: ConnectError) -> &'static str {
    match error {
        ConnectError::TokenExpired => "that token has expired",
        ConnectError::Unavailable => "the token's key is not known yet, try again",
        _ => "that token is not valid, or is not of the same issuer and subject",
    }
}

impl From<JoinError> for Refusal {
    fn from(error: JoinError) -> Self {
        match error {
            JoinError::TooManyRooms(max_rooms) => Self::TooManyRooms(max_rooms),
            JoinError::Revoked => Self::Forbidden("the right to this room was revoked"),
            JoinError::NotStarted | JoinError::StillWaiting => Self::Unavailable,
        }
    }
}

/// The first event on every connection: it gives a stock client its first offset.
pub(super) fn ready(offset: &Offset) -> Outgoing {
    let payload = json!({ "server": env!("CARGO_PKG_VERSION") });
    Outgoing::with_offset(name::READY, &payload, offset)
}

/// How a request names its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RoomForm {
    /// By the contact of the conversation.
    Conversation,
    /// In full.
    Room,
}

impl RoomForm {
    /// The member of a join's argument that has it.
    fn member(self) -> &'static str {
        match self {
            Self::Conversation => "contactId",
            Self::Room => "room",
        }
    }

    fn parse(self, value: &Value) -> Result<Room, Refusal> {
        match self {
            Self::Conversation => ContactId::try_from(value)
                .map(|contact| contact.room())
                .map_err(|error| bad(error.to_string())),
            Self::Room => Room::try_from(value).map_err(|error| bad(error.to_string())),
        }
    }

    /// The one argument of a leave, and of typing.
    pub(super) fn only_arg(self, args: &[Value]) -> Result<Room, Refusal> {
        self.parse(one(args)?)
    }
}

/// What a join asks for.
#[derive(Debug, PartialEq)]
pub(super) struct JoinArgs {
    pub(super) room: Room,
    /// The offset after which the client wants what it missed, as it came.
    pub(super) after: Option<String>,
    /// Whether it wants to be told who is in the room, if it says so.
    pub(super) presence: Option<bool>,
}

impl JoinArgs {
    /// Takes a contact id or a room, or an object with that as `contactId` or `room`, and perhaps `after` and `presence`.
    pub(super) fn parse(form: RoomForm, args: &[Value]) -> Result<Self, Refusal> {
        let first = one(args)?;
        let Value::Object(object) = first else {
            return Ok(Self {
                room: form.parse(first)?,
                after: None,
                presence: None,
            });
        };
        let member = form.member();
        let known = [member, "after", "presence"];
        if let Some(unknown) = object.keys().find(|key| !known.contains(&key.as_str())) {
            let unknown: String = unknown.chars().take(40).collect();
            return Err(bad(format!(
                "unknown member {unknown:?}: {member}, after and presence are accepted"
            )));
        }
        let after = match object.get("after") {
            None | Some(Value::Null) => None,
            Some(Value::String(offset)) => Some(offset.clone()),
            Some(_) => return Err(bad("after must be an offset, which is a string".to_owned())),
        };
        let presence = match object.get("presence") {
            None | Some(Value::Null) => None,
            Some(Value::Bool(wants)) => Some(*wants),
            Some(_) => return Err(bad("presence must be true or false".to_owned())),
        };
        Ok(Self {
            room: form.parse(object.get(member).unwrap_or(&Value::Null))?,
            after,
            presence,
        })
    }
}

/// The one argument of `auth:refresh`: a token, or an object that has it as `token`, as CONNECT does.
pub(super) fn token_arg(args: &[Value]) -> Result<&str, Refusal> {
    let argument = one(args)?;
    let token = argument.get("token").unwrap_or(argument);
    let token = token.as_str();
    token.ok_or_else(|| bad("the argument must be a token, which is a text".to_owned()))
}

fn one(args: &[Value]) -> Result<&Value, Refusal> {
    match args {
        [one] => Ok(one),
        _ => Err(bad(format!(
            "one argument is expected, {} were sent",
            args.len()
        ))),
    }
}

fn bad(message: String) -> Refusal {
    Refusal::BadRequest(message)
}

/// An event packet, `["name", ...]`, as what it asks for and its arguments.
pub(super) fn parse(packet: &str) -> (Request, Result<Vec<Value>, Refusal>) {
    let mut args = match bounded_json::array(packet) {
        Ok(args) => args,
        Err(refused) => return (Request::Unknown, Err(bad(refused.to_string()))),
    };
    let named = args.first().and_then(Value::as_str).unwrap_or_default();
    if named == name::BINARY {
        return (Request::Unknown, Err(Refusal::binary()));
    }
    let request = Request::named(named);
    args.drain(..1.min(args.len()));
    (request, Ok(args))
}

#[cfg(test)]
mod tests;
