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
use super::hub::{Hub, Members};
use super::outgoing::Outgoing;
use super::position::{CRASHED, REWOUND};
use super::reload::ReloadLog;
use super::room_notifier::RoomNotifier;
use super::sink::{Affected, EventSink};
use super::subscriber::Subscriber;
use super::subscriber_transport::SendOutcome;
use crate::event::{Reload, Room};
use crate::offset::Offset;
use crate::revocations::Revocation;

/// From this many members on, the scheduler gets a turn after each event.
const YIELD_FROM_MEMBERS: usize = 64;

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
        match state.send_live(&*subscriber.transport, event, outgoing) {
            Some(SendOutcome::Sent) => true,
            Some(SendOutcome::Full) => {
                if let Some(generation) = state.replay_generation() {
                    self.hub.metrics.fell_behind.inc();
                    self.hub.request_replay(subscriber, generation);
                }
                false
            }
            Some(SendOutcome::Closed) | None => false,
        }
    }

    fn send_to_members(&self, event: &BroadcastEvent, members: &Members) {
        let outgoing = event.outgoing();
        let sent = members
            .iter()
            .filter(|subscriber| self.send_to_member(subscriber, event, &outgoing))
            .count();
        self.hub.metrics.deliveries.inc_by(sent as u64);
        if !event.repeated {
            let age = event.event.age.as_secs_f64();
            self.hub.metrics.commit_to_broadcast.observe(age);
        }
    }

    fn send_resyncs(&self, rooms_by_subscriber: Vec<(Arc<Subscriber>, Vec<Room>)>, reason: &str) {
        for (subscriber, rooms) in rooms_by_subscriber {
            self.hub.send_resyncs(&subscriber, &rooms, reason);
        }
    }

    /// Moves the broadcast past one event: tells those who wait over HTTP, and says to whom it is to be sent.
    pub(super) fn pass_event(
        &self,
        batch: &Batch,
        index: usize,
    ) -> Option<(Members, BroadcastEvent)> {
        let event = &batch.events[index].event;
        match Reload::of(event) {
            None => self.notifier.notify(&event.room),
            Some(reload) => {
                self.reloads.write(&reload);
                self.notifier.notify_those(|room| reload.concerns(room));
            }
        }
        self.hub.pass_event(batch, index)
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
        for index in 0..batch.events.len() {
            if let Some((members, event)) = self.pass_event(&batch, index) {
                self.send_to_members(&event, &members);
                if members.len() >= YIELD_FROM_MEMBERS {
                    tokio::task::yield_now().await;
                }
            }
            self.hub.end_answered_typing(&batch.events[index].event);
            lag.dec();
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
mod tests {
    use super::*;
    use crate::delivery::fakes::{Fake, batch, hub_at};

    fn broadcast(hub: &Arc<Hub>) -> Broadcast {
        Broadcast::new(
            hub.clone(),
            RoomNotifier::new(9),
            mpsc::unbounded_channel().0,
        )
    }

    #[tokio::test]
    async fn an_event_goes_to_the_members_of_its_room_with_an_exact_offset() {
        let (hub, _behind) = hub_at(10);
        let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
        hub.join(&ana.subscriber, &"a".into()).expect("joined");
        hub.join(&ben.subscriber, &"b".into()).expect("joined");
        let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "b"), (3, 13, "a")]);
        broadcast(&hub).deliver(batch.clone()).await;
        assert_eq!(ana.sent_ids(), [1, 3]);
        assert_eq!(ben.sent_ids(), [2]);
        assert_eq!(ana.last_offset(), Some(batch.end().pack()));
        assert_eq!(ben.last_offset(), Some(batch.offset(1).pack()));
    }

    #[tokio::test]
    async fn whoever_is_full_is_behind_and_the_others_are_not_waited_for() {
        let (hub, mut behind) = hub_at(10);
        let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
        for fake in [&ana, &ben] {
            hub.join(&fake.subscriber, &"a".into()).expect("joined");
        }
        ana.set_capacity(1);
        let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "a"), (3, 13, "a")]);
        broadcast(&hub).deliver(batch).await;
        assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![1], vec![1, 2, 3]));
        let (subscriber, _) = behind.0.try_recv().expect("a replay is asked for");
        assert_eq!(subscriber.id, 1);
        assert!(behind.0.try_recv().is_err(), "once");
    }

    #[tokio::test]
    async fn reload_names_the_affected_rooms_of_each_member() {
        let (hub, _behind) = hub_at(10);
        let ana = Fake::live(&hub, 1);
        for room in ["a", "b"] {
            hub.join(&ana.subscriber, &room.into()).expect("joined");
        }
        let mut broadcast = broadcast(&hub);
        broadcast
            .resync(Affected::Rooms(vec!["b".into()]), "why")
            .await;
        assert_eq!(ana.resyncs(), 1);
        broadcast.resync(Affected::All, "why").await;
        assert_eq!(ana.resyncs(), 3);
    }
}
