//! Who types in one room: transient, never stored. No I/O.
//!
//! A member sees `typing:start` when the first *other* begins and `typing:stop` when the last other stopped, so that
//! two who type at once do not switch each other off. Whoever does not say so again is taken to have stopped after
//! [`TTL`].

use std::cell::OnceCell;
use std::time::Duration;

use serde_json::json;
use tokio::time::Instant;

use super::outgoing::Outgoing;
use crate::event::{Room, name};

/// How long typing lasts when nobody renews it.
pub(super) const TTL: Duration = Duration::from_secs(15);

/// Who types.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Typer {
    /// A bot or an agent, by `rowcast.typing`.
    Sql,
    /// A subscriber, by its number.
    Subscriber(u64),
}

/// Who types in one room, and until when.
#[derive(Default, Debug)]
pub(super) struct Typers(Vec<(Typer, Instant)>);

/// Who typed before and after, from which each member's view follows.
pub(super) struct TypingChange {
    before: Vec<Typer>,
    after: Vec<Typer>,
    start: OnceCell<Outgoing>,
    stop: OnceCell<Outgoing>,
}

impl Typers {
    /// Someone types since `since`, or has stopped.
    pub(super) fn set(&mut self, typer: Typer, since: Option<Instant>) -> TypingChange {
        let before = self.names();
        self.0.retain(|(other, _)| *other != typer);
        if let Some(since) = since {
            self.0.push((typer, since + TTL));
        }
        TypingChange::between(before, self.names())
    }

    /// Whoever was due by `now` has stopped.
    pub(super) fn expire(&mut self, now: Instant) -> TypingChange {
        let before = self.names();
        self.0.retain(|(_, until)| *until > now);
        TypingChange::between(before, self.names())
    }

    pub(super) fn next_expiry(&self) -> Option<Instant> {
        self.0.iter().map(|(_, until)| *until).min()
    }

    /// Whether this one types.
    pub(super) fn has(&self, typer: Typer) -> bool {
        self.0.iter().any(|(other, _)| *other == typer)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What someone who comes in while others type must get.
    pub(super) fn shown_to_newcomer(&self, newcomer: u64, room: &Room) -> Option<Outgoing> {
        others_type(&self.names(), newcomer).then(|| event(name::TYPING_START, room))
    }

    fn names(&self) -> Vec<Typer> {
        self.0.iter().map(|(typer, _)| *typer).collect()
    }
}

fn others_type(typers: &[Typer], member: u64) -> bool {
    typers
        .iter()
        .any(|typer| *typer != Typer::Subscriber(member))
}

fn event(name: &str, room: &Room) -> Outgoing {
    Outgoing::transient(name, &json!({ "contactId": room.contact() }))
}

impl TypingChange {
    fn between(before: Vec<Typer>, after: Vec<Typer>) -> Self {
        Self {
            before,
            after,
            start: OnceCell::new(),
            stop: OnceCell::new(),
        }
    }

    /// The event that a member must get, if what it sees has changed.
    pub(super) fn shown_to(&self, member: u64, room: &Room) -> Option<&Outgoing> {
        match (
            others_type(&self.before, member),
            others_type(&self.after, member),
        ) {
            (false, true) => Some(self.start.get_or_init(|| event(name::TYPING_START, room))),
            (true, false) => Some(self.stop.get_or_init(|| event(name::TYPING_STOP, room))),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: u64 = 1;
    const BEN: u64 = 2;

    /// Whether `member` is told of a start (true) or a stop (false), if of anything.
    fn shown(change: &TypingChange, member: u64) -> Option<bool> {
        let event = change.shown_to(member, &Room::from("conversation:42"))?;
        Some(event.name() == name::TYPING_START)
    }

    #[test]
    fn two_who_type_do_not_switch_each_other_off() {
        let now = Instant::now();
        let mut typers = Typers::default();
        let ana = typers.set(Typer::Subscriber(ANA), Some(now));
        assert_eq!((shown(&ana, ANA), shown(&ana, BEN)), (None, Some(true)));
        let bot = typers.set(Typer::Sql, Some(now));
        assert_eq!((shown(&bot, ANA), shown(&bot, BEN)), (Some(true), None));
        let stopped = typers.set(Typer::Subscriber(ANA), None);
        assert_eq!((shown(&stopped, ANA), shown(&stopped, BEN)), (None, None));
        let all = typers.set(Typer::Sql, None);
        assert_eq!(
            (shown(&all, ANA), shown(&all, BEN)),
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
        assert_eq!(shown(&typers.expire(begun + TTL), ANA), None);
        assert_eq!(typers.next_expiry(), Some(renewed + TTL));
        assert_eq!(shown(&typers.expire(renewed + TTL), ANA), Some(false));
        assert!(typers.is_empty());
    }
}
