//! What was written and when, so that what was delivered can be judged.
//!
//! The tables say which events there are; the ledger adds what a table can't: which connection wrote each, in which
//! order, when the write began, and when its commit was known to be over.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::database::Database;
use super::wait::until_for;

/// What an event is about, as both the table and a client can tell it.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The message's id.
    pub(crate) message: u128,
    /// 0 for `message:new`; else the status it came to.
    pub(crate) rank: u8,
}

/// The order of the statuses that the writers use: they never skip back.
const STATUSES: [&str; 3] = ["sent", "delivered", "read"];

impl Key {
    /// The event `message:new`.
    pub(crate) fn new(message: &str) -> Self {
        Self {
            message: number(message),
            rank: 0,
        }
    }

    /// The event `message:status`.
    pub(crate) fn status(message: &str, status: &str) -> Self {
        Self {
            message: number(message),
            rank: rank(status),
        }
    }
}

/// A status as the number of steps to it.
pub(crate) fn rank(status: &str) -> u8 {
    let place = STATUSES.iter().position(|known| *known == status);
    u8::try_from(place.expect("a status that the writers use")).expect("few")
}

/// A status by that number.
pub(crate) fn status(rank: u8) -> &'static str {
    STATUSES[usize::from(rank)]
}

fn number(uuid: &str) -> u128 {
    u128::from_str_radix(&uuid.replace('-', ""), 16).expect("a uuid")
}

/// A message's id as Postgres writes it.
pub(crate) fn uuid(message: u128) -> String {
    let digits = format!("{message:032x}");
    let parts = [(0, 8), (8, 12), (12, 16), (16, 20), (20, 32)];
    parts.map(|(from, to)| &digits[from..to]).join("-")
}

/// How one event was written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Mark {
    /// The connection that wrote it.
    pub(crate) writer: u64,
    /// Its place among that connection's writes.
    pub(crate) place: u64,
    /// Before the write was sent.
    pub(crate) began: Instant,
    /// After its commit was answered; none while that is unknown.
    pub(crate) over: Option<Instant>,
}

/// So many reasons are kept.
const FAILURES: usize = 20;

/// The marks of all writers of a test.
#[derive(Clone, Default)]
pub(crate) struct Ledger {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    marks: Mutex<HashMap<Key, Mark>>,
    /// Events whose commit was answered.
    written: AtomicU64,
    /// Writes that failed, for whatever reason.
    failed: AtomicU64,
    /// The last of those reasons.
    failures: Mutex<VecDeque<String>>,
    numbers: AtomicU64,
}

impl Ledger {
    /// A number that no other writer has.
    pub(super) fn number(&self) -> u64 {
        self.shared.numbers.fetch_add(1, Ordering::Relaxed)
    }

    /// A write is about to be sent.
    pub(super) fn begins(&self, key: Key, writer: u64, place: u64) {
        let mark = Mark {
            writer,
            place,
            began: Instant::now(),
            over: None,
        };
        self.marks().insert(key, mark);
    }

    /// The commit of these was answered.
    pub(super) fn over(&self, keys: &[Key]) {
        let now = Instant::now();
        let mut marks = self.marks();
        for key in keys {
            if let Some(mark) = marks.get_mut(key) {
                mark.over = Some(now);
            }
        }
        self.shared
            .written
            .fetch_add(keys.len() as u64, Ordering::Relaxed);
    }

    /// A write was answered with an error, or not at all.
    pub(super) fn fails(&self, why: String) {
        self.shared.failed.fetch_add(1, Ordering::Relaxed);
        let mut failures = self.shared.failures.lock().expect("unpoisoned");
        if failures.len() == FAILURES {
            failures.pop_front();
        }
        failures.push_back(why);
    }

    /// Why the last writes failed that did.
    pub(crate) fn failures(&self) -> Vec<String> {
        let failures = self.shared.failures.lock().expect("unpoisoned");
        failures.iter().cloned().collect()
    }

    /// How many events were committed, as far as the writers know.
    pub(crate) fn written(&self) -> u64 {
        self.shared.written.load(Ordering::Relaxed)
    }

    /// How many writes failed.
    pub(crate) fn failed(&self) -> u64 {
        self.shared.failed.load(Ordering::Relaxed)
    }

    /// Waits until the writers have committed so many more.
    pub(crate) async fn more(&self, count: u64) {
        let least = self.written() + count;
        until_for(
            Duration::from_secs(60),
            format!("{count} more events to be written"),
            async || (self.written() >= least).then_some(()),
        )
        .await;
    }

    /// All marks so far.
    pub(crate) fn all(&self) -> HashMap<Key, Mark> {
        self.marks().clone()
    }

    fn marks(&self) -> std::sync::MutexGuard<'_, HashMap<Key, Mark>> {
        self.shared.marks.lock().expect("unpoisoned")
    }
}

/// The events of each contact, as the tables tell them.
pub(crate) type Truth = BTreeMap<String, Vec<Key>>;

/// Reads the tables row by row. A message's statuses are those reported for it, and the one it has.
pub(crate) async fn truth(database: &Database) -> Truth {
    type Row = (String, String, String, Option<String>);
    let all = "select contact_id, id::text, status, (select string_agg(s.status, ' ' order by s.id) \
               from message_statuses s where s.message_id = m.id) from messages m";
    let rows: Vec<Row> = sqlx::query_as(all)
        .fetch_all(&database.pool)
        .await
        .expect("the tables can be read");
    let mut truth = Truth::new();
    for (contact, id, status, reported) in rows {
        let events = truth.entry(contact).or_default();
        events.push(Key::new(&id));
        let mut ranks: Vec<u8> = reported
            .unwrap_or_default()
            .split_whitespace()
            .chain([status.as_str()])
            .map(rank)
            .filter(|rank| *rank > 0)
            .collect();
        ranks.sort_unstable();
        ranks.dedup();
        let message = number(&id);
        events.extend(ranks.into_iter().map(|rank| Key { message, rank }));
    }
    truth
}
