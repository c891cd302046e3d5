//! Statements that were heard and are not applied yet, and what they say to somebody at a position. No I/O.
//!
//! Guarantees that what is taken is exactly what the outbox has between the position and where it is moved to: a statement is taken only
//! if it begins no later than the position, and ends no earlier; of its events those are left out that the position sees. Everything else
//! is either known already, or a gap, which is for the database to fill.

use std::collections::VecDeque;
use std::sync::Arc;

use super::message::Statement;
use crate::db::LogPosition;
use crate::event::Event;
use crate::offset::Snapshot;

/// What may wait, and what is taken at a time, in bytes. Beyond it, everything is dropped, which is a gap.
const MOST_WAITING_BYTES: usize = 8 * 1024 * 1024;
const MOST_TAKEN_BYTES: usize = 2 * 1024 * 1024;

/// What was heard and not applied yet.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    waiting: VecDeque<(Statement, usize)>,
    bytes: usize,
}

/// Statements that follow each other, as one read.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) statements: usize,
    pub(super) snapshot: Arc<Snapshot>,
    pub(super) log: LogPosition,
    pub(super) synced: bool,
    /// By id.
    pub(super) events: Vec<Arc<Event>>,
}

impl Taken {
    /// Comes to `after`, by these events, of which some may be known.
    fn apply(&mut self, after: Arc<Snapshot>, events: Vec<Arc<Event>>) {
        let here = std::mem::replace(&mut self.snapshot, after);
        let news = events.into_iter().filter(|event| !here.sees(event.xid));
        self.events.extend(news);
        self.statements += 1;
    }
}

/// What there is for somebody at a position.
#[derive(Debug)]
pub(super) enum Next {
    Nothing,
    Taken(Taken),
    /// Something came in between that was not heard, or was only announced.
    Gap,
}

impl Inbox {
    /// Keeps a statement of so many bytes; false where there was no room, and all that waited is dropped with it.
    pub(super) fn push(&mut self, statement: Statement, bytes: usize) -> bool {
        if self.bytes + bytes > MOST_WAITING_BYTES {
            self.clear();
            return false;
        }
        self.bytes += bytes;
        self.waiting.push_back((statement, bytes));
        true
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Drops what is known to somebody at this position, and says how many statements that were.
    pub(super) fn forget_known(&mut self, position: &Snapshot) -> usize {
        let mut known = 0;
        while self
            .waiting
            .front()
            .is_some_and(|(first, _)| position.covers(&first.after))
        {
            self.pop();
            known += 1;
        }
        known
    }

    /// What is next for somebody at this position.
    pub(super) fn next(&mut self, position: &Arc<Snapshot>) -> Next {
        let mut taken = Taken {
            statements: 0,
            snapshot: position.clone(),
            log: LogPosition::default(),
            synced: true,
            events: Vec::new(),
        };
        let mut bytes = 0;
        while let Some((first, size)) = self.waiting.front() {
            let here = &taken.snapshot;
            if here.covers(&first.after) {
                self.pop();
                continue;
            }
            let follows = here.covers(&first.before) && first.after.covers(here);
            let is_told = follows && first.events.is_some();
            bytes += size;
            if taken.statements > 0 && (!is_told || bytes > MOST_TAKEN_BYTES) {
                break;
            }
            let Some(first) = self.pop() else { break };
            let Some(events) = first.events.filter(|_| follows) else {
                return Next::Gap;
            };
            taken.apply(first.after, events);
            taken.log = first.log;
            taken.synced &= first.synced;
        }
        match taken.statements {
            0 => return Next::Nothing,
            1 => {}
            // Of one read, the events are in the order of their ids: an offset within it relies on that.
            _ => taken.events.sort_by_key(|event| event.id),
        }
        Next::Taken(taken)
    }

    fn pop(&mut self) -> Option<Statement> {
        let (statement, bytes) = self.waiting.pop_front()?;
        self.bytes -= bytes;
        Some(statement)
    }
}
