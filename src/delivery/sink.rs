//! The reader's way into delivery: what the broadcast takes, and a test's fake too.

use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use super::batch::Batch;
use crate::event::Room;
use crate::offset::Offset;
use crate::revocations::Revocation;

/// Which rooms lost their continuity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Affected {
    /// Every one.
    All,
    /// These.
    Rooms(Vec<Room>),
}

/// Where events go.
pub(crate) trait EventSink: Send {
    /// Delivers a batch; returns when the next may follow.
    fn deliver(&mut self, batch: Batch) -> impl Future<Output = ()> + Send;
    /// The rooms that somebody on this server is in.
    fn rooms(&self) -> Vec<Room>;
    /// Moves on to `end` without the events in between, which are too many to be handed over one after another: whoever is in a
    /// room gets them out of the outbox. Rooms in `untouched` have none.
    fn leave_to_replays(
        &mut self,
        end: Offset,
        untouched: HashSet<Room>,
    ) -> impl Future<Output = ()> + Send;
    /// These rights have ended, among them such whose event was not delivered. Returns once nobody connected has them.
    fn revoke(&mut self, revocations: Vec<Revocation>) -> impl Future<Output = ()> + Send;
    /// What these rooms were given is not, or not all of, what the database holds.
    fn resync(&mut self, rooms: Affected, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Continuity with what was delivered is lost: events go on from `head`. `recovered` has the next transaction id after
    /// each crash of the database that is known of.
    fn restart(&mut self, head: Offset, recovered: Arc<[u64]>) -> impl Future<Output = ()> + Send;
}
