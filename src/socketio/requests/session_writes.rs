//! How much of the resume sessions one identity, or one address without identities, has written.
//!
//! Each join and each leave writes the whole row anew. With many rooms of long names that is more than a hundred kilobytes, and
//! clients that did nothing else would keep the database, and everybody's joins, busy.
//! Guarantees that whoever writes too much is refused joins, and may always leave.

use tokio::time::Instant;

use crate::db::StoredSession;
use crate::quota::Rates;
use crate::socketio::client::Client;

/// Bytes a second, and for how many seconds' worth at once.
const RATE: u32 = 4_000_000;
const BURST_SECONDS: u32 = 16;
/// What a row costs beside its rooms.
const ROW_BYTES: usize = 500;

pub(in crate::socketio) struct SessionWrites(Rates);

impl Default for SessionWrites {
    fn default() -> Self {
        Self(Rates::new(RATE, BURST_SECONDS))
    }
}

impl SessionWrites {
    /// Whether a join may be stored.
    pub(super) fn may_write(&self, client: &Client) -> bool {
        client
            .holder()
            .is_none_or(|holder| self.0.has_left(&holder, Instant::now()))
    }

    /// Counts a session that is about to be stored.
    pub(super) fn charge(&self, client: &Client, stored: &StoredSession) {
        let Some(holder) = client.holder() else {
            return;
        };
        let offsets = |offsets: &Vec<String>| offsets.iter().map(String::len).sum::<usize>();
        let rooms = stored.rooms.iter();
        let bytes: usize = rooms.map(|(room, at)| room.len() + offsets(at)).sum();
        self.0.charge(&holder, bytes + ROW_BYTES, Instant::now());
    }
}
