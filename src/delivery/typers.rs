//! Who types in one room: transient, never stored. No I/O.
//!
//! A member sees `typing:start` when the first *other* begins and `typing:stop` when the last other stopped, so that
//! two who type at once do not switch each other off. `typing:start` names the other who has typed for longest, by the subject of the
//! token, and comes again when that is another. Whoever does not say so again is taken to have stopped after
//! [`TTL`].

use std::cell::OnceCell;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
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

/// Who types in one room, and until when: whoever has typed for longest first.
#[derive(Default, Debug)]
pub(super) struct Typers(Vec<(Typist, Instant)>);

#[derive(Clone, Debug)]
struct Typist {
    typer: Typer,
    /// Of its token, where it has one.
    subject: Option<Arc<str>>,
}

/// Who typed before and after, from which each member's view follows.
pub(super) struct TypingChange {
    before: Vec<Typist>,
    after: Vec<Typist>,
    /// Names the first who types, for everybody else; and the second, for the first.
    start: [OnceCell<Outgoing>; 2],
    stop: OnceCell<Outgoing>,
}

impl Typers {
    /// Someone types since `since`.
    pub(super) fn begin(
        &mut self,
        typer: Typer,
        subject: Option<Arc<str>>,
        since: Instant,
    ) -> TypingChange {
        let before = self.names();
        let until = since + TTL;
        let typist = Typist { typer, subject };
        match self.0.iter_mut().find(|(known, _)| known.typer == typer) {
            Some(known) => *known = (typist, until),
            None => self.0.push((typist, until)),
        }
        TypingChange::between(before, self.names())
    }

    /// Someone has stopped, or did not type.
    pub(super) fn end(&mut self, typer: Typer) -> TypingChange {
        let before = self.names();
        self.0.retain(|(other, _)| other.typer != typer);
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
        self.0.iter().any(|(other, _)| other.typer == typer)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What someone who comes in while others type must get.
    pub(super) fn shown_to_newcomer(&self, newcomer: u64, room: &Room) -> Option<Outgoing> {
        let typers = self.names();
        let (_, other) = first_other(&typers, newcomer)?;
        Some(event(name::TYPING_START, room, other.subject.as_deref()))
    }

    fn names(&self) -> Vec<Typist> {
        self.0.iter().map(|(typist, _)| typist.clone()).collect()
    }
}

/// The first who types and isn't that member, and its place.
fn first_other(typers: &[Typist], member: u64) -> Option<(usize, &Typist)> {
    let mut others = typers.iter().enumerate();
    others.find(|(_, typist)| typist.typer != Typer::Subscriber(member))
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload<'a> {
    contact_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
}

fn event(name: &str, room: &Room, subject: Option<&str>) -> Outgoing {
    let contact_id = room.contact();
    Outgoing::transient(
        name,
        &Payload {
            contact_id,
            subject,
        },
    )
}

impl TypingChange {
    fn between(before: Vec<Typist>, after: Vec<Typist>) -> Self {
        Self {
            before,
            after,
            start: Default::default(),
            stop: OnceCell::new(),
        }
    }

    /// The event that a member must get, if what it sees has changed.
    pub(super) fn shown_to(&self, member: u64, room: &Room) -> Option<&Outgoing> {
        let before = first_other(&self.before, member);
        let Some((place, other)) = first_other(&self.after, member) else {
            let stop = || event(name::TYPING_STOP, room, None);
            return before.map(|_| self.stop.get_or_init(stop));
        };
        if before.is_some_and(|(_, seen)| seen.subject == other.subject) {
            return None;
        }
        let start = || event(name::TYPING_START, room, other.subject.as_deref());
        // A member is one typer at most, so that the first other is the first or the second.
        Some(self.start[place].get_or_init(start))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANA: u64 = 1;
    const BEN: u64 = 2;

    /// Of what `member` is told: of a stop, or of a start and by whom.
    fn shown(change: &TypingChange, member: u64) -> Option<String> {
        let event = change.shown_to(member, &Room::from("conversation:42"))?;
        let payload: serde_json::Value = serde_json::from_str(event.payload().get()).expect("JSON");
        assert_eq!(payload["contactId"], "42");
        let by = payload.get("subject").map(|subject| format!(" {subject}"));
        Some(event.name()[7..].to_owned() + &by.unwrap_or_default())
    }

    fn both(change: &TypingChange) -> [Option<String>; 2] {
        [ANA, BEN].map(|member| shown(change, member))
    }

    fn said(texts: [&str; 2]) -> [Option<String>; 2] {
        texts.map(|text| (!text.is_empty()).then(|| text.to_owned()))
    }

    #[test]
    fn two_who_type_do_not_switch_each_other_off() {
        let now = Instant::now();
        let mut typers = Typers::default();
        let ana = typers.begin(Typer::Subscriber(ANA), None, now);
        assert_eq!(both(&ana), said(["", "start"]));
        let bot = typers.begin(Typer::Sql, None, now);
        assert_eq!(both(&bot), said(["start", ""]));
        let stopped = typers.end(Typer::Subscriber(ANA));
        assert_eq!(both(&stopped), said(["", ""]));
        assert_eq!(both(&typers.end(Typer::Sql)), said(["stop", "stop"]));
    }

    #[test]
    fn who_has_typed_for_longest_is_named() {
        let now = Instant::now();
        let mut typers = Typers::default();
        let (ana, ben) = (Typer::Subscriber(ANA), Typer::Subscriber(BEN));
        let named = |name: &str| Some(name.into());
        let first = typers.begin(ana, named("ana"), now);
        assert_eq!(both(&first), said(["", "start \"ana\""]));
        let second = typers.begin(ben, named("ben"), now);
        assert_eq!(both(&second), said(["start \"ben\"", ""]));
        let third = typers.begin(Typer::Sql, None, now);
        assert_eq!(both(&third), said(["", ""]));
        let renewed = typers.begin(ana, named("ana"), now + TTL / 2);
        assert_eq!(
            both(&renewed),
            said(["", ""]),
            "who says it again is no other"
        );
        let stopped = typers.end(ana);
        assert_eq!(
            both(&stopped),
            said(["", "start"]),
            "the bot, who has no name"
        );
        assert_eq!(both(&typers.end(ben)), said(["start", ""]));
        assert_eq!(both(&typers.end(Typer::Sql)), said(["stop", "stop"]));
    }

    #[test]
    fn typing_ends_by_itself_unless_it_is_renewed() {
        let begun = Instant::now();
        let mut typers = Typers::default();
        typers.begin(Typer::Sql, None, begun);
        let renewed = begun + TTL - Duration::from_secs(1);
        typers.begin(Typer::Sql, None, renewed);
        assert_eq!(shown(&typers.expire(begun + TTL), ANA), None);
        assert_eq!(typers.next_expiry(), Some(renewed + TTL));
        let ended = typers.expire(renewed + TTL);
        assert_eq!(shown(&ended, ANA).as_deref(), Some("stop"));
        assert!(typers.is_empty());
    }
}
