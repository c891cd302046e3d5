//! One read of what was missed: what is asked of the outbox, and what it answers.
//!
//! Owns the shapes that stand between whoever replays and whoever reads, so that neither knows the other. No I/O.

use std::sync::Arc;

use super::{DatabaseState, Snapshot};
use crate::event::{Event, Room};

/// What is wanted of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoomRange {
    /// The room.
    pub room: Room,
    /// What was seen already.
    pub before: Arc<Snapshot>,
    /// What may be seen; `None` for everything that is visible when it is read.
    pub batch: Option<Arc<Snapshot>>,
    /// Only ids above this one.
    pub after: i64,
    /// Only ids up to this one.
    pub upto: i64,
}

/// What was found. It may hold more than was asked for: reads are shared.
#[derive(Debug)]
pub(crate) struct ReplayPage {
    /// The database at the moment of the read.
    pub state: DatabaseState,
    /// Whether everything visible then was on disk.
    pub durable: bool,
    /// By id, each once. An event that can't be sent is left out.
    pub events: Vec<Arc<Event>>,
    /// Where the page ends, if there is more: every event up to this id is in it.
    pub upto: Option<i64>,
}
