//! One server, its database and its clients, and everything that may happen to them.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::watch;

use super::client::{Client, Sent, Wire};
use super::database::Database;
use super::random::Random;
use super::trace;
use crate::auth::Identity;
use crate::db::{PidHash, ReadPart, ResumeSession, StoredSession, Takeover};
use crate::delivery::{
    AccessGeneration, BehindReceiver, DeliveryState, Hub, JoinError, JoinReplayOutcome, Joined,
    Outgoing, ReplayStepped, StepBroadcast, StepReplay, StepSink, Subscriber,
    SubscriberTransport as _,
};
use crate::event::{Room, left};
use crate::feed::{HandOver, ReadUnderWay};
use crate::metrics::Metrics;
use crate::offset::{EpochKey, Offset, RoomRange};
use crate::revocations::{Bearer, Revocation, Revocations};
use crate::socketio::SessionOwners;
use crate::socketio::resume::{ResumeOutcome, ResumeRequest, evaluate};
use crate::socketio::store::{session_progress, stored_session};

const CLIENTS: usize = 4;
const ROOMS: usize = 3;

/// A connection as the server has it.
struct Connection {
    client: usize,
    session: ResumeSession,
    subscriber: Arc<Subscriber>,
    wire: Arc<Wire>,
    /// Answers that wait for the session to be stored.
    unstored: Vec<Answer>,
}

impl Connection {
    fn is_settled(&self) -> bool {
        self.unstored.is_empty() && self.wire.is_empty() && !self.wire.is_closed()
    }
}

enum Answer {
    Joined {
        room: Room,
        lost: bool,
        access: AccessGeneration,
    },
    Left {
        room: Room,
    },
}

/// A replay that is under way.
struct Running {
    replay: StepReplay,
    /// What it waits to be read.
    wants: Option<Vec<RoomRange>>,
    /// Of a join: the connection, the room, and when it was begun.
    join: Option<(u64, Room, AccessGeneration)>,
}

struct LargeRead {
    read: ReadUnderWay,
    part: ReadPart,
    asked: Vec<Room>,
    found: Option<Vec<Room>>,
}

/// One life of the server.
struct Server {
    hub: Arc<Hub>,
    behind: BehindReceiver,
    hand_over: HandOver<StepSink>,
    broadcast: StepBroadcast,
    owners: SessionOwners,
    position: Option<Offset>,
    /// Whether the reader knows of the last crash.
    connected: bool,
    read: Option<(ReadUnderWay, VecDeque<ReadPart>)>,
    /// A large read, with the rooms that were asked about and those that were found to have an event.
    large: Option<LargeRead>,
    replays: Vec<Running>,
    connections: HashMap<u64, Connection>,
}

impl Server {
    fn new() -> Self {
        let revocations = Revocations::new(Duration::MAX);
        let (hub, behind) = Hub::new(
            ROOMS,
            watch::Sender::default(),
            revocations,
            Metrics::new().0,
        );
        let sink = StepSink::new(&hub);
        Self {
            broadcast: StepBroadcast::new(&hub, sink.clone()),
            hub,
            behind,
            hand_over: HandOver::new(sink),
            owners: SessionOwners::default(),
            position: None,
            connected: false,
            read: None,
            large: None,
            replays: Vec::new(),
            connections: HashMap::new(),
        }
    }

    fn ids(&self) -> Vec<u64> {
        let mut ids: Vec<u64> = self.connections.keys().copied().collect();
        ids.sort_unstable();
        ids
    }
}

pub(super) struct World {
    random: Random,
    database: Database,
    clock: Arc<AtomicU64>,
    server: Server,
    /// The table of resume sessions: who owns each, and what it holds.
    sessions: HashMap<PidHash, (i64, StoredSession)>,
    clients: Vec<Client>,
    /// Each client's connection, if it has one.
    online: Vec<Option<u64>>,
    next_connection: u64,
    /// The time by which tokens are issued and rights revoked.
    seconds: i64,
    /// Resume sessions that were removed because their clients were taken out of the last room.
    ended: HashSet<PidHash>,
    /// When each client's token was issued.
    issued: Vec<i64>,
    /// Whether clients read seldom in this history, and the database crashes often.
    is_rough: bool,
    rooms: usize,
}

