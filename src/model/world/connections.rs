//! Connections that begin, are lost, and lose their rights.

use std::sync::Arc;

use serde_json::json;

use super::{CLIENTS, ROOMS, World, room};
use crate::auth::Identity;
use crate::db::{PidHash, ResumeSession, Takeover};
use crate::delivery::{DeliveryState, Membership, Subscriber, SubscriberTransport as _};
use crate::event::{Room, left};
use crate::model::client::{Sent, Wire};
use crate::model::server::Connection;
use crate::model::trace;
use crate::revocations::{Bearer, Revocation};
use crate::socketio::resume::{ResumeOutcome, ResumeRequest, evaluate};
use crate::socketio::store::{session_progress, stored_session};

impl World {
    pub(super) fn client_connects(&mut self) {
        let client = self.random.below(CLIENTS);
        self.connect(client);
    }

    /// A client connects, if it is not connected; the server may think that it still is.
    pub(super) fn connect(&mut self, client: usize) {
        let online = self.online[client].and_then(|id| self.server.connections.get(&id));
        if online.is_some_and(|connection| !connection.wire.is_closed()) {
            return;
        }
        if online.is_some() {
            self.lose(client);
        }
        let Some((position, number)) = self.server.hub.position() else {
            return;
        };
        if !self.server.connected {
            return;
        }
        let Some(bearer) = self.token(client) else {
            return;
        };
        let id = self.next_connection;
        self.next_connection += 1;
        let owner = id.cast_signed();
        let outcome = self.take_over(client, owner);
        let capacity = [1, 2, 4, 6, 1_000][self.random.below(if self.is_rough { 4 } else { 5 })];
        let revocations = self.server.hub.revocations.clone();
        let closed_rooms = move || {
            let rooms = (0..ROOMS).map(room);
            rooms
                .filter(|room| revocations.closes(&bearer, room))
                .collect()
        };
        let wire = Wire::new(capacity, self.clock.clone(), Box::new(closed_rooms));
        let state = match &outcome {
            ResumeOutcome::Resumed(resumed) => DeliveryState::behind(resumed.offset.clone()),
            _ => DeliveryState::live(position, number),
        };
        wire.push(Sent::Ready {
            offset: (**state.complete_to_offset()).clone(),
        });
        if !matches!(outcome, ResumeOutcome::Resumed(_)) {
            self.clients[client].begins_anew();
            self.clients[client].pid = Some(format!("pid-{id}"));
        }
        let pid = self.clients[client].pid.as_deref().expect("a pid");
        let session = ResumeSession {
            pid: PidHash::of(pid),
            identity: Identity::Anonymous.name(),
            owner,
            counted_for: None,
        };
        let state = state.of(Some(bearer));
        let subscriber = Arc::new(Subscriber::new(id, wire.clone(), state));
        self.server.owners.claim(&session, wire.clone());
        assert!(
            self.server.hub.add(&subscriber),
            "it was asked a moment ago"
        );
        if let ResumeOutcome::Resumed(resumed) = outcome {
            let restored: Vec<Room> = resumed
                .rooms
                .iter()
                .map(|joined| joined.room.clone())
                .collect();
            for room in self.clients[client].joined_rooms() {
                assert!(
                    restored.contains(&room),
                    "{room:?} of client {client} was answered and is forgotten"
                );
            }
            let (rooms, left) = self.ask_policy(resumed.rooms);
            let has_left = self.server.hub.restore(&subscriber, rooms, left);
            let stored = stored_session(&self.server.hub, &subscriber).expect("it is there");
            if resumed.must_store || has_left {
                self.sessions.insert(session.pid, (owner, stored));
                self.end_without_rooms(session.pid, &subscriber);
            }
            self.server.hub.start_replay(&subscriber);
        }
        self.online[client] = Some(id);
        let connection = Connection {
            client,
            session,
            subscriber,
            wire,
            unstored: Vec::new(),
        };
        self.server.connections.insert(id, connection);
    }

