//! The way from what a client has to where the broadcast is, one read at a time.
//!
//! A read yields the events of one batch in the order of their ids. What was begun is finished first: the rest of a batch
//! under its own snapshot, then everything up to a later one. So each event of a replay has an exact offset of its own.

use std::sync::Arc;

use super::{Seen, Snapshot};

/// What is to be done next.
#[derive(Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: both have seen the same.
    Reached,
    /// The client has more than the broadcast: it came from another server, or from history.
    Ahead,
    /// Events are to be read.
    Read(Step),
}

/// One read of a replay: the events that `batch` sees and `before` does not, with ids above `after` and up to `upto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What was seen before.
    pub before: Arc<Snapshot>,
    /// What will have been seen.
    pub batch: Arc<Snapshot>,
    /// The last event that was delivered of it.
    pub after: i64,
    /// Where it ends, if that is not the batch's own end.
    pub upto: Option<i64>,
}

impl Step {
    /// The next step for somebody who has `from`, towards `to`.
    pub fn next(from: &Seen, to: &Seen) -> Next {
        if from == to {
            return Next::Reached;
        }
        let read = |before: &Arc<Snapshot>, batch: &Arc<Snapshot>, after, upto| {
            Next::Read(Self {
                before: before.clone(),
                batch: batch.clone(),
                after,
                upto,
            })
        };
        match (from, to) {
            (
                Seen::Part { before, batch, id },
                Seen::Part {
                    before: b,
                    batch: s,
                    id: end,
                },
            ) if before == b && batch == s => {
                if id < end {
                    read(before, batch, *id, Some(*end))
                } else {
                    Next::Ahead
                }
            }
            // The rest of a batch that the broadcast has left behind.
            (Seen::Part { before, batch, id }, _) if to.floor().covers(batch) => {
                read(before, batch, *id, None)
            }
            (Seen::Part { .. }, _) => Next::Ahead,
            (Seen::All(snapshot), Seen::All(end)) if end.covers(snapshot) => {
                read(snapshot, end, i64::MIN, None)
            }
            (Seen::All(snapshot), Seen::Part { before, batch, id }) => {
                if snapshot == before {
                    read(snapshot, batch, i64::MIN, Some(*id))
                } else if before.covers(snapshot) {
                    read(snapshot, before, i64::MIN, None)
                } else {
                    Next::Ahead
                }
            }
            (Seen::All(_), Seen::All(_)) => Next::Ahead,
        }
    }

    /// Whether an event belongs to it.
    pub fn holds(&self, xid: u64, id: i64) -> bool {
        id > self.after
            && self.upto.is_none_or(|upto| id <= upto)
            && self.batch.sees(xid)
            && !self.before.sees(xid)
    }

    /// What was seen once the event `id` is delivered.
    pub fn upto(&self, id: i64) -> Seen {
        Seen::Part {
            before: self.before.clone(),
            batch: self.batch.clone(),
            id,
        }
    }

    /// What was seen when all of it is delivered.
    pub fn end(&self) -> Seen {
        match self.upto {
            Some(id) => self.upto(id),
            None => Seen::All(self.batch.clone()),
        }
    }
}
