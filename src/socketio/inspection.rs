//! What somebody who looks on may see of the connected clients: copies, taken a few clients at a time.
//!
//! Refuses secrets: a client is named by our own number for its connection, which the log has, too. Its Socket.IO id, its pid, its
//! token and the claims in that are nowhere here.
//! Guarantees that a look at many clients is bounded ([`MAX_CLIENTS`], [`MAX_STAYS`]), holds one client's locks at a time, and lets
//! others have the thread between a few clients and the next few.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::spawn_blocking;

use super::SocketServer;
use super::client::Client;
use super::session::Clients;
use crate::delivery::{Hub, RecentView, SubscriberTransport as _};
use crate::event::Room;
use crate::metrics::Transport;
use crate::quota::Holder;

/// Clients that are looked at in one look; of more, every second, third or so.
const MAX_CLIENTS: usize = 20_000;
/// Stays in rooms that are counted in one look: those of the first clients.
const MAX_STAYS: usize = 200_000;
/// Clients after which others get their turn.
const STEP: usize = 64;

/// A connected client.
#[derive(Clone, Debug)]
pub(crate) struct SocketView {
    /// Our own number for its connection.
    pub id: u64,
    /// Who it is: `anonymous`, or issuer and subject of its token as a JSON array.
    pub identity: Arc<str>,
    /// How it is connected now.
    pub transport: Transport,
    /// Bytes that wait for it.
    pub waiting_bytes: usize,
    /// A replay serves it, and not the broadcast.
    pub is_behind: bool,
    /// The rooms that it is in.
    pub rooms: usize,
    /// How long it has been connected.
    pub age: Duration,
    /// Its address, or its /64 network of IPv6; `None` where it was not counted by one.
    pub address: Option<IpAddr>,
}

/// All clients at about one moment.
#[derive(Debug, Default)]
pub(crate) struct Crowd {
    /// How many there are.
    pub total: usize,
    /// Those that were looked at, the latest first.
    pub sockets: Vec<SocketView>,
    /// The rooms that those are in, with how many of them, the fullest first.
    pub rooms: Vec<(Room, u32)>,
    /// Whether the rooms of all who were looked at are counted.
    pub has_all_rooms: bool,
}

/// The members of a room.
#[derive(Debug)]
pub(crate) struct RoomMembers {
    /// How many there are.
    pub members: usize,
    /// Those that were asked for.
    pub shown: Vec<SocketView>,
}

/// Looks at the connected clients.
#[derive(Clone)]
pub(crate) struct Inspection {
    pub(super) hub: Arc<Hub>,
    pub(super) clients: Arc<Clients>,
}

impl SocketServer {
    /// Returns what looks at the connected clients.
    pub(crate) fn inspection(&self) -> Inspection {
        Inspection {
            hub: self.hub.clone(),
            clients: self.clients.clone(),
        }
    }
}

impl Inspection {
    /// Looks at all clients.
    pub(crate) async fn crowd(&self) -> Crowd {
        let mut clients = self.clients.all();
        let total = clients.len();
        if total > MAX_CLIENTS {
            let each = total.div_ceil(MAX_CLIENTS);
            clients = clients.into_iter().step_by(each).collect();
        }
        let mut sockets = Vec::with_capacity(clients.len());
        let mut rooms: HashMap<Room, u32> = HashMap::new();
        let (mut stays, mut has_all_rooms) = (0, true);
        for step in clients.chunks(STEP) {
            for client in step {
                let counts = stays < MAX_STAYS;
                has_all_rooms &= counts;
                let socket = look(client, |room| match rooms.get_mut(room) {
                    _ if !counts => {}
                    Some(members) => *members += 1,
                    None => drop(rooms.insert(room.clone(), 1)),
                });
                stays += socket.rooms;
                sockets.push(socket);
            }
            tokio::task::yield_now().await;
        }
        drop(clients);
        // Of many rooms this takes as long as no other task should wait.
        let sorted = spawn_blocking(move || sorted(sockets, rooms)).await;
        let (sockets, rooms) = sorted.unwrap_or_default();
        Crowd {
            total,
            sockets,
            rooms,
            has_all_rooms,
        }
    }

    /// Looks at one client: itself, and the names of its rooms.
    pub(crate) fn socket(&self, id: u64) -> Option<(SocketView, Vec<Room>)> {
        let client = self.clients.get(id)?;
        let mut rooms = Vec::new();
        let socket = look(&client, |room| rooms.push(room.clone()));
        Some((socket, rooms))
    }

    /// The members of a room, `count` of them from the one at `from` on.
    pub(crate) fn members(&self, room: &Room, from: usize, count: usize) -> RoomMembers {
        let seen = self.hub.look_into(room, from, count);
        let members = seen.shown.iter().filter_map(|id| self.clients.get(*id));
        RoomMembers {
            members: seen.members,
            shown: members.map(|client| look(&client, |_| {})).collect(),
        }
    }

    /// The newest events that were broadcast after the one of the number `after`.
    pub(crate) fn recent(&self, after: u64, most: usize) -> RecentView {
        self.hub.look_back(after, most)
    }

    /// Cuts a client, which comes back by itself if it still may. False: there is none of that number.
    pub(crate) fn disconnect(&self, id: u64) -> bool {
        match self.clients.get(id) {
            Some(client) => client.transport.close(),
            None => false,
        }
    }
}

/// The sockets, the latest first, and the rooms, the fullest first.
fn sorted(
    mut sockets: Vec<SocketView>,
    rooms: HashMap<Room, u32>,
) -> (Vec<SocketView>, Vec<(Room, u32)>) {
    sockets.sort_unstable_by_key(|socket| Reverse(socket.id));
    let mut rooms: Vec<_> = rooms.into_iter().collect();
    rooms.sort_unstable_by(|(one, ones), (other, others)| {
        others
            .cmp(ones)
            .then_with(|| one.as_str().cmp(other.as_str()))
    });
    (sockets, rooms)
}

fn look(client: &Client, each_room: impl FnMut(&Room)) -> SocketView {
    let seen = client.subscriber.look(each_room);
    let address = match client.transport.address_holder() {
        Some(Holder::Network(address)) => Some(address),
        _ => None,
    };
    SocketView {
        id: client.id(),
        identity: client.identity().name(),
        transport: client.transport.kind(),
        waiting_bytes: client.transport.backlog().waiting_bytes,
        is_behind: seen.is_behind,
        rooms: seen.rooms,
        age: client.since.elapsed(),
        address,
    }
}
