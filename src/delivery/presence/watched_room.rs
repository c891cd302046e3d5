//! A room that somebody watches: who watches it, and what they are sent.
//!
//! A room of few subjects is told one by one. One whose list has no place for all of them, because they are more than [`MOST`] or have more
//! than [`MOST_BYTES`], is crowded: its watchers get the list anew instead, at most once in [`CROWD_PAUSE`], with the count of all and those
//! who came first.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use super::told::{Source, ToldRoom};
use crate::delivery::hub::Hub;
use crate::delivery::outgoing::Outgoing;
use crate::delivery::subscriber::Subscriber;
use crate::delivery::subscriber_transport::SendOutcome;
use crate::event::{Room, name};
use crate::presence::{Since, Subject};

/// Subjects of a list, and of a room that is told one by one.
pub(super) const MOST: usize = 100;
/// A list ends where its subjects have so many bytes together.
const MOST_BYTES: usize = 32 * 1024;
/// Between two lists of a crowded room.
const CROWD_PAUSE: Duration = Duration::from_secs(5);

/// A watched room.
#[derive(Default)]
pub(super) struct WatchedRoom {
    pub(super) told: ToldRoom,
    /// They have the list, and are told what changes.
    watchers: Vec<Arc<Subscriber>>,
    /// They wait for the list, until it is known who is at other servers.
    waiting: Vec<Arc<Subscriber>>,
    is_known: bool,
    /// The list, until it changes.
    list: Option<Outgoing>,
    /// When the list of a crowd was last sent, if something has changed since.
    crowd_changed: bool,
    crowd_told: Option<Instant>,
}

#[derive(Serialize)]
struct One<'a> {
    subject: &'a str,
    since: String,
}

#[derive(Serialize)]
struct State<'a> {
    room: &'a str,
    count: usize,
    subjects: Vec<One<'a>>,
}

#[derive(Serialize)]
struct Change<'a> {
    room: &'a str,
    subject: &'a str,
    since: String,
}

impl WatchedRoom {
    /// Takes a watcher in, or one again that asks for the list.
    pub(super) fn watch(&mut self, hub: &Hub, room: &Room, subscriber: Arc<Subscriber>) {
        let before = self.watchers();
        self.watchers.retain(|other| other.id != subscriber.id);
        self.waiting.retain(|other| other.id != subscriber.id);
        let gone = before - self.watchers();
        hub.metrics.presence_watchers.inc_by(1 - gone as i64);
        if !self.is_known {
            return self.waiting.push(subscriber);
        }
        subscriber.send_if_watching(hub, room, self.list(room));
        self.watchers.push(subscriber);
    }

    /// It is known who is at other servers: whoever waited gets the list.
    pub(super) fn become_known(&mut self, hub: &Hub, room: &Room) {
        if self.is_known {
            return;
        }
        self.is_known = true;
        self.told.begin();
        self.list = None;
        for subscriber in std::mem::take(&mut self.waiting) {
            subscriber.send_if_watching(hub, room, self.list(room));
            self.watchers.push(subscriber);
        }
    }

    /// A subject is at a source since a time, or is not any more.
    pub(super) fn set(
        &mut self,
        hub: &Hub,
        room: &Room,
        (subject, source): (&Subject, Source),
        since: Option<Since>,
        now: Instant,
    ) {
        if let Some(since) = self.told.set(subject, source, since, now) {
            self.tell(hub, room, name::PRESENCE_JOIN, subject, since);
        }
    }

    /// Tells who has left by now, and a crowd what has changed.
    pub(super) fn pass_time(&mut self, hub: &Hub, room: &Room, now: Instant) {
        for (subject, since) in self.told.take_left(now) {
            self.tell(hub, room, name::PRESENCE_LEAVE, &subject, since);
        }
        let is_due = |told: Instant| now >= told + CROWD_PAUSE;
        let is_over = !self.is_crowded();
        if self.crowd_changed && (is_over || self.crowd_told.is_none_or(is_due)) {
            self.crowd_changed = false;
            self.crowd_told = (!is_over).then_some(now);
            self.list = None;
            self.tell_list(hub, room);
        }
    }

