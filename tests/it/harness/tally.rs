//! The verdict: what each witness has, against the tables and the ledger, event by event.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::time::Instant;

use super::ledger::{Key, Mark, Truth};
use super::witness::{Phase, Room, View};

/// The sums over all witnesses of a test.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    /// Events in the tables.
    pub(crate) written: u64,
    /// Events that witnesses got.
    pub(crate) deliveries: u64,
    pub(crate) losses_of_connection: u64,
    pub(crate) resumed: u64,
    pub(crate) fresh: u64,
    pub(crate) resyncs: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) invented: u64,
    pub(crate) disordered: u64,
    /// What was said with each resync.
    reasons: Vec<String>,
    /// The first few findings, in words.
    findings: Vec<String>,
}

const FINDINGS: usize = 40;

impl Tally {
    /// Judges what one witness has seen.
    pub(crate) fn judge(
        &mut self,
        who: &str,
        view: &View,
        truth: &Truth,
        marks: &HashMap<Key, Mark>,
    ) {
        self.deliveries += view.events;
        self.losses_of_connection += view.lost;
        self.resumed += view.resumed;
        self.fresh += view.fresh;
        self.resyncs += view.resyncs;
        for odd in &view.odd {
            self.finds(format!("{who}: {odd}"));
        }
        for reason in &view.reasons {
            self.reasons.push(format!("{who}, {reason}"));
        }
        let before = self.findings.len();
        for (contact, room) in &view.rooms {
            let nothing = Vec::new();
            let expected = truth.get(contact).unwrap_or(&nothing);
            let who = format!("{who}, room {contact}");
            if room.phase != Phase::In {
                self.finds(format!("{who}: it is {:?} at the end", room.phase));
            }
            self.count(&who, room, expected, marks);
            self.order(&who, room, marks);
        }
        if self.findings.len() > before {
            let journal = format!("{who} did this: {:?}", view.journal);
            self.reasons.insert(0, journal);
        }
    }

    fn count(&mut self, who: &str, room: &Room, expected: &[Key], marks: &HashMap<Key, Mark>) {
        let mut got: HashMap<Key, u32> = HashMap::new();
        for key in &room.arrivals {
            *got.entry(*key).or_default() += 1;
        }
        let told = |key: &Key| match room.base.get(&key.message) {
            Some((rank, loose)) if key.rank <= *rank => Some(*loose),
            _ => None,
        };
        let known: HashSet<Key> = expected.iter().copied().collect();
        for key in expected {
            let times = got.get(key).copied().unwrap_or(0);
            let (least, most) = match told(key) {
                None => (1, 1),
                Some(false) => (0, 0),
                // An older page was read later than the offset, so it may tell of what still comes as an event.
                Some(true) => (0, 1),
            };
            if times < least {
                self.lost += 1;
                self.finds(format!("{who}: lost {}", describe(key, room, marks)));
            } else if times > most {
                self.doubled += u64::from(times - most);
                self.finds(format!(
                    "{who}: {times} times {}",
                    describe(key, room, marks)
                ));
            }
        }
        for key in got.keys().filter(|key| !known.contains(key)) {
            self.invented += 1;
            self.finds(format!("{who}: invented {}", describe(key, room, marks)));
        }
    }

    /// By connection: commit order, and in a transaction write order. Between connections: what was committed before
    /// another write began comes first.
    fn order(&mut self, who: &str, room: &Room, marks: &HashMap<Key, Mark>) {
        let mut places: HashMap<u64, u64> = HashMap::new();
        let mut latest: Option<(Instant, Key)> = None;
        for key in &room.arrivals {
            let Some(mark) = marks.get(key) else {
                continue;
            };
            let place = places.entry(mark.writer).or_default();
            let late = latest.filter(|(began, _)| mark.over.is_some_and(|over| over < *began));
            if mark.place < *place {
                self.disordered += 1;
                self.finds(format!(
                    "{who}: after place {place} of its writer came {}",
                    describe(key, room, marks)
                ));
            } else if let Some((_, other)) = late {
                self.disordered += 1;
                self.finds(format!(
                    "{who}: {} came after {}, which was begun when it was committed",
                    describe(key, room, marks),
                    describe(&other, room, marks)
                ));
            }
            *place = mark.place.max(*place);
            if latest.is_none_or(|(began, _)| began < mark.began) {
                latest = Some((mark.began, *key));
            }
        }
    }

    fn finds(&mut self, finding: String) {
        if self.findings.len() < FINDINGS {
            self.findings.push(finding);
        }
    }

    /// Is every guarantee kept?
    pub(crate) fn is_clean(&self) -> bool {
        self.findings.is_empty()
    }

    /// Fails the test unless every guarantee was kept and events did flow.
    pub(crate) fn assert_clean(&self) {
        assert!(self.is_clean(), "{self}");
        assert!(self.deliveries > 0, "nothing was delivered: {self}");
    }
}

/// An event with its place among the arrivals and its mark.
fn describe(key: &Key, room: &Room, marks: &HashMap<Key, Mark>) -> String {
    let name = match key.rank {
        0 => "message:new".to_owned(),
        rank => format!("message:status {rank}"),
    };
    let places: Vec<_> = room
        .arrivals
        .iter()
        .enumerate()
        .filter(|(_, other)| *other == key)
        .map(|(place, _)| place)
        .collect();
    let mark = marks
        .get(key)
        .map_or("unknown to the writers".to_owned(), |mark| {
            let age = |at: Instant| format!("{:.3}s ago", at.elapsed().as_secs_f64());
            let over = mark.over.map_or("never known to be".to_owned(), age);
            format!(
                "writer {} place {}, begun {}, committed {over}",
                mark.writer,
                mark.place,
                age(mark.began)
            )
        });
    format!(
        "{name} {:032x} (arrival {places:?} of {}; {mark})",
        key.message,
        room.arrivals.len()
    )
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "events written {}, deliveries {}, cuts {}, resumed {}, fresh {}, resyncs {}, \
             lost {}, doubled {}, invented {}, out of order {}",
            self.written,
            self.deliveries,
            self.losses_of_connection,
            self.resumed,
            self.fresh,
            self.resyncs,
            self.lost,
            self.doubled,
            self.invented,
            self.disordered
        )?;
        for line in self
            .findings
            .iter()
            .chain(self.reasons.iter().take(FINDINGS))
        {
            write!(f, "\n  {line}")?;
        }
        Ok(())
    }
}
