//! The event by which a source's listeners are told to reload its rooms: a TRUNCATE says nothing of the rows that it removes.
//!
//! `rowcast.tell_to_reload` writes it, for the servers alone: into a room of theirs, with patterns of the rooms that it means. One that
//! can't be read means every room.

use serde::Deserialize;

use super::{Event, Room};

/// What rooms are to be reloaded.
#[derive(Debug)]
pub(crate) struct Reload {
    rooms: Option<Vec<Pattern>>,
    /// The attached table, and why: for the log.
    why: String,
}

#[derive(Deserialize)]
struct Payload {
    rooms: Vec<String>,
    source: String,
    reason: String,
}

/// A pattern of LIKE, as the texts between its wildcards: one more than there are wildcards.
#[derive(Debug)]
struct Pattern(Vec<String>);

impl Reload {
    /// What clients are told.
    pub(crate) const REASON: &str = "rows of the room came or went without an event";

    /// What an event says, if it is of this kind.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        event
            .room
            .is_of_reloads()
            .then(|| Self::parse(event.payload.get()))
    }

    fn parse(payload: &str) -> Self {
        match serde_json::from_str::<Payload>(payload) {
            Ok(Payload {
                rooms,
                source,
                reason,
            }) => Self {
                rooms: Some(rooms.iter().map(|room| Pattern::parse(room)).collect()),
                why: format!("{source}: {reason}"),
            },
            Err(error) => Self {
                rooms: None,
                why: format!("a source that is not known: {error}"),
            },
        }
    }

    /// Whether a room is to be reloaded.
    pub(crate) fn concerns(&self, room: &Room) -> bool {
        let mut patterns = self.rooms.iter().flatten();
        self.rooms.is_none() || patterns.any(|pattern| pattern.matches(room.as_str()))
    }

    /// The attached table, and why.
    pub(crate) fn why(&self) -> &str {
        &self.why
    }
}

impl Pattern {
    fn parse(text: &str) -> Self {
        let mut literals = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let literal = match character {
                '%' => {
                    literals.push(String::new());
                    continue;
                }
                '\\' => characters.next(),
                other => Some(other),
            };
            if let Some(last) = literals.last_mut() {
                last.extend(literal);
            }
        }
        Self(literals)
    }

    fn matches(&self, text: &str) -> bool {
        let Some((last, first)) = self.0.split_last() else {
            return false;
        };
        let Some((first, middle)) = first.split_first() else {
            return last == text;
        };
        let Some(mut rest) = text.strip_prefix(&**first) else {
            return false;
        };
        for literal in middle {
            let Some((_, tail)) = rest.split_once(&**literal) else {
                return false;
            };
            rest = tail;
        }
        rest.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_the_rooms_that_a_template_can_make() {
        let matches = |pattern: &str, room: &str| Pattern::parse(pattern).matches(room);
        for (pattern, room) in [
            ("conversation:%", "conversation:4:2"),
            ("conversation:lobby", "conversation:lobby"),
            ("%", "inbox:7"),
            ("team:%:a:%", "team:1:a:2"),
            ("team:%:a:%", "team:1:2:a:a:3"),
            ("a%b%c", "abc"),
            (r"50\%:%\_x", "50%:7_x"),
            (r"back\\slash:%", r"back\slash:1"),
        ] {
            assert!(matches(pattern, room), "{pattern} is {room}");
        }
        for (pattern, room) in [
            ("conversation:%", "inbox:7"),
            ("conversation:lobby", "conversation:lobby2"),
            ("team:%:a:%", "team:1:b:2"),
            ("a%bc", "abc:b"),
            ("x%x", "x"),
            (r"50\%:%", "500:7"),
            (r"%\_x", "7yx"),
        ] {
            assert!(!matches(pattern, room), "{pattern} is not {room}");
        }
    }

    #[test]
    fn what_cant_be_read_means_every_room() {
        assert!(Reload::parse("{}").concerns(&Room::from("inbox:7")));
        let one = Reload::parse(r#"{"rooms":["inbox:%"],"source":"public.m","reason":"truncate"}"#);
        assert!(
            one.concerns(&Room::from("inbox:7")) && !one.concerns(&Room::from("conversation:7"))
        );
        assert_eq!(one.why(), "public.m: truncate");
    }
}
