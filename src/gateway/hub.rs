//! Who is connected, who is in which room, and where the broadcast is.
//!
//! Owns the membership (`rooms`), the position of the broadcast (`position`) and who types (`typists`). Everything changes
//! under one lock, which is the gate between a join, a replay and the broadcast: whoever is in a room and live at some
//! position gets every later event. The lock is held for a moment only; sending to many happens outside it.

mod position;
mod recent;
mod rooms;
mod typists;

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use socketioxide::TransportType;
use tokio::sync::{mpsc, watch};

use super::client::Client;
use super::inbox::Inbox;
use super::outgoing::Outgoing;
use super::outlet::Delivery;
use super::stream::Fall;
use super::typing::Typers;
use crate::event::Room;
use crate::metrics::{Metrics, Transport};
use crate::offset::Offset;
use crate::outbox::{PidHash, Served, Session, Stored};
use crate::wire::Wire;
use recent::Recent;

pub(super) use position::{CRASHED, Lost, REWOUND, Towards, Turn};
pub(super) use rooms::{Approach, Entry};

/// A room's members, shared with a broadcast that is under way.
pub(super) type Members = Arc<Vec<Arc<Client>>>;

/// Upgrades and greetings that are kept before those of ended connections are looked for.
const MAX_LOOSE: usize = 1024;

/// See the module.
pub struct Hub {
    state: Mutex<State>,
    /// Held while a change of who types is made and told, so that what is told last is what holds.
    typing: Mutex<()>,
    /// The broadcast has come to the end of a read.
    moved: watch::Sender<()>,
    /// Makes the reader read.
    wake: watch::Sender<()>,
    behind: mpsc::UnboundedSender<(Arc<Client>, Fall)>,
    max_rooms: usize,
    pub(super) metrics: Metrics,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, Arc<Client>>,
    pids: HashMap<PidHash, u64>,
    /// By the engine's session id, for the requests that name one.
    sessions: HashMap<Box<str>, u64>,
    /// The pids of sockets whose CONNECT packet may go out in the answer to a poll.
    greetings: HashMap<Box<str>, Greeting>,
    /// Connections that sessions were upgraded to before their socket was connected.
    upgrades: HashMap<Box<str>, Weak<Wire>>,
    rooms: HashMap<Room, RoomState>,
    /// `None` until the reader has found the present.
    present: Option<At>,
}

/// What a CONNECT packet is to carry, and whose it is.
struct Greeting {
    pid: Box<str>,
    socket: Weak<Inbox>,
}

/// Where the broadcast is.
struct At {
    offset: Arc<Offset>,
    /// The number of the last event.
    number: u64,
    recent: Recent,
}

#[derive(Default)]
struct RoomState {
    members: Members,
    typers: Typers,
}

