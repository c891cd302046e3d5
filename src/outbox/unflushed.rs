//! What a crash of Postgres can undo, and how to go on after one.
//!
//! A writer with `synchronous_commit = off` is visible before its commit is on disk. It can be read, delivered, and then
//! undone by a crash, and its xid and id are handed out again to somebody else: a position that "has seen" them would
//! skip the newcomer for ever. So each read notes how far the log was written and how far it was flushed. A snapshot is
//! safe once everything it saw is flushed. When the connection was lost the reader goes back to the last safe one, leaves
//! out what it has delivered already and finds again, and names the rooms of what it does not find any more. It does so
//! every time: a crash of one backend makes Postgres start over, and nothing that can be asked tells.

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
    /// The pass under way, and the newest snapshot that a crash can't undo.
    pass: Option<Log>,
    safe: Option<Arc<Snapshot>>,
    /// Finished passes that are not known to be flushed, and what they delivered.
    reads: VecDeque<(i64, Arc<Snapshot>)>,
    delivered: VecDeque<(i64, Identity, Room)>,
    /// Delivered before the connection was lost, not found again yet.
    again: HashMap<Identity, Room>,
}

impl Unflushed {
    /// A connection was made anew. Where to go back to: there may have been a crash, which nothing tells for sure.
    /// `None` where what was seen, a pass that broke off included, can't have been undone.
    pub(super) fn connected(&mut self) -> Option<Arc<Snapshot>> {
        let flushed = match self.pass.take() {
            Some(pass) => pass.is_flushed(),
            None => self.reads.is_empty(),
        };
        self.reads.clear();
        let delivered = self.delivered.drain(..);
        if flushed {
            return None;
        }
        let safe = self.safe.clone()?;
        self.again
            .extend(delivered.map(|(_, identity, room)| (identity, room)));
        Some(safe)
    }

    /// A pass begins.
    pub(super) fn begin(&mut self, log: Log) {
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
        self.pass = Some(log);
    }

    /// Whether an event is to be delivered: not when it was already, before the connection was lost.
    pub(super) fn deliver(&mut self, identity: Identity, room: &Room) -> bool {
        if let Some(pass) = self.pass.filter(|pass| !pass.is_flushed()) {
            self.delivered
                .push_back((pass.written, identity, room.clone()));
        }
        self.again.is_empty() || self.again.remove(&identity).is_none()
    }

    /// The pass has ended: everything that `snapshot` sees is delivered. Gives the rooms of what was delivered before the
    /// connection was lost and is not there any more.
    pub(super) fn end(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Room> {
        match self.pass.take() {
            Some(pass) if pass.is_flushed() => self.safe = Some(snapshot.clone()),
            Some(pass) => self.reads.push_back((pass.written, snapshot.clone())),
            None => {}
        }
        let mut rooms: Vec<Room> = self.again.drain().map(|(_, room)| room).collect();
        rooms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rooms.dedup();
        rooms
    }
}

impl Log {
    fn is_flushed(self) -> bool {
        self.written <= self.flushed
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

    fn pass(unflushed: &mut Unflushed, log: Log, ids: &[i64], xmax: u64) -> Vec<bool> {
        unflushed.begin(log);
        let room = Room::from("r");
        let delivered = ids
            .iter()
            .map(|id| unflushed.deliver(event(*id), &room))
            .collect();
        unflushed.end(&snapshot(xmax));
        delivered
    }

    #[test]
    fn it_goes_back_to_what_was_flushed_and_delivers_nothing_twice() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), &[1], 10);
        pass(&mut unflushed, log(200, 120), &[2], 20);
        pass(&mut unflushed, log(300, 200), &[3], 30);
        assert_eq!(unflushed.connected(), Some(snapshot(20)));
        assert_eq!(
            pass(&mut unflushed, log(310, 310), &[3, 4], 40),
            [false, true]
        );
    }

    #[test]
    fn what_can_not_have_been_undone_is_kept() {
        let mut unflushed = Unflushed::default();
        assert_eq!(unflushed.connected(), None);
        pass(&mut unflushed, log(100, 100), &[1], 10);
        assert_eq!(unflushed.connected(), None);
    }

    #[test]
    fn a_pass_that_broke_off_is_not_taken_for_whole() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), &[1], 10);
        unflushed.begin(log(200, 150));
        assert!(unflushed.deliver(event(2), &Room::from("r")));
        assert_eq!(unflushed.connected(), Some(snapshot(10)));
        assert_eq!(
            pass(&mut unflushed, log(200, 200), &[2, 3], 20),
            [false, true]
        );

        // All of it flushed: the position within the pass holds.
        unflushed.begin(log(300, 300));
        unflushed.deliver(event(4), &Room::from("r"));
        assert_eq!(unflushed.connected(), None);
    }

    #[test]
    fn what_is_not_found_again_is_named_and_its_id_may_be_another_event() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), &[1], 10);
        unflushed.begin(log(200, 100));
        for (id, room) in [(2, "kept"), (3, "undone")] {
            assert!(unflushed.deliver(event(id), &Room::from(room)));
        }
        assert!(unflushed.end(&snapshot(20)).is_empty());
        unflushed.connected();
        unflushed.begin(log(150, 150));
        assert!(!unflushed.deliver(event(2), &Room::from("kept")));
        let reused = Identity { id: 3, at_us: 99 };
        assert!(unflushed.deliver(reused, &Room::from("other")));
        assert_eq!(unflushed.end(&snapshot(15)), [Room::from("undone")]);
        assert!(unflushed.end(&snapshot(15)).is_empty());
    }
}
