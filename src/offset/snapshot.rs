//! A snapshot of Postgres's: which transactions had ended when a statement began.
//!
//! Owns the parsing of `pg_current_snapshot()` and the two questions that offsets are made of: what a snapshot sees, and
//! whether it sees all that another one does. No I/O.

use std::fmt;
use std::str::FromStr;

/// Which transactions had ended when a statement began (`pg_current_snapshot()`; Postgres manual,
/// "Transaction ID and Snapshot Information Functions").
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Snapshot {
    /// Every transaction id at or above this one was not yet over.
    pub(super) xmax: u64,
    /// Ids below `xmax` that were still in progress, ascending.
    pub(super) xip: Vec<u64>,
}

/// Why a text is no snapshot of Postgres's.
#[derive(Debug, thiserror::Error)]
#[error("not a snapshot (xmin:xmax:xip,...): {0:?}")]
pub(crate) struct BadSnapshot(String);

impl Snapshot {
    /// Whether the effects of a committed transaction were visible.
    pub(crate) fn sees(&self, xid: u64) -> bool {
        xid < self.xmax && self.xip.binary_search(&xid).is_err()
    }

    /// Whether everything that `other` sees is seen here, too: it was taken later, or is the same.
    pub(crate) fn covers(&self, other: &Self) -> bool {
        let unseen_there = |xid: &u64| *xid >= other.xmax || other.xip.binary_search(xid).is_ok();
        other.xmax <= self.xmax && self.xip.iter().all(unseen_there)
    }

    /// The least snapshot that sees whatever one of the two sees.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut xip: Vec<u64> = self.xip.iter().chain(&other.xip).copied().collect();
        xip.retain(|xid| !self.sees(*xid) && !other.sees(*xid));
        xip.sort_unstable();
        xip.dedup();
        Self {
            xmax: self.xmax.max(other.xmax),
            xip,
        }
    }

    /// The oldest transaction that was not over: everything below it was.
    pub(crate) fn xmin(&self) -> u64 {
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
