//! A room as a client knows it: what has arrived of it, what must have, and how often it was told to reload it.

use super::database::{Committed, Database};
use crate::event::Room;
use crate::offset::Offset;

/// From where on a client must have everything of a room.
#[derive(Clone, Debug)]
pub(super) enum Since {
    /// What this offset has not seen.
    Offset(Box<Offset>),
    /// It was told to reload: what was committed later than that. What was committed before may still come, once.
    Reload(Told),
}

/// When a client was told to reload a room.
#[derive(Clone, Debug)]
pub(super) struct Told {
    at: u64,
    /// Of an event that has the room reloaded: what was written after this moment comes after the telling.
    last_reload: Option<u64>,
}

/// A join of a room that the client is in.
#[derive(Clone, Debug)]
pub(super) struct Rejoin {
    pub(super) after: Box<Offset>,
    pub(super) is_believed: bool,
    /// Whether the client was told to reload meanwhile.
    pub(super) is_told: bool,
}

#[derive(Clone, Debug)]
pub(super) struct View {
    room: Room,
    since: Since,
    /// Whether the join was answered.
    pub(super) joined: bool,
    /// What has arrived since.
    events: Vec<u64>,
    /// The offset that came last with something of the room, if it says what there was of the room.
    pub(super) last: Option<String>,
    /// What the client had when it joined, and whenever it came back: it is not told of reloads that these have seen.
    bases: Vec<Offset>,
    /// The reloads since of which it may be that it was told, one for each telling.
    told: Vec<u64>,
    pub(super) rejoin: Option<Rejoin>,
}

impl View {
    /// Of a join that was asked for, from an offset on if the client has one.
    pub(super) fn new(room: &Room, after: Option<&Offset>) -> Self {
        let since = after.map_or(Since::told(u64::MAX), |after| {
            Since::Offset(Box::new(after.clone()))
        });
        Self {
            room: room.clone(),
            since,
            joined: false,
            events: Vec::new(),
            last: None,
            bases: Vec::new(),
            told: Vec::new(),
            rejoin: None,
        }
    }

    /// Whether it is known from where on it has everything.
    pub(super) fn knows_since(&self) -> bool {
        !matches!(self.since, Since::Reload(Told { at: u64::MAX, .. }))
    }

    /// The client has come back, and has had what this offset says.
    pub(super) fn comes_back(&mut self, with: &Offset) {
        if self.joined {
            self.bases.push(with.clone());
            self.told.clear();
        }
    }

    /// The client is to reload the room: so the server said at this moment, because of an event or for another reason.
    pub(super) fn is_to_reload(&mut self, at: u64, by_event: bool, database: &Database) {
        self.since = Since::told(at);
        self.events.clear();
        self.last = None;
        if let Some(rejoin) = &mut self.rejoin {
            rejoin.is_told = true;
        }
        if !(by_event && self.joined) {
            return;
        }
        let mut reloads = database
            .committed()
            .filter(|event| event.reloads(&self.room) && event.committed_at <= at)
            .filter(|event| self.bases.iter().all(|base| has_not_seen(base, event)));
        let last_reload = reloads.clone().map(|reload| reload.committed_at).max();
        self.since = Since::Reload(Told { at, last_reload });
        let reload = reloads.find(|reload| !self.told.contains(&reload.uid));
        let Some(reload) = reload else {
            panic!("told to reload of nothing, or twice: {self:?}");
        };
        self.told.push(reload.uid);
    }

    /// A join is answered, with this offset.
    pub(super) fn is_answered(&mut self, offset: Offset, lost: bool, at: u64, database: &Database) {
        let early = if let Some(rejoin) = self.rejoin.take() {
            if !lost {
                self.last = Some(offset.pack());
                return;
            }
            rejoin.check_refusal(&self.room, database);
            Vec::new()
        } else {
            std::mem::take(&mut self.events)
        };
        self.joined = true;
        self.last = (!lost).then(|| offset.pack());
        (self.bases, self.told) = (vec![offset.clone()], Vec::new());
        if lost {
            self.since = Since::told(at);
            self.events.clear();
            return;
        }
        let asked_after = self.knows_since();
        if !asked_after {
            self.since = Since::Offset(Box::new(offset));
        }
        for event in early.into_iter().map(|uid| database.event(uid)) {
            // A replay was asked for, and is checked as a whole. What came between another join and its answer is later than
            // the answer's offset only after a crash.
            if asked_after || self.since.allows(event) {
                self.receives(event, database);
            }
        }
    }

    pub(super) fn receives_with(&mut self, event: &Committed, offset: String, database: &Database) {
        if self.joined {
            self.receives(event, database);
        } else {
            self.events.push(event.uid);
        }
        self.last = Some(offset);
    }

    fn receives(&mut self, event: &Committed, database: &Database) {
        assert!(
            !self.events.contains(&event.uid),
            "twice: {event:?} {self:?}"
        );
        assert!(self.since.allows(event), "it had that: {event:?} {self:?}");
        for earlier in self.events.iter().map(|uid| database.event(*uid)) {
            let is_late = event.committed_at < earlier.written_at;
            assert!(!is_late, "after {earlier:?} came {event:?}");
        }
        self.events.push(event.uid);
    }

    /// Everything has settled: nothing is missing, and nothing is left that was undone.
    pub(super) fn check_complete(&self, database: &Database) {
        let room = &self.room;
        assert!(self.joined, "a join of {room:?} was never answered");
        for event in database.committed().filter(|event| event.room == *room) {
            let has = self.events.contains(&event.uid);
            assert!(!(has && event.undone), "undone: {event:?} {self:?}");
            let must = !event.undone && self.since.requires(event);
            assert!(has || !must, "missing: {event:?} {self:?}");
        }
        for reload in database.committed().filter(|event| event.reloads(room)) {
            let must = self.since.requires(reload);
            assert!(!must, "not told: {reload:?} {self:?}");
        }
    }
}

impl Rejoin {
    /// The server says that it can't tell what came after the offset.
    fn check_refusal(&self, room: &Room, database: &Database) {
        let is_missed = |event: &Committed| has_not_seen(&self.after, event);
        let mut reloads = database.committed().filter(|event| event.reloads(room));
        assert!(
            !self.is_believed || self.is_told || database.has_crashed() || reloads.any(is_missed),
            "told to reload {room:?} again after {:?}",
            self.after
        );
    }
}

impl Since {
    fn told(at: u64) -> Self {
        Self::Reload(Told {
            at,
            last_reload: None,
        })
    }

    /// Whether an event may come.
    fn allows(&self, event: &Committed) -> bool {
        match self {
            Self::Offset(offset) => has_not_seen(offset, event),
            Self::Reload(_) => true,
        }
    }

    /// Whether an event must come.
    fn requires(&self, event: &Committed) -> bool {
        match self {
            Self::Offset(offset) => has_not_seen(offset, event),
            Self::Reload(Told { at, last_reload }) => {
                event.committed_at > *at || last_reload.is_some_and(|at| event.written_at > at)
            }
        }
    }
}

/// An offset says nothing of transactions after a crash that came later than it.
fn has_not_seen(offset: &Offset, event: &Committed) -> bool {
    event.era > offset.epoch.crashes || offset.seen.misses(event.xid, event.id)
}
