//! What the two kinds of replay have in common: the way from one step to the next, and the sending of a step's events.
//!
//! A walk is advanced by a few events at a time, which are written together, and holds no lock in between, so that whatever else
//! happens to the subscriber may happen there. It waits for nothing: what it needs is the answer to [`ReplayWalk::advance`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::delivery::position::ReplayStep;
use crate::delivery::subscriber_transport::{SendOutcome, SubscriberTransport};
use crate::event::{Event, Room};
use crate::offset::{Offset, ReplayPage, RoomRange, Seen, Snapshot};

/// Bytes that are sent together, and what a frame has beside its payload.
const MAX_BYTES: usize = 128 * 1024;
const FRAME_BYTES: usize = 100;
/// From so many events on others come first.
const MANY: usize = 64;

/// What a walk did, or what it needs to go on.
#[derive(Debug)]
pub(in crate::delivery) enum WalkStep<T> {
    /// Events were sent or left out, or a step was finished: go on.
    Sent,
    /// So many were sent that others come first.
    SentMany,
    /// Too much waits for the client. With a number it must also have taken more than so many bytes.
    Backlogged { taken_bytes: Option<u64> },
    /// These ranges are to be read.
    NeedsPage(Vec<RoomRange>),
    /// What the client has seen is ahead of the broadcast.
    WaitForBroadcast,
    /// The subscriber is behind, and another replay is to bring it back first.
    Behind,
    /// It is over.
    Done(T),
}

/// A replay, as a machine that somebody drives.
pub(in crate::delivery) trait ReplayWalk {
    /// How it ends.
    type Outcome;

    /// Does the next thing that can be done at once.
    fn advance(&mut self) -> WalkStep<Self::Outcome>;
    /// Takes what was read for [`WalkStep::NeedsPage`]. An outcome ends the walk.
    fn take_page(&mut self, page: &ReplayPage) -> Option<Self::Outcome>;
    /// The broadcast does not come to where the client is.
    fn stays_ahead(&mut self) -> Self::Outcome;
    /// The client has gone.
    fn ended(&mut self) -> Self::Outcome;
}

impl<T> WalkStep<T> {
    /// So many events were sent or left out.
    pub(super) fn sent(events: usize) -> Self {
        if events < MANY {
            Self::Sent
        } else {
            Self::SentMany
        }
    }
}

/// Where a walk stands.
#[derive(Debug, Default)]
pub(super) enum StepState {
    /// The next step is to be looked for.
    #[default]
    Between,
    /// This step's events are to be read.
    Reading(ReplayStep),
    /// These are to be sent.
    Sending(StepEvents),
}

impl StepState {
    /// Begins a step, of the events of `rooms`.
    pub(super) fn begin<T>(
        &mut self,
        mut step: ReplayStep,
        rooms: impl FnOnce() -> Vec<Room>,
    ) -> WalkStep<T> {
        if let Some(events) = step.events.take() {
            *self = Self::Sending(StepEvents::at_hand(step, events));
            return WalkStep::Sent;
        }
        let ranges = ranges_of(&step, rooms());
        *self = Self::Reading(step);
        WalkStep::NeedsPage(ranges)
    }

    /// So many of the events that are being sent are done with, and this became of the next one, before which the client had taken
    /// `taken_bytes`. `gone`: how the walk ends where the client has gone.
    pub(super) fn go_on<T>(
        &mut self,
        mut events: StepEvents,
        (done, outcome): (usize, SendOutcome),
        taken_bytes: u64,
        gone: T,
    ) -> WalkStep<T> {
        events.pop(done);
        let step = match outcome {
            SendOutcome::Sent => WalkStep::sent(done),
            SendOutcome::Full => WalkStep::Backlogged {
                taken_bytes: Some(taken_bytes),
            },
            SendOutcome::Closed => return WalkStep::Done(gone),
        };
        *self = Self::Sending(events);
        step
    }

    /// The step that is to be read, if one is.
    pub(super) fn take_reading(&mut self) -> Option<ReplayStep> {
        match std::mem::take(self) {
            Self::Reading(step) => Some(step),
            Self::Between | Self::Sending(_) => None,
        }
    }
}

/// A step whose events are known and are being sent.
#[derive(Debug)]
pub(super) struct StepEvents {
    step: ReplayStep,
    events: VecDeque<(Arc<Event>, Seen)>,
    end: Seen,
}

impl StepEvents {
    /// Of a step whose events were at hand.
    fn at_hand(step: ReplayStep, events: Vec<Arc<Event>>) -> Self {
        Self::place(step, events, None)
    }

    /// Out of a page, which others may share: what is of the step's range and `wanted`.
    pub(super) fn of_page(
        step: ReplayStep,
        page: &ReplayPage,
        wanted: impl Fn(&Event) -> bool,
    ) -> Self {
        let range = &step.range;
        let ours: Vec<_> = page
            .events
            .iter()
            .filter(|event| range.holds(event.xid, event.id) && wanted(event))
            .cloned()
            .collect();
        Self::place(step, ours, page.upto)
    }

    fn place(step: ReplayStep, events: Vec<Arc<Event>>, page_end: Option<i64>) -> Self {
        let placed = step.range.place(events, page_end);
        Self {
            step,
            events: placed.events.into(),
            end: placed.end,
        }
    }

    /// The next events, each with the offset of whoever has it: `most` at most, and no more bytes than may be sent together. One that
    /// has rooms reloaded comes alone.
    pub(super) fn next(&self, most: usize) -> Vec<(Arc<Event>, Offset)> {
        let (mut next, mut bytes) = (Vec::new(), 0);
        for (event, seen) in self.events.iter().take(most) {
            bytes += event.payload.get().len() + FRAME_BYTES;
            let stands_alone = event.room.is_of_reloads();
            if !next.is_empty() && (stands_alone || bytes > MAX_BYTES) {
                break;
            }
            next.push((event.clone(), self.step.offset(seen.clone())));
            if stands_alone {
                break;
            }
        }
        next
    }

    /// Events that come again after a crash are none later than this.
    pub(super) fn repeated_to(&self) -> &Snapshot {
        &self.step.repeated_to
    }

    /// The next `count` events are done with.
    pub(super) fn pop(&mut self, count: usize) {
        self.events.drain(..count);
    }

    /// The offset of whoever has them all.
    pub(super) fn end(&self) -> Offset {
        self.step.offset(self.end.clone())
    }
}

/// What is to be read for a step, of these rooms.
fn ranges_of(step: &ReplayStep, rooms: impl IntoIterator<Item = Room>) -> Vec<RoomRange> {
    let range = &step.range;
    // What has rooms reloaded is missed as well.
    rooms
        .into_iter()
        .chain([Room::of_reloads()])
        .map(|room| RoomRange {
            room,
            before: range.before.clone(),
            batch: Some(range.batch.clone()),
            after: range.after,
            upto: range.upto.unwrap_or(i64::MAX),
        })
        .collect()
}

/// Whether so much waits for the client already that nothing more of a replay is to be sent.
pub(super) fn is_backlogged(transport: &dyn SubscriberTransport) -> bool {
    let backlog = transport.backlog();
    backlog.waiting_bytes >= backlog.pause_at_bytes
}

#[cfg(test)]
mod tests;
