//! Where the broadcast is, and what somebody who has less is to be given next. No lock: `advance` has the hub's.

use std::sync::Arc;

use super::broadcast_event::BroadcastEvent;
use super::recent::RecentEvents;
use super::subscriber::{DeliveryState, Subscriber};
use crate::event::Event;
use crate::offset::{Epoch, NextRead, Offset, ReadRange, Seen, Snapshot};

/// Why a replay can't go on: the reason that clients are told.
pub(super) const REWOUND: &str = "the database was rewound or replaced";
pub(super) const CRASHED: &str = "a crash of the database may have undone what was delivered";

/// Where the broadcast is.
#[derive(Debug)]
pub(super) struct BroadcastPosition {
    pub(super) offset: Arc<Offset>,
    /// The number of the last event.
    pub(super) number: u64,
    /// That of the first event of the last burst.
    pub(super) burst_from: u64,
    pub(super) recent: RecentEvents,
    /// After a crash the broadcast comes again to events that it has sent before; none of them is later than this.
    pub(super) repeated_to: Arc<Snapshot>,
    /// The next transaction id after each crash of the database that is known of.
    pub(super) recovered: Arc<[u64]>,
}

/// What whoever is to be given what it missed does next.
#[derive(Debug)]
pub(super) enum ReplayAction {
    /// Nothing is missing: it has reached the broadcast.
    Reached,
    /// It came from another server and has seen more than this one has broadcast: wait until the broadcast has moved.
    WaitForBroadcast,
    /// What it has seen can't be compared with what there is, and why.
    Lost(&'static str),
    /// These events are the next.
    Replay(ReplayStep),
}

/// The next events of a replay.
#[derive(Debug)]
pub(super) struct ReplayStep {
    pub(super) range: ReadRange,
    pub(super) epoch: Epoch,
    pub(super) durable: bool,
    /// Events that come again after a crash are none later than this.
    pub(super) repeated_to: Arc<Snapshot>,
    /// The events, if they are still at hand; else they are to be read.
    pub(super) events: Option<Vec<Arc<Event>>>,
}

impl ReplayStep {
    /// The offset of whoever has been sent this.
    pub(super) fn offset(&self, seen: Seen) -> Offset {
        Offset {
            epoch: self.epoch,
            durable: self.durable,
            seen,
            joining_room: None,
        }
    }
}

impl BroadcastPosition {
    /// Events that `repeated_to` sees may have been broadcast before.
    pub(super) fn new(offset: Offset, number: u64, repeated_to: Arc<Snapshot>) -> Self {
        Self {
            recent: RecentEvents::since(offset.seen.ceiling().clone()),
            offset: Arc::new(offset),
            number,
            burst_from: number + 1,
            repeated_to,
            recovered: Arc::default(),
        }
    }

    /// The events that may be on their way to the members of their rooms, in their order.
    pub(super) fn in_flight(&self) -> impl Iterator<Item = &BroadcastEvent> {
        self.recent.from(self.burst_from)
    }

    /// Moves to `end` past events that are not broadcast, and so are not at hand either.
    pub(super) fn pass_over(&mut self, end: Offset) {
        self.recent = RecentEvents::since(end.seen.ceiling().clone());
        self.offset = Arc::new(end);
    }

    /// Whether somebody who has this may still come to events that were broadcast before.
    pub(super) fn may_repeat_after(&self, seen: &Seen) -> bool {
        !seen.floor().covers(&self.repeated_to)
    }

    /// Whether a join has to wait: the broadcast comes again to events from before a crash, or has to come to where the
    /// subscriber is already.
    pub(super) fn keeps_waiting(&self, subscriber: &Subscriber) -> bool {
        self.may_repeat_after(&self.offset.seen) || subscriber.state().is_ahead_of(&self.offset)
    }

    /// Whether it can't be told which of the events that come again a subscriber has had, if the database crashes here. It
    /// can't where an earlier crash is not over yet: for one that joined since, or fell behind since.
    pub(super) fn makes_unclear_what_was_repeated(&self, subscriber: &DeliveryState) -> bool {
        let mut rooms = subscriber.rooms.iter();
        if subscriber.is_behind() {
            self.may_repeat_after(&subscriber.complete_to_offset.seen)
                && rooms.any(|joined| joined.has_repeated)
        } else {
            self.may_repeat_after(&self.offset.seen) && rooms.any(|joined| !joined.has_repeated)
        }
    }

    /// What somebody who has `from` is to be given next, of the events that are `wanted`.
    pub(super) fn next_replay_action(
        &self,
        from: &Offset,
        wanted: impl Fn(&BroadcastEvent) -> bool,
    ) -> ReplayAction {
        let here = &self.offset;
        if from.epoch.value != here.epoch.value {
            return ReplayAction::Lost(REWOUND);
        }
        if !from.outlives_crashes(&from.seen, &self.recovered) {
            return ReplayAction::Lost(CRASHED);
        }
        let range = match ReadRange::next(&from.seen, &here.seen) {
            NextRead::Reached => return ReplayAction::Reached,
            NextRead::Ahead => return ReplayAction::WaitForBroadcast,
            NextRead::Read(range) => range,
        };
        let at_hand = from.epoch == here.epoch;
        ReplayAction::Replay(ReplayStep {
            events: at_hand
                .then(|| self.recent.of_range(&range, wanted))
                .flatten(),
            range,
            epoch: here.epoch,
            durable: here.durable,
            repeated_to: self.repeated_to.clone(),
        })
    }
}

#[cfg(test)]
mod tests;
