//! Offsets: what has been seen, in Postgres's own terms.
//!
//! Owns [`Snapshot`] and [`Offset`]: parse, pack, unpack and compare; no I/O.
//! An offset never means "every id below n": ids are handed out before commit, so a transaction that
//! commits late would be skipped for ever. It names the snapshots of the reads instead, so that
//! "missed" has an exact answer on every server and after every restart.
//! Refuses whatever is not exactly what [`Offset::pack`] writes; the caller answers that by a resync.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

mod varint;

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

/// Which life of the database an offset belongs to: a restored dump or a rewind gets another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Epoch(pub u64);

/// The point after which a client or the reader wants events; exclusive.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Offset {
    /// The database's life.
    pub epoch: Epoch,
    /// What has been delivered.
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

/// Why a text is no offset of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an offset of this server")]
pub struct BadOffset;

const VERSION: u8 = 1;
const KIND_ALL: u8 = 0;
const KIND_PART: u8 = 1;

impl Offset {
    /// The longest text that [`Offset::unpack`] looks at, in bytes.
    pub const MAX_BYTES: usize = 16 * 1024;

    /// Whether an event that is visible now was not yet delivered at this offset.
    pub fn misses(&self, xid: u64, id: i64) -> bool {
        match &self.seen {
            Seen::All(snapshot) => !snapshot.sees(xid),
            Seen::Part {
                before,
                batch,
                id: last,
            } => !(before.sees(xid) || batch.sees(xid) && id <= *last),
        }
    }

    /// The opaque text that clients keep: base64url behind a version byte.
    pub fn pack(&self) -> String {
        let mut out = Vec::with_capacity(32);
        out.push(VERSION);
        match &self.seen {
            Seen::All(snapshot) => {
                out.push(KIND_ALL);
                out.extend(self.epoch.0.to_be_bytes());
                pack_snapshot(&mut out, snapshot, 0);
            }
            Seen::Part { before, batch, id } => {
                out.push(KIND_PART);
                out.extend(self.epoch.0.to_be_bytes());
                pack_snapshot(&mut out, before, 0);
                pack_snapshot(&mut out, batch, before.xmax);
                varint::write(&mut out, id.unsigned_abs());
            }
        }
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Reads what [`Offset::pack`] wrote.
    ///
    /// # Errors
    /// Anything else: too long, another version, out of range, or with bytes left over.
    pub fn unpack(text: &str) -> Result<Self, BadOffset> {
        if text.len() > Self::MAX_BYTES {
            return Err(BadOffset);
        }
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| BadOffset)?;
        Self::read(&mut bytes.as_slice())
            .filter(|offset| offset.pack() == text)
            .ok_or(BadOffset)
    }

    fn read(bytes: &mut &[u8]) -> Option<Self> {
        let (&[version, kind], rest) = bytes.split_first_chunk::<2>()?;
        let (epoch, rest) = rest.split_first_chunk::<8>()?;
        *bytes = rest;
        if version != VERSION {
            return None;
        }
        let first = Arc::new(read_snapshot(bytes, 0)?);
        let seen = match kind {
            KIND_ALL => Seen::All(first),
            KIND_PART => {
                let batch = Arc::new(read_snapshot(bytes, first.xmax)?);
                let id = varint::read(bytes)?.try_into().ok()?;
                Seen::Part {
                    before: first,
                    batch,
                    id,
                }
            }
            _ => return None,
        };
        bytes.is_empty().then_some(Self {
            epoch: Epoch(u64::from_be_bytes(*epoch)),
            seen,
        })
    }
}

/// Writes `xmax` above `floor`, the number of ids in progress, and each as its distance below the one after it.
fn pack_snapshot(out: &mut Vec<u8>, snapshot: &Snapshot, floor: u64) {
    varint::write(out, snapshot.xmax.wrapping_sub(floor));
    varint::write(out, snapshot.xip.len() as u64);
    let mut above = snapshot.xmax;
    for xid in snapshot.xip.iter().rev() {
        varint::write(out, above - xid);
        above = *xid;
    }
}

fn read_snapshot(bytes: &mut &[u8], floor: u64) -> Option<Snapshot> {
    let xmax = floor.checked_add(varint::read(bytes)?)?;
    let len = usize::try_from(varint::read(bytes)?).ok()?;
    // Each id takes a byte at least, so a claimed length can't make us reserve more than was sent.
    if len > bytes.len() {
        return None;
    }
    let mut xip = Vec::with_capacity(len);
    let mut above = xmax;
    for _ in 0..len {
        above = above.checked_sub(varint::read(bytes)?)?;
        xip.push(above);
    }
    xip.reverse();
    let ascending =
        xip.windows(2).all(|w| w[0] < w[1]) && xip.last().is_none_or(|last| *last < xmax);
    ascending.then_some(Snapshot { xmax, xip })
}

#[cfg(test)]
mod tests;