    /// A client's token, unless that is refused; then it gets another one for the next time.
    pub(super) fn token(&mut self, client: usize) -> Option<Bearer> {
        let revocations = &self.server.hub.revocations;
        let subject = format!("s{client}");
        let bearer = revocations.bearer(None, &subject, Some(self.issued[client]));
        let refused = revocations.of(&bearer).is_some();
        if refused || self.random.one_in(4) {
            self.seconds += 1;
            self.issued[client] = self.seconds;
        }
        (!refused).then_some(bearer)
    }

    /// Somebody ends a client's right to a room, or to everything.
    pub(super) fn revoke(&mut self) {
        self.seconds += i64::from(self.random.one_in(2));
        let closed = room(self.random.below(self.rooms)).as_str().to_owned();
        let revocation = Revocation {
            subject: format!("s{}", self.random.below(CLIENTS)),
            issuer: None,
            room: (!self.random.one_in(3)).then_some(closed),
            at: self.seconds,
            reason: None,
        };
        trace(|| format!("{revocation:?}"));
        let at_once = self.random.one_in(2);
        self.database.revoke(revocation, at_once);
    }

    /// How a client comes in that may have a session.
    pub(super) fn take_over(&mut self, client: usize, owner: i64) -> ResumeOutcome {
        let client = &self.clients[client];
        let auth = json!({ "pid": client.pid, "offset": client.offset });
        let Some(request) = ResumeRequest::of(&auth) else {
            return ResumeOutcome::New;
        };
        let row = self.sessions.get_mut(&PidHash::of(&request.pid));
        let stored = row.map(|row| {
            row.0 = owner;
            row.1.clone()
        });
        assert!(
            stored.is_some()
                || client.joined_rooms().is_empty()
                || self.ended.contains(&PidHash::of(&request.pid)),
            "a session that a client counts on is gone"
        );
        let takeover = Takeover {
            stored,
            state: self.database.state(),
        };
        evaluate(takeover, &request)
    }

    pub(super) fn connection_is_lost(&mut self) {
        let client = self.random.below(CLIENTS);
        self.lose(client);
    }

    /// A client's connection is lost. The server does not know yet.
    pub(super) fn lose(&mut self, client: usize) {
        if self.online[client].take().is_some() {
            self.clients[client].loses_connection();
        }
    }

    /// The server finds out about connections that have ended, or have lost their client.
    pub(super) fn loss_is_noticed(&mut self) {
        for id in self.server.ids() {
            let connection = &self.server.connections[&id];
            let gone = self.online[connection.client] != Some(id);
            if !gone && !connection.wire.is_closed() {
                continue;
            }
            let client = connection.client;
            let subscriber = &connection.subscriber;
            let whole = subscriber
                .was_taken_out()
                .then(|| stored_session(&self.server.hub, subscriber))
                .flatten();
            let progress = self.server.hub.remove(subscriber);
            self.server.owners.release(&connection.session);
            let row = self.sessions.get_mut(&connection.session.pid);
            if let (Some(progress), Some(row)) = (progress, row)
                && row.0 == connection.session.owner
            {
                match whole {
                    Some(whole) => row.1 = whole,
                    None => row.1.progress = session_progress(&progress),
                }
            }
            connection.wire.close();
            let ended = self.server.connections.remove(&id).expect("it is there");
            self.end_without_rooms(ended.session.pid, &ended.subscriber);
            if !gone {
                self.lose(client);
            }
        }
    }

    /// Of the rooms of a client that comes back, those that the policy lets it be in, and the others.
    fn ask_policy(
        &mut self,
        rooms: Vec<Membership>,
    ) -> (Vec<Membership>, Vec<(Room, &'static str)>) {
        let is_allowed = |_: &Membership| !self.random.one_in(16);
        let (allowed, denied): (Vec<_>, Vec<_>) = rooms.into_iter().partition(is_allowed);
        let left = denied.into_iter().map(|it| (it.room, left::FORBIDDEN));
        (allowed, left.collect())
    }

    /// Who may not have heard that it is in no room any more begins anew.
    pub(super) fn end_without_rooms(&mut self, pid: PidHash, subscriber: &Subscriber) {
        let row = self.sessions.get(&pid);
        if subscriber.was_taken_out() && row.is_some_and(|row| row.1.rooms.is_empty()) {
            self.sessions.remove(&pid);
            self.ended.insert(pid);
        }
    }
}