impl World {
    pub(super) fn new(mut random: Random) -> Self {
        let is_rough = random.one_in(2);
        let mut database = Database::new();
        database.is_lazy = is_rough;
        Self {
            is_rough,
            rooms: if is_rough { 1 } else { ROOMS },
            random,
            database,
            clock: Arc::default(),
            server: Server::new(),
            sessions: HashMap::new(),
            clients: (0..CLIENTS).map(|_| Client::default()).collect(),
            online: vec![None; CLIENTS],
            next_connection: 1,
            seconds: 0,
            ended: HashSet::new(),
            issued: vec![0; CLIENTS],
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        let rooms: Vec<Room> = (0..self.rooms).map(room).collect();
        match self.random.below(100) {
            0..=29 => self.database.write(&mut self.random, &rooms),
            30..=52 => self.reader_goes_on(),
            53..=59 => self.replays_go_on(),
            60..=71 if !self.is_rough || self.random.one_in(4) => self.client_reads(),
            72..=81 => self.client_asks(),
            82..=88 => self.store_one(),
            89..=92 => self.client_connects(),
            93 => self.connection_is_lost(),
            94 => self.loss_is_noticed(),
            95 if !self.is_rough => self.loss_is_noticed(),
            95 if self.is_rough => self.database_crashes(),
            96 if self.random.one_in(4) => self.database_crashes(),
            97 if self.random.one_in(4) => self.prune(),
            98 if self.random.one_in(6) => self.server_is_killed(),
            99 => self.revoke(),
            _ => {}
        }
        self.clock.store(self.database.clock, Ordering::Relaxed);
        self.check_one_server_per_session();
    }

    /// Everything comes to its end, and is checked.
    pub(super) fn settle(&mut self) {
        self.database.finish();
        for _ in 0..1_000 {
            self.clock.store(self.database.clock, Ordering::Relaxed);
            self.loss_is_noticed();
            for client in 0..CLIENTS {
                self.connect(client);
                while self.read_one(client) {}
            }
            for _ in 0..8 {
                self.reader_goes_on();
                self.replays_go_on();
            }
            for id in self.server.ids() {
                self.store(id);
            }
            if self.is_settled() {
                break;
            }
        }
        assert!(
            self.is_settled(),
            "it does not come to an end: {:?} of {:?}, {} replays",
            self.server.hub.position(),
            self.database.history_offset(),
            self.server.replays.len()
        );
        for client in &self.clients {
            client.check_complete(&self.database);
        }
    }

    /// Whether everybody has all that there is.
    fn is_settled(&self) -> bool {
        let end = self.database.history_offset();
        let open = self.server.connections.values();
        self.server.connected
            && self.server.read.is_none()
            && self.server.large.is_none()
            && self.server.replays.is_empty()
            && self
                .server
                .hub
                .position()
                .is_some_and(|(here, _)| here.epoch == end.epoch && here.seen == end.seen)
            && self.online.iter().all(Option::is_some)
            && open.clone().count() == CLIENTS
            && open.into_iter().all(Connection::is_settled)
    }

    fn reader_goes_on(&mut self) {
        let server = &mut self.server;
        if server.broadcast.step() {
            return;
        }
        if !server.connected {
            let revoked = server.hand_over.revoke(self.database.revocations());
            revoked.now_or_never().expect("it waits for nobody");
            let (position, head) = (server.position.take(), self.database.head());
            let connected = server.hand_over.connected(position, head).now_or_never();
            server.position = connected;
            trace(|| format!("the reader goes on from {:?}", server.position));
            let seen = server
                .position
                .as_ref()
                .map(|position| position.seen.ceiling());
            let is_there = seen.is_some_and(|seen| self.database.snapshot().covers(seen));
            assert!(
                is_there,
                "the reader goes on from what a crash has undone: {seen:?}"
            );
            server.connected = true;
            return;
        }
        if self.large_read_goes_on() {
            return;
        }
        let server = &mut self.server;
        let position = server.position.as_mut().expect("the reader is connected");
        match &mut server.read {
            None => {
                let may_be_large = server.hand_over.may_be_large(position);
                let random = &mut self.random;
                let parts = self.database.read(&position.seen, may_be_large, random);
                server.read = Some((ReadUnderWay::from(position), parts.into()));
            }
            Some((read, parts)) => match parts.pop_front() {
                Some(part) if part.is_large => {
                    let mut asked = server.hand_over.rooms();
                    asked.push(Room::of_revocations());
                    server.large = Some(LargeRead {
                        read: ReadUnderWay::from(position),
                        part,
                        asked,
                        found: None,
                    });
                }
                Some(part) => {
                    trace(|| format!("the reader hands over {part:?}"));
                    let handed = server.hand_over.hand_over(read, part, position);
                    handed.now_or_never().expect("it waits for nobody");
                }
                None => server.read = None,
            },
        }
    }

    /// The next step of a large read. False: there is none.
    fn large_read_goes_on(&mut self) -> bool {
        let server = &mut self.server;
        let Some(mut large) = server.large.take() else {
            return false;
        };
        let Some(found) = &large.found else {
            let before = large.read.before();
            large.found = Some(self.database.flush_and_find_rooms(before, &large.asked));
            server.large = Some(large);
            return true;
        };
        trace(|| format!("the reader leaves {found:?} to replays: {:?}", large.part));
        if found.contains(&Room::of_revocations()) {
            let revoked = server.hand_over.revoke(self.database.revocations());
            revoked.now_or_never().expect("it waits for nobody");
        }
        large.asked.pop();
        let position = server.position.as_mut().expect("the reader is connected");
        let left = server.hand_over.leave_to_replays(
            &large.read,
            large.part,
            large.asked,
            found,
            position,
        );
        left.now_or_never().expect("it waits for nobody");
        true
    }

    fn replays_go_on(&mut self) {
        while let Some(replay) = StepReplay::requested(&self.server.hub, &mut self.server.behind) {
            self.server.replays.push(Running {
                replay,
                wants: None,
                join: None,
            });
        }
        if self.server.replays.is_empty() {
            return;
        }
        for _ in 0..3 {
            if self.server.replays.is_empty() {
                return;
            }
            let index = self.random.below(self.server.replays.len());
            self.replay_goes_on(index);
        }
    }

    fn replay_goes_on(&mut self, index: usize) {
        let limit = 1 + self.random.below(4);
        let running = &mut self.server.replays[index];
        let stepped = match running.wants.take() {
            // The moment after a crash nothing is read, until the reader knows of it.
            Some(wants) if !self.server.connected => {
                running.wants = Some(wants);
                return;
            }
            Some(wants) => running.replay.take_page(&self.database.page(&wants, limit)),
            None => running.replay.advance(),
        };
        trace(|| format!("a replay of {:?}: {stepped:?}", running.join));
        match stepped {
            ReplayStepped::Going | ReplayStepped::Waits => {}
            ReplayStepped::NeedsPage(wants) => running.wants = Some(wants),
            ReplayStepped::Done(outcome) => {
                let running = self.server.replays.swap_remove(index);
                if let (Some(outcome), Some((id, room, access))) = (outcome, running.join) {
                    self.join_replayed(id, room, access, outcome);
                }
            }
        }
    }

    fn join_replayed(
        &mut self,
        id: u64,
        room: Room,
        access: AccessGeneration,
        outcome: Result<JoinReplayOutcome, JoinError>,
    ) {
        let Some(connection) = self.server.connections.get_mut(&id) else {
            return;
        };
        let lost = match outcome {
            Err(JoinError::Revoked) => return connection.wire.push(Sent::Refused { room }),
            Err(error) => panic!("there is room: {error:?}"),
            Ok(JoinReplayOutcome::Gone) => return,
            Ok(JoinReplayOutcome::Entered { .. } | JoinReplayOutcome::Already) => false,
            Ok(JoinReplayOutcome::Lost) => true,
        };
        if lost {
            match self.server.hub.join_unproven(&connection.subscriber, &room) {
                Err(JoinError::Revoked) => return connection.wire.push(Sent::Refused { room }),
                Ok(Joined::Gone) => return,
                // It would ask again. Here it comes back.
                Ok(Joined::Wait) => {
                    connection.wire.close();
                    return;
                }
                _ => {}
            }
        }
        connection
            .unstored
            .push(Answer::Joined { room, lost, access });
    }

    fn client_reads(&mut self) {
        let client = self.random.below(CLIENTS);
        for _ in 0..1 + self.random.below(4) {
            self.read_one(client);
        }
    }

    fn read_one(&mut self, client: usize) -> bool {
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
    fn client_asks(&mut self) {
        let client = self.random.below(CLIENTS);
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
        if connection.subscriber.is_in(&room) {
            hub.leave(&connection.subscriber, &room);
            self.clients[client].asks_to_leave(&room);
            connection.unstored.push(Answer::Left { room });
            return;
        }
        let access = connection.subscriber.access_generation();
        let after = after.filter(|_| hub.position().is_some());
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
            return self.join_replayed(id, room, access, Ok(JoinReplayOutcome::Lost));
        }
        let after = goes_on.flatten().or(after);
        match after {
            Some(after) => {
                let after = Offset {
                    seen: after.seen_in(&room).clone(),
                    joining_room: None,
                    ..after
                };
                trace(|| format!("client {client} on {id} asks for {room:?} after {after:?}"));
                if !is_going_on {
                    self.clients[client].asks_to_join(&room, Some(&after));
                }
                self.server.replays.push(Running {
                    replay: StepReplay::join(hub, &connection.subscriber, &room, &after),
                    wants: None,
                    join: Some((id, room, access)),
                });
            }
            None => {
                let joined = hub.join(&connection.subscriber, &room);
                if matches!(joined, Ok(Joined::Wait) | Err(JoinError::Revoked)) {
                    self.clients[client].waits = false;
                    return;
                }
                self.clients[client].asks_to_join(&room, None);
                if joined == Ok(Joined::Entered) {
                    let lost = false;
                    let answer = Answer::Joined { room, lost, access };
                    connection.unstored.push(answer);
                }
            }
        }
    }

    fn store_one(&mut self) {
        if let Some(id) = self.random.pick(&self.server.ids()) {
            self.store(id);
        }
    }

    /// Stores a session, and gives the answers that waited for it.
    fn store(&mut self, id: u64) {
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
        for answer in connection.unstored.drain(..) {
            match answer {
                Answer::Left { room } => connection.wire.push(Sent::Left { room }),
                Answer::Joined { room, lost, access } => {
                    let at = self.database.clock;
                    let is_in = connection.subscriber.with_join_offset(
                        &room,
                        lost,
                        access,
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
    }

    fn client_connects(&mut self) {
        let client = self.random.below(CLIENTS);
        self.connect(client);
    }

    /// A client connects, if it is not connected; the server may think that it still is.
    fn connect(&mut self, client: usize) {
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
            offset: state.complete_to_offset().pack(),
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
            for room in self.server.hub.restore(&subscriber, resumed.rooms) {
                let left = Outgoing::left(&room, left::REVOKED);
                self.server.hub.send(&subscriber, &left);
            }
            let stored = stored_session(&self.server.hub, &subscriber).expect("it is there");
            if resumed.must_store {
                self.sessions.insert(session.pid, (owner, stored));
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
    fn token(&mut self, client: usize) -> Option<Bearer> {
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
    fn revoke(&mut self) {
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
    fn take_over(&mut self, client: usize, owner: i64) -> ResumeOutcome {
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

    fn connection_is_lost(&mut self) {
        let client = self.random.below(CLIENTS);
        self.lose(client);
    }

    /// A client's connection is lost. The server does not know yet.
    fn lose(&mut self, client: usize) {
        if self.online[client].take().is_some() {
            self.clients[client].loses_connection();
        }
    }

    /// The server finds out about connections that have ended, or have lost their client.
    fn loss_is_noticed(&mut self) {
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
            // Who may not have heard that it is in no room any more begins anew.
            let pid = connection.session.pid;
            if is_ended(self.sessions.get(&pid), subscriber) {
                self.sessions.remove(&pid);
                self.ended.insert(pid);
            }
            connection.wire.close();
            self.server.connections.remove(&id);
            if !gone {
                self.lose(client);
            }
        }
    }

    fn database_crashes(&mut self) {
        trace(|| "the database crashes".to_owned());
        self.database.crash();
        self.server.connected = false;
        (self.server.read, self.server.large) = (None, None);
    }

    /// Retention removes what the reader has read.
    fn prune(&mut self) {
        if let Some(position) = self
            .server
            .position
            .as_ref()
            .filter(|_| self.server.connected)
        {
            self.database.prune(position.seen.floor());
        }
    }

    /// Every connection is lost, and another process takes its place.
    fn server_is_killed(&mut self) {
        trace(|| "the server is killed".to_owned());
        self.server = Server::new();
        for client in 0..CLIENTS {
            self.lose(client);
        }
    }

    /// Of all connections with the same session at most one is served.
    fn check_one_server_per_session(&self) {
        let mut served = HashMap::new();
        let open = self.server.connections.values();
        for connection in open.filter(|connection| !connection.wire.is_closed()) {
            let other = served.insert(connection.session.pid, connection.client);
            assert!(other.is_none(), "two connections are served by one session");
        }
    }
}

fn is_ended(row: Option<&(i64, StoredSession)>, subscriber: &Subscriber) -> bool {
    row.is_some_and(|row| row.1.rooms.is_empty()) && subscriber.was_taken_out()
}

fn room(index: usize) -> Room {
    format!("m:{index}").as_str().into()
}

fn unpack(text: &str) -> Option<Offset> {
    Offset::unpack(text, EpochKey::of(7)).ok()
}
