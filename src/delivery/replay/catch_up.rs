//! The replay of a subscriber that is behind, in all of its rooms, until it is live.

use std::sync::Arc;

use super::walk::{ReplayWalk, StepEvents, StepState, WalkStep, is_backlogged};
use crate::delivery::hub::Hub;
use crate::delivery::outgoing::Outgoing;
use crate::delivery::position::ReplayAction;
use crate::delivery::subscriber::{ReplayGeneration, Subscriber};
use crate::delivery::subscriber_transport::SendOutcome;
use crate::event::Reload;
use crate::offset::{Offset, ReplayPage};

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

    /// Sends the next event of a step, or finishes the step.
    fn send_next(&mut self, mut events: StepEvents) -> WalkStep<()> {
        let Some((event, offset)) = events.next() else {
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
        let offset = Arc::new(offset);
        let taken_bytes = transport.backlog().taken_bytes;
        let mut state = self.subscriber.state();
        if state.replay_generation() != Some(self.generation) {
            return WalkStep::Done(());
        }
        if let Some(reload) = Reload::of(&event) {
            let named = state.take_reload(&event, &reload, &offset, false);
            state.complete_to_offset = offset;
            drop(state);
            self.hub
                .send_resyncs(&self.subscriber, &named, Reload::REASON);
            events.pop();
            self.state = StepState::Sending(events);
            return WalkStep::Sent;
        }
        // The subscriber may have left the room meanwhile, and joined it again.
        if state.wants(&event) {
            let is_exact = !state.is_inexact(&offset, events.repeated_to());
            match transport.send(&Outgoing::stored_if_exact(event, &offset, is_exact)) {
                SendOutcome::Sent => {
                    state.last_sent_offset = is_exact.then(|| offset.clone());
                    self.hub.metrics.replayed.inc();
                }
                SendOutcome::Closed => return WalkStep::Done(()),
                SendOutcome::Full => {
                    drop(state);
                    self.state = StepState::Sending(events);
                    return WalkStep::Backlogged {
                        taken_bytes: Some(taken_bytes),
                    };
                }
            }
        }
        state.complete_to_offset = offset;
        drop(state);
        events.pop();
        self.state = StepState::Sending(events);
        WalkStep::Sent
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
