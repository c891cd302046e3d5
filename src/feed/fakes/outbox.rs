//! The fake database's outbox: its transactions, its log and its snapshots, and what a test has in mind for the reader.

mod reads;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::value::RawValue;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::db::{Head, LogPosition};
use crate::event::Event;
use crate::offset::{Epoch, EpochKey, Seen, Snapshot};
use crate::revocations::Revocation;

/// What the reader asked of the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::feed) enum Call {
    Connect,
    Read,
    FlushAndFindRooms,
    Revocations,
    EnableNotify,
    DisableNotify,
    Writers,
    Close,
}

type Action = Box<dyn FnOnce(&mut Outbox) + Send + Sync>;

/// A transaction that has written one event and is not over.
#[derive(Clone, Copy)]
pub(in crate::feed) struct Transaction {
    xid: u64,
    /// Whether it found the key held.
    notifies: bool,
}

struct Row {
    event: Arc<Event>,
    /// Where the log was written up to with the commit; `None` until then.
    committed: Option<i64>,
}

/// The reader's connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Connection {
    Open,
    /// Gone, and the reader does not know.
    Lost,
    /// Gone, and the reader was told so: it may only connect anew.
    Failed,
}

/// What is in the database, and what is to happen to the reader.
pub(in crate::feed) struct Outbox {
    pub(in crate::feed) epoch: Epoch,
    pub(in crate::feed) key_held: bool,
    pub(in crate::feed) calls: Vec<(Call, Instant)>,
    /// Where each read began.
    pub(in crate::feed) reads_from: Vec<Seen>,
    /// Notifications that were sent.
    pub(in crate::feed) notifications: usize,
    pub(in crate::feed) lose_wakes: bool,
    /// Nobody can connect.
    pub(in crate::feed) is_down: bool,
    /// Commits are on disk at once.
    pub(in crate::feed) flushes: bool,
    /// How long a read's answer takes.
    pub(in crate::feed) answers_after: Duration,
    pub(in crate::feed) events_in_a_part: usize,
    /// A read of more events is large.
    pub(in crate::feed) large_events: usize,
    /// The next read breaks off after so many parts, and the database is down.
    pub(in crate::feed) breaks_after_parts: Option<usize>,
    script: VecDeque<(Call, Action)>,
    connection: Connection,
    pub(in crate::feed) wake: watch::Sender<()>,
    rows: Vec<Row>,
    /// Transactions that have written and are not over.
    pub(in crate::feed) at_work: BTreeSet<u64>,
    next_xid: u64,
    next_id: i64,
    clock_us: i64,
    log: LogPosition,
    pruned: Option<Snapshot>,
    pub(in crate::feed) revocations: Vec<Revocation>,
}

impl Outbox {
    /// Empty, and everything is on disk.
    pub(in crate::feed) fn new() -> Self {
        Self {
            epoch: Epoch {
                value: EpochKey::of(7),
                crashes: 0,
            },
            key_held: false,
            calls: Vec::new(),
            reads_from: Vec::new(),
            notifications: 0,
            lose_wakes: false,
            is_down: false,
            flushes: true,
            answers_after: Duration::ZERO,
            events_in_a_part: 256,
            large_events: usize::MAX,
            breaks_after_parts: None,
            script: VecDeque::new(),
            connection: Connection::Failed,
            wake: watch::Sender::default(),
            rows: Vec::new(),
            at_work: BTreeSet::new(),
            next_xid: 10,
            next_id: 1,
            clock_us: 0,
            log: LogPosition {
                written: 100,
                flushed: 100,
            },
            pruned: None,
            revocations: Vec::new(),
        }
    }

    /// A transaction writes an event.
    pub(in crate::feed) fn begin(&mut self, room: &str) -> Transaction {
        let xid = self.next_xid;
        self.at_work.insert(xid);
        self.clock_us += 1;
        let event = Event {
            id: self.next_id,
            xid,
            room: room.into(),
            name: "e".into(),
            payload: RawValue::from_string("{}".to_owned()).expect("JSON"),
            at_us: self.clock_us,
            age: Duration::ZERO,
            traceparent: None,
        };
        self.rows.push(Row {
            event: Arc::new(event),
            committed: None,
        });
        self.next_xid += 1;
        self.next_id += 1;
        Transaction {
            xid,
            notifies: self.key_held,
        }
    }

