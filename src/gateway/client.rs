//! One connected socket, and what it sends.
//!
//! Owns what is known of it: its session, its rooms, its [`Inbox`], its [`Outlet`], and what it was sent ([`Stream`]).

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::Value;
use socketioxide::TransportType;
use socketioxide::adapter::LocalAdapter;
use socketioxide::extract::{AckSender, SocketRef};
use socketioxide::handler::FromMessage;
use socketioxide::socket::Socket;

use super::inbox::Inbox;
use super::outlet::Outlet;
use super::protocol::{self, Refusal, Request};
use super::stream::Stream;
use crate::auth::Identity;
use crate::event::Room;
use crate::offset::Offset;
use crate::outbox::Session;
use crate::wire::Wire;

/// A connected socket.
pub(super) struct Client {
    /// Our own number for the connection. The Socket.IO id is a secret: never logged, never shown.
    pub(super) id: u64,
    pub(super) identity: Identity,
    pub(super) session: Session,
    /// Whether there is a session to keep: from the first join on.
    pub(super) kept: AtomicBool,
    pub(super) inbox: Arc<Inbox>,
    pub(super) outlet: Outlet,
    socket: SocketRef,
    rooms: Mutex<Vec<Membership>>,
    stream: Mutex<Stream>,
}

/// A room that a socket is in.
#[derive(Clone)]
pub(super) struct Membership {
    pub(super) room: Room,
    /// What it had of the room when it was in.
    pub(super) at: Arc<Offset>,
    /// Where the broadcast was then, if what the client had was not nothing but the join: something was replayed to it, or
    /// it was told to reload. Only one that comes back with a later offset has got that.
    pub(super) proof: Option<Arc<Offset>>,
}

impl Membership {
    /// Of a client that has had everything up to here.
    pub(super) fn new(room: Room, at: Arc<Offset>) -> Self {
        Self {
            room,
            at,
            proof: None,
        }
    }
}

impl Client {
    pub(super) fn new(
        id: u64,
        identity: Identity,
        session: Session,
        inbox: Arc<Inbox>,
        socket: SocketRef,
        wire: Option<Arc<Wire>>,
        stream: Stream,
    ) -> Self {
        let outlet = Outlet::new(socket.clone(), wire);
        Self {
            id,
            identity,
            session,
            kept: AtomicBool::new(stream.fall().is_some()),
            inbox,
            outlet,
            socket,
            rooms: Mutex::default(),
            stream: Mutex::new(stream),
        }
    }

    /// The rooms it is in. Changed by the hub alone, under the hub's lock.
    pub(super) fn rooms(&self) -> MutexGuard<'_, Vec<Membership>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where it was joined to a room, if it is in there.
    pub(super) fn joined(&self, room: &Room) -> Option<Arc<Offset>> {
        let rooms = self.rooms();
        let membership = rooms.iter().find(|joined| joined.room == *room)?;
        Some(membership.at.clone())
    }

    /// It is told to reload rooms, as if it had joined them here. Names those that it is in.
    pub(super) fn reloads(&self, here: &Arc<Offset>, which: impl Fn(&Room) -> bool) -> Vec<Room> {
        let mut rooms = self.rooms();
        let mut named = Vec::new();
        for joined in rooms.iter_mut().filter(|joined| which(&joined.room)) {
            (joined.at, joined.proof) = (here.clone(), Some(here.clone()));
            named.push(joined.room.clone());
        }
        named
    }

    /// What it was sent. Locked for as long as a stored event is being sent; after the hub's lock, never before it.
    pub(super) fn stream(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The engine's session id, which a request names. A secret.
    pub(super) fn engine_session(&self) -> &str {
        self.socket.id.as_str()
    }

    pub(super) fn transport(&self) -> TransportType {
        self.socket.transport_type()
    }

    pub(super) fn connected(&self) -> bool {
        self.socket.connected()
    }

    /// Says why an event is refused: to the ack, or as an event where there is none.
    pub(super) fn refuse(&self, refusal: &Refusal, ack: Ack) {
        match ack {
            Ack::None => {
                self.outlet.send(&refusal.event());
            }
            ack => self.outlet.answer(ack, &refusal.ack()),
        }
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
