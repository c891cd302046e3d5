//! One connected socket.
//!
//! Owns the way out to it: straight through the [`Wire`] where the socket was a WebSocket from its first byte, through
//! socketioxide's queue where it began by polling. One socket uses one way for all that is ours, so its order holds.
//! Guarantees: what can't be sent ends the connection; a client never gets a stream with a hole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::FromMessage;
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError, TransportType};

use super::auth::Identity;
use super::inbox::Inbox;
use super::protocol::{self, Outgoing, Refusal, Request};
use crate::event::Room;
use crate::wire::{Sent, Wire};

/// A connected socket.
pub(super) struct Client {
    /// Our own number for the connection. The Socket.IO id is a secret: never logged, never shown.
    pub(super) id: u64,
    pub(super) identity: Identity,
    pub(super) inbox: Arc<Inbox>,
    socket: SocketRef,
    wire: Option<Arc<Wire>>,
    rooms: Mutex<Vec<Room>>,
    ended: AtomicBool,
}

/// What became of an event for one client.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Delivery {
    Sent,
    /// The client is gone, or was cut because too much waited for it.
    Lost,
    /// socketioxide's queue is full: worth another try in a moment.
    Full,
}

impl Client {
    pub(super) fn new(
        id: u64,
        identity: Identity,
        inbox: Arc<Inbox>,
        socket: SocketRef,
        wire: Option<Arc<Wire>>,
    ) -> Self {
        Self {
            id,
            identity,
            inbox,
            socket,
            wire,
            rooms: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// The rooms it is in. Changed by the hub alone, under the hub's lock.
    pub(super) fn rooms(&self) -> MutexGuard<'_, Vec<Room>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn transport(&self) -> TransportType {
        self.socket.transport_type()
    }

    pub(super) fn connected(&self) -> bool {
        self.socket.connected()
    }

    /// Sends an event.
    pub(super) fn send(&self, event: &Outgoing) -> Delivery {
        if self.ended.load(Ordering::Acquire) {
            return Delivery::Lost;
        }
        let Some(wire) = &self.wire else {
            return match event.emit(&self.socket) {
                Ok(()) => Delivery::Sent,
                Err(SendError::Socket(SocketError::InternalChannelFull)) => Delivery::Full,
                Err(_) => Delivery::Lost,
            };
        };
        match wire.send(event.frame()) {
            Sent::Taken => Delivery::Sent,
            Sent::Gone => Delivery::Lost,
            Sent::Overflow => {
                self.ended.store(true, Ordering::Release);
                Delivery::Lost
            }
        }
    }

    /// Answers an ack; nothing where none was asked for.
    pub(super) fn answer(&self, ack: Ack, answer: &Value) {
        let sent = match (ack, &self.wire) {
            (Ack::None, _) => return,
            (Ack::Asked { id, .. }, Some(wire)) => {
                wire.send(protocol::ack_frame(id, answer)) == Sent::Taken
            }
            (Ack::Asked { sender, .. }, None) => sender.send(answer).is_ok(),
        };
        if !sent {
            // An answer that can't be given must not look like one that is still to come.
            self.cut();
        }
    }

    /// Says why an event is refused: to the ack, or as an event where there is none.
    pub(super) fn refuse(&self, refusal: &Refusal, ack: Ack) {
        match ack {
            Ack::None => {
                let _ = self.send(&refusal.event());
            }
            ack => self.answer(ack, &refusal.ack()),
        }
    }

    /// Bytes that wait for it, and how many it has taken so far; `None` where only socketioxide knows.
    pub(super) fn meter(&self) -> Option<(usize, u64)> {
        self.wire.as_ref().map(|wire| wire.meter())
    }

    /// Ends the connection so that the client reconnects by itself. True for the first call.
    pub(super) fn cut(&self) -> bool {
        if self.ended.swap(true, Ordering::AcqRel) {
            return false;
        }
        match &self.wire {
            Some(wire) => wire.cut(),
            // A full queue takes no disconnect packet; the heartbeat finds it full too, and ends the session.
            None => drop(self.socket.clone().disconnect()),
        }
        true
    }
}

/// Where the answer to an event goes.
pub(super) enum Ack {
    None,
    Asked { id: i64, sender: AckSender },
}

/// An incoming event as it came, with its ack's id.
pub(super) struct Packet {
    pub(super) request: Request,
    pub(super) args: Result<Vec<Value>, Refusal>,
    ack_id: Option<i64>,
}

impl Packet {
    pub(super) fn ack(&self, sender: AckSender) -> Ack {
        match self.ack_id {
            Some(id) => Ack::Asked { id, sender },
            None => Ack::None,
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