    pub(in crate::feed) fn commit(&mut self, transaction: Transaction) {
        self.at_work.remove(&transaction.xid);
        self.log.written += 10;
        if self.flushes {
            self.log.flushed = self.log.written;
        }
        let written = self.log.written;
        let ours = |row: &&mut Row| row.event.xid == transaction.xid;
        let row = self.rows.iter_mut().find(ours).expect("it was begun");
        row.committed = Some(written);
        if transaction.notifies {
            self.notifications += 1;
            if !self.lose_wakes {
                self.wake.send_replace(());
            }
        }
    }

    /// A transaction that writes one event.
    pub(in crate::feed) fn write(&mut self, room: &str) {
        let transaction = self.begin(room);
        self.commit(transaction);
    }

    /// The server's process ends, and its log is on disk up to and with the commit of the event `last_flushed`.
    pub(in crate::feed) fn crash(&mut self, last_flushed: i64) {
        let last = self.rows.iter().find(|row| row.event.id == last_flushed);
        let flushed = last.and_then(|row| row.committed).expect("a commit");
        self.rows
            .retain(|row| row.committed.is_some_and(|at| at <= flushed));
        self.at_work.clear();
        // The events are in the order of their ids, and of their transactions.
        let last = &self.rows.last().expect("the flushed one").event;
        (self.next_xid, self.next_id) = (last.xid + 1, last.id + 1);
        (self.log.written, self.log.flushed) = (flushed, flushed);
        self.epoch.crashes += 1;
        self.lose_connection();
    }

    /// Identities of what is committed, in the order of the ids.
    pub(in crate::feed) fn committed(&self) -> Vec<(i64, i64)> {
        let rows = self.rows.iter().filter(|row| row.committed.is_some());
        rows.map(|row| (row.event.id, row.event.at_us)).collect()
    }

    /// The events with which a crash may find the log's end: the last whose commit is known to be on disk, and those since.
    pub(in crate::feed) fn possible_ends(&self) -> Vec<i64> {
        let rows = self.rows.iter();
        rows.filter(|row| row.committed.is_some_and(|at| at >= self.log.flushed))
            .map(|row| row.event.id)
            .collect()
    }

    pub(in crate::feed) fn lose_connection(&mut self) {
        self.connection = Connection::Lost;
        self.key_held = false;
    }

    /// Removes events up to this id.
    pub(in crate::feed) fn prune(&mut self, id: i64) {
        self.pruned = Some(self.snapshot());
        self.rows.retain(|row| row.event.id > id);
    }

    /// Before the reader's next call of this kind, and after what was said before, this happens.
    pub(in crate::feed) fn before(
        &mut self,
        call: Call,
        action: impl FnOnce(&mut Self) + Send + Sync + 'static,
    ) {
        self.script.push_back((call, Box::new(action)));
    }

    /// How often the reader made a call of this kind.
    pub(in crate::feed) fn count(&self, call: Call) -> usize {
        self.calls.iter().filter(|(made, _)| *made == call).count()
    }

    /// Whether the reader has made sure that nothing is missing, and waits.
    pub(in crate::feed) fn is_asleep(&self) -> bool {
        let last = self.calls.last().map(|(call, _)| *call);
        let has_read = matches!(
            last,
            Some(Call::Read | Call::FlushAndFindRooms | Call::Revocations)
        );
        self.key_held && self.at_work.is_empty() && has_read
    }

    fn snapshot(&self) -> Snapshot {
        let at_work: Vec<String> = self.at_work.iter().map(u64::to_string).collect();
        let text = format!("0:{}:{}", self.next_xid, at_work.join(","));
        text.parse().expect("a snapshot")
    }

    /// The reader's call, which fails if its connection is gone.
    pub(in crate::feed) fn call(&mut self, call: Call) -> Result<(), &'static str> {
        if self.script.front().is_some_and(|(due, _)| *due == call)
            && let Some((_, action)) = self.script.pop_front()
        {
            action(self);
        }
        self.calls.push((call, Instant::now()));
        match self.connection {
            Connection::Open => Ok(()),
            _ if matches!(call, Call::Connect | Call::Close) => Ok(()),
            Connection::Lost => {
                self.connection = Connection::Failed;
                Err("the connection is lost")
            }
            Connection::Failed => panic!("{call:?} on a connection that failed"),
        }
    }

    pub(in crate::feed) fn connect(&mut self) -> Result<Head, &'static str> {
        self.call(Call::Connect)?;
        if self.is_down {
            return Err("the database is down");
        }
        self.connection = Connection::Open;
        // As the real one, which waits for a commit of its own to be flushed.
        self.log.flushed = self.log.written;
        Ok(Head {
            epoch: self.epoch,
            recovered: vec![u64::MAX; self.epoch.crashes].into(),
            snapshot: Arc::new(self.snapshot()),
            log_written: self.log.written,
        })
    }
}
