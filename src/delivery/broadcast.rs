//! Sends each event to every live subscriber of its room: the reader's sink.
//!
//! An event is encoded at most once for all subscribers whose transports write its bytes themselves, and not at all where nobody
//! is in the room. Transports that go through socketioxide's queue have it encoded again there.
//! Guarantees: in the order of the batch, and nobody is waited for. Whoever can't take an event is behind from there on, and
//! gets it out of the outbox (`replay`).

use std::collections::HashSet;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::batch::Batch;
use super::broadcast_event::BroadcastEvent;
use super::burst::{Burst, BurstRoom};
use super::hub::Hub;
use super::outgoing::Outgoing;
use super::position::{CRASHED, REWOUND};
use super::reload::ReloadLog;
use super::room_notifier::RoomNotifier;
use super::sink::{Affected, EventSink};
use super::subscriber::{DeliveryState, Subscriber};
use super::subscriber_transport::SendOutcome;
use crate::event::{Reload, Room};
use crate::offset::Offset;
use crate::revocations::Revocation;

/// Members that are sent something before the scheduler gets a turn.
const MEMBERS_A_TURN: usize = 128;

/// Sends what the reader hands on to the subscribers of a hub.
pub(crate) struct Broadcast {
    hub: Arc<Hub>,
    notifier: Arc<RoomNotifier>,
    ended: mpsc::UnboundedSender<EndedRights>,
    reloads: ReloadLog,
}

/// Rights that were ended for whoever is connected, and are to be ended in what is stored.
pub(crate) struct EndedRights {
    /// Whose; `None` for whoever's there are.
    pub subject: Option<String>,
    /// Who had to leave a room.
    pub left: Vec<Arc<Subscriber>>,
}

impl Broadcast {
    /// Broadcasts to the members of `hub`, and tells `notifier`, where long-polls wait, and `ended`, by which stored sessions are
    /// looked after.
    pub(crate) fn new(
        hub: Arc<Hub>,
        notifier: Arc<RoomNotifier>,
        ended: mpsc::UnboundedSender<EndedRights>,
    ) -> Self {
        Self {
            hub,
            notifier,
            ended,
            reloads: ReloadLog::default(),
        }
    }

    /// Ends the rights that a batch says have ended, before any of its events is sent: those that were committed later may come first.
    pub(super) fn end_rights(&self, batch: &Batch) {
        let ours = batch.events.iter().map(|event| &event.event);
        for event in ours.filter(|event| event.room.is_of_revocations()) {
            match Revocation::parse(event.payload.get()) {
                Ok(revocation) => {
                    let left = self.hub.revoke(&revocation);
                    let subject = Some(revocation.subject);
                    // Nobody listens only when the server is ending.
                    drop(self.ended.send(EndedRights { subject, left }));
                }
                Err(error) => {
                    self.hub.metrics.capture_errors.inc();
                    tracing::error!(
                        id = event.id,
                        "a revocation can't be read, and is not in force until the server starts again: {error}"
                    );
                }
            }
        }
    }

    /// Ends the rights that the table of revocations says have ended.
    pub(super) fn end_all_rights(&self, revocations: &[Revocation]) {
        let (subject, left) = (None, self.hub.revoke_all(revocations));
        if !revocations.is_empty() {
            drop(self.ended.send(EndedRights { subject, left }));
        }
    }

    /// Sends an event to a member of its room. True: it was sent.
    pub(super) fn send_to_member(
        &self,
        subscriber: &Arc<Subscriber>,
        event: &BroadcastEvent,
        outgoing: &Outgoing,
    ) -> bool {
        let mut state = subscriber.state();
        if event.event.room.is_of_reloads() {
            let named = state.take_reload_live(event);
            drop(state);
            self.hub.send_resyncs(subscriber, &named, Reload::REASON);
            return !named.is_empty();
        }
        let outcome = state.send_live(&*subscriber.transport, event, outgoing);
        if outcome == Some(SendOutcome::Full) {
            self.replay_instead(subscriber, &state);
        }
        outcome == Some(SendOutcome::Sent)
    }

    /// Sends a member of a room what a burst has for it, in one write, also for its other rooms. Says how many events were sent.
    pub(super) fn send_burst_to_member(
        &self,
        subscriber: &Arc<Subscriber>,
        burst: &Burst,
        room: &BurstRoom,
    ) -> usize {
        if let [(event, outgoing)] = &burst.events[..] {
            return usize::from(self.send_to_member(subscriber, event, outgoing));
        }
        let mut state = subscriber.state();
        let all = burst.events.iter().map(|(event, sent)| (event, sent));
        let events: Vec<_> = if burst.rooms.len() == 1 {
            all.collect()
        } else if state.rooms.len() == 1 {
            let of_room = room.events.iter().map(|index| &burst.events[*index]);
            of_room.map(|(event, sent)| (event, sent)).collect()
        } else {
            all.filter(|(event, _)| state.is_concerned_by(event))
                .collect()
        };
        let (sent, outcome) = state.send_live_together(&*subscriber.transport, &events);
        if outcome == Some(SendOutcome::Full) {
            self.replay_instead(subscriber, &state);
        }
        sent
    }

