//! An incoming event as socketioxide hands it over: what it asks for, its arguments, and where its answer goes.
//!
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
    pub(super) request: Request,
    pub(super) args: Result<Vec<Value>, Refusal>,
    ack_id: Option<i64>,
}

/// An event that waits for its turn.
pub(super) struct Incoming {
    pub(super) request: Request,
    pub(super) args: Result<Vec<Value>, Refusal>,
    pub(super) ack: Ack,
}

impl Packet {
    /// The event, to be answered through `sender`.
    pub(super) fn into_incoming(self, sender: AckSender) -> Incoming {
        Incoming {
            request: self.request,
            args: self.args,
            ack: match self.ack_id {
                Some(id) => Ack::Asked { id, sender },
                None => Ack::None,
            },
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
        let (request, args) = match packet {
            socketioxide::handler::Value::Str(text, None) => protocol::parse(&text),
            _ => {
                let refusal = Refusal::BadRequest("binary arguments are not accepted".to_owned());
                (Request::Unknown, Err(refusal))
            }
        };
        Ok(Self {
            request,
            args,
            ack_id,
        })
    }
}
