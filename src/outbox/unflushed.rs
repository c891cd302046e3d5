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
    /// Delivered before the connection was lost, not found again yet; and what the pass under way has found again.
    again: HashMap<Identity, Room>,
    found: Vec<(Identity, Room)>,
}

impl Unflushed {
    /// A connection was made anew. Where to go back to: there may have been a crash, which nothing tells for sure.
    /// `None` where what was seen, a pass that broke off included, can't have been undone.
    pub(super) fn connected(&mut self) -> Option<Arc<Snapshot>> {
        self.again.extend(self.found.drain(..));
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
    pub(super) fn is_new(&mut self, identity: Identity) -> bool {
        match self.again.remove(&identity) {
            Some(room) => {
                self.found.push((identity, room));
                false
            }
            None => true,
        }
    }

    /// These went out.
    pub(super) fn delivered(&mut self, events: Vec<(Identity, Room)>) {
        if let Some(pass) = self.pass.filter(|pass| !pass.is_flushed()) {
            self.delivered.extend(
                events
                    .into_iter()
                    .map(|(identity, room)| (pass.written, identity, room)),
            );
        }
    }

    /// The pass has ended: everything that `snapshot` sees is delivered. Gives the rooms of what was delivered before the
    /// connection was lost and is not there any more.
    pub(super) fn end(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Room> {
        let found = std::mem::take(&mut self.found);
        self.delivered(found);
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

    /// Delivers unless it was already.
    fn deliver(unflushed: &mut Unflushed, identity: Identity, room: &str) -> bool {
        let new = unflushed.is_new(identity);
        if new {
            unflushed.delivered(vec![(identity, Room::from(room))]);
        }
        new
    }

    fn pass(unflushed: &mut Unflushed, log: Log, ids: &[i64], xmax: u64) -> Vec<bool> {
        unflushed.begin(log);
        let new = ids
            .iter()
            .map(|id| deliver(unflushed, event(*id), "r"))
            .collect();
        unflushed.end(&snapshot(xmax));
        new
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
        assert!(deliver(&mut unflushed, event(2), "r"));
        assert_eq!(unflushed.connected(), Some(snapshot(10)));
        // And what it found again is still known when the next one breaks off, too.
        unflushed.begin(log(200, 200));
        assert!(!deliver(&mut unflushed, event(2), "r"));
        unflushed.connected();
        assert_eq!(
            pass(&mut unflushed, log(200, 200), &[2, 3], 20),
            [false, true]
        );

        // All of it flushed: the position within the pass holds.
        unflushed.begin(log(300, 300));
        deliver(&mut unflushed, event(4), "r");
        assert_eq!(unflushed.connected(), None);
    }

    #[test]
    fn what_is_not_found_again_is_named_and_its_id_may_be_another_event() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), &[1], 10);
        unflushed.begin(log(200, 100));
        for (id, room) in [(2, "kept"), (3, "undone")] {
            assert!(deliver(&mut unflushed, event(id), room));
        }
        assert!(unflushed.end(&snapshot(20)).is_empty());
        unflushed.connected();
        unflushed.begin(log(150, 150));
        assert!(!deliver(&mut unflushed, event(2), "kept"));
        let reused = Identity { id: 3, at_us: 99 };
        assert!(deliver(&mut unflushed, reused, "other"));
        assert_eq!(unflushed.end(&snapshot(15)), [Room::from("undone")]);
        assert!(unflushed.end(&snapshot(15)).is_empty());
    }
}
