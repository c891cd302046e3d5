//! One server, its database and its clients, and everything that may happen to them.

mod connections;
mod reader;
mod requests;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::client::Client;
use super::database::Database;
use super::random::Random;
use super::server::{Connection, Server};
use super::{STEPS, trace};
use crate::db::{PidHash, StoredSession};
use crate::delivery::SubscriberTransport as _;
use crate::event::Room;
use crate::offset::{EpochKey, Offset};

const CLIENTS: usize = 4;
pub(super) const ROOMS: usize = 3;

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
    pub(super) steps_left: usize,
}

impl World {
    pub(super) fn new(mut random: Random) -> Self {
        let is_rough = random.one_in(2);
        let mut database = Database::new();
        database.is_lazy = is_rough;
        database.has_reloads = random.one_in(2);
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
            steps_left: STEPS,
        }
    }

    /// Something happens.
    pub(super) fn step(&mut self) {
        self.steps_left -= 1;
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
        if self.server.broadcast.is_sending() && self.random.one_in(3) {
            self.meets_what_is_on_its_way();
        }
        self.clock.store(self.database.clock, Ordering::Relaxed);
        self.check_one_server_per_session();
    }

    /// What is on its way to some, and has come to others, meets what they ask for, and what they lose.
    fn meets_what_is_on_its_way(&mut self) {
        let client = self.random.below(CLIENTS);
        let Some(id) = self.online[client] else {
            return;
        };
        self.store(id);
        if self.random.one_in(2) {
            self.lose(client);
            self.loss_is_noticed();
        } else {
            while self.read_one(client) {}
            self.asks(client);
        }
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

    fn database_crashes(&mut self) {
        if self.database.has_reloads && self.random.one_in(2) {
            self.reload_before_a_crash();
        }
        trace(|| "the database crashes".to_owned());
        self.database.crash();
        // What a crash leaves behind must not be mended by the next one.
        if self.random.one_in(8) {
            self.steps_left = self.steps_left.min(self.random.below(40));
        }
        self.server.connected = false;
        (self.server.read, self.server.large) = (None, None);
    }

    /// The last that was delivered has rooms reloaded, and what came with it may or may not be on disk.
    fn reload_before_a_crash(&mut self) {
        let room = room(self.random.below(self.rooms));
        self.database.reload(&mut self.random, &room);
        self.clock.store(self.database.clock, Ordering::Relaxed);
        for _ in 0..self.random.below(16) {
            self.reader_goes_on();
            self.client_reads();
        }
        if self.random.one_in(2) {
            self.database.flush();
        }
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

fn room(index: usize) -> Room {
    format!("m:{index}").as_str().into()
}

fn unpack(text: &str) -> Option<Offset> {
    Offset::unpack(text, EpochKey::of(7)).ok()
}
