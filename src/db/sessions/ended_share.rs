//! How much of what has ended one identity, or one address without identities, may leave stored.
//!
//! A client that connects, joins and goes leaves a row, which is kept for as long as events are. So the rows that have ended are counted
//! for whoever they are of, and of one that left too many the oldest are removed: who comes back to one of them is told to load its rooms
//! again.
//! Guarantees that rows of connected clients are never removed, and that a table in memory, which says where to look, is bounded.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::{PATIENCE, Sessions};
use crate::db::retry::within;
use crate::quota::Holder;

/// For whom a session is counted: a hash, so that no address stands in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct CountedFor(pub(super) [u8; 16]);

/// Who is looked at when this part of a share has ended since the last time.
const PARTS: u64 = 4;
/// For how many it is remembered what has ended.
const MAX_HOLDERS: usize = 65_536;

/// Rows that have ended and are counted for one of `$1`, from the latest on, as long as they have less than `$2` bytes together, are kept;
/// of the others `$3` are removed. A row that a client comes back to meanwhile, or that another server removes, is left alone.
const TRIM: &str = concat!(
    "
with ended as (
    select pid_hash, sum(bytes) over (partition by counted_for order by ended_at desc, pid_hash) as upto
    from (select *, ",
    super::end::row_bytes!(),
    " as bytes from rowcast.sessions where counted_for = any($1) and ended_at is not null) s
)
delete from rowcast.sessions where pid_hash = any(array(
    select pid_hash from rowcast.sessions
    where pid_hash = any(array(select pid_hash from ended where upto > $2 limit $3)) and ended_at is not null
    for update skip locked))"
);

impl CountedFor {
    pub(crate) fn of(holder: &Holder) -> Self {
        let text = match holder {
            Holder::Network(address) => format!("address {address}"),
            Holder::Identity(name) => format!("identity {name}"),
        };
        let digest = Sha256::digest(text.as_bytes());
        let (head, _) = digest
            .split_first_chunk::<16>()
            .expect("a digest has 32 bytes");
        Self(*head)
    }
}

/// What has ended on this server since it was looked at last. A leaf among the locks.
#[derive(Default)]
pub(super) struct EndedShares {
    state: Mutex<State>,
    /// Somebody is to be looked at.
    crowded: Notify,
}

#[derive(Default)]
struct State {
    bytes: HashMap<CountedFor, u64>,
    crowded: HashSet<CountedFor>,
}

impl EndedShares {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A row of so many bytes has ended.
    pub(super) fn add(&self, counted_for: CountedFor, bytes: u64, share: u64) {
        let mut state = self.state();
        if state.bytes.len() >= MAX_HOLDERS && !state.bytes.contains_key(&counted_for) {
            // Strangers without end: what each has left is little.
            state.bytes = HashMap::new();
        }
        let ended = state.bytes.entry(counted_for).or_default();
        *ended += bytes;
        if *ended > share / PARTS {
            state.bytes.remove(&counted_for);
            state.crowded.insert(counted_for);
            self.crowded.notify_one();
        }
    }

    async fn crowded(&self) -> HashSet<CountedFor> {
        loop {
            let crowded = std::mem::take(&mut self.state().crowded);
            if !crowded.is_empty() {
                return crowded;
            }
            self.crowded.notified().await;
        }
    }
}

impl Sessions {
    /// Waits until somebody may have left too much, and says who.
    pub(crate) async fn crowded(&self) -> Vec<CountedFor> {
        self.ended_shares.crowded().await.into_iter().collect()
    }

    /// Removes what has ended beyond the share of each, and says how many. If there are more, `MAX_PRUNED` of them.
    ///
    /// # Errors
    /// The database's own.
    pub(crate) async fn trim(&self, crowded: &[CountedFor]) -> sqlx::Result<u64> {
        let crowded: Vec<&[u8]> = crowded.iter().map(|it| it.0.as_slice()).collect();
        let trim = sqlx::query(TRIM)
            .bind(crowded)
            .bind(self.share_bytes.cast_signed())
            .bind(Self::MAX_PRUNED.cast_signed());
        let trimmed = within(&self.pool, PATIENCE, async |connection| {
            trim.execute(connection).await
        })
        .await?;
        Ok(trimmed.rows_affected())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted_for(number: u32) -> CountedFor {
        CountedFor::of(&Holder::at(std::net::Ipv4Addr::from(number).into()))
    }

    #[tokio::test]
    async fn who_left_a_part_of_its_share_is_looked_at() {
        let shares = EndedShares::default();
        shares.add(counted_for(1), 200, 1_000);
        shares.add(counted_for(2), 200, 1_000);
        assert!(shares.state().crowded.is_empty());
        shares.add(counted_for(2), 200, 1_000);
        assert_eq!(shares.crowded().await, HashSet::from([counted_for(2)]));
        // And not again at once.
        shares.add(counted_for(2), 200, 1_000);
        assert!(shares.state().crowded.is_empty());
    }

    #[test]
    fn strangers_without_end_are_not_remembered() {
        let shares = EndedShares::default();
        for number in 0..200_000 {
            shares.add(counted_for(number), 200, 1_000);
        }
        assert!(shares.state().bytes.len() <= MAX_HOLDERS);
    }

    #[test]
    fn an_address_is_no_identity_of_that_name() {
        let named = Holder::Identity("10.0.0.1".into());
        assert_ne!(
            CountedFor::of(&named),
            CountedFor::of(&Holder::at([10, 0, 0, 1].into()))
        );
    }
}
