//! Typing in the hub's rooms: who types is kept with the room, and told to its members.
//!
//! Typing of clients is relayed by this server to its own subscribers; typing from SQL reaches every server, and ends with the answer: with
//! the room's next `message:new` that is not inbound, whichever of the two comes first.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::hub::{Hub, Members};
use super::subscriber::Subscriber;
use super::typers::{Typer, TypingChange};
use crate::event::{ContactId, Event, Room, name};

/// The longest pause between two looks at what has expired.
const EXPIRY_PAUSE: Duration = Duration::from_millis(250);

impl Hub {
    /// A client says that it types in a room, or that it stopped. `subject` is its token's, by which the others are told. Returns how many
    /// are told; `None`: it is not in the room.
    pub(crate) fn set_client_typing(
        &self,
        subscriber: &Subscriber,
        room: &Room,
        subject: Option<&str>,
        typing: bool,
    ) -> Option<usize> {
        let typer = Typer::Subscriber(subscriber.id);
        let subject = subject.map(Arc::from);
        subscriber
            .is_in(room)
            .then(|| self.set_typing(room, typer, subject, typing))
    }

    /// SQL says that someone types, or stopped (`rowcast.typing`), at a time of the database's clock. Typing that has been answered since
    /// is over.
    fn set_sql_typing(&self, contact: &ContactId, typing: bool, at_us: Option<i64>) {
        let room = contact.room();
        let answered = typing
            && at_us.is_some_and(|at_us| {
                let state = self.state();
                let position = state.position.as_ref();
                let events = position.map(|position| position.recent.of_room(&room));
                events
                    .into_iter()
                    .flatten()
                    .any(|event| event.at_us >= at_us && is_answer(event))
            });
        self.set_typing(&room, Typer::Sql, None, typing && !answered);
    }

    /// Ends what SQL said of typing in the room of an answer.
    pub(super) fn end_answered_typing(&self, event: &Event) {
        let typed = |hub: &Self| {
            let state = hub.state();
            let room = state.rooms.get(&event.room);
            room.is_some_and(|room| room.typers.has(Typer::Sql))
        };
        if typed(self) && is_answer(event) {
            self.set_typing(&event.room, Typer::Sql, None, false);
        }
    }

    /// Returns how many are told.
    fn set_typing(
        &self,
        room: &Room,
        typer: Typer,
        subject: Option<Arc<str>>,
        typing: bool,
    ) -> usize {
        let _order = self.typing_order();
        let change = {
            let mut state = self.state();
            let entry = state.rooms.entry(room.clone()).or_default();
            let change = if typing {
                entry.typers.begin(typer, subject, Instant::now())
            } else {
                entry.typers.end(typer)
            };
            let change = (entry.members.clone(), change, room.clone());
            state.forget_if_empty(room);
            if typing {
                state.typing_rooms.insert(room.clone());
            }
            change
        };
        self.relay_typing([change])
    }

    /// Ends what nobody renewed, and says when to look again.
    fn expire_typing(&self, now: Instant) -> Option<Instant> {
        let mut next = None;
        let _order = self.typing_order();
        let changes: Vec<_> = {
            let mut state = self.state();
            let typing = std::mem::take(&mut state.typing_rooms);
            let changes = typing.into_iter().filter_map(|name| {
                let room = state.rooms.get_mut(&name)?;
                let change = room.typers.expire(now);
                let due = room.typers.next_expiry();
                next = next.into_iter().chain(due).min();
                let change = (room.members.clone(), change, name.clone());
                state.forget_if_empty(&name);
                if due.is_some() {
                    state.typing_rooms.insert(name);
                }
                Some(change)
            });
            changes.collect()
        };
        self.relay_typing(changes);
        next
    }

    /// Tells members whose view of who types has changed, and says how many.
    pub(super) fn relay_typing(
        &self,
        changes: impl IntoIterator<Item = (Members, TypingChange, Room)>,
    ) -> usize {
        let mut told = 0;
        for (members, change, room) in changes {
            for subscriber in &*members {
                if let Some(event) = change.shown_to(subscriber.id, &room) {
                    self.send(subscriber, event);
                    self.metrics.typing.inc();
                    told += 1;
                }
            }
        }
        told
    }
}

