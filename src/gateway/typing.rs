//! Who types in a room: transient, never stored.
//!
//! A member sees `typing:start` when the first *other* begins and `typing:stop` when the last other stopped, so that
//! two who type at once do not switch each other off. Whoever does not say so again is taken to have stopped after
//! its TTL. Client typing is relayed by this server to its own sockets; typing from SQL reaches every server.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use super::outgoing::Outgoing;
use crate::event::{ContactId, Room, name};

/// How long typing lasts when nobody renews it.
pub(super) const TTL: Duration = Duration::from_secs(15);
/// The longest pause between two looks at what has expired.
const LOOK: Duration = Duration::from_millis(250);

/// Who types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typer {
    /// A bot or an agent, by `rowcast.typing`.
    Sql,
    /// A connected socket, by its number.
    Client(u64),
}

/// Who types in one room, and until when.
#[derive(Default, Debug)]
pub(super) struct Typers(Vec<(Typer, Instant)>);

/// Who typed before and after, from which each member's view follows.
pub(super) struct Change {
    before: Vec<Typer>,
    after: Vec<Typer>,
    start: std::cell::OnceCell<Outgoing>,
    stop: std::cell::OnceCell<Outgoing>,
}

impl Typers {
    /// Someone types since `since`, or has stopped.
    pub(super) fn set(&mut self, typer: Typer, since: Option<Instant>) -> Change {
        let before = self.names();
        self.0.retain(|(other, _)| *other != typer);
        if let Some(since) = since {
            self.0.push((typer, since + TTL));
        }
        Change::between(before, self.names())
    }

    pub(super) fn expire(&mut self, now: Instant) -> Change {
        let before = self.names();
        self.0.retain(|(_, until)| *until > now);
        Change::between(before, self.names())
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).min()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What someone who comes in late should see.
    pub(super) fn greeting(&self, newcomer: u64, room: &Room) -> Option<Outgoing> {
        others(&self.names(), newcomer).then(|| event(name::TYPING_START, room.contact()))
    }

    fn names(&self) -> Vec<Typer> {
        self.0.iter().map(|(typer, _)| *typer).collect()
    }
}

fn others(typers: &[Typer], member: u64) -> bool {
    typers.iter().any(|typer| *typer != Typer::Client(member))
}

fn event(name: &str, contact: &str) -> Outgoing {
    Outgoing::transient(name, &json!({ "contactId": contact }))
}

impl Change {
    fn between(before: Vec<Typer>, after: Vec<Typer>) -> Self {
        Self {
            before,
            after,
            start: std::cell::OnceCell::new(),
            stop: std::cell::OnceCell::new(),
        }
    }

    /// The event that a member must get, if what it sees has changed.
    pub(super) fn seen_by(&self, member: u64, room: &Room) -> Option<&Outgoing> {
        match (others(&self.before, member), others(&self.after, member)) {
            (false, true) => Some(
                self.start
                    .get_or_init(|| event(name::TYPING_START, room.contact())),
            ),
            (true, false) => Some(
                self.stop
                    .get_or_init(|| event(name::TYPING_STOP, room.contact())),
            ),
            _ => None,
        }
    }
}

/// What `rowcast.typing` notifies.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notified {
    contact_id: String,
    typing: bool,
}

/// Relays what SQL says and ends what nobody renewed, until `stop`.
pub async fn run(hub: Arc<Hub>, mut notified: mpsc::Receiver<String>, stop: CancellationToken) {
    loop {
        let look = hub.expire_typing().map_or_else(
            || Instant::now() + LOOK,
            |next| next.min(Instant::now() + LOOK),
        );
        tokio::select! {
            () = stop.cancelled() => return,
            () = sleep_until(look) => {}
            payload = notified.recv() => match payload {
                Some(payload) => relay(&hub, &payload),
                // The listener has ended; what is under way still expires.
                None => drop(timeout(LOOK, stop.cancelled()).await),
            },
        }
    }
}

fn relay(hub: &Hub, payload: &str) {
    let parsed = serde_json::from_str::<Notified>(payload).ok();
    let contact = parsed.and_then(|n| Some((ContactId::try_from(n.contact_id).ok()?, n.typing)));
    match contact {
        Some((contact, typing)) => hub.sql_types(&contact, typing),
        None => tracing::warn!(
            "a notification on rowcast_typing is none of rowcast.typing's and is ignored"
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: u64 = 1;
    const BEN: u64 = 2;

    /// Whether `member` is told of a start (true) or a stop (false), if of anything.
    fn seen(change: &Change, member: u64) -> Option<bool> {
        change.seen_by(member, &Room::from("conversation:42"))?;
        Some(others(&change.after, member))
    }

    #[test]
    fn two_who_type_do_not_switch_each_other_off() {
        let now = Instant::now();
        let mut typers = Typers::default();
        let ana = typers.set(Typer::Client(ANA), Some(now));
        assert_eq!((seen(&ana, ANA), seen(&ana, BEN)), (None, Some(true)));
        let bot = typers.set(Typer::Sql, Some(now));
        assert_eq!((seen(&bot, ANA), seen(&bot, BEN)), (Some(true), None));
        let stopped = typers.set(Typer::Client(ANA), None);
        assert_eq!((seen(&stopped, ANA), seen(&stopped, BEN)), (None, None));
        let all = typers.set(Typer::Sql, None);
        assert_eq!(
            (seen(&all, ANA), seen(&all, BEN)),
            (Some(false), Some(false))
        );
    }

    #[test]
    fn typing_ends_by_itself_unless_it_is_renewed() {
        let begun = Instant::now();
        let mut typers = Typers::default();
        typers.set(Typer::Sql, Some(begun));
        let renewed = begun + TTL - Duration::from_secs(1);
        typers.set(Typer::Sql, Some(renewed));
        assert_eq!(seen(&typers.expire(begun + TTL), ANA), None);
        assert_eq!(typers.next_expiry(), Some(renewed + TTL));
        assert_eq!(seen(&typers.expire(renewed + TTL), ANA), Some(false));
        assert!(typers.is_empty());
    }
}
