//! A join with an offset: what the room got since is sent before the subscriber is in the room.
//!
//! The subscriber's other rooms go on meanwhile. So each event of this one carries an offset that has the room apart from the
//! others ([`JoiningRoom`]), which stays exact wherever the connection is lost.

use std::sync::Arc;

use super::walk::{ReplayWalk, StepEvents, StepState, WalkStep, is_backlogged};
use crate::delivery::access::AccessGeneration;
use crate::delivery::hub::Hub;
use crate::delivery::outgoing::Outgoing;
use crate::delivery::reload::is_of;
use crate::delivery::rooms::{JoinError, JoinProgress};
use crate::delivery::subscriber::{DeliveryState, Subscriber};
use crate::delivery::subscriber_transport::SendOutcome;
use crate::event::{Event, Room};
use crate::offset::{JoiningRoom, Offset, ReplayPage};

/// Events that are sent in one write at most: their offsets are made under the subscriber's lock, for which the broadcast waits.
const MAX_TOGETHER: usize = 64;

/// How a join with an offset went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JoinReplayOutcome {
    /// The subscriber is in the room, after so many events.
    Entered {
        /// Events of the room that were sent first.
        replayed: u64,
    },
    /// It was in the room already, and has missed nothing.
    Already,
    /// It can't be told what was missed. It is not in the room, unless it was before.
    Lost,
    /// It has gone meanwhile.
    Gone,
}

type Outcome = Result<JoinReplayOutcome, JoinError>;

/// One join with an offset.
pub(crate) struct JoinReplay {
    hub: Arc<Hub>,
    subscriber: Arc<Subscriber>,
    room: Room,
    /// What the subscriber has had of the room.
    have: Offset,
    /// The same after the last event that was sent, if one was.
    last_replayed: Option<Arc<Offset>>,
    replayed: u64,
    /// Whether the last wait was for what it has of the room, and not for the subscriber.
    is_itself_ahead: bool,
    /// When the step was allowed.
    access: AccessGeneration,
    state: StepState,
}

impl JoinReplay {
    /// Of a subscriber that has had what `after` says of the room.
    pub(crate) fn new(
        hub: Arc<Hub>,
        subscriber: Arc<Subscriber>,
        room: Room,
        after: &Offset,
    ) -> Self {
        let seen = after.seen_in(&room).clone();
        Self {
            hub,
            subscriber,
            room,
            have: Offset {
                seen,
                joining_room: None,
                ..after.clone()
            },
            last_replayed: None,
            replayed: 0,
            is_itself_ahead: false,
            access: AccessGeneration::default(),
            state: StepState::default(),
        }
    }

    fn next_step(&mut self) -> WalkStep<Outcome> {
        self.access = self.subscriber.state().access.generation();
        let joined = self.hub.try_join_after(
            &self.subscriber,
            &self.room,
            &self.have,
            self.last_replayed.as_ref(),
        );
        let outcome = match joined {
            Err(error) => Err(error),
            Ok(JoinProgress::Behind) => return WalkStep::Behind,
            Ok(JoinProgress::WaitForBroadcast) => {
                self.is_itself_ahead = true;
                return WalkStep::WaitForBroadcast;
            }
            Ok(JoinProgress::Wait) => {
                self.is_itself_ahead = false;
                return WalkStep::WaitForBroadcast;
            }
            Ok(JoinProgress::Replay(step)) => {
                return self.state.begin(step, || vec![self.room.clone()]);
            }
            Ok(JoinProgress::Entered) => Ok(JoinReplayOutcome::Entered {
                replayed: self.replayed,
            }),
            Ok(JoinProgress::Already {
                missed_nothing: true,
            }) => Ok(JoinReplayOutcome::Already),
            // What it missed before it was in the room can't come after what it got since.
            Ok(JoinProgress::Already {
                missed_nothing: false,
            })
            | Ok(JoinProgress::Lost) => Ok(JoinReplayOutcome::Lost),
            Ok(JoinProgress::Gone) => Ok(JoinReplayOutcome::Gone),
        };
        WalkStep::Done(outcome)
    }

