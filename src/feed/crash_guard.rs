//! What a crash of Postgres can undo of what was delivered, and how to go on after one. No I/O.
//!
//! A writer with `synchronous_commit = off` is visible before its commit is on disk. It can be read, delivered, and then
//! undone by a crash, and its transaction id and event id are handed out again to somebody else: a position that "has seen"
//! them would skip the newcomer for ever. So each read notes how far Postgres's log was written and how far it was flushed.
//! A snapshot is safe once everything that it saw is flushed and delivered. After a crash the reader goes back to the last
//! safe snapshot, leaves out what it has delivered already and finds again, and names the rooms of what it does not find.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::db::LogPosition;
use crate::event::{Event, Room};
use crate::offset::Snapshot;

/// Events remembered at most. Beyond it continuity after a lost connection can't be proved, and is not claimed.
const MAX_REMEMBERED: usize = 200_000;

/// An event is the same one only if the time of its change is the same, too: ids are handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EventIdentity {
    pub(super) id: i64,
    pub(super) at_us: i64,
}

impl EventIdentity {
    pub(super) fn of(event: &Event) -> Self {
        Self {
            id: event.id,
            at_us: event.at_us,
        }
    }
}

/// Where to go on after a lost connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ReadFrom {
    /// Everything that was read is on disk.
    Here,
    /// What came after this snapshot may be undone.
    Back(Arc<Snapshot>),
    /// Nothing that was read is known to be on disk.
    Nowhere,
}

/// Remembers what was delivered and is not known to be on disk.
#[derive(Default)]
pub(super) struct CrashGuard {
    safe: Option<Arc<Snapshot>>,
    /// The read at hand; one that broke off is finished under the same.
    read: LogPosition,
    /// Reads that have ended, with the position that must be flushed for them to be safe.
    unflushed_reads: VecDeque<(i64, Arc<Snapshot>)>,
    delivered: VecDeque<(i64, EventIdentity, Room)>,
    /// How many of them, the last ones, are not handed over yet.
    pending: usize,
    /// Whether the database does not tell how far its log is on disk. Then nothing is remembered, and nothing is known to be safe.
    blind: bool,
    /// Delivered before the connection was lost, and whether it was found again.
    expected_again: HashMap<EventIdentity, (Room, bool)>,
}

impl CrashGuard {
    /// The database crashed: where to go on.
    pub(super) fn crashed(&mut self) -> ReadFrom {
        self.forget_pending();
        if self.blind {
            return ReadFrom::Nowhere;
        }
        if self.unflushed_reads.is_empty() && self.delivered.is_empty() {
            return ReadFrom::Here;
        }
        let Some(safe) = self.safe.clone() else {
            return ReadFrom::Nowhere;
        };
        self.unflushed_reads.clear();
        for (_, found) in self.expected_again.values_mut() {
            *found = false;
        }
        let delivered = self.delivered.drain(..);
        self.expected_again
            .extend(delivered.map(|(_, identity, room)| (identity, (room, false))));
        ReadFrom::Back(safe)
    }

    /// A read begins, or goes on where it broke off.
    pub(super) fn begin_read(&mut self, log: LogPosition, goes_on: bool) {
        self.forget_pending();
        self.blind = !log.is_told();
        let written = if goes_on {
            self.read.written
        } else {
            log.written
        };
        self.read = LogPosition { written, ..log };
        while let Some((_, safe)) = self
            .unflushed_reads
            .pop_front_if(|(written, _)| *written <= log.flushed)
        {
            self.safe = Some(safe);
        }
        while self
            .delivered
            .pop_front_if(|(written, ..)| *written <= log.flushed)
            .is_some()
        {}
    }

    /// Whether everything that the read at hand sees is on disk.
    pub(super) fn is_flushed(&self) -> bool {
        self.read.is_flushed()
    }

    /// Whether an event is to be delivered: not when it was already, before a crash.
    pub(super) fn is_news(&mut self, identity: EventIdentity, room: &Room) -> bool {
        if !self.read.is_flushed() && !self.blind {
            if self.delivered.len() >= MAX_REMEMBERED {
                self.delivered.clear();
                self.pending = 0;
                self.safe = None;
            }
            // Events of one room come in a row, mostly: one text for them.
            let room = match self.delivered.back() {
                Some((.., last)) if last == room => last.clone(),
                _ => room.clone(),
            };
            self.delivered
                .push_back((self.read.written, identity, room));
            self.pending += 1;
        }
        match self.expected_again.get_mut(&identity) {
            Some((_, found)) => {
                *found = true;
                false
            }
            None => true,
        }
    }

    /// Whether some of what was delivered before a crash may be found again.
    pub(super) fn expects_repeats(&self) -> bool {
        !self.expected_again.is_empty()
    }

    /// What was to be delivered is delivered.
    pub(super) fn handed_over(&mut self) {
        self.pending = 0;
    }

    fn forget_pending(&mut self) {
        let kept = self.delivered.len() - self.pending;
        self.delivered.truncate(kept);
        self.pending = 0;
    }

    /// The read has ended, and all that `snapshot` sees is delivered. Names the rooms of events that were delivered
    /// before and are undone.
    pub(super) fn end_read(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Room> {
        if self.read.is_flushed() {
            self.safe = Some(snapshot.clone());
        } else if self.blind {
            self.safe = None;
        } else if self
            .unflushed_reads
            .back()
            .is_none_or(|(_, last)| last != snapshot)
        {
            self.unflushed_reads
                .push_back((self.read.written, snapshot.clone()));
        }
        let again = std::mem::take(&mut self.expected_again).into_values();
        let mut rooms: Vec<Room> = again
            .filter_map(|(room, found)| (!found).then_some(room))
            .collect();
        rooms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rooms.dedup();
        rooms
    }
}

#[cfg(test)]
mod tests;