    /// Whether [`Self::pass_time`] is to be called again without another cause.
    pub(super) fn waits_for_time(&self) -> bool {
        self.told.has_leaving() || self.crowd_changed
    }

    /// Forgets watchers that are gone, and says whether there is any.
    pub(super) fn prune(&mut self, hub: &Hub, room: &Room) -> bool {
        let before = self.watchers();
        self.watchers.retain(|it| it.watches(room));
        self.waiting.retain(|it| it.watches(room));
        let gone = before - self.watchers();
        hub.metrics.presence_watchers.dec_by(gone as i64);
        self.watchers() > 0
    }

    fn is_crowded(&self) -> bool {
        self.told.len() > MOST || self.told.bytes() > MOST_BYTES
    }

    fn watchers(&self) -> usize {
        self.watchers.len() + self.waiting.len()
    }

    fn tell(&mut self, hub: &Hub, room: &Room, event: &str, subject: &str, since: Since) {
        if !self.is_known {
            return;
        }
        if self.is_crowded() || self.crowd_changed || self.crowd_told.is_some() {
            self.crowd_changed = true;
            return;
        }
        self.list = None;
        let since = since.text();
        let change = Change {
            room: room.as_str(),
            subject,
            since,
        };
        let change = Outgoing::transient(event, &change);
        for watcher in &self.watchers {
            watcher.send_if_watching(hub, room, &change);
        }
    }

    fn tell_list(&mut self, hub: &Hub, room: &Room) {
        let watchers = std::mem::take(&mut self.watchers);
        let list = self.list(room);
        for watcher in &watchers {
            watcher.send_if_watching(hub, room, list);
        }
        self.watchers = watchers;
    }

    fn list(&mut self, room: &Room) -> &Outgoing {
        let told = &self.told;
        self.list.get_or_insert_with(|| {
            let mut bytes = 0;
            let first = told.first(MOST).into_iter().take_while(|(subject, _)| {
                bytes += subject.len();
                bytes <= MOST_BYTES
            });
            let subjects = first.map(|(subject, since)| One {
                subject,
                since: since.text(),
            });
            let state = State {
                room: room.as_str(),
                count: told.len(),
                subjects: subjects.collect(),
            };
            Outgoing::transient(name::PRESENCE_STATE, &state)
        })
    }
}

impl Subscriber {
    /// Sends an event to one that watches who is in a room; one that has no room for it is cut. Held by its lock, so that nothing comes
    /// after it was told that it is out of the room.
    fn send_if_watching(&self, hub: &Hub, room: &Room, event: &Outgoing) {
        let outcome = {
            let state = self.state();
            let watches = state.membership(room).is_some_and(|it| it.watches_presence);
            watches.then(|| self.transport.send(event))
        };
        match outcome {
            Some(SendOutcome::Full) => hub.cut_slow_consumer(self),
            Some(SendOutcome::Sent) => {
                hub.metrics.presence_events.inc();
            }
            Some(SendOutcome::Closed) | None => {}
        }
    }

    /// Whether it watches who is in a room that it is in.
    pub(super) fn watches(&self, room: &Room) -> bool {
        let state = self.state();
        let joined = state.membership(room);
        joined.is_some_and(|joined| joined.watches_presence) && !self.transport.is_closed()
    }

    /// It is to be told who is in a room that it is in, or not any more.
    pub(crate) fn set_watching_presence(&self, room: &Room, watches: bool) {
        let mut state = self.state();
        let joined = state.rooms.iter_mut().find(|joined| joined.room == *room);
        if let Some(joined) = joined {
            joined.watches_presence = watches;
        }
    }
}