/// Whether an event is a message of our side's.
fn is_answer(event: &Event) -> bool {
    #[derive(Deserialize)]
    struct Payload {
        message: Option<Message>,
    }
    #[derive(Deserialize)]
    struct Message {
        direction: Option<String>,
    }
    // One that was written otherwise, or truncated, tells nothing of a direction.
    let direction = || {
        let payload: Payload = serde_json::from_str(event.payload.get()).ok()?;
        payload.message?.direction
    };
    *event.name == *name::MESSAGE && direction().as_deref() != Some("inbound")
}

/// What `rowcast.typing` notifies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notified {
    contact_id: String,
    typing: bool,
    /// When, in microseconds of the database's clock.
    at: Option<i64>,
}

/// Relays what SQL says and ends what nobody renewed, until `stop`.
pub(crate) async fn run(
    hub: Arc<Hub>,
    mut notified: mpsc::Receiver<String>,
    stop: CancellationToken,
) {
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        // Notifications in between change nothing of what has expired.
        if now >= due {
            let pause_ends = now + EXPIRY_PAUSE;
            let next = hub.expire_typing(now);
            due = next.map_or(pause_ends, |next| next.min(pause_ends));
        }
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(due) => {}
            payload = notified.recv() => match payload {
                Some(payload) => relay_notified(&hub, &payload),
                // The listener has ended; what is under way still expires.
                None => drop(timeout(EXPIRY_PAUSE, stop.cancelled()).await),
            },
        }
    }
}

fn relay_notified(hub: &Hub, payload: &str) {
    let parsed = serde_json::from_str::<Notified>(payload).ok();
    let contact =
        parsed.and_then(|n| Some((ContactId::try_from(n.contact_id).ok()?, n.typing, n.at)));
    match contact {
        Some((contact, typing, at)) => hub.set_sql_typing(&contact, typing, at),
        None => tracing::warn!(
            "a notification on rowcast_typing is none of rowcast.typing's and is ignored"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fakes::{Fake, hub_at};
    use super::super::typers::TTL;
    use super::*;

    const ROOM: &str = "conversation:42";

    #[test]
    fn whoever_is_not_in_the_room_types_for_nobody() {
        let (hub, _behind) = hub_at(10);
        let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
        let room = Room::from(ROOM);
        hub.join(&ben.subscriber, &room).expect("joined");
        assert_eq!(
            hub.set_client_typing(&ana.subscriber, &room, None, true),
            None
        );
        assert_eq!(ben.sent_names(), [""; 0]);
    }

    #[test]
    fn a_typer_who_leaves_has_stopped() {
        let (hub, _behind) = hub_at(10);
        let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
        let room = Room::from(ROOM);
        hub.join(&ana.subscriber, &room).expect("joined");
        assert!(
            hub.set_client_typing(&ana.subscriber, &room, None, true)
                .is_some()
        );
        hub.join(&ben.subscriber, &room).expect("joined");
        assert_eq!(ben.sent_names(), ["typing:start"], "a newcomer sees it");
        hub.remove(&ana.subscriber).expect("it was there");
        assert_eq!(ben.sent_names(), ["typing:start", "typing:stop"]);
        assert_eq!(ana.sent_names(), [""; 0], "nobody sees themselves type");
    }

    #[test]
    fn typing_from_sql_ends_by_itself() {
        let (hub, _behind) = hub_at(10);
        let ana = Fake::live(&hub, 1);
        hub.join(&ana.subscriber, &Room::from(ROOM))
            .expect("joined");
        relay_notified(&hub, r#"{"contactId":"42","typing":true}"#);
        relay_notified(&hub, "nonsense");
        hub.join(&ana.subscriber, &Room::from("quiet"))
            .expect("joined");
        assert_eq!(hub.state().typing_rooms, [Room::from(ROOM)].into());
        assert!(hub.expire_typing(Instant::now()).is_some());
        assert_eq!(hub.expire_typing(Instant::now() + TTL), None);
        assert!(hub.state().typing_rooms.is_empty(), "nothing is looked at");
        assert_eq!(ana.sent_names(), ["typing:start", "typing:stop"]);
    }
}
