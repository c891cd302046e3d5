//! Offsets as text: what clients hold.
//!
//! The text is base64url of a version byte, flags, the number of crashes, what was seen, and a tag. The tag is made with
//! the key of the database's life, so an offset that was tampered with or comes from another database is recognised.
//! Refuses everything that [`Offset::pack`] would not write, and reads no more than [`MAX_BYTES`]. No I/O.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::Mac as _;

use super::{Epoch, EpochKey, JoiningRoom, Offset, Seen, Snapshot, varint};

/// The longest text that is looked at, in bytes.
pub(crate) const MAX_BYTES: usize = 16 * 1024;

pub(super) const VERSION: u8 = 1;
const PART: u8 = 1;
const DURABLE: u8 = 2;
const JOINING: u8 = 4;
const TAG_BYTES: usize = 8;

/// Why a text is no offset to go on from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadOffset {
    /// No server of any database wrote it.
    #[error("not an offset")]
    Malformed,
    /// Of another database, or altered.
    #[error("not an offset of this database")]
    Foreign,
}

impl Offset {
    /// The opaque text that clients hold.
    pub(crate) fn pack(&self) -> String {
        let mut out = Vec::with_capacity(40);
        let part = if matches!(self.seen, Seen::Part { .. }) {
            PART
        } else {
            0
        };
        let durable = if self.durable { DURABLE } else { 0 };
        let joining = if self.joining_room.is_some() {
            JOINING
        } else {
            0
        };
        out.extend([VERSION, part | durable | joining]);
        varint::write(&mut out, self.epoch.crashes as u64);
        pack_seen(&mut out, &self.seen);
        if let Some(joining) = &self.joining_room {
            out.extend(joining.room.to_be_bytes());
            out.push(u8::from(matches!(joining.seen, Seen::Part { .. })));
            pack_seen(&mut out, &joining.seen);
        }
        let tag = tag(self.epoch.value, &out);
        out.extend(tag);
        URL_SAFE_NO_PAD.encode(out)
    }

    /// Reads what [`Offset::pack`] wrote in the database whose epoch has this value.
    ///
    /// # Errors
    /// Anything else: too long, another version, out of range, with bytes left over, or without the database's tag.
    pub(crate) fn unpack(text: &str, value: EpochKey) -> Result<Self, BadOffset> {
        if text.len() > MAX_BYTES {
            return Err(BadOffset::Malformed);
        }
        let bytes = URL_SAFE_NO_PAD
            .decode(text)
            .map_err(|_| BadOffset::Malformed)?;
        let (body, tagged) = bytes
            .split_last_chunk::<TAG_BYTES>()
            .ok_or(BadOffset::Malformed)?;
        if body.first() != Some(&VERSION) {
            return Err(BadOffset::Malformed);
        }
        let mac = value.mac(body);
        mac.verify_truncated_left(tagged)
            .map_err(|_| BadOffset::Foreign)?;
        read(&mut &body[1..], value).ok_or(BadOffset::Malformed)
    }
}

/// The first bytes of the HMAC-SHA-256 of `body`.
pub(super) fn tag(key: EpochKey, body: &[u8]) -> [u8; TAG_BYTES] {
    let code = key.mac(body).finalize().into_bytes();
    let mut tag = [0; TAG_BYTES];
    tag.copy_from_slice(&code[..TAG_BYTES]);
    tag
}

fn read(bytes: &mut &[u8], value: EpochKey) -> Option<Offset> {
    let flags = byte(bytes)?;
    if flags & !(PART | DURABLE | JOINING) != 0 {
        return None;
    }
    let crashes = usize::try_from(varint::read(bytes)?).ok()?;
    let seen = read_seen(bytes, flags & PART != 0)?;
    let joining_room = if flags & JOINING == 0 {
        None
    } else {
        let (room, rest) = bytes.split_first_chunk::<8>()?;
        *bytes = rest;
        let part = byte(bytes)? == 1;
        Some(Box::new(JoiningRoom {
            room: u64::from_be_bytes(*room),
            seen: read_seen(bytes, part)?,
        }))
    };
    bytes.is_empty().then_some(Offset {
        epoch: Epoch { value, crashes },
        durable: flags & DURABLE != 0,
        seen,
        joining_room,
    })
}

fn byte(bytes: &mut &[u8]) -> Option<u8> {
    let (&first, rest) = bytes.split_first()?;
    *bytes = rest;
    Some(first)
}

fn pack_seen(out: &mut Vec<u8>, seen: &Seen) {
    match seen {
        Seen::All(snapshot) => pack_snapshot(out, snapshot, 0),
        Seen::Part { before, batch, id } => {
            pack_snapshot(out, before, 0);
            pack_snapshot(out, batch, before.xmax);
            varint::write(out, id.unsigned_abs());
        }
    }
}

fn read_seen(bytes: &mut &[u8], part: bool) -> Option<Seen> {
    let first = Arc::new(read_snapshot(bytes, 0)?);
    if !part {
        return Some(Seen::All(first));
    }
    let batch = Arc::new(read_snapshot(bytes, first.xmax)?);
    let id = varint::read(bytes)?.try_into().ok()?;
    Some(Seen::Part {
        before: first,
        batch,
        id,
    })
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
