//! An incoming event as socketioxide hands it over, and as it waits for its turn.
//!
//! It waits as its text, in a copy of its own: parsed it could take thirty times as much, and a slice of what was read would
//! keep all of that in memory.
//! Parsing never fails: an event that can't be understood becomes one that is answered by a refusal. A failed extractor would
//! make socketioxide drop the event without an answer.

use std::sync::Arc;

use serde_json::Value;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::AckSender;
use socketioxide::handler::FromMessage;
use socketioxide::socket::Socket;

use super::protocol::{self, Refusal, Request};
use crate::transport::Ack;

/// An incoming event as it came, with its ack's id.
pub(super) struct Packet {
    content: Content,
    ack_id: Option<i64>,
}

/// An event that waits for its turn.
pub(super) struct Waiting {
    pub(super) content: Content,
    pub(super) ack: Ack,
}

/// What waits.
pub(super) enum Content {
    /// An event, as the client sent it.
    Text(Box<str>),
    /// An event that is refused without a look.
    Refused(Refusal),
    /// The server's own question whether the client may stay in its rooms.
    Recheck,
}

/// An event whose turn has come.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) args: Result<Vec<Value>, Refusal>,
    pub(super) ack: Ack,
}

impl Packet {
    /// The event, to be answered through `sender`.
    pub(super) fn into_waiting(self, sender: AckSender) -> Waiting {
        Waiting {
            content: self.content,
            ack: match self.ack_id {
                Some(id) => Ack::Asked { id, sender },
                None => Ack::None,
            },
        }
    }
}

impl Waiting {
    /// How much of it depends on the client.
    pub(super) fn bytes(&self) -> usize {
        match &self.content {
            Content::Text(text) => text.len(),
            Content::Refused(_) | Content::Recheck => 0,
        }
    }

    /// What it asks for.
    pub(super) fn parse(self) -> Incoming {
        let (request, args) = match self.content {
            Content::Text(text) => protocol::parse(&text),
            Content::Refused(refusal) => (Request::Unknown, Err(refusal)),
            Content::Recheck => (Request::Recheck, Ok(Vec::new())),
        };
        Incoming {
            request,
            args,
            ack: self.ack,
        }
    }
}

impl FromMessage<LocalAdapter> for Packet {
    type Error = std::convert::Infallible;

    fn from_message(
        _: Arc<Socket<LocalAdapter>>,
        packet: socketioxide::handler::Value,
        ack_id: Option<i64>,
    ) -> Result<Self, Self::Error> {
        let content = match packet {
            socketioxide::handler::Value::Str(text, None) => Content::Text(text.as_str().into()),
            // The transport lets none through.
            _ => Content::Refused(Refusal::binary()),
        };
        Ok(Self { content, ack_id })
    }
}
