//! Where the broadcast is, and how subscribers that are behind get there.

use std::sync::Arc;

use tokio::sync::watch;

use super::batch::Batch;
use super::hub::{Hub, HubState, Members};
use super::recent::RecentEvents;
use super::sink::Affected;
use super::subscriber::{BroadcastEvent, DeliveryState, ReplayGeneration, Subscriber};
use crate::event::{Event, Room};
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
            repeated_to,
            recovered: Arc::default(),
        }
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

impl Hub {
    /// Where the broadcast is and the number of its last event; `None` before the first read.
    pub(crate) fn position(&self) -> Option<(Arc<Offset>, u64)> {
        let state = self.state();
        let position = state.position.as_ref()?;
        Some((position.offset.clone(), position.number))
    }

    /// Moves the position past the event at `index` and says who must get it: one moment, so that a join is either before
    /// it, and gets the event, or after it, and its offset includes the event. `None` where nobody is in the room.
    pub(super) fn pass_event(
        &self,
        batch: &Batch,
        index: usize,
    ) -> Option<(Members, BroadcastEvent)> {
        let offset = Arc::new(batch.offset(index));
        let mut state = self.state();
        let HubState {
            position, rooms, ..
        } = &mut *state;
        let position = position.as_mut()?;
        position.number += 1;
        let event = BroadcastEvent {
            event: batch.events[index].event.clone(),
            repeated: batch.events[index].repeated,
            batch: batch.snapshot.clone(),
            before: std::mem::replace(&mut position.offset, offset.clone()),
            offset,
            number: position.number,
            repeated_to: position.repeated_to.clone(),
        };
        position.recent.push(event.clone());
        let room = rooms.get(&event.event.room)?;
        (!room.members.is_empty()).then(|| (room.members.clone(), event))
    }

    /// Moves the position to the end of a batch.
    pub(super) fn finish_batch(&self, end: Offset) {
        {
            let mut state = self.state();
            match &mut state.position {
                Some(position) => position.offset = Arc::new(end),
                none => {
                    let known = end.seen.ceiling().clone();
                    *none = Some(BroadcastPosition::new(end, 0, known));
                }
            }
        }
        self.moved.send_replace(());
    }

    /// What a subscriber that is behind is to be given next. It is live from here on if it has reached the broadcast.
    pub(super) fn next_replay_action(
        &self,
        subscriber: &Subscriber,
        generation: ReplayGeneration,
    ) -> ReplayAction {
        let state = self.state();
        let mut subscriber = subscriber.state();
        let is_ours = subscriber.replay_generation() == Some(generation);
        let Some(position) = state.position.as_ref().filter(|_| is_ours) else {
            return ReplayAction::Reached;
        };
        let action = position.next_replay_action(&subscriber.complete_to_offset, |event| {
            subscriber.wants(&event.event) && !subscriber.has_had(event)
        });
        match &action {
            ReplayAction::Reached => {
                subscriber.become_live(position.offset.clone(), position.number);
            }
            // The outbox does not know which of the events it has had.
            ReplayAction::Replay(step)
                if step.events.is_none()
                    && position.may_repeat_after(&subscriber.complete_to_offset.seen)
                    && subscriber.rooms.iter().any(|joined| joined.has_repeated) =>
            {
                return ReplayAction::Lost(CRASHED);
            }
            _ => {}
        }
        action
    }

    /// The replay can't go on: the subscriber is live from here on, and its rooms, which are named, are to be reloaded.
    pub(super) fn give_up_replay(
        &self,
        subscriber: &Subscriber,
        generation: ReplayGeneration,
    ) -> Vec<Room> {
        let state = self.state();
        let mut subscriber = subscriber.state();
        let is_ours = subscriber.replay_generation() == Some(generation);
        let Some(position) = state.position.as_ref().filter(|_| is_ours) else {
            return Vec::new();
        };
        subscriber.become_live(position.offset.clone(), position.number);
        subscriber.last_sent_offset = None;
        subscriber.mark_reloaded(&position.offset, |_| true)
    }

    /// The moves of the broadcast: for those who are ahead of it.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Somebody is ahead of the broadcast: the reader is to look at what has changed since its last read, which may be
    /// nothing that is to be sent.
    pub(super) fn wake_reader(&self) {
        self.reader_wake.send_replace(());
    }

    /// Rooms are to be reloaded: who is to be told so, and of which.
    pub(super) fn reload(&self, which: &Affected) -> Vec<(Arc<Subscriber>, Vec<Room>)> {
        let state = self.state();
        let Some(position) = &state.position else {
            return Vec::new();
        };
        let affected = |room: &Room| match which {
            Affected::All => true,
            Affected::Rooms(rooms) => rooms.contains(room),
        };
        let told = state.subscribers.values().map(|subscriber| {
            let rooms = subscriber.state().mark_reloaded(&position.offset, affected);
            (subscriber.clone(), rooms)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests;
