//! What a crash of Postgres can undo, and how to go on after one.
//!
//! A writer with `synchronous_commit = off` is visible before its commit is on disk. It can be read, delivered, and then
//! undone by a crash, and its xid and id are handed out again to somebody else: a position that "has seen" them would
//! skip the newcomer for ever. So each read notes how far the log was written and how far it was flushed. A snapshot is
//! safe once everything it saw is flushed. After a restart the reader goes back to the last safe one, leaves out what it
//! has delivered already and finds again, and names the rooms of what it does not find any more.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::Room;
use crate::offset::Snapshot;

/// Positions in Postgres's log (`pg_lsn` as a number) at the moment of a read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Log {
    pub(super) written: i64,
    pub(super) flushed: i64,
}

/// An event is the same one only if the time of its change is the same, too: ids are handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) at_us: i64,
}

/// See the module.
#[derive(Default)]
pub(super) struct Unflushed {
    /// When the postmaster started that we were connected to.
    started: Option<String>,
    safe: Option<Arc<Snapshot>>,
    reads: VecDeque<(i64, Arc<Snapshot>)>,
    delivered: VecDeque<(i64, Identity, Room)>,
    /// Delivered before the crash, not found again yet.
    again: HashMap<Identity, Room>,
}

impl Unflushed {
    /// A connection was made to a postmaster that started at `started`. After a restart: where to go back to.
    pub(super) fn connected(&mut self, started: String) -> Option<Arc<Snapshot>> {
        let before = self.started.replace(started);
        if before.is_none() || before == self.started {
            return None;
        }
        self.reads.clear();
        self.again.extend(
            self.delivered
                .drain(..)
                .map(|(_, identity, room)| (identity, room)),
        );
        self.safe.clone()
    }

    /// A read saw `snapshot`.
    pub(super) fn read(&mut self, log: Log, snapshot: &Arc<Snapshot>) {
        while let Some((_, safe)) = self
            .reads
            .pop_front_if(|(written, _)| *written <= log.flushed)
        {
            self.safe = Some(safe);
        }
        while self
            .delivered
            .pop_front_if(|(written, ..)| *written <= log.flushed)
            .is_some()
        {}
        if log.written <= log.flushed {
            self.safe = Some(snapshot.clone());
        } else {
            self.reads.push_back((log.written, snapshot.clone()));
        }
    }

    /// Whether an event is to be delivered: not when it was already, before a crash.
    pub(super) fn deliver(&mut self, log: Log, identity: Identity, room: &Room) -> bool {
        if log.written > log.flushed {
            self.delivered
                .push_back((log.written, identity, room.clone()));
        }
        self.again.is_empty() || self.again.remove(&identity).is_none()
    }

    /// At the end of a read: the rooms of events that were delivered and that the crash has undone.
    pub(super) fn undone(&mut self) -> Vec<Room> {
        let mut rooms: Vec<Room> = self.again.drain().map(|(_, room)| room).collect();
        rooms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rooms.dedup();
        rooms
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(xmax: u64) -> Arc<Snapshot> {
        Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
    }

    fn event(id: i64) -> Identity {
        Identity { id, at_us: id * 10 }
    }

    fn log(written: i64, flushed: i64) -> Log {
        Log { written, flushed }
    }

    #[test]
    fn after_a_crash_it_goes_back_to_what_was_flushed() {
        let (mut unflushed, room) = (Unflushed::default(), Room::from("r"));
        assert_eq!(unflushed.connected("monday".into()), None);
        unflushed.read(log(100, 100), &snapshot(10));
        unflushed.read(log(200, 120), &snapshot(20));
        assert!(unflushed.deliver(log(200, 120), event(1), &room));
        unflushed.read(log(300, 200), &snapshot(30));
        assert!(unflushed.deliver(log(300, 200), event(2), &room));
        assert_eq!(
            unflushed.connected("monday".into()),
            None,
            "only the connection was lost"
        );
        assert_eq!(unflushed.connected("tuesday".into()), Some(snapshot(20)));
    }

    #[test]
    fn what_is_found_again_is_not_delivered_again_and_what_is_not_is_named() {
        let mut unflushed = Unflushed::default();
        unflushed.connected("monday".into());
        unflushed.read(log(200, 100), &snapshot(20));
        for (id, room) in [(1, "kept"), (2, "undone")] {
            assert!(unflushed.deliver(log(200, 100), event(id), &Room::from(room)));
        }
        unflushed.connected("tuesday".into());
        unflushed.read(log(150, 150), &snapshot(15));
        assert!(!unflushed.deliver(log(150, 150), event(1), &Room::from("kept")));
        let reused = Identity { id: 2, at_us: 99 };
        assert!(
            unflushed.deliver(log(150, 150), reused, &Room::from("other")),
            "another event with the same id"
        );
        assert_eq!(unflushed.undone(), [Room::from("undone")]);
        assert!(unflushed.undone().is_empty());
    }
}
