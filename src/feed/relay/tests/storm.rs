//! Everything at random: writers, several servers, leaders that come, go and are two, a NATS that loses, doubles, delays and reorders,
//! somebody who sends again what was said, and crashes of the database.

use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

use super::*;
use crate::feed::fakes::Transaction;
use crate::feed::relay::standing::Step;

const SERVERS: usize = 4;
const STEPS: usize = 400;

/// A world of one seed.
struct Storm {
    chance: StdRng,
    now: Instant,
    database: Outbox,
    servers: Vec<Server>,
    /// What is on its way to each server.
    under_way: Vec<Vec<Arc<[u8]>>>,
    /// Everything that was ever said.
    said: Vec<Arc<[u8]>>,
    open: Vec<Transaction>,
    terms: u64,
    /// Who holds the lock.
    holder: Option<usize>,
    may_crash: bool,
}

impl Storm {
    fn new(seed: u64, may_crash: bool) -> Self {
        let now = Instant::now();
        let mut database = Outbox::new();
        let mut chance = StdRng::seed_from_u64(seed);
        database.events_in_a_part = chance.random_range(1..4);
        // So that there is something that a crash leaves.
        database.write("r");
        let mut servers: Vec<Server> = (0..SERVERS).map(|_| Server::new(now)).collect();
        for server in &mut servers {
            server.connect(&mut database, now);
            server.shared.state().most_bytes = chance.random_range(100..2_000);
        }
        Self {
            chance,
            now,
            database,
            servers,
            under_way: vec![Vec::new(); SERVERS],
            said: Vec::new(),
            open: Vec::new(),
            terms: 0,
            holder: None,
            may_crash,
        }
    }

    fn step(&mut self) {
        self.now += Duration::from_millis(self.chance.random_range(0..40));
        let one = self.chance.random_range(0..SERVERS);
        match self.chance.random_range(0..100) {
            0..15 => self.database.write("r"),
            15..20 => {
                let transaction = self.database.begin("r");
                self.open.push(transaction);
            }
            20..25 if !self.open.is_empty() => {
                let which = self.chance.random_range(0..self.open.len());
                self.database.commit(self.open.swap_remove(which));
            }
            25..50 => {
                self.servers[one].read(&mut self.database, self.now);
            }
            50..65 => self.lead(one),
            65..80 => (0..SERVERS).for_each(|one| self.say(one)),
            80..95 => (0..SERVERS).for_each(|one| self.carry(one)),
            95..97 => self.say_again(one),
            97 => self.servers[one].shared.look(),
            98 if self.may_crash => self.crash(),
            _ => self.database.flushes = self.chance.random_bool(0.5) || !self.may_crash,
        }
    }

    /// What is to be done about the lock. Sometimes its holder does not know that it has lost it.
    fn lead(&mut self, one: usize) {
        let step = self.servers[one].shared.state().standing.step(self.now);
        match step {
            Step::TryToLead => {
                let stolen = self.chance.random_bool(0.3);
                if self.holder.is_none() || stolen {
                    self.terms += 1;
                    self.holder = Some(one);
                    let mut state = self.servers[one].shared.state();
                    state.standing.leads(self.terms, self.now);
                } else {
                    self.servers[one]
                        .shared
                        .state()
                        .standing
                        .is_denied(self.now);
                }
            }
            Step::GiveUp => {
                self.servers[one].shared.disconnected(self.now);
                self.holder = self.holder.filter(|holder| *holder != one);
            }
            Step::Stay => {}
        }
    }

    fn say(&mut self, one: usize) {
        for bytes in self.servers[one].say(self.now) {
            let bytes: Arc<[u8]> = bytes.into();
            self.said.push(bytes.clone());
            for way in &mut self.under_way {
                let copies = [0, 1, 1, 1, 1, 2][self.chance.random_range(0..6)];
                for _ in 0..copies {
                    let late = self.chance.random_bool(0.2);
                    let first = if late { 0 } else { way.len() };
                    way.insert(self.chance.random_range(first..=way.len()), bytes.clone());
                }
            }
        }
    }

    fn carry(&mut self, one: usize) {
        let count = self
            .chance
            .random_range(0..4)
            .min(self.under_way[one].len());
        for bytes in self.under_way[one].drain(..count) {
            assert!(self.servers[one].hear(&bytes, self.now));
        }
    }

    fn say_again(&mut self, one: usize) {
        if self.said.is_empty() {
            return;
        }
        let which = self.chance.random_range(0..self.said.len());
        let bytes = self.said[which].clone();
        assert!(self.servers[one].hear(&bytes, self.now));
    }

    fn crash(&mut self) {
        let ends = self.database.possible_ends();
        let last = ends[self.chance.random_range(0..ends.len())];
        self.database.crash(last);
        self.open.clear();
        self.holder = None;
    }

    /// Each server looks at the database once more.
    fn end(&mut self) {
        for transaction in std::mem::take(&mut self.open) {
            self.database.commit(transaction);
        }
        for server in &mut self.servers {
            for _ in 0..2 {
                server.shared.look();
                server.read(&mut self.database, self.now);
            }
        }
    }
}

#[test]
fn whatever_becomes_of_messages_each_server_has_each_event_once() {
    let mut told = 0;
    for seed in 0..150 {
        let mut storm = Storm::new(seed, false);
        for _ in 0..STEPS {
            storm.step();
        }
        storm.end();
        // The first was there when they connected.
        let written = &storm.database.committed()[1..];
        for (number, server) in storm.servers.iter().enumerate() {
            let mut delivered = server.delivered();
            delivered.sort_unstable();
            assert_eq!(delivered, written, "seed {seed}, server {number}");
            let applied = crate::metrics::RelayOutcome::Applied;
            told += server.shared.metrics.relay_count(applied).get();
        }
    }
    assert!(told > 1_000, "and edges were told of many: {told}");
}

/// What was delivered and undone is told (`resync`, or a new beginning); what was not undone is delivered once.
#[test]
fn a_crash_of_the_database_is_told_to_whoever_was_told_by_a_leader() {
    let mut crashes = 0;
    for seed in 0..150 {
        let mut storm = Storm::new(1_000 + seed, true);
        for _ in 0..STEPS {
            storm.step();
        }
        storm.end();
        crashes += storm.database.epoch.crashes;
        let written = storm.database.committed();
        for (number, server) in storm.servers.iter().enumerate() {
            let who = format!("seed {seed}, server {number}");
            let handed = server.sink.handed.borrow();
            let restarts = handed
                .iter()
                .filter(|handed| matches!(handed, Handed::Restart(_)));
            assert_eq!(restarts.count(), 1, "{who}: nobody begins anew");
            let resyncs = handed
                .iter()
                .any(|handed| matches!(handed, Handed::Resync(_)));
            let mut delivered = server.delivered();
            delivered.sort_unstable();
            let all = delivered.len();
            delivered.dedup();
            assert_eq!(delivered.len(), all, "{who}: none comes twice");
            let undone = delivered.iter().any(|event| !written.contains(event));
            assert_eq!(undone, resyncs, "{who}: what was undone is told");
            let missing = written[1..].iter().find(|event| !delivered.contains(event));
            assert_eq!(missing, None, "{who}");
        }
    }
    assert!(crashes > 150, "there were crashes: {crashes}");
}
