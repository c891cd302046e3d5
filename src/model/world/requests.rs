//! What clients read and ask for, and how they are answered.

use super::{CLIENTS, World, room, unpack};
use crate::db::StoredSession;
use crate::delivery::{JoinError, JoinReplayOutcome, Joined, StepReplay, SubscriberTransport as _};
use crate::event::Room;
use crate::model::client::Sent;
use crate::model::server::{Answer, Running};
use crate::model::trace;
use crate::offset::Offset;
use crate::socketio::store::stored_session;

impl World {
    pub(super) fn client_reads(&mut self) {
        let client = self.random.below(CLIENTS);
        for _ in 0..1 + self.random.below(4) {
            self.read_one(client);
        }
    }

    pub(super) fn read_one(&mut self, client: usize) -> bool {
        let Some(connection) = self.online[client].and_then(|id| self.server.connections.get(&id))
        else {
            return false;
        };
        let Some(sent) = connection.wire.read() else {
            return false;
        };
        trace(|| {
            format!(
                "client {client} on {:?} receives {sent:?}",
                self.online[client]
            )
        });
        self.clients[client].receives(sent, &self.database);
        true
    }

    /// A client asks to join a room, or to leave one.
    pub(super) fn client_asks(&mut self) {
        let client = self.random.below(CLIENTS);
        self.asks(client);
    }

    pub(super) fn asks(&mut self, client: usize) {
        let Some(id) = self.online[client] else {
            return;
        };
        let after = match self.random.below(4) {
            0 | 3 if self.server.connected => Some(self.database.history_offset()),
            1 => self.clients[client].offset.as_deref().and_then(unpack),
            _ => None,
        };
        // As if the server had forgotten the database's key since.
        let is_believed = !self.random.one_in(4);
        let Some(connection) = self.server.connections.get_mut(&id) else {
            return;
        };
        let is_in = !self.clients[client].joined_rooms().is_empty();
        if self.clients[client].waits || (self.is_rough && is_in && !self.random.one_in(8)) {
            return;
        }
        self.clients[client].waits = true;
        let hub = &self.server.hub;
        let kept = self.clients[client].kept_room();
        let goes_on = kept.is_some() && hub.position().is_some() && !self.random.one_in(4);
        let any = room(self.random.below(self.rooms));
        let room = kept.filter(|_| goes_on).unwrap_or(any);
        let has_joined = self.clients[client].joined_rooms().contains(&room);
        let is_in = connection.subscriber.is_in(&room);
        if is_in && has_joined && self.server.connected && self.random.one_in(2) {
            let after = self.database.history_offset();
            self.clients[client].asks_again(&room, &after, is_believed);
            if is_believed {
                return self.joins_after(id, room, &after);
            }
            let begun = connection.subscriber.join_begun();
            return self.join_replayed(id, room, begun, Ok(JoinReplayOutcome::Lost));
        }
        if is_in {
            connection.subscriber.begin_leave(&room);
            self.clients[client].asks_to_leave(&room);
            connection.unstored.push(Answer::Left { room });
            return;
        }
        let begun = connection.subscriber.join_begun();
        let after = after
            .filter(|_| hub.position().is_some())
            .map(|after| of_room(&after, &room));
        let goes_on = goes_on
            .then(|| self.clients[client].asks_to_go_on(&room))
            .flatten();
        let is_going_on = goes_on.is_some();
        let goes_on = goes_on.as_deref().map(unpack);
        let is_lost = match (&goes_on, &after) {
            (Some(kept), _) => kept.is_none() || !is_believed,
            (None, after) => after.is_some() && !is_believed,
        };
        if is_lost {
            if let (None, Some(after)) = (&goes_on, &after) {
                self.clients[client].asks_to_join(&room, Some(after));
            }
            return self.join_replayed(id, room, begun, Ok(JoinReplayOutcome::Lost));
        }
        match goes_on.flatten().or(after) {
            Some(after) => {
                if !is_going_on {
                    self.clients[client].asks_to_join(&room, Some(&after));
                }
                self.joins_after(id, room, &after);
            }
            None => self.joins_from_here(client, id, room),
        }
    }

    /// The server begins a join with an offset.
    fn joins_after(&mut self, id: u64, room: Room, after: &Offset) {
        trace(|| format!("{id} asks for {room:?} after {after:?}"));
        let subscriber = &self.server.connections[&id].subscriber;
        let begun = subscriber.join_begun();
        self.server.replays.push(Running {
            replay: StepReplay::join(&self.server.hub, subscriber, &room, after),
            wants: None,
            join: Some((id, room, begun)),
        });
    }

    /// The server does a join without an offset.
    fn joins_from_here(&mut self, client: usize, id: u64, room: Room) {
        let connection = self.server.connections.get_mut(&id).expect("it is open");
        let begun = connection.subscriber.join_begun();
        let joined = self.server.hub.join(&connection.subscriber, &room);
        if matches!(joined, Ok(Joined::Wait) | Err(JoinError::Revoked)) {
            self.clients[client].waits = false;
            return;
        }
        self.clients[client].asks_to_join(&room, None);
        if joined == Ok(Joined::Entered) {
            let lost = false;
            let answer = Answer::Joined { room, lost, begun };
            connection.unstored.push(answer);
        }
    }

    pub(super) fn store_one(&mut self) {
        if let Some(id) = self.random.pick(&self.server.ids()) {
            self.store(id);
        }
    }

    /// Stores a session, and gives the answers that waited for it.
    pub(super) fn store(&mut self, id: u64) {
        let server = &mut self.server;
        let Some(connection) = server.connections.get_mut(&id) else {
            return;
        };
        if connection.unstored.is_empty() {
            return;
        }
        let Some(stored) = stored_session(&server.hub, &connection.subscriber) else {
            return;
        };
        let session = &connection.session;
        let row = self
            .sessions
            .entry(session.pid)
            .or_insert_with(|| (session.owner, StoredSession::default()));
        if row.0 != session.owner {
            connection.wire.close();
            return;
        }
        row.1 = stored;
        let (pid, subscriber) = (session.pid, connection.subscriber.clone());
        for answer in connection.unstored.drain(..) {
            match answer {
                Answer::Left { room } => {
                    server.hub.leave(&connection.subscriber, &room);
                    connection.wire.push(Sent::Left { room });
                }
                Answer::Joined { room, lost, begun } => {
                    let at = self.database.clock;
                    let is_in = connection.subscriber.with_join_offset(
                        &room,
                        lost,
                        begun,
                        |offset, lost| {
                            connection.wire.push(Sent::Joined {
                                room: room.clone(),
                                offset: offset.clone(),
                                lost,
                                at,
                            });
                        },
                    );
                    if !is_in {
                        connection.wire.push(Sent::Refused { room });
                    }
                }
            }
        }
        self.end_without_rooms(pid, &subscriber);
    }
}

/// What an offset says of one room.
fn of_room(after: &Offset, room: &Room) -> Offset {
    Offset {
        seen: after.seen_in(room).clone(),
        joining_room: None,
        ..after.clone()
    }
}
