//! Delivery one small step at a time, for the model: what runs at once on a server's threads is driven here in any order.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::batch::Batch;
use super::broadcast::Broadcast;
use super::burst::Burst;
use super::hub::{BehindReceiver, Hub};
use super::replay::{CatchUp, JoinReplay, JoinReplayOutcome, ReplayWalk, WalkStep};
use super::room_notifier::RoomNotifier;
use super::rooms::JoinError;
use super::sink::{Affected, EventSink};
use super::subscriber::Subscriber;
use crate::event::Room;
use crate::offset::{Offset, ReplayPage, RoomRange};
use crate::revocations::Revocation;

enum Call {
    Deliver(Batch),
    Resync(Affected, &'static str),
    Restart(Offset, Arc<[u64]>),
    LeaveToReplays(Offset, HashSet<Room>),
    Revoke(Vec<Revocation>),
}

/// The sink that the reader's half is given: it only takes notes for [`StepBroadcast`].
#[derive(Clone)]
pub(crate) struct StepSink {
    calls: Arc<Mutex<VecDeque<Call>>>,
    hub: Arc<Hub>,
}

impl StepSink {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        Self {
            calls: Arc::default(),
            hub: hub.clone(),
        }
    }

    fn push(&self, call: Call) {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.push_back(call);
    }

    fn pop(&self) -> Option<Call> {
        let mut calls = self.calls.lock().unwrap_or_else(PoisonError::into_inner);
        calls.pop_front()
    }
}

impl EventSink for StepSink {
    async fn deliver(&mut self, batch: Batch) {
        self.push(Call::Deliver(batch));
    }

    fn rooms(&self) -> Vec<Room> {
        self.hub.rooms()
    }

    async fn leave_to_replays(&mut self, end: Offset, untouched: HashSet<Room>) {
        self.push(Call::LeaveToReplays(end, untouched));
    }

    async fn revoke(&mut self, revocations: Vec<Revocation>) {
        self.push(Call::Revoke(revocations));
    }

    async fn resync(&mut self, rooms: Affected, reason: &'static str) {
        self.push(Call::Resync(rooms, reason));
    }

    async fn restart(&mut self, head: Offset, recovered: Arc<[u64]>) {
        self.push(Call::Restart(head, recovered));
    }
}

/// The broadcast, with room for everything else between any two of its sends.
pub(crate) struct StepBroadcast {
    broadcast: Broadcast,
    hub: Arc<Hub>,
    calls: StepSink,
    batch: Option<(Batch, usize)>,
    /// What is on its way, and to whom it goes yet: room by room, the next member of one.
    burst: Option<(Burst, usize, usize)>,
}

impl StepBroadcast {
    pub(crate) fn new(hub: &Arc<Hub>, calls: StepSink) -> Self {
        Self {
            broadcast: Broadcast::new(
                hub.clone(),
                RoomNotifier::new(1),
                mpsc::unbounded_channel().0,
            ),
            hub: hub.clone(),
            calls,
            batch: None,
            burst: None,
        }
    }

    /// Whether events are on their way to the members of their rooms.
    pub(crate) fn is_sending(&self) -> bool {
        self.burst.is_some()
    }

    /// The next small step. False: there is nothing to do.
    pub(crate) fn step(&mut self) -> bool {
        if let Some((burst, room, next)) = &mut self.burst {
            match burst.rooms.get(*room) {
                None => self.burst = None,
                Some(in_room) => match in_room.members.get(*next) {
                    None => (*room, *next) = (*room + 1, 0),
                    Some(member) => {
                        self.broadcast.send_burst_to_member(member, burst, in_room);
                        *next += 1;
                    }
                },
            }
            return true;
        }
        if let Some((batch, next)) = &mut self.batch {
            if *next < batch.events.len() {
                let burst = self.broadcast.pass_burst(batch, *next);
                *next = Burst::end(batch, *next);
                self.burst = Some((burst, 0, 0));
            } else {
                self.hub.finish_batch(batch.end());
                self.batch = None;
            }
            return true;
        }
        match self.calls.pop() {
            None => return false,
            Some(Call::Deliver(batch)) => {
                self.broadcast.follow_crash(&batch);
                self.broadcast.end_rights(&batch);
                self.batch = Some((batch, 0));
            }
            Some(Call::Revoke(revocations)) => self.broadcast.end_all_rights(&revocations),
            Some(Call::Resync(rooms, reason)) => self.broadcast.send_reload(&rooms, reason),
            Some(Call::Restart(head, recovered)) => self.broadcast.restart_at(head, &recovered),
            Some(Call::LeaveToReplays(end, untouched)) => {
                self.broadcast.leave_events_to_replays(end, &untouched);
            }
        }
        true
    }
}

/// How a replay's last step went.
#[derive(Debug)]
pub(crate) enum ReplayStepped {
    /// It can go on at once.
    Going,
    /// It can go on when the client has read, or the broadcast has moved.
    Waits,
    /// It waits for this to be read.
    NeedsPage(Vec<RoomRange>),
    /// It is over. A join says how it went.
    Done(Option<Result<JoinReplayOutcome, JoinError>>),
}

/// A replay of either kind, driven as [`super::Replay`] drives it.
pub(crate) struct StepReplay {
    walk: Walk,
    subscriber: Arc<Subscriber>,
}

enum Walk {
    CatchUp(CatchUp),
    Join(JoinReplay),
}

impl StepReplay {
    /// A replay for each subscriber that is behind.
    pub(crate) fn requested(hub: &Arc<Hub>, behind: &mut BehindReceiver) -> Option<Self> {
        let (subscriber, generation) = behind.0.try_recv().ok()?;
        let walk = CatchUp::new(hub.clone(), subscriber.clone(), generation);
        Some(Self {
            walk: Walk::CatchUp(walk),
            subscriber,
        })
    }

    pub(crate) fn join(
        hub: &Arc<Hub>,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        after: &Offset,
    ) -> Self {
        let walk = JoinReplay::new(hub.clone(), subscriber.clone(), room.clone(), after);
        Self {
            walk: Walk::Join(walk),
            subscriber: subscriber.clone(),
        }
    }

    pub(crate) fn advance(&mut self) -> ReplayStepped {
        let is_closed = self.subscriber.transport.is_closed();
        match &mut self.walk {
            Walk::CatchUp(walk) => step(walk, is_closed, |()| None),
            Walk::Join(walk) => step(walk, is_closed, Some),
        }
    }

    pub(crate) fn take_page(&mut self, page: &ReplayPage) -> ReplayStepped {
        let done = match &mut self.walk {
            Walk::CatchUp(walk) => walk.take_page(page).map(|()| None),
            Walk::Join(walk) => walk.take_page(page).map(Some),
        };
        done.map_or(ReplayStepped::Going, ReplayStepped::Done)
    }
}

type JoinResult = Result<JoinReplayOutcome, JoinError>;

fn step<W: ReplayWalk>(
    walk: &mut W,
    is_closed: bool,
    outcome: impl Fn(W::Outcome) -> Option<JoinResult>,
) -> ReplayStepped {
    match walk.advance() {
        WalkStep::Sent | WalkStep::SentMany => ReplayStepped::Going,
        WalkStep::NeedsPage(ranges) => ReplayStepped::NeedsPage(ranges),
        WalkStep::Backlogged { .. } | WalkStep::WaitForBroadcast | WalkStep::Behind => {
            if is_closed {
                ReplayStepped::Done(outcome(walk.ended()))
            } else {
                ReplayStepped::Waits
            }
        }
        WalkStep::Done(done) => ReplayStepped::Done(outcome(done)),
    }
}
