//! Who is in which room, and up to where the rooms have been served.
//!
//! Owns the membership, the position of the broadcast, and who types. Everything changes under one lock, which is the
//! gate between a join and the broadcast: a join sees the position, and whoever is a member at that moment gets every
//! later event. The lock is held for a moment only; sending happens outside it.
//! Guarantees: an ack's offset and the events that follow meet exactly.

mod typists;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use serde_json::json;

use super::client::{Ack, Client};
use super::outlet::Delivery;
use super::protocol::{JoinArgs, Outgoing, Refusal};
use super::typing::{Change, Typer, Typers};
use crate::event::{ContactId, Room};
use crate::metrics::{Join, Limit, Metrics, Transport};
use crate::offset::Offset;
use crate::reader::Batch;
use crate::wire::Wire;
use socketioxide::TransportType;

/// A room's members, shared with a broadcast that is under way.
pub(super) type Members = Arc<Vec<Arc<Client>>>;

/// Upgrades that are kept before those of ended connections are looked for.
const MAX_UPGRADES: usize = 1024;

/// See the module.
pub struct Hub {
    state: Mutex<State>,
    /// Held while a change of who types is made and told, so that what is told last is what holds.
    typing: Mutex<()>,
    max_rooms: usize,
    pub(super) metrics: Metrics,
}

#[derive(Default)]
struct State {
    clients: HashMap<u64, Arc<Client>>,
    /// By the engine's session id, for the requests that name one.
    sessions: HashMap<Box<str>, u64>,
    /// Connections that sessions were upgraded to before their socket was connected.
    upgrades: HashMap<Box<str>, Weak<Wire>>,
    rooms: HashMap<Room, RoomState>,
    /// `None` until the reader has found the present.
    position: Option<Offset>,
}

#[derive(Default)]
struct RoomState {
    members: Members,
    typers: Typers,
}

impl Hub {
    /// An empty hub. A socket may be in `max_rooms` rooms.
    pub fn new(max_rooms: usize, metrics: Metrics) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            typing: Mutex::default(),
            max_rooms,
            metrics,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn typing_order(&self) -> MutexGuard<'_, ()> {
        self.typing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a connected socket in. False: it went away meanwhile.
    pub(super) fn connect(&self, client: &Arc<Client>) -> bool {
        {
            let mut state = self.state();
            state.sessions.insert(client.session().into(), client.id);
            if let Some(wire) = state
                .upgrades
                .remove(client.session())
                .and_then(|wire| wire.upgrade())
            {
                client.outlet.upgraded(&wire);
            }
            state.clients.insert(client.id, client.clone());
        }
        let connected = client.connected();
        if !connected {
            self.disconnect(client.id);
        }
        connected
    }

    /// Forgets a socket and takes it out of its rooms.
    pub(super) fn disconnect(&self, id: u64) -> bool {
        let _order = self.typing_order();
        let changes = {
            let mut state = self.state();
            let Some(client) = state.clients.remove(&id) else {
                return false;
            };
            // The client may have connected anew in the same session, before it was told of as gone.
            if state.sessions.get(client.session()) == Some(&id) {
                state.sessions.remove(client.session());
            }
            let rooms = std::mem::take(&mut *client.rooms());
            rooms
                .iter()
                .map(|room| state.leave(room, &client))
                .collect::<Vec<_>>()
        };
        self.relay(changes);
        true
    }

    /// Sends an event to one socket; one that has no room for it is ended.
    pub(super) fn send(&self, client: &Client, event: &Outgoing) {
        if self.try_send(client, event) == Delivery::Full {
            self.cut(client);
        }
    }

    /// Sends an event to one socket, unless socketioxide's queue is full.
    pub(super) fn try_send(&self, client: &Client, event: &Outgoing) -> Delivery {
        let delivery = client.outlet.send(event);
        if delivery == Delivery::Overflow {
            self.count_slow(client);
        }
        delivery
    }

    /// Ends a socket that reads too slowly.
    pub(super) fn cut(&self, client: &Client) {
        if client.outlet.cut() {
            self.count_slow(client);
        }
    }

    fn count_slow(&self, client: &Client) {
        self.metrics.slow_consumers.inc();
        tracing::info!(
            connection = client.id,
            "a client that reads too slowly was disconnected"
        );
    }

