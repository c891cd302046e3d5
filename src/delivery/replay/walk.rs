//! What the two kinds of replay have in common: the way from one step to the next, and the sending of a step's events.
//!
//! A walk is advanced by one event at a time and holds no lock in between, so that whatever else happens to the subscriber
//! may happen between any two. It waits for nothing: what it needs is the answer to [`ReplayWalk::advance`].

use std::collections::VecDeque;
use std::sync::Arc;

use crate::delivery::position::ReplayStep;
use crate::delivery::subscriber_transport::SubscriberTransport;
use crate::event::{Event, Room};
use crate::offset::{Offset, ReplayPage, RoomRange, Seen, Snapshot};

/// What a walk did, or what it needs to go on.
#[derive(Debug)]
pub(in crate::delivery) enum WalkStep<T> {
    /// An event was sent or left out, or a step was finished: go on.
    Sent,
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

    /// The next event, with the offset of whoever has it.
    pub(super) fn next(&self) -> Option<(Arc<Event>, Offset)> {
        let (event, seen) = self.events.front()?;
        Some((event.clone(), self.step.offset(seen.clone())))
    }

    /// Events that come again after a crash are none later than this.
    pub(super) fn repeated_to(&self) -> &Snapshot {
        &self.step.repeated_to
    }

    /// The next event is done with.
    pub(super) fn pop(&mut self) {
        self.events.pop_front();
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
mod tests {
    use super::*;
    use crate::delivery::fakes::{EPOCH, event, replay_page, snapshot};
    use crate::offset::ReadRange;

    /// From everything below 10 to everything below 20, after the event 1 and up to `upto`.
    fn step(upto: Option<i64>) -> ReplayStep {
        ReplayStep {
            range: ReadRange {
                before: snapshot(10),
                batch: snapshot(20),
                after: 1,
                upto,
            },
            epoch: EPOCH,
            durable: true,
            repeated_to: snapshot(0),
            events: None,
        }
    }

    /// The ids that are sent, with how far whoever has them is in this batch; `None` for its end.
    fn sent(mut events: StepEvents) -> Vec<(i64, Option<i64>)> {
        let mut sent = Vec::new();
        while let Some((event, offset)) = events.next() {
            sent.push((event.id, place(&offset.seen)));
            events.pop();
        }
        sent
    }

    fn place(seen: &Seen) -> Option<i64> {
        match seen {
            Seen::Part { id, .. } => Some(*id),
            Seen::All(all) => {
                assert_eq!(*all, snapshot(20));
                None
            }
        }
    }

    #[test]
    fn events_at_hand_are_sent_without_a_read() {
        let mut step = step(None);
        step.events = Some(vec![event(2, 11, "r")]);
        let mut state = StepState::default();
        let begun: WalkStep<()> = state.begin(step, || panic!("nobody reads"));
        assert!(matches!(begun, WalkStep::Sent));
        assert!(state.take_reading().is_none());
    }

    #[test]
    fn a_read_is_of_the_steps_range_in_each_room() {
        let mut state = StepState::default();
        let rooms = || vec!["a".into(), "b".into()];
        let WalkStep::<()>::NeedsPage(ranges) = state.begin(step(Some(9)), rooms) else {
            panic!("nothing is at hand");
        };
        let range = |room: &str, upto| RoomRange {
            room: room.into(),
            before: snapshot(10),
            batch: Some(snapshot(20)),
            after: 1,
            upto,
        };
        let reloads = Room::of_reloads();
        let reloads = reloads.as_str();
        assert_eq!(ranges, [range("a", 9), range("b", 9), range(reloads, 9)]);
        assert!(state.take_reading().is_some());
        assert!(state.take_reading().is_none(), "once");
        let whole = ranges_of(&step(None), ["a".into()]);
        assert_eq!(whole, [range("a", i64::MAX), range(reloads, i64::MAX)]);
    }

    #[test]
    fn of_a_shared_page_a_step_takes_what_is_its_own() {
        let events = [
            (1, 11, "r"),
            (2, 9, "r"),
            (3, 12, "r"),
            (4, 25, "r"),
            (5, 13, "x"),
            (6, 14, "r"),
        ];
        let page = replay_page(30, &events, None);
        let of_page =
            |upto| StepEvents::of_page(step(upto), &page, |event| event.room == "r".into());
        let whole = of_page(None);
        assert_eq!(place(&whole.end().seen), None);
        assert_eq!(sent(whole), [(3, Some(3)), (6, None)]);
        let until_5 = of_page(Some(5));
        assert_eq!(place(&until_5.end().seen), Some(5));
        assert_eq!(sent(until_5), [(3, Some(5))]);
    }

    #[test]
    fn a_page_that_ends_early_ends_the_step_there() {
        let page = replay_page(30, &[(2, 11, "r"), (3, 12, "r")], Some(4));
        let events = StepEvents::of_page(step(None), &page, |_| true);
        assert_eq!(place(&events.end().seen), Some(4));
        assert_eq!(sent(events), [(2, Some(2)), (3, Some(3))]);
    }

    #[test]
    fn an_offset_of_a_step_is_of_its_time() {
        let mut step = step(None);
        step.durable = false;
        let events = StepEvents::at_hand(step, vec![event(2, 11, "r")]);
        let (_, offset) = events.next().expect("an event");
        assert_eq!((offset.epoch, offset.durable), (EPOCH, false));
    }
}
