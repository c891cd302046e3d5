//! Offsets: what has been seen, in Postgres's own terms.
//!
//! Owns [`Snapshot`] and [`Offset`]: their parsing and comparison, the text that clients hold (`codec`), and what is to be read
//! on the way from one offset to a later one (`read_range`, `page`). No I/O.
//! An offset never means "every id below n": ids are handed out before commit, so a transaction that
//! commits late would be skipped for ever. It names the snapshots of the reads instead, so that
//! "missed" has an exact answer on every server and after every restart.

use std::sync::Arc;

use crate::event::Room;

mod codec;
mod epoch_key;
mod page;
mod read_range;
mod snapshot;
mod varint;

pub(crate) use codec::BadOffset;
pub(crate) use epoch_key::EpochKey;
pub(crate) use page::{ReplayPage, RoomRange};
pub(crate) use read_range::{NextRead, ReadRange};
pub(crate) use snapshot::{BadSnapshot, Snapshot};

/// Which life of the database an offset belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Epoch {
    /// A restored dump or a rewound database gets another one. Clients never see it, because the tag of an offset is made with it.
    pub value: EpochKey,
    /// How many crashes of the database are known of: each may have undone commits that were seen.
    pub crashes: usize,
}

/// The point after which a client or the reader wants events; exclusive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Offset {
    /// The database's life.
    pub epoch: Epoch,
    /// Whether everything that it has seen was on disk, so that no crash can undo it.
    pub durable: bool,
    /// What has been delivered.
    pub seen: Seen,
    /// A room that is being joined with an offset: its replay is under way, so more or less of it has been delivered than of
    /// the client's other rooms.
    pub joining_room: Option<Box<JoiningRoom>>,
}

/// A room that is being joined, and how far its replay has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct JoiningRoom {
    /// The room, as [`Room::tag`] says it.
    pub room: u64,
    /// What has been delivered of it.
    pub seen: Seen,
}

/// What has been delivered, as far as an [`Offset`] knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Seen {
    /// Everything that this snapshot sees: the end of a batch, which most events are.
    All(Arc<Snapshot>),
    /// Everything that `before` sees, and of what `batch` sees the events up to `id`.
    Part {
        /// The previous batch's snapshot.
        before: Arc<Snapshot>,
        /// This batch's snapshot.
        batch: Arc<Snapshot>,
        /// The last event delivered of this batch.
        id: i64,
    },
}

impl Seen {
    /// Whether an event that is visible now was not yet delivered.
    pub(crate) fn misses(&self, xid: u64, id: i64) -> bool {
        match self {
            Self::All(snapshot) => !snapshot.sees(xid),
            Self::Part {
                before,
                batch,
                id: last,
            } => !(before.sees(xid) || batch.sees(xid) && id <= *last),
        }
    }

    /// A snapshot of which everything was delivered.
    pub(crate) fn floor(&self) -> &Arc<Snapshot> {
        match self {
            Self::All(snapshot) => snapshot,
            Self::Part { before, .. } => before,
        }
    }

    /// A snapshot that sees everything that was delivered.
    pub(crate) fn ceiling(&self) -> &Arc<Snapshot> {
        match self {
            Self::All(snapshot) => snapshot,
            Self::Part { batch, .. } => batch,
        }
    }

    /// Whether everything that `other` has is here, too. May be false where that can't be told, but is never true by mistake.
    pub(crate) fn reaches(&self, other: &Self) -> bool {
        if self.floor().covers(other.ceiling()) {
            return true;
        }
        match (self, other) {
            (
                Self::Part { before, batch, id },
                Self::Part {
                    before: b,
                    batch: s,
                    id: i,
                },
            ) => before == b && batch == s && id >= i,
            _ => false,
        }
    }
}

/// The database at the moment of a read, as far as offsets are concerned.
#[derive(Clone, Debug)]
pub(crate) struct DatabaseState {
    /// The database's life.
    pub epoch: Epoch,
    /// What was visible.
    pub snapshot: Arc<Snapshot>,
    /// Every event that was ever pruned was visible in this snapshot.
    pub pruned: Option<Arc<Snapshot>>,
    /// The next transaction id after each crash that is known of.
    pub recovered: Vec<u64>,
}

/// Why an offset of this database says nothing of what was missed since. The texts are for clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ContinuityError {
    /// Events that were missed since may have been pruned.
    #[error("events since then are older than the retention")]
    Expired,
    /// A crash may have undone what the offset has seen.
    #[error("a crash of the database may have undone what was delivered")]
    Undone,
    /// The offset has seen transactions that do not exist.
    #[error("it is not of this database")]
    Ahead,
}

impl Offset {
    /// The end of a batch: everything that `snapshot` sees.
    pub(crate) fn all(epoch: Epoch, durable: bool, snapshot: Arc<Snapshot>) -> Self {
        Self {
            epoch,
            durable,
            seen: Seen::All(snapshot),
            joining_room: None,
        }
    }

    /// What has been delivered of a room.
    pub(crate) fn seen_in(&self, room: &Room) -> &Seen {
        self.seen_in_joining_room(room).unwrap_or(&self.seen)
    }

    /// What has been delivered of a room, if that room was being joined.
    pub(crate) fn seen_in_joining_room(&self, room: &Room) -> Option<&Seen> {
        let joining = self.joining_room.as_ref()?;
        (joining.room == room.tag()).then_some(&joining.seen)
    }

    /// Whether what was delivered as in `seen` stands in spite of the crashes since. It was all on disk, and no transaction
    /// id that it counts as over was handed out again: also transactions without an event, and those that were rolled back,
    /// are forgotten by a crash. `recovered` has the next transaction id after each crash.
    pub(crate) fn outlives_crashes(&self, seen: &Seen, recovered: &[u64]) -> bool {
        match recovered.get(self.epoch.crashes) {
            Some(next) => self.durable && seen.ceiling().xmax <= *next,
            None => true,
        }
    }

    /// Whether the events that were missed since can be told from the database's present state. `seen` is what was delivered:
    /// the offset's own `seen`, or that of one room.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn check_continuity(
        &self,
        seen: &Seen,
        state: &DatabaseState,
    ) -> Result<(), ContinuityError> {
        let top = seen.ceiling();
        if self.epoch.crashes > state.epoch.crashes {
            return Err(ContinuityError::Ahead);
        }
        if !self.outlives_crashes(seen, &state.recovered) {
            return Err(ContinuityError::Undone);
        }
        if !state.snapshot.covers(top) {
            return Err(ContinuityError::Ahead);
        }
        match &state.pruned {
            Some(pruned) if !seen.floor().covers(pruned) => Err(ContinuityError::Expired),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;
