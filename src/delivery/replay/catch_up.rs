//! The replay of a subscriber that is behind, in all of its rooms, until it is live.

use std::sync::{Arc, MutexGuard};

use super::walk::{ReplayWalk, StepEvents, StepState, WalkStep, is_backlogged};
use crate::delivery::hub::Hub;
use crate::delivery::outgoing::Outgoing;
use crate::delivery::position::ReplayAction;
use crate::delivery::subscriber::{DeliveryState, ReplayGeneration, Subscriber};
use crate::delivery::subscriber_transport::SendOutcome;
use crate::event::{Event, Reload};
use crate::offset::{Offset, ReplayPage, Snapshot};

/// Events that are sent in one write at most.
const MAX_TOGETHER: usize = 512;
const UNKNOWN: &str = "what was delivered is unknown";

/// One replay: of a subscriber, for one time of being behind.
pub(crate) struct CatchUp {
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
    generation: ReplayGeneration,
    state: StepState,
}

impl CatchUp {
    pub(crate) fn new(
        hub: Arc<Hub>,
        subscriber: Arc<Subscriber>,
        generation: ReplayGeneration,
    ) -> Self {
        Self {
            hub,
            subscriber,
            generation,
            state: StepState::default(),
        }
    }

    fn next_step(&mut self) -> WalkStep<()> {
        match self
            .hub
            .next_replay_action(&self.subscriber, self.generation)
        {
            ReplayAction::Reached => WalkStep::Done(()),
            ReplayAction::WaitForBroadcast => WalkStep::WaitForBroadcast,
            ReplayAction::Lost(reason) => {
                self.give_up(reason);
                WalkStep::Done(())
            }
            ReplayAction::Replay(step) => {
                let rooms = || {
                    let state = self.subscriber.state();
                    state
                        .rooms
                        .iter()
                        .map(|joined| joined.room.clone())
                        .collect()
                };
                self.state.begin(step, rooms)
            }
        }
    }

    /// Sends the next events of a step in one write, or finishes the step.
    fn send_next(&mut self, events: StepEvents) -> WalkStep<()> {
        let next = events.next(MAX_TOGETHER);
        let Some((first, _)) = next.first() else {
            let mut state = self.subscriber.state();
            if state.replay_generation() == Some(self.generation) {
                state.complete_to_offset = Arc::new(events.end());
            }
            return WalkStep::Sent;
        };
        let transport = &*self.subscriber.transport;
        if is_backlogged(transport) {
            self.state = StepState::Sending(events);
            return WalkStep::Backlogged { taken_bytes: None };
        }
        let taken_bytes = transport.backlog().taken_bytes;
        let sent = match Reload::of(first) {
            Some(reload) => self.send_reload(next, &reload),
            None => self.send_together(next, events.repeated_to()),
        };
        match sent {
            Some(sent) => self.state.go_on(events, sent, taken_bytes, ()),
            None => WalkStep::Done(()),
        }
    }

    /// Says how many of these events are done with, and what became of the next one. `None`: this replay has no business any more.
    fn send_together(
        &self,
        next: Vec<(Arc<Event>, Offset)>,
        repeated_to: &Snapshot,
    ) -> Option<(usize, SendOutcome)> {
        // Before the lock is taken, for which the broadcast waits.
        let mut next: Vec<_> = next
            .into_iter()
            .map(|(event, offset)| {
                let outgoing = Outgoing::stored(event.clone(), &offset);
                (event, Arc::new(offset), outgoing)
            })
            .collect();
        let mut state = self.our_state()?;
        let (mut wanted, mut last_is_exact) = (Vec::with_capacity(next.len()), Vec::new());
        for (index, (event, offset, outgoing)) in next.iter_mut().enumerate() {
            // The subscriber may have left the room meanwhile, and joined it again.
            if !state.wants(event) {
                continue;
            }
            let is_exact = !state.is_inexact(offset, repeated_to);
            if !is_exact {
                *outgoing = Outgoing::stored_if_exact(event.clone(), offset, false);
            }
            wanted.push(index);
            last_is_exact.push(is_exact);
        }
        let outgoing: Vec<_> = wanted.iter().map(|index| &next[*index].2).collect();
        let (taken, outcome) = self.subscriber.transport.send_together(&outgoing);
        let done = wanted.get(taken).copied().unwrap_or(next.len());
        if let Some(last) = taken.checked_sub(1) {
            let offset = &next[wanted[last]].1;
            state.last_sent_offset = last_is_exact[last].then(|| offset.clone());
        }
        if let Some((_, offset, _)) = next[..done].last() {
            state.complete_to_offset = offset.clone();
        }
        self.hub.metrics.replayed.inc_by(taken as u64);
        Some((done, outcome))
    }

    /// The same for an event that has rooms reloaded.
    fn send_reload(
        &self,
        next: Vec<(Arc<Event>, Offset)>,
        reload: &Reload,
    ) -> Option<(usize, SendOutcome)> {
        let (event, offset) = next.into_iter().next()?;
        let offset = Arc::new(offset);
        let named = {
            let mut state = self.our_state()?;
            let named = state.take_reload(&event, reload, &offset, false);
            state.complete_to_offset = offset;
            named
        };
        self.hub
            .send_resyncs(&self.subscriber, &named, Reload::REASON);
        Some((1, SendOutcome::Sent))
    }

    /// The subscriber's state, for as long as it is this replay that serves it.
    fn our_state(&self) -> Option<MutexGuard<'_, DeliveryState>> {
        let state = self.subscriber.state();
        (state.replay_generation() == Some(self.generation)).then_some(state)
    }

    fn give_up(&self, reason: &str) {
        let rooms = self.hub.give_up_replay(&self.subscriber, self.generation);
        self.hub.send_resyncs(&self.subscriber, &rooms, reason);
    }

    /// Why what the subscriber missed can't be told any more, if it can't.
    fn continuity_lost(&self, page: &ReplayPage) -> Option<String> {
        let state = self.subscriber.state();
        let sent = &state.complete_to_offset;
        let error = sent.check_continuity(&sent.seen, &page.state).err()?;
        // A room that was joined later has missed less.
        let is_known = |at: &Offset| at.check_continuity(&at.seen, &page.state).is_ok();
        let all_known = state.rooms.iter().all(|joined| is_known(&joined.at));
        (!all_known).then(|| error.to_string())
    }
}

impl ReplayWalk for CatchUp {
    type Outcome = ();

    fn advance(&mut self) -> WalkStep<()> {
        match std::mem::take(&mut self.state) {
            StepState::Between => self.next_step(),
            // Nobody has brought the page: the step is looked for again.
            StepState::Reading(_) => WalkStep::Sent,
            StepState::Sending(events) => self.send_next(events),
        }
    }

    fn take_page(&mut self, page: &ReplayPage) -> Option<()> {
        let step = self.state.take_reading()?;
        if let Some(reason) = self.continuity_lost(page) {
            self.give_up(&reason);
            return Some(());
        }
        let events = {
            let state = self.subscriber.state();
            StepEvents::of_page(step, page, |event| state.wants(event))
        };
        self.state = StepState::Sending(events);
        None
    }

    fn stays_ahead(&mut self) {
        self.give_up(UNKNOWN);
    }

    fn ended(&mut self) {}
}

#[cfg(test)]
mod tests;
