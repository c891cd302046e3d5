//! Offsets: what has been seen, in Postgres's own terms.
//!
//! Owns [`Snapshot`] and [`Offset`]: parse, compare, pack (in `pack`) and the way from one to the next (in `step`); no I/O.
//! An offset never means "every id below n": ids are handed out before commit, so a transaction that
//! commits late would be skipped for ever. It names the snapshots of the reads instead, so that
//! "missed" has an exact answer on every server and after every restart.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::event::Room;

mod pack;
mod step;
mod varint;

pub use pack::{BadOffset, MAX_BYTES};
pub use step::{Next, Step};

/// Which transactions had ended when a statement began (`pg_current_snapshot()`; Postgres manual,
/// "Transaction ID and Snapshot Information Functions").
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Snapshot {
    /// Every transaction id at or above this one was not yet over.
    xmax: u64,
    /// Ids below `xmax` that were still in progress, ascending.
    xip: Vec<u64>,
}

/// Why a text is no snapshot of Postgres's.
#[derive(Debug, thiserror::Error)]
#[error("not a snapshot (xmin:xmax:xip,...): {0:?}")]
pub struct BadSnapshot(String);

impl Snapshot {
    /// Whether the effects of a committed transaction were visible.
    pub fn sees(&self, xid: u64) -> bool {
        xid < self.xmax && self.xip.binary_search(&xid).is_err()
    }

    /// Whether everything that `other` sees is seen here, too: it was taken later, or is the same.
    pub fn covers(&self, other: &Self) -> bool {
        let unseen_there = |xid: &u64| *xid >= other.xmax || other.xip.binary_search(xid).is_ok();
        other.xmax <= self.xmax && self.xip.iter().all(unseen_there)
    }

    /// The oldest transaction that was not over: everything below it was.
    pub fn xmin(&self) -> u64 {
        self.xip.first().copied().unwrap_or(self.xmax)
    }
}

impl fmt::Display for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:", self.xmin(), self.xmax)?;
        for (i, xid) in self.xip.iter().enumerate() {
            write!(f, "{}{xid}", if i == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl FromStr for Snapshot {
    type Err = BadSnapshot;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadSnapshot(text.chars().take(80).collect());
        let mut parts = text.splitn(3, ':');
        let mut number = || parts.next()?.parse::<u64>().ok();
        let (_xmin, xmax) = number().zip(number()).ok_or_else(bad)?;
        let xip = match parts.next().ok_or_else(bad)? {
            "" => Vec::new(),
            list => list
                .split(',')
                .map(str::parse)
                .collect::<Result<Vec<u64>, _>>()
                .map_err(|_| bad())?,
        };
        let ascending = xip.windows(2).all(|w| w[0] < w[1]);
        if !ascending || xip.last().is_some_and(|last| *last >= xmax) {
            return Err(bad());
        }
        Ok(Self { xmax, xip })
    }
}

/// Which life of the database an offset belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch {
    /// A restored dump or a rewind gets another. Not shown to clients: it proves that an offset is ours.
    pub value: u64,
    /// How many crashes of the database are known of: each may have undone commits that were seen.
    pub crashes: usize,
}

/// The point after which a client or the reader wants events; exclusive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offset {
    /// The database's life.
    pub epoch: Epoch,
    /// Whether all that it has seen was on disk: no crash undoes that.
    pub durable: bool,
    /// What has been delivered.
    pub seen: Seen,
    /// A room in which something else has been delivered: one whose replay is under way.
    pub aside: Option<Box<Aside>>,
}

/// A room apart from the others.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Aside {
    /// The room, as [`Room::tag`] says it.
    pub room: u64,
    /// What has been delivered of it.
    pub seen: Seen,
}

/// What has been delivered, as far as an [`Offset`] knows.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Seen {
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
    pub fn misses(&self, xid: u64, id: i64) -> bool {
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
    pub fn floor(&self) -> &Arc<Snapshot> {
        match self {
            Self::All(snapshot) => snapshot,
            Self::Part { before, .. } => before,
        }
    }

    /// A snapshot that sees everything that was delivered.
    pub fn ceiling(&self) -> &Arc<Snapshot> {
        match self {
            Self::All(snapshot) => snapshot,
            Self::Part { batch, .. } => batch,
        }
    }

    /// Whether everything that `other` has is here, too. Never true by mistake.
    pub fn reaches(&self, other: &Self) -> bool {
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
pub struct Present {
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
pub enum Lapse {
    /// Events that it may have missed are pruned.
    #[error("events since then are older than the retention")]
    Expired,
    /// A crash may have undone what it has seen.
    #[error("a crash of the database may have undone what was delivered")]
    Undone,
    /// It has seen what does not exist.
    #[error("it is not of this database")]
    Ahead,
}

impl Offset {
    /// The end of a batch: everything that `snapshot` sees.
    pub fn all(epoch: Epoch, durable: bool, snapshot: Arc<Snapshot>) -> Self {
        Self {
            epoch,
            durable,
            seen: Seen::All(snapshot),
            aside: None,
        }
    }

    /// What has been delivered of a room.
    pub fn seen_in(&self, room: &Room) -> &Seen {
        self.seen_aside(room).unwrap_or(&self.seen)
    }

    /// What has been delivered of a room, if its replay was under way.
    pub fn seen_aside(&self, room: &Room) -> Option<&Seen> {
        let aside = self.aside.as_ref()?;
        (aside.room == room.tag()).then_some(&aside.seen)
    }

    /// Whether what was missed since can be told, of what was delivered as in `seen`.
    ///
    /// # Errors
    /// Why not.
    pub fn proves(&self, seen: &Seen, present: &Present) -> Result<(), Lapse> {
        let top = seen.ceiling();
        match present.recovered.get(self.epoch.crashes) {
            // A crash came after it. What was on disk then is there still, unless the disk itself was set back.
            Some(next) if !self.durable || top.xmax > *next => return Err(Lapse::Undone),
            None if self.epoch.crashes != present.epoch.crashes => return Err(Lapse::Ahead),
            Some(_) | None => {}
        }
        if !present.snapshot.covers(top) {
            return Err(Lapse::Ahead);
        }
        match &present.pruned {
            Some(pruned) if !seen.floor().covers(pruned) => Err(Lapse::Expired),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
