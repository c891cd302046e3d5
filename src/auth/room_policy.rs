//! Who may join which room: everybody, where nobody is asked who they are; else whoever `rowcast.may_join` lets in.
//!
//! Rooms of the kind `rowcast:` are the servers' own, and nobody's. The one place for this decision: for joins, for clients that come back, for reads over HTTP, and again while a client stays.
//! An answer holds for the moment. Whoever acts on it later asks again.

use std::sync::Arc;

use tracing::Instrument as _;

use super::Identity;
use crate::db::{Policy, Verdict};
use crate::event::Room;
use crate::spans;

/// Decides who may join a room. Cheap to clone.
#[derive(Clone)]
pub(crate) struct RoomPolicy(Arc<Policy>);

impl RoomPolicy {
    /// Asks this policy about everybody who has a token.
    pub(crate) fn new(policy: Policy) -> Self {
        Self(Arc::new(policy))
    }

    /// A verdict for each room, in their order.
    pub(crate) async fn may_join(&self, identity: &Identity, rooms: &[Room]) -> Vec<Verdict> {
        let mut verdicts = if Self::may_change(identity) {
            let span = spans::policy(rooms.len());
            let asked = self.0.ask(identity.claims_json(), rooms);
            let verdicts = asked.instrument(span.clone()).await;
            let of = |kind| verdicts.iter().filter(|verdict| **verdict == kind).count();
            spans::set_verdicts(&span, of(Verdict::Denied), of(Verdict::Unavailable));
            verdicts
        } else {
            vec![Verdict::Allowed; rooms.len()]
        };
        // Whatever a policy says: what servers tell each other is for no client.
        for (room, verdict) in rooms.iter().zip(&mut verdicts) {
            if room.is_reserved() {
                *verdict = Verdict::Denied;
            }
        }
        verdicts
    }

    /// The verdict for one room.
    pub(crate) async fn may_join_room(&self, identity: &Identity, room: &Room) -> Verdict {
        let verdicts = self.may_join(identity, std::slice::from_ref(room)).await;
        verdicts.first().copied().unwrap_or(Verdict::Unavailable)
    }

    /// Whether another answer may follow, so that it is worth while to ask again.
    pub(crate) fn may_change(identity: &Identity) -> bool {
        match identity {
            Identity::Anonymous => false,
            Identity::Bearer(_) => true,
        }
    }
}
