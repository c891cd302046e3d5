//! Events from one read, with the offsets they go out with. No I/O.

use std::sync::Arc;

use crate::event::Event;
use crate::offset::{Epoch, Offset, Seen, Snapshot};

/// An event of a batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchEvent {
    /// The event.
    pub event: Arc<Event>,
    /// Whether it was delivered before, and is found again after a crash of the database. Whoever was there then has it.
    pub repeated: bool,
}

/// Events from one read, or the part of them that was handed on together.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    /// The database's life that its offsets belong to.
    pub epoch: Epoch,
    /// The next transaction id after each crash of the database that is known of.
    pub recovered: Arc<[u64]>,
    /// Whether events of this read may have been delivered before a crash, and be repeated.
    pub repeats: bool,
    /// Whether all that this read saw was on disk.
    pub durable: bool,
    /// What had been delivered before it: all that the previous read saw, or that and a part of this one.
    pub after: Seen,
    /// What the previous read saw.
    pub before: Arc<Snapshot>,
    /// What this read saw.
    pub snapshot: Arc<Snapshot>,
    /// In the order of delivery.
    pub events: Vec<BatchEvent>,
    /// Whether the read ends here.
    pub complete: bool,
}

impl Batch {
    /// The offset of the event at `index`.
    pub(crate) fn offset(&self, index: usize) -> Offset {
        let last = index + 1 == self.events.len();
        if self.complete && last {
            return self.all(&self.snapshot);
        }
        let seen = Seen::Part {
            before: self.before.clone(),
            batch: self.snapshot.clone(),
            id: self.events[index].event.id,
        };
        Offset {
            seen,
            ..self.all(&self.before)
        }
    }

    /// The offset after all of it.
    pub(crate) fn end(&self) -> Offset {
        match self.events.len() {
            0 if self.complete => self.all(&self.snapshot),
            0 => self.all(&self.before),
            len => self.offset(len - 1),
        }
    }

    fn all(&self, snapshot: &Arc<Snapshot>) -> Offset {
        Offset::all(self.epoch, self.durable, snapshot.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::fakes::{self, snapshot};

    fn batch(ids: &[i64], complete: bool) -> Batch {
        let events: Vec<_> = ids.iter().map(|id| (*id, 15, "r")).collect();
        Batch {
            complete,
            ..fakes::batch(10, 20, &events)
        }
    }

    #[test]
    fn the_last_event_of_a_read_needs_its_snapshot_alone() {
        let whole = batch(&[1, 2], true);
        assert!(matches!(&whole.offset(0).seen, Seen::Part { id: 1, .. }));
        assert_eq!(whole.offset(1).seen, Seen::All(snapshot(20)));
        assert_eq!(whole.end(), whole.offset(1));
    }

    #[test]
    fn a_part_of_a_read_ends_after_its_last_event() {
        let part = batch(&[1, 2], false);
        assert!(matches!(&part.end().seen, Seen::Part { id: 2, .. }));
        assert_eq!(batch(&[], false).end().seen, Seen::All(snapshot(10)));
        assert_eq!(batch(&[], true).end().seen, Seen::All(snapshot(20)));
    }
}
