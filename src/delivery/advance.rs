//! How the broadcast advances, and what those who are behind it are to be given next: the hub's position, under its lock.

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::watch;

use super::batch::{Batch, BatchEvent};
use super::broadcast_event::BroadcastEvent;
use super::burst::Burst;
use super::hub::{Hub, HubState, Members};
use super::position::{BroadcastPosition, CRASHED, ReplayAction};
use super::reload::{members_by_room, merge};
use super::sink::Affected;
use super::subscriber::{ReplayGeneration, Subscriber};
use crate::event::{Reload, Room};
use crate::offset::Offset;

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
        let mut state = self.state();
        state.begin_burst();
        let event = state.pass(batch, index)?;
        let Some(reload) = &event.reload else {
            return state.members_for(event);
        };
        let by_room = members_by_room(&state.rooms, reload);
        drop(state);
        let members = merge(&by_room);
        (!members.is_empty()).then_some((members, event))
    }

    /// The same for a burst, from the event at `from` on.
    pub(super) fn pass_burst(&self, batch: &Batch, from: usize) -> Burst {
        let to = Burst::end(batch, from);
        if to - from == 1 {
            let passed = self.pass_event(batch, from);
            return passed.into_iter().collect();
        }
        let mut state = self.state();
        state.begin_burst();
        let passed = (from..to).filter_map(|index| {
            let event = state.pass(batch, index)?;
            state.members_for(event)
        });
        let passed: Vec<_> = passed.collect();
        drop(state);
        passed.into_iter().collect()
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

    /// The rooms that somebody is in.
    pub(super) fn rooms(&self) -> Vec<Room> {
        let state = self.state();
        let entries = state.rooms.iter();
        let with_members = entries.filter(|(_, entry)| !entry.members.is_empty());
        with_members.map(|(room, _)| room.clone()).collect()
    }

    /// Moves the position to `end` past events that are not broadcast. Whoever is in a room is behind from here on and gets them
    /// from a replay, unless all of its rooms are `untouched`, which means that none of the events is theirs. One moment, so that
    /// a join is either before it, and is brought the events, or after it, and its offset includes them.
    pub(super) fn leave_to_replays(&self, end: Offset, untouched: &HashSet<Room>) {
        {
            let mut state = self.state();
            let HubState {
                position, rooms, ..
            } = &mut *state;
            let Some(position) = position.as_mut() else {
                return;
            };
            let touched = rooms.iter().filter(|(room, _)| !untouched.contains(room));
            for member in touched.flat_map(|(_, entry)| entry.members.iter()) {
                let generation = member.state().fall_behind_at(&position.offset);
                if let Some(generation) = generation {
                    self.request_replay(member, generation);
                }
            }
            position.pass_over(end);
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
        for joined in &mut subscriber.rooms {
            joined.has_repeated = true;
        }
        subscriber.name_for_reload(&position.offset, |_| true)
    }

    /// The moves of the broadcast: for those who are ahead of it.
    pub(super) fn moves(&self) -> watch::Receiver<()> {
        self.moved.subscribe()
    }

    /// Somebody is ahead of the broadcast: the reader is to look at what has changed since its last read, which may be
    /// nothing that is to be sent.
    pub(crate) fn wake_reader(&self) {
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
            let rooms = subscriber
                .state()
                .name_for_reload(&position.offset, affected);
            (subscriber.clone(), rooms)
        });
        told.collect()
    }
}

impl HubState {
    /// What was on its way has been sent, or there is nobody to whom it is to be sent.
    fn begin_burst(&mut self) {
        if let Some(position) = &mut self.position {
            position.burst_from = position.number + 1;
        }
    }

    /// Moves the position past one event of a burst.
    fn pass(&mut self, batch: &Batch, index: usize) -> Option<BroadcastEvent> {
        let position = self.position.as_mut()?;
        let BatchEvent { event, repeated } = batch.events[index].clone();
        let offset = Arc::new(batch.offset(index));
        position.number += 1;
        let event = BroadcastEvent {
            reload: Reload::of(&event).map(Arc::new),
            event,
            repeated,
            batch: batch.snapshot.clone(),
            before: std::mem::replace(&mut position.offset, offset.clone()),
            offset,
            number: position.number,
            repeated_to: position.repeated_to.clone(),
        };
        position.recent.push(event.clone());
        Some(event)
    }

    /// The event with the members of its room, if it has any.
    fn members_for(&self, event: BroadcastEvent) -> Option<(Members, BroadcastEvent)> {
        let members = self.rooms.get(&event.event.room)?.members.clone();
        (!members.is_empty()).then_some((members, event))
    }
}
