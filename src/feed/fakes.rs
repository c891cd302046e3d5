//! Fakes for the tests of this folder: a database in memory that follows a script, and a sink that writes down what it is given.
//!
//! The database keeps Postgres's rules as far as the reader relies on them: a snapshot sees what had ended when it was taken;
//! a writer looks at the key when it writes, and notifies when it commits; a crash undoes what was not flushed, and its ids
//! are handed out again.

mod outbox;

use futures_util::stream::{self, BoxStream, StreamExt as _};
use std::collections::HashSet;
use std::sync::Arc;
use tokio::sync::watch;

use super::event_feed::EventFeed;
use crate::db::{Head, ReadPart};
use crate::delivery::{Affected, Batch, EventSink};
use crate::event::Room;
use crate::offset::{Offset, Seen, Snapshot};
use crate::revocations::Revocation;

pub(super) use outbox::{Call, Outbox, Transaction};

/// The database, for a test and for the reader.
#[derive(Clone)]
pub(super) struct FakeDatabase {
    pub(super) outbox: watch::Sender<Outbox>,
}

impl FakeDatabase {
    pub(super) fn new() -> Self {
        Self {
            outbox: watch::Sender::new(Outbox::new()),
        }
    }

    /// Does something at one moment.
    pub(super) fn at_once<T>(&self, action: impl FnOnce(&mut Outbox) -> T) -> T {
        let mut answer = None;
        self.outbox
            .send_modify(|outbox| answer = Some(action(outbox)));
        answer.expect("it was done")
    }

    pub(super) fn wakes(&self) -> watch::Receiver<()> {
        self.outbox.borrow().wake.subscribe()
    }
}

impl EventFeed for FakeDatabase {
    type Error = &'static str;

    async fn connect(&mut self) -> Result<Head, &'static str> {
        self.at_once(Outbox::connect)
    }

    fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, &'static str>> {
        let parts = self.at_once(|outbox| outbox.read(from, may_be_large));
        let answers_after = self.outbox.borrow().answers_after;
        stream::once(async move {
            tokio::time::sleep(answers_after).await;
            stream::iter(parts)
        })
        .flatten()
        .boxed()
    }

    async fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> Result<Vec<Room>, &'static str> {
        self.at_once(|outbox| outbox.flush_and_find_rooms(before, rooms))
    }

    async fn revocations(&mut self) -> Result<Vec<Revocation>, &'static str> {
        self.at_once(|outbox| {
            outbox.call(Call::Revocations)?;
            Ok(outbox.revocations.clone())
        })
    }

    async fn enable_notify(&mut self) -> Result<bool, &'static str> {
        self.at_once(|outbox| {
            outbox.call(Call::EnableNotify)?;
            outbox.key_held = true;
            Ok(true)
        })
    }

    async fn disable_notify(&mut self) -> Result<(), &'static str> {
        self.at_once(|outbox| {
            outbox.call(Call::DisableNotify)?;
            outbox.key_held = false;
            Ok(())
        })
    }

    async fn writers(&mut self) -> Result<i64, &'static str> {
        self.at_once(|outbox| {
            outbox.call(Call::Writers)?;
            Ok(outbox.at_work.len() as i64)
        })
    }

    async fn close(&mut self) {
        let _ = self.at_once(|outbox| outbox.call(Call::Close));
    }
}

/// What a sink was given.
#[derive(Clone, Debug)]
pub(super) enum Handed {
    Batch(Batch),
    Resync(Affected),
    Restart(Offset),
    LeftToReplays(Offset, Vec<Room>),
    Revoked(Vec<Revocation>),
}

/// A sink that writes everything down.
#[derive(Clone, Default)]
pub(super) struct FakeSink {
    pub(super) handed: watch::Sender<Vec<Handed>>,
    /// The rooms that somebody is in.
    pub(super) rooms: Vec<Room>,
}

impl FakeSink {
    fn take(&self, handed: Handed) {
        self.handed.send_modify(|all| all.push(handed));
    }
}

impl EventSink for FakeSink {
    async fn deliver(&mut self, batch: Batch) {
        self.take(Handed::Batch(batch));
    }

    fn rooms(&self) -> Vec<Room> {
        self.rooms.clone()
    }

    async fn leave_to_replays(&mut self, end: Offset, untouched: HashSet<Room>) {
        let mut untouched: Vec<Room> = untouched.into_iter().collect();
        untouched.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        self.take(Handed::LeftToReplays(end, untouched));
    }

    async fn revoke(&mut self, revocations: Vec<Revocation>) {
        if !revocations.is_empty() {
            self.take(Handed::Revoked(revocations));
        }
    }

    async fn resync(&mut self, rooms: Affected, _reason: &'static str) {
        self.take(Handed::Resync(rooms));
    }

    async fn restart(&mut self, head: Offset, _recovered: Arc<[u64]>) {
        self.take(Handed::Restart(head));
    }
}

/// Ids of the events that a sink was given and that are not repeated, in this order.
pub(super) fn delivered_ids(handed: &[Handed]) -> Vec<i64> {
    let batches = handed.iter().filter_map(|handed| match handed {
        Handed::Batch(batch) => Some(&batch.events),
        Handed::Resync(_) | Handed::Restart(_) | Handed::LeftToReplays(..) | Handed::Revoked(_) => {
            None
        }
    });
    let news = batches.flatten().filter(|event| !event.repeated);
    news.map(|event| event.event.id).collect()
}
