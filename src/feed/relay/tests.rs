//! The relay without NATS: what is said is carried by the tests, which lose, double, delay and reorder it.

mod lives;
mod rules;
mod storm;

use std::sync::Arc;

use futures_util::FutureExt as _;
use tokio::time::{Duration, Instant};

use super::message::{self, Heading};
use super::seal::Seal;
use super::shared::{Answer, Shared};
use super::standing::Role;
use crate::db::ReadPart;
use crate::feed::fakes::{FakeSink, Handed, Outbox};
use crate::feed::hand_over::{HandOver, ReadUnderWay};
use crate::metrics::Metrics;
use crate::offset::{EpochKey, Offset};

/// The largest payload of all servers.
const MAX_PAYLOAD: usize = 1_000;

/// What the life of the fake database seals with.
fn seal() -> Seal {
    Seal::of(EpochKey::of(7))
}

/// A server: its side of the relay, and what it delivers.
struct Server {
    shared: Shared,
    hand_over: HandOver<FakeSink>,
    sink: FakeSink,
    position: Option<Offset>,
    number: u64,
}

impl Server {
    fn new(now: Instant) -> Self {
        let sink = FakeSink::default();
        let shared = Shared::new(MAX_PAYLOAD, Metrics::new().0);
        {
            let mut state = shared.state();
            state.standing = super::standing::Standing::new(now, 0.5);
            state.most_bytes = 1_000_000;
            state.standing.can_lead(true, true, now);
        }
        Self {
            shared,
            hand_over: HandOver::new(sink.clone()),
            sink,
            position: None,
            number: 0,
        }
    }

    fn role(&self, now: Instant) -> Role {
        self.shared.state().standing.role(now)
    }

    /// Connects to the database, again after a crash of it.
    fn connect(&mut self, database: &mut Outbox, now: Instant) {
        self.shared.disconnected(now);
        let head = database.connect().expect("it is up");
        self.shared.connected(&head, now);
        let go_on = self.hand_over.connected(self.position.take(), head);
        self.position = go_on.now_or_never();
    }

    /// What the reader does when it is woken. Says whether the database was asked.
    fn read(&mut self, database: &mut Outbox, now: Instant) -> bool {
        let is_stale = |position: &Offset| position.epoch != database.epoch;
        let from = self
            .position
            .as_ref()
            .expect("it is connected")
            .seen
            .clone();
        let (parts, asked) = match self.shared.answer(&from, now) {
            Answer::Part(part) => (vec![part], false),
            // The connection is lost with the crash, and that is found out by the read.
            Answer::Read if self.position.as_ref().is_some_and(is_stale) => {
                self.connect(database, now);
                return self.read(database, now);
            }
            Answer::Read => {
                let parts: Result<Vec<ReadPart>, _> =
                    database.read(&from, false).into_iter().collect();
                let parts = parts.expect("it is connected");
                let mut told = self.shared.begin_read(&from);
                for part in &parts {
                    if let Some(told) = &mut told {
                        told.push(part);
                    }
                    if part.complete {
                        self.shared.end_read(told.take(), part, now);
                    }
                }
                (parts, true)
            }
        };
        let position = self.position.as_mut().expect("it is connected");
        let mut read = ReadUnderWay::from(position);
        for part in parts {
            let handed = self.hand_over.hand_over(&mut read, part, position);
            handed.now_or_never().expect("the sink waits for nothing");
        }
        asked
    }

    /// What it has to say, and that it lives.
    fn say(&mut self, now: Instant) -> Vec<Vec<u8>> {
        let mut said = Vec::new();
        loop {
            let (draft, term, crashes) = {
                let mut state = self.shared.state();
                let next = state.speech.next();
                let next = next.or_else(|| {
                    let alive = state.speech.heartbeat(now, Duration::from_secs(9));
                    alive.filter(|_| said.is_empty())
                });
                (next, state.standing.term(), state.crashes())
            };
            let (Some(draft), Some(term)) = (draft, term) else {
                return said;
            };
            self.number += 1;
            let heading = Heading {
                crashes,
                max_payload: MAX_PAYLOAD as u64,
                term,
                number: self.number,
                is_farewell: false,
            };
            let ends = (&*draft.before, &*draft.after);
            said.push(message::pack(
                heading,
                ends,
                draft.log,
                draft.synced,
                &draft.events,
                &seal(),
            ));
        }
    }

    /// Hears a message; false where it is none of a server's.
    fn hear(&self, bytes: &[u8], now: Instant) -> bool {
        let opened = message::open(bytes, &seal());
        opened.is_some_and(|statement| {
            let life = seal().life();
            self.shared.hear(statement, life, bytes.len(), now);
            true
        })
    }

    /// Identities of the events that it has delivered, repeated ones left out.
    fn delivered(&self) -> Vec<(i64, i64)> {
        let handed = self.sink.handed.borrow();
        let batches = handed.iter().filter_map(|handed| match handed {
            Handed::Batch(batch) => Some(batch.events.clone()),
            _ => None,
        });
        let news = batches.flatten().filter(|event| !event.repeated);
        news.map(|event| (event.event.id, event.event.at_us))
            .collect()
    }
}

/// A leader and an edge that has its proof, on one database.
fn led(now: Instant) -> (Outbox, Server, Server) {
    let (mut database, mut leader, mut edge) = (Outbox::new(), Server::new(now), Server::new(now));
    for server in [&mut leader, &mut edge] {
        server.connect(&mut database, now);
        assert!(server.read(&mut database, now), "the first read is its own");
    }
    leader.shared.state().standing.leads(1, now);
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert_eq!(edge.role(now), Role::Edge);
    (database, leader, edge)
}

/// Everything that the leader has to say, as the edges hear it.
fn tell(leader: &mut Server, edges: &[&Server], now: Instant) -> Vec<Arc<[u8]>> {
    let said: Vec<Arc<[u8]>> = leader.say(now).into_iter().map(Into::into).collect();
    for bytes in &said {
        for edge in edges {
            assert!(edge.hear(bytes, now));
        }
    }
    said
}
