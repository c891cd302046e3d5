//! What a crash of Postgres can undo, and how to go on after one.
//!
//! A writer with `synchronous_commit = off` is visible before its commit is on disk. It can be read, delivered, and then
//! undone by a crash, and its xid and id are handed out again to somebody else: a position that "has seen" them would
//! skip the newcomer for ever. So each pass notes how far the log was written and how far it was flushed. A snapshot is
//! safe once everything it saw is flushed and delivered. After a crash the reader goes back to the last safe snapshot, leaves out what it has delivered already and finds again, and names the rooms of what it does not find.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::event::Room;
use crate::offset::Snapshot;

/// Events remembered at most. Beyond it continuity after a lost connection can't be proved, and is not claimed.
const MAX_REMEMBERED: usize = 200_000;

/// Positions in Postgres's log (`pg_lsn` as a number) at the moment of a read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Log {
    pub(super) written: i64,
    pub(super) flushed: i64,
}

impl Log {
    fn is_flushed(self) -> bool {
        self.written <= self.flushed
    }
}

/// An event is the same one only if the time of its change is the same, too: ids are handed out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Identity {
    pub(super) id: i64,
    pub(super) at_us: i64,
}

/// Where to go on after a lost connection.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Resume {
    /// Everything that was read is on disk.
    Here,
    /// What came after this snapshot may be undone.
    Back(Arc<Snapshot>),
    /// Nothing that was read is known to be on disk.
    Nowhere,
}

/// See the module.
#[derive(Default)]
pub(super) struct Unflushed {
    safe: Option<Arc<Snapshot>>,
    /// The pass at hand; one that broke off is finished under the same.
    pass: Log,
    /// Passes that have ended.
    reads: VecDeque<(i64, Arc<Snapshot>)>,
    delivered: VecDeque<(i64, Identity, Room)>,
    /// How many of them, the last ones, are not handed on yet.
    pending: usize,
    /// Delivered before the connection was lost, and whether it was found again.
    again: HashMap<Identity, (Room, bool)>,
}

impl Unflushed {
    /// The database crashed: where to go on.
    pub(super) fn lost(&mut self) -> Resume {
        self.forget_pending();
        if self.reads.is_empty() && self.delivered.is_empty() {
            return Resume::Here;
        }
        let Some(safe) = self.safe.clone() else {
            return Resume::Nowhere;
        };
        self.reads.clear();
        self.again
            .values_mut()
            .for_each(|(_, found)| *found = false);
        let delivered = self.delivered.drain(..);
        self.again
            .extend(delivered.map(|(_, identity, room)| (identity, (room, false))));
        Resume::Back(safe)
    }

    /// A pass begins, or goes on where it broke off.
    pub(super) fn begin(&mut self, log: Log, goes_on: bool) {
        self.forget_pending();
        let written = if goes_on {
            self.pass.written
        } else {
            log.written
        };
        self.pass = Log { written, ..log };
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
    }

    /// Whether everything that the pass at hand sees is on disk.
    pub(super) fn is_flushed(&self) -> bool {
        self.pass.is_flushed()
    }

    /// Whether an event is to be delivered: not when it was already, before the connection was lost.
    pub(super) fn deliver(&mut self, identity: Identity, room: &Room) -> bool {
        if !self.pass.is_flushed() {
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
                .push_back((self.pass.written, identity, room));
            self.pending += 1;
        }
        match self.again.get_mut(&identity) {
            Some((_, found)) => {
                *found = true;
                false
            }
            None => true,
        }
    }

    /// What was to be delivered is delivered.
    pub(super) fn handed_on(&mut self) {
        self.pending = 0;
    }

    fn forget_pending(&mut self) {
        let kept = self.delivered.len() - self.pending;
        self.delivered.truncate(kept);
        self.pending = 0;
    }

