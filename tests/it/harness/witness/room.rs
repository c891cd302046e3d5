//! What a witness has of one room.

use std::collections::HashMap;
use std::fmt;

use tokio::time::Instant;

use super::super::ledger::Key;

/// Where a witness is with a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It wants in and has asked for nothing yet.
    #[default]
    Outside,
    /// It leaves, to join anew.
    Leaving,
    /// It joins.
    Joining,
    /// The join was acknowledged.
    In,
    /// It left and wants to stay out.
    Out,
    /// It was put out, or not let in, and asks for its way back now and then.
    PutOut,
}

/// One room of a witness.
#[derive(Clone, Default)]
pub(crate) struct Room {
    pub(crate) phase: Phase,
    /// What the last history said: each message's status, and whether that may be newer than the history's offset.
    pub(crate) base: HashMap<u128, (u8, bool)>,
    /// Every event since, in the order of arrival.
    pub(crate) arrivals: Vec<Key>,
    /// When each event came, those of before a reload too. Only a witness with a pass keeps this.
    pub(crate) seen: Vec<(Key, Instant)>,
    /// Fences that came.
    pub(crate) fences: u64,
    /// Joins that were acknowledged.
    pub(crate) joins: u64,
    /// Stored events that came, of any name.
    pub(super) stored: u64,
    /// How many had come when it asked to join.
    pub(super) stored_before: u64,
    /// The offset of the last, or of the join or the history.
    pub(super) last: Option<String>,
    /// The next join needs the history first.
    pub(super) reload: bool,
    /// Answers to earlier attempts don't count.
    pub(super) attempt: u64,
}

impl Room {
    /// A stored event has come.
    pub(super) fn stored(&mut self, offset: &str) {
        self.stored += 1;
        self.last = Some(offset.to_owned());
    }
}

/// Short enough to be read when a wait has failed.
impl fmt::Debug for Room {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Room")
            .field("phase", &self.phase)
            .field("reload", &self.reload)
            .field("arrivals", &self.arrivals.len())
            .field("fences", &self.fences)
            .field("joins", &self.joins)
            .finish_non_exhaustive()
    }
}
