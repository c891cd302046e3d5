//! Events from one read, with the offsets they go out with.

use std::sync::Arc;

use crate::event::Event;
use crate::offset::{Epoch, Offset, Seen, Snapshot};

/// Events from one read, or the part of them that was handed on together.
#[derive(Debug)]
pub struct Batch {
    /// The database's life that its offsets belong to.
    pub epoch: Epoch,
    /// What the previous read saw.
    pub before: Arc<Snapshot>,
    /// What this read saw.
    pub snapshot: Arc<Snapshot>,
    /// In the order of delivery.
    pub events: Vec<Event>,
    /// Whether the read ends here.
    pub complete: bool,
}

impl Batch {
    /// An empty first part of the read that saw `snapshot`.
    pub fn new(epoch: Epoch, before: Arc<Snapshot>, snapshot: Arc<Snapshot>) -> Self {
        Self {
            epoch,
            before,
            snapshot,
            events: Vec::new(),
            complete: false,
        }
    }

    /// Takes the events out as a part of their own and leaves the rest of the read to come.
    #[must_use]
    pub fn split(&mut self) -> Self {
        let rest = Self::new(self.epoch, self.before.clone(), self.snapshot.clone());
        std::mem::replace(self, rest)
    }

    /// The offset of the event at `index`.
    pub fn offset(&self, index: usize) -> Offset {
        let last = index + 1 == self.events.len();
        let seen = if self.complete && last {
            Seen::All(self.snapshot.clone())
        } else {
            let id = self.events[index].id;
            Seen::Part {
                before: self.before.clone(),
                batch: self.snapshot.clone(),
                id,
            }
        };
        Offset {
            epoch: self.epoch,
            seen,
        }
    }

    /// The offset after all of it.
    pub fn end(&self) -> Offset {
        match self.events.len() {
            0 => {
                let seen = if self.complete {
                    &self.snapshot
                } else {
                    &self.before
                };
                Offset {
                    epoch: self.epoch,
                    seen: Seen::All(seen.clone()),
                }
            }
            len => self.offset(len - 1),
        }
    }
}