    /// The pass has ended, and all that `snapshot` sees is delivered. Names the rooms of events that were delivered
    /// before and are undone.
    pub(super) fn end(&mut self, snapshot: &Arc<Snapshot>) -> Vec<Room> {
        if self.pass.is_flushed() {
            self.safe = Some(snapshot.clone());
        } else if self.reads.back().is_none_or(|(_, last)| last != snapshot) {
            self.reads.push_back((self.pass.written, snapshot.clone()));
        }
        let again = std::mem::take(&mut self.again).into_values();
        let mut rooms: Vec<Room> = again
            .filter_map(|(room, found)| (!found).then_some(room))
            .collect();
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

    /// A whole pass with these events; those that are delivered.
    fn pass(unflushed: &mut Unflushed, log: Log, xmax: u64, ids: &[i64]) -> Vec<i64> {
        unflushed.begin(log, false);
        let delivered = ids
            .iter()
            .copied()
            .filter(|id| unflushed.deliver(event(*id), &Room::from("r")))
            .collect();
        unflushed.handed_on();
        unflushed.end(&snapshot(xmax));
        delivered
    }

    #[test]
    fn it_goes_back_to_what_was_flushed() {
        let mut unflushed = Unflushed::default();
        assert_eq!(unflushed.lost(), Resume::Here);
        pass(&mut unflushed, log(100, 100), 10, &[]);
        assert_eq!(unflushed.lost(), Resume::Here);
        pass(&mut unflushed, log(200, 120), 20, &[1]);
        pass(&mut unflushed, log(300, 200), 30, &[2]);
        assert_eq!(unflushed.lost(), Resume::Back(snapshot(20)));
        assert_eq!(
            pass(&mut unflushed, log(300, 300), 31, &[2, 3]),
            [3],
            "what was delivered is not delivered again"
        );
        assert_eq!(unflushed.lost(), Resume::Here);
    }

    #[test]
    fn nothing_flushed_is_nowhere_to_go_back_to() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(200, 100), 10, &[]);
        assert_eq!(unflushed.lost(), Resume::Nowhere);
    }

    #[test]
    fn a_pass_that_broke_off_is_not_safe() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), 10, &[]);
        unflushed.begin(log(200, 200), false);
        assert!(unflushed.deliver(event(1), &Room::from("r")));
        assert_eq!(
            unflushed.lost(),
            Resume::Here,
            "the position is in the pass"
        );
        unflushed.begin(log(300, 250), true);
        assert!(unflushed.deliver(event(2), &Room::from("r")));
        assert_eq!(
            unflushed.lost(),
            Resume::Here,
            "what the pass sees is flushed"
        );

        unflushed.begin(log(400, 300), false);
        assert!(unflushed.deliver(event(3), &Room::from("r")));
        assert_eq!(unflushed.lost(), Resume::Here, "it was not handed on");
        unflushed.begin(log(400, 300), false);
        assert!(unflushed.deliver(event(3), &Room::from("r")));
        unflushed.handed_on();
        assert!(unflushed.deliver(event(4), &Room::from("r")));
        assert_eq!(unflushed.lost(), Resume::Back(snapshot(10)));
        assert_eq!(pass(&mut unflushed, log(500, 500), 40, &[3, 4]), [4]);
    }

    #[test]
    fn a_pass_that_breaks_off_twice_leaves_out_twice() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), 10, &[]);
        pass(&mut unflushed, log(200, 100), 20, &[1, 2]);
        for resume in [Resume::Back(snapshot(10)), Resume::Here] {
            assert_eq!(unflushed.lost(), resume);
            unflushed.begin(log(200, 100), false);
            assert!(!unflushed.deliver(event(1), &Room::from("r")));
        }
        unflushed.lost();
        assert_eq!(pass(&mut unflushed, log(300, 300), 30, &[1, 2, 3]), [3]);
    }

    #[test]
    fn what_is_not_found_again_is_named() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), 10, &[]);
        unflushed.begin(log(200, 100), false);
        for (id, room) in [(1, "kept"), (2, "undone")] {
            assert!(unflushed.deliver(event(id), &Room::from(room)));
        }
        unflushed.handed_on();
        assert!(unflushed.end(&snapshot(20)).is_empty());
        unflushed.lost();
        unflushed.begin(log(150, 150), false);
        assert!(!unflushed.deliver(event(1), &Room::from("kept")));
        let reused = Identity { id: 2, at_us: 99 };
        assert!(
            unflushed.deliver(reused, &Room::from("other")),
            "another event with the same id"
        );
        assert_eq!(unflushed.end(&snapshot(15)), [Room::from("undone")]);
        assert!(unflushed.end(&snapshot(15)).is_empty());
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut unflushed = Unflushed::default();
        pass(&mut unflushed, log(100, 100), 10, &[]);
        let many: Vec<i64> = (0..=MAX_REMEMBERED as i64).collect();
        pass(&mut unflushed, log(200, 100), 20, &many);
        assert!(unflushed.delivered.len() < MAX_REMEMBERED);
        assert_eq!(unflushed.lost(), Resume::Nowhere);
        pass(&mut unflushed, log(200, 200), 30, &[]);
        assert_eq!(unflushed.lost(), Resume::Here);
    }
}
