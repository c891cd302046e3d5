//! The broadcast begins anew, because the database has another past: it crashed, or is another one.
//!
//! After a crash the broadcast is set back to what is known to be on disk, and comes again to events that it has sent before:
//! they are marked as repeated. A subscriber that was in a room then has had them (`Membership::has_repeated`).

use std::sync::Arc;

use super::hub::Hub;
use super::position::BroadcastPosition;
use super::subscriber::Subscriber;
use crate::event::Room;
use crate::offset::{Offset, Snapshot};

/// Subscribers with the rooms that they are to be told to reload.
pub(super) type ToReload = Vec<(Arc<Subscriber>, Vec<Room>)>;

impl Hub {
    /// The database has crashed, and the broadcast goes on from here. Events that `repeated_to` sees may have been broadcast
    /// before; `recovered` has the next transaction id after each crash.
    ///
    /// What a subscriber had stands, if all of it was on disk. Else its rooms count as joined here. It is named where it can't
    /// go on: it was behind, or it is not clear what it has had.
    pub(super) fn set_back(
        &self,
        from: Offset,
        recovered: &Arc<[u64]>,
        repeated_to: Arc<Snapshot>,
    ) -> ToReload {
        self.begin_anew(from, recovered, repeated_to, false)
    }

    /// What was broadcast has nothing to do with what comes, which goes on from `head`: every subscriber with a room is named.
    pub(super) fn restart(&self, head: Offset, recovered: &Arc<[u64]>) -> ToReload {
        let known = head.seen.ceiling().clone();
        self.begin_anew(head, recovered, known, true)
    }

    fn begin_anew(
        &self,
        from: Offset,
        recovered: &Arc<[u64]>,
        repeated_to: Arc<Snapshot>,
        tell_all: bool,
    ) -> ToReload {
        let mut told = Vec::new();
        {
            let mut state = self.state();
            let earlier = state.position.as_ref();
            let number = earlier.map_or(0, |position| position.number);
            let position = BroadcastPosition {
                recovered: recovered.clone(),
                ..BroadcastPosition::new(from, number, repeated_to)
            };
            let epoch = position.offset.epoch.value;
            let stands = |had: &Offset| {
                had.epoch.value == epoch && had.outlives_crashes(&had.seen, recovered)
            };
            for entry in state.subscribers.values() {
                let mut subscriber = entry.state();
                let is_live = !subscriber.is_behind();
                let is_unclear = tell_all
                    || earlier.is_some_and(|earlier| {
                        earlier.makes_unclear_what_was_repeated(&subscriber)
                    });
                if !is_unclear
                    && stands(&subscriber.complete_to_offset)
                    && subscriber.rooms.iter().all(|joined| stands(&joined.at))
                {
                    // A live one has had whatever was broadcast, one that is behind what its offset says.
                    for joined in &mut subscriber.rooms {
                        joined.has_repeated = is_live;
                    }
                    continue;
                }
                subscriber.become_live(position.offset.clone(), number);
                subscriber.last_sent_offset = None;
                if earlier.is_some() && (is_unclear || !is_live) {
                    let rooms = subscriber.name_for_reload(&position.offset, |_| true);
                    told.push((entry.clone(), rooms));
                } else {
                    subscriber.mark_reloaded(&position.offset, |_| true);
                }
                for joined in &mut subscriber.rooms {
                    joined.has_repeated = true;
                }
            }
            state.position = Some(position);
        }
        self.moved.send_replace(());
        told
    }
}