    /// A session is being upgraded to this connection, and may not have its socket yet.
    pub(super) fn upgrade(&self, session: &str, wire: &Arc<Wire>) {
        let mut state = self.state();
        if let Some(client) = state.in_session(session) {
            return client.outlet.upgraded(wire);
        }
        if state.upgrades.len() >= MAX_UPGRADES {
            state.upgrades.retain(|_, wire| wire.strong_count() > 0);
        }
        state.upgrades.insert(session.into(), Arc::downgrade(wire));
    }

    /// The socket of an engine's session.
    pub(super) fn find(&self, session: &str) -> Option<Arc<Client>> {
        self.state().in_session(session).cloned()
    }

    /// Every connected socket.
    pub(super) fn clients(&self) -> Vec<Arc<Client>> {
        self.state().clients.values().cloned().collect()
    }

    /// The offset after the last event that was broadcast, `None` before the first read.
    pub(super) fn offset(&self) -> Option<String> {
        self.state().position.as_ref().map(Offset::pack)
    }

    /// Enters a room and acknowledges it, in one moment for the broadcast.
    pub(super) fn join(&self, client: &Arc<Client>, join: &JoinArgs, ack: Ack) {
        let room = join.contact.room();
        let mut state = self.state();
        let mut rooms = client.rooms();
        let already = rooms.contains(&room);
        if !already && rooms.len() >= self.max_rooms {
            drop((rooms, state));
            self.metrics.limits(Limit::Rooms);
            self.metrics.joins(Join::TooManyRooms);
            return client.refuse(&Refusal::TooManyRooms(self.max_rooms), ack);
        }
        // A socket that was forgotten while its join waited must not become a member that nobody removes.
        if !state.clients.contains_key(&client.id) {
            return;
        }
        let position = state.position.clone();
        let entry = state.rooms.entry(room.clone()).or_default();
        if !already {
            Arc::make_mut(&mut entry.members).push(client.clone());
            rooms.push(room.clone());
        }
        drop(rooms);
        let mut answer = json!({
            "ok": true,
            "room": room.as_str(),
            "offset": position.as_ref().map(Offset::pack),
            "replayed": 0,
        });
        // An offset that is the present has missed nothing; for any other continuity can't be proved.
        let resync = join
            .after
            .as_ref()
            .is_some_and(|after| Some(after) != position.as_ref().map(Offset::pack).as_ref());
        if resync {
            answer["resync"] = true.into();
        }
        client.outlet.answer(ack, &answer);
        if !already && let Some(event) = entry.typers.greeting(client.id, &join.contact) {
            self.send(client, &event);
        }
        drop(state);
        self.metrics
            .joins(if resync { Join::Resync } else { Join::Joined });
    }

    /// Leaves a room and acknowledges it. Leaving a room that one is not in is no error.
    pub(super) fn leave(&self, client: &Arc<Client>, contact: &ContactId, ack: Ack) {
        let room = contact.room();
        let _order = self.typing_order();
        let change = {
            let mut state = self.state();
            client.rooms().retain(|joined| *joined != room);
            let change = state.leave(&room, client);
            client.outlet.answer(ack, &json!({ "ok": true }));
            change
        };
        self.relay([change]);
    }

    /// Moves the position past the event at `index` and says who must get it, with which offset: one moment, so that a join
    /// is either before it, and gets the event, or after, and its offset includes it.
    pub(super) fn pass(&self, batch: &Batch, index: usize) -> Option<(Members, Offset)> {
        let offset = batch.offset(index);
        let mut state = self.state();
        state.position = Some(offset.clone());
        let room = state.rooms.get(&batch.events[index].room)?;
        (!room.members.is_empty()).then(|| (room.members.clone(), offset))
    }

    /// Moves the position to where the broadcast is.
    pub(super) fn reach(&self, offset: Offset) {
        self.state().position = Some(offset);
    }

    /// Every joined room with its members.
    pub(super) fn joined(&self) -> Vec<(Room, Members)> {
        let state = self.state();
        state
            .rooms
            .iter()
            .map(|(room, entry)| (room.clone(), entry.members.clone()))
            .collect()
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

impl State {
    fn in_session(&self, session: &str) -> Option<&Arc<Client>> {
        self.clients.get(self.sessions.get(session)?)
    }

    fn leave(&mut self, room: &Room, client: &Client) -> (Members, Change, Room) {
        let entry = self.rooms.entry(room.clone()).or_default();
        if let Some(index) = entry
            .members
            .iter()
            .position(|member| member.id == client.id)
        {
            Arc::make_mut(&mut entry.members).swap_remove(index);
        }
        let change = entry.typers.set(Typer::Client(client.id), None);
        let change = (entry.members.clone(), change, room.clone());
        self.forget_if_empty(room);
        change
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