impl Hub {
    /// An empty hub, and the clients that fall behind. A socket may be in `max_rooms` rooms; `wake` makes the reader read.
    pub fn new(max_rooms: usize, wake: watch::Sender<()>, metrics: Metrics) -> (Arc<Self>, Behind) {
        let (behind, fallen) = mpsc::unbounded_channel();
        let hub = Self {
            state: Mutex::default(),
            typing: Mutex::default(),
            moved: watch::Sender::default(),
            wake,
            behind,
            max_rooms,
            metrics,
        };
        (Arc::new(hub), Behind(fallen))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn typing_order(&self) -> MutexGuard<'_, ()> {
        self.typing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket's CONNECT packet, which goes out with the next answer to a poll or over the connection that the session is
    /// being upgraded to, is to carry this pid.
    pub(super) fn greet(&self, session: &str, pid: &str, socket: &Arc<Inbox>) {
        let mut state = self.state();
        if let Some(wire) = state.upgrades.get(session).and_then(Weak::upgrade) {
            wire.greet(pid);
        }
        if state.greetings.len() >= MAX_LOOSE {
            let alive = |greeting: &mut Greeting| greeting.socket.strong_count() > 0;
            state.greetings.retain(|_, greeting| alive(greeting));
        }
        let greeting = Greeting {
            pid: pid.into(),
            socket: Arc::downgrade(socket),
        };
        state.greetings.insert(session.into(), greeting);
    }

    /// The pid of a CONNECT packet that was not seen on its way out yet.
    pub(super) fn greeting(&self, session: &str) -> Option<Box<str>> {
        let state = self.state();
        Some(state.greetings.get(session)?.pid.clone())
    }

    /// The CONNECT packet is out, or will never be.
    pub(super) fn greeted(&self, session: &str) {
        self.state().greetings.remove(session);
    }

    /// Takes a connected socket in, and gives back the one that had its session. `None`: it went away meanwhile.
    pub(super) fn connect(&self, client: &Arc<Client>) -> Option<Option<Arc<Client>>> {
        let before = {
            let mut state = self.state();
            state
                .sessions
                .insert(client.engine_session().into(), client.id);
            if let Some(wire) = state
                .upgrades
                .remove(client.engine_session())
                .and_then(|wire| wire.upgrade())
            {
                client.outlet.upgraded(&wire);
            }
            state.clients.insert(client.id, client.clone());
            let before = state.pids.insert(client.session.pid, client.id);
            before.and_then(|id| state.clients.get(&id).cloned())
        };
        if client.connected() {
            return Some(before);
        }
        self.disconnect(client.id);
        None
    }

    /// Forgets a socket and takes it out of its rooms. Says how far it was served.
    pub(super) fn disconnect(&self, id: u64) -> Option<(Arc<Client>, Served)> {
        let _order = self.typing_order();
        let (client, served, changes) = {
            let mut state = self.state();
            let client = state.clients.remove(&id)?;
            let served = state.served(&client);
            // The client may have connected anew in the same session, before it was told of as gone.
            if state.sessions.get(client.engine_session()) == Some(&id) {
                state.sessions.remove(client.engine_session());
                state.greetings.remove(client.engine_session());
            }
            if state.pids.get(&client.session.pid) == Some(&id) {
                state.pids.remove(&client.session.pid);
            }
            let rooms = std::mem::take(&mut *client.rooms());
            let changes = rooms
                .iter()
                .map(|joined| state.leave(&joined.room, &client))
                .collect::<Vec<_>>();
            (client, served, changes)
        };
        self.relay(changes);
        Some((client, served))
    }

    /// How far everybody who has a session was served.
    pub(super) fn served(&self) -> Vec<(Session, Served)> {
        let state = self.state();
        let kept = state
            .clients
            .values()
            .filter(|client| client.kept.load(Ordering::Relaxed));
        kept.map(|client| (client.session.clone(), state.served(client)))
            .collect()
    }

    /// What is to be kept of one: its rooms, and how far it was served. `None` once it is forgotten.
    pub(super) fn kept(&self, client: &Client) -> Option<Stored> {
        let state = self.state();
        state.clients.get(&client.id)?;
        let served = state.served(client);
        let rooms = client.rooms();
        let rooms = rooms.iter().map(|joined| {
            let offsets = std::iter::once(&joined.at).chain(&joined.proof);
            let offsets = offsets.map(|offset| offset.pack()).collect();
            (joined.room.as_str().to_owned(), offsets)
        });
        Some(Stored {
            rooms: rooms.collect(),
            served,
        })
    }

    /// The session of this pid belongs to the connection `owner` now: whoever else has it here is ended.
    pub(super) fn taken(&self, pid: PidHash, owner: i64) {
        let client = {
            let state = self.state();
            let id = state.pids.get(&pid);
            id.and_then(|id| state.clients.get(id)).cloned()
        };
        if let Some(client) = client.filter(|client| client.session.owner != owner) {
            client.outlet.cut();
        }
    }

    /// Sends an event that is not stored to one socket; one that has no room for it is ended.
    pub(super) fn send(&self, client: &Client, event: &Outgoing) {
        if client.outlet.send(event) == Delivery::Full {
            self.cut(client);
        }
    }

    /// Ends a socket that reads too slowly.
    pub(super) fn cut(&self, client: &Client) {
        if client.outlet.cut() {
            self.metrics.slow_consumers.inc();
            tracing::info!(
                connection = client.id,
                "a client that reads too slowly was disconnected"
            );
        }
    }

    /// A session is being upgraded to this connection, and may not have its socket yet.
    pub(super) fn upgrade(&self, session: &str, wire: &Arc<Wire>) {
        let mut state = self.state();
        if let Some(greeting) = state.greetings.get(session) {
            wire.greet(&greeting.pid);
        }
        if let Some(client) = state.in_session(session) {
            return client.outlet.upgraded(wire);
        }
        if state.upgrades.len() >= MAX_LOOSE {
            state.upgrades.retain(|_, wire| wire.strong_count() > 0);
        }
        state.upgrades.insert(session.into(), Arc::downgrade(wire));
    }

    /// The engine did not take the upgrade.
    pub(super) fn not_upgraded(&self, session: &str) {
        self.state().upgrades.remove(session);
    }

    /// The socket of an engine's session.
    pub(super) fn find(&self, session: &str) -> Option<Arc<Client>> {
        self.state().in_session(session).cloned()
    }

    /// Every connected socket.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        self.state().clients.values().cloned().collect()
    }

    /// Counts the sockets for the metrics.
    pub fn measure(&self) {
        let clients = self.clients();
        let websockets = clients
            .iter()
            .filter(|client| client.transport() == TransportType::Websocket)
            .count();
        self.metrics
            .sockets(Transport::Websocket, websockets as i64);
        self.metrics
            .sockets(Transport::Polling, (clients.len() - websockets) as i64);
    }
}

/// The clients that fall behind, as they do: for [`super::replay::run`].
pub struct Behind(pub(super) mpsc::UnboundedReceiver<(Arc<Client>, Fall)>);

impl State {
    fn in_session(&self, session: &str) -> Option<&Arc<Client>> {
        self.clients.get(self.sessions.get(session)?)
    }

    fn served(&self, client: &Client) -> Served {
        let stream = client.stream();
        let complete_to = match &self.present {
            Some(at) if stream.fall().is_none() => match at.recent.last() {
                // On its way to everybody else, and perhaps not to this one any more.
                Some(last)
                    if stream.awaits(last.number) && client.joined(&last.event.room).is_some() =>
                {
                    &last.before
                }
                _ => &at.offset,
            },
            _ => &stream.sent,
        };
        Served {
            last_sent_offset: stream
                .told
                .as_ref()
                .map(|told| told.pack())
                .unwrap_or_default(),
            complete_to_offset: complete_to.pack(),
        }
    }

    fn forget_if_empty(&mut self, room: &Room) {
        if self
            .rooms
            .get(room)
            .is_some_and(|entry| entry.members.is_empty() && entry.typers.is_empty())
        {
            self.rooms.remove(room);
        }
    }
}
