//! Events from one read, with the offsets they go out with.

use std::sync::Arc;

use crate::event::Event;
use crate::offset::{Epoch, Offset, Seen, Snapshot};

/// Events from one read, or the part of them that was handed on together.
#[derive(Debug)]
pub struct Batch {
    /// The database's life that its offsets belong to.
    pub epoch: Epoch,
    /// Whether all that this read saw was on disk.
    pub durable: bool,
    /// What the previous read saw.
    pub before: Arc<Snapshot>,
    /// What this read saw.
    pub snapshot: Arc<Snapshot>,
    /// In the order of delivery.
    pub events: Vec<Arc<Event>>,
    /// Whether the read ends here.
    pub complete: bool,
}

impl Batch {
    /// An empty first part of the read that saw `snapshot`.
    pub fn new(
        epoch: Epoch,
        durable: bool,
        before: Arc<Snapshot>,
        snapshot: Arc<Snapshot>,
    ) -> Self {
        Self {
            epoch,
            durable,
            before,
            snapshot,
            events: Vec::new(),
            complete: false,
        }
    }

    /// Takes the events out as a part of their own and leaves the rest of the read to come.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let rest = Self::new(
            self.epoch,
            self.durable,
            self.before.clone(),
            self.snapshot.clone(),
        );
        std::mem::replace(self, rest)
    }

    /// The offset of the event at `index`.
    pub fn offset(&self, index: usize) -> Offset {
        let last = index + 1 == self.events.len();
        if self.complete && last {
            return self.all(&self.snapshot);
        }
        let seen = Seen::Part {
            before: self.before.clone(),
            batch: self.snapshot.clone(),
            id: self.events[index].id,
        };
        Offset {
            seen,
            ..self.all(&self.before)
        }
    }

    /// The offset after all of it.
    pub fn end(&self) -> Offset {
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