    /// Sends the next events of a step in one write, or finishes the step.
    fn send_next(&mut self, events: StepEvents) -> WalkStep<Outcome> {
        let next = events.next(MAX_TOGETHER);
        let Some((first, here)) = next.first() else {
            self.have = events.end();
            return WalkStep::Sent;
        };
        if first.room.is_of_reloads() {
            return WalkStep::Done(Ok(JoinReplayOutcome::Lost));
        }
        let transport = &*self.subscriber.transport;
        if is_backlogged(transport) {
            self.state = StepState::Sending(events);
            return WalkStep::Backlogged { taken_bytes: None };
        }
        let taken_bytes = transport.backlog().taken_bytes;
        // The other rooms can't go on between the look at how far they are and the sending.
        let mut state = self.subscriber.state();
        if state.complete_to_offset.epoch.crashes > here.epoch.crashes
            || state.access.generation() != self.access
        {
            // The database has crashed since this step was begun, or the right to it may have ended: it is asked for again.
            drop(state);
            if let Some(last) = &self.last_replayed {
                self.have = (**last).clone();
            }
            return WalkStep::Sent;
        }
        let (taken, outcome) = self.send_together(&next, &mut state);
        drop(state);
        self.hub.metrics.replayed.inc_by(taken as u64);
        self.replayed += taken as u64;
        if let Some((_, here)) = next[..taken].last() {
            self.last_replayed = Some(Arc::new(here.clone()));
        }
        let gone = Ok(JoinReplayOutcome::Gone);
        self.state
            .go_on(events, (taken, outcome), taken_bytes, gone)
    }

    /// Says how many of these events were sent, and what became of the next one.
    fn send_together(
        &self,
        next: &[(Arc<Event>, Offset)],
        state: &mut DeliveryState,
    ) -> (usize, SendOutcome) {
        let is_exact = !state.has_untold_reload();
        let offset = |here: &Offset| {
            let joining = JoiningRoom {
                room: self.room.tag(),
                seen: here.seen.clone(),
            };
            Offset {
                joining_room: Some(Box::new(joining)),
                ..(*state.complete_to_offset).clone()
            }
        };
        let offsets: Vec<_> = next.iter().map(|(_, here)| offset(here)).collect();
        let outgoing: Vec<_> = next
            .iter()
            .zip(&offsets)
            .map(|((event, _), offset)| Outgoing::stored_if_exact(event.clone(), offset, is_exact))
            .collect();
        let outgoing: Vec<_> = outgoing.iter().collect();
        let (taken, outcome) = self.subscriber.transport.send_together(&outgoing);
        if let Some(last) = offsets[..taken].last() {
            state.last_sent_offset = is_exact.then(|| Arc::new(last.clone()));
        }
        (taken, outcome)
    }
}

impl ReplayWalk for JoinReplay {
    type Outcome = Outcome;

    fn advance(&mut self) -> WalkStep<Outcome> {
        match std::mem::take(&mut self.state) {
            StepState::Between => self.next_step(),
            // Nobody has brought the page: the step is looked for again.
            StepState::Reading(_) => WalkStep::Sent,
            StepState::Sending(events) => self.send_next(events),
        }
    }

    fn take_page(&mut self, page: &ReplayPage) -> Option<Outcome> {
        let step = self.state.take_reading()?;
        if self
            .have
            .check_continuity(&self.have.seen, &page.state)
            .is_err()
        {
            return Some(Ok(JoinReplayOutcome::Lost));
        }
        let events = StepEvents::of_page(step, page, |event| is_of(event, &self.room));
        self.state = StepState::Sending(events);
        None
    }

    fn stays_ahead(&mut self) -> Outcome {
        // What the offset says is not in doubt where only the subscriber has to wait. But what was replayed already would be
        // replayed again.
        if self.is_itself_ahead || self.last_replayed.is_some() {
            Ok(JoinReplayOutcome::Lost)
        } else {
            Err(JoinError::StillWaiting)
        }
    }

    fn ended(&mut self) -> Outcome {
        Ok(JoinReplayOutcome::Gone)
    }
}

#[cfg(test)]
mod tests;