    /// A subscriber has no room for an event of the broadcast, and is behind.
    fn replay_instead(&self, subscriber: &Arc<Subscriber>, state: &DeliveryState) {
        if let Some(generation) = state.replay_generation() {
            self.hub.metrics.fell_behind.inc();
            self.hub.request_replay(subscriber, generation);
        }
    }

    async fn send_burst(&self, burst: &Burst) {
        let mut turn = 0;
        for room in &burst.rooms {
            for members in room.members.chunks(MEMBERS_A_TURN) {
                let members_sent = members
                    .iter()
                    .map(|member| self.send_burst_to_member(member, burst, room));
                let sent: usize = members_sent.sum();
                self.hub.metrics.deliveries.inc_by(sent as u64);
                turn += members.len();
                if turn >= MEMBERS_A_TURN {
                    turn = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        for (event, _) in burst.events.iter().filter(|(event, _)| !event.repeated) {
            let age = event.event.age.as_secs_f64();
            self.hub.metrics.commit_to_broadcast.observe(age);
        }
    }

    fn send_resyncs(&self, rooms_by_subscriber: Vec<(Arc<Subscriber>, Vec<Room>)>, reason: &str) {
        for (subscriber, rooms) in rooms_by_subscriber {
            self.hub.send_resyncs(&subscriber, &rooms, reason);
        }
    }

    /// Moves the broadcast past a burst, which begins at `from`: tells those who wait over HTTP, and says to whom it is to be sent.
    pub(super) fn pass_burst(&self, batch: &Batch, from: usize) -> Burst {
        for event in &batch.events[from..Burst::end(batch, from)] {
            match Reload::of(&event.event) {
                None => self.notifier.notify(&event.event.room),
                Some(reload) => {
                    self.reloads.write(&reload);
                    self.notifier.notify_those(|room| reload.concerns(room));
                }
            }
        }
        self.hub.pass_burst(batch, from)
    }

    /// The database crashed since the last batch, and the reader goes on from before it.
    pub(super) fn follow_crash(&self, batch: &Batch) {
        let position = self.hub.position();
        if position.is_some_and(|(position, _)| position.epoch != batch.epoch) {
            let from = Offset {
                seen: batch.after.clone(),
                ..Offset::all(batch.epoch, batch.durable, batch.before.clone())
            };
            // Where nothing is repeated, nothing is later than where it goes on.
            let repeated_to = if batch.repeats {
                &batch.snapshot
            } else {
                &batch.before
            };
            let lost = self
                .hub
                .set_back(from, &batch.recovered, repeated_to.clone());
            self.send_resyncs(lost, CRASHED);
        }
    }

    /// Moves past a large read, of whose events none is broadcast.
    pub(super) fn leave_events_to_replays(&self, end: Offset, untouched: &HashSet<Room>) {
        self.hub.leave_to_replays(end, untouched);
        self.notifier.notify_all();
    }

    /// Tells the members of rooms to reload them.
    pub(super) fn send_reload(&self, rooms: &Affected, reason: &str) {
        tracing::warn!("clients are told to reload: {reason}");
        self.notifier.notify_all();
        self.send_resyncs(self.hub.reload(rooms), reason);
    }

    /// Goes on from another place; subscribers are told to reload if there was one before.
    pub(super) fn restart_at(&self, head: Offset, recovered: &Arc<[u64]>) {
        self.notifier.notify_all();
        let is_first = self.hub.position().is_none();
        let told = self.hub.restart(head, recovered);
        if !is_first {
            tracing::warn!("clients are told to reload: {REWOUND}");
            self.send_resyncs(told, REWOUND);
        }
    }
}

impl EventSink for Broadcast {
    async fn deliver(&mut self, batch: Batch) {
        self.follow_crash(&batch);
        self.end_rights(&batch);
        let lag = &self.hub.metrics.lag_events;
        lag.set(batch.events.len() as i64);
        let mut from = 0;
        while from < batch.events.len() {
            let to = Burst::end(&batch, from);
            let burst = self.pass_burst(&batch, from);
            self.send_burst(&burst).await;
            for passed in &batch.events[from..to] {
                self.hub.end_answered_typing(&passed.event);
                lag.dec();
            }
            from = to;
        }
        self.hub.finish_batch(batch.end());
    }

    fn rooms(&self) -> Vec<Room> {
        self.hub.rooms()
    }

    async fn leave_to_replays(&mut self, end: Offset, untouched: HashSet<Room>) {
        self.leave_events_to_replays(end, &untouched);
    }

    async fn revoke(&mut self, revocations: Vec<Revocation>) {
        self.end_all_rights(&revocations);
    }

    async fn resync(&mut self, rooms: Affected, reason: &'static str) {
        self.send_reload(&rooms, reason);
    }

    async fn restart(&mut self, head: Offset, recovered: Arc<[u64]>) {
        self.restart_at(head, &recovered);
    }
}

#[cfg(test)]
mod tests;
