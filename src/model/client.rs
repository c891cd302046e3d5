//! A client as it is at the other end: what has arrived, and what must have.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::database::{Committed, Database};
use crate::delivery::{Backlog, Outgoing, SendOutcome, SubscriberTransport};
use crate::event::{Room, name};
use crate::offset::Offset;

/// What is on its way to a client, in order.
#[derive(Clone, Debug)]
pub(super) enum Sent {
    /// A stored event.
    Event {
        uid: u64,
        offset: String,
        /// The rooms that were closed to the client when it was sent.
        closed: Vec<Room>,
    },
    /// It is to reload a room. With the moment at which it was sent.
    Resync { contact: String, at: u64 },
    /// The first event of a connection.
    Ready { offset: String },
    /// A join is answered.
    Joined {
        room: Room,
        offset: Offset,
        lost: bool,
        at: u64,
    },
    /// A leave is answered.
    Left { room: Room },
    /// A join is refused.
    Refused { room: Room },
    /// The server has taken the client out of a room.
    TakenOut { room: Room },
}

/// A connection on its way out: the server sends, and the client has it once it has read it.
pub(super) struct Wire {
    queue: Mutex<VecDeque<Sent>>,
    taken: AtomicU64,
    capacity: usize,
    closed: AtomicBool,
    clock: Arc<AtomicU64>,
    /// The rooms that are closed to the client at this moment.
    closed_rooms: ClosedRooms,
}

pub(super) type ClosedRooms = Box<dyn Fn() -> Vec<Room> + Send + Sync>;

impl Wire {
    /// So many events may wait. `clock` says which moment it is.
    pub(super) fn new(
        capacity: usize,
        clock: Arc<AtomicU64>,
        closed_rooms: ClosedRooms,
    ) -> Arc<Self> {
        Arc::new(Self {
            queue: Mutex::default(),
            taken: AtomicU64::new(0),
            capacity,
            closed: AtomicBool::new(false),
            clock,
            closed_rooms,
        })
    }

    fn queue(&self) -> MutexGuard<'_, VecDeque<Sent>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, sent: Sent) {
        self.queue().push_back(sent);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue().is_empty()
    }

    pub(super) fn read(&self) -> Option<Sent> {
        let sent = self.queue().pop_front()?;
        self.taken.fetch_add(1, Ordering::Relaxed);
        Some(sent)
    }
}

impl SubscriberTransport for Wire {
    fn send(&self, event: &Outgoing) -> SendOutcome {
        if self.is_closed() {
            return SendOutcome::Closed;
        }
        let mut queue = self.queue();
        if queue.len() >= self.capacity {
            return SendOutcome::Full;
        }
        let payload = event.payload().get();
        queue.push_back(match event.offset() {
            Some(offset) => Sent::Event {
                uid: payload.parse().expect("a stored event"),
                offset: offset.to_owned(),
                closed: (self.closed_rooms)(),
            },
            None if event.name() == name::LEFT => {
                let payload: serde_json::Value = serde_json::from_str(payload).expect("JSON");
                let room = payload["room"].as_str().expect("text").into();
                Sent::TakenOut { room }
            }
            None => {
                assert_eq!(event.name(), name::RESYNC);
                let payload: serde_json::Value = serde_json::from_str(payload).expect("JSON");
                Sent::Resync {
                    contact: payload["contactId"].as_str().expect("text").to_owned(),
                    at: self.clock.load(Ordering::Relaxed),
                }
            }
        });
        SendOutcome::Sent
    }

    fn backlog(&self) -> Backlog {
        Backlog {
            waiting_bytes: self.queue().len(),
            taken_bytes: self.taken.load(Ordering::Relaxed),
            pause_at_bytes: (self.capacity / 2).max(1),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::Relaxed)
    }
}

/// From where on a client must have everything of a room.
#[derive(Clone, Debug)]
enum Since {
    /// What this offset has not seen.
    Offset(Box<Offset>),
    /// It was told to reload at this moment: what was committed later. What was committed before may still come, once.
    Reload(u64),
}

/// A room as a client knows it.
#[derive(Clone, Debug)]
struct View {
    since: Since,
    /// Whether the join was answered.
    joined: bool,
    /// What has arrived since.
    events: Vec<u64>,
    /// The offset that came last with something of the room, if it says what there was of the room.
    last: Option<String>,
}

/// A client over all of its connections.
#[derive(Default)]
pub(super) struct Client {
    pub(super) pid: Option<String>,
    /// What a stock client keeps.
    pub(super) offset: Option<String>,
    /// Whether it waits for an answer, before it asks for more.
    pub(super) waits: bool,
    views: HashMap<Room, View>,
    /// What it keeps of rooms that it is not in any more, or does not know to be in, to go on from there.
    kept: HashMap<Room, View>,
}

impl Client {
    /// Asks to join a room, from an offset on if it has one.
    pub(super) fn asks_to_join(&mut self, room: &Room, after: Option<&Offset>) {
        let since = after.map_or(Since::Reload(u64::MAX), |after| {
            Since::Offset(Box::new(after.clone()))
        });
        let view = View {
            since,
            joined: false,
            events: Vec::new(),
            last: None,
        };
        self.kept.remove(room);
        self.views.insert(room.clone(), view);
    }

    /// A room in which it could go on.
    pub(super) fn kept_room(&self) -> Option<Room> {
        let mut rooms: Vec<&Room> = self.kept.keys().collect();
        rooms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rooms.first().map(|room| (*room).clone())
    }

    /// Asks to join a room where it left off, with all that it has of it. Returns the offset that it asks with.
    pub(super) fn asks_to_go_on(&mut self, room: &Room) -> Option<String> {
        let view = self.kept.remove(room)?;
        let last = view.last.clone();
        self.views.insert(room.clone(), view);
        last
    }

    /// It keeps what it has of a room, to go on from there, if it has an offset to go on from.
    fn keep(&mut self, room: Room, mut view: View) {
        view.joined = false;
        let knows_since = !matches!(view.since, Since::Reload(u64::MAX));
        if view.last.is_some() && knows_since {
            self.kept.insert(room, view);
        }
    }

    /// Asks to leave a room. Whether it is in there is not certain any more, until that is answered.
    pub(super) fn asks_to_leave(&mut self, room: &Room) {
        if let Some(view) = self.views.get_mut(room) {
            view.joined = false;
        }
    }

    /// The rooms that it has joined for certain.
    pub(super) fn joined_rooms(&self) -> Vec<Room> {
        let joined = self.views.iter().filter(|(_, view)| view.joined);
        let mut rooms: Vec<_> = joined.map(|(room, _)| room.clone()).collect();
        rooms.sort_by(|a, b| a.as_str().cmp(b.as_str()));
        rooms
    }

    /// The connection is lost: joins that were not answered are asked for again.
    pub(super) fn loses_connection(&mut self) {
        for (room, view) in std::mem::take(&mut self.views) {
            if view.joined {
                self.views.insert(room, view);
            } else {
                self.keep(room, view);
            }
        }
        self.waits = false;
    }

    /// It comes in without its rooms, and has to join them anew.
    pub(super) fn begins_anew(&mut self) {
        for (room, view) in std::mem::take(&mut self.views) {
            self.keep(room, view);
        }
        self.offset = None;
    }

    /// Something has arrived.
    pub(super) fn receives(&mut self, sent: Sent, database: &Database) {
        match sent {
            Sent::Ready { offset } => self.offset = Some(offset),
            Sent::Event {
                uid,
                offset,
                closed,
            } => {
                let room = &database.event(uid).room;
                assert!(
                    !closed.contains(room),
                    "{uid} was sent after {room:?} was closed"
                );
                self.offset = Some(offset.clone());
                self.receives_event(database.event(uid), offset, database);
            }
            Sent::Resync { contact, at } => {
                let mut views = self.views.iter_mut();
                if let Some((_, view)) = views.find(|(room, _)| room.contact() == contact) {
                    view.since = Since::Reload(at);
                    view.events.clear();
                    view.last = None;
                }
            }
            Sent::Joined {
                room,
                offset,
                lost,
                at,
            } => {
                self.waits = false;
                let view = self.views.get_mut(&room).expect("it asked");
                view.joined = true;
                let early = std::mem::take(&mut view.events);
                view.last = (!lost).then(|| offset.pack());
                if lost {
                    view.since = Since::Reload(at);
                    return;
                }
                let asked_after = !matches!(view.since, Since::Reload(u64::MAX));
                if !asked_after {
                    view.since = Since::Offset(Box::new(offset));
                }
                for event in early.into_iter().map(|uid| database.event(uid)) {
                    // A replay was asked for, and is checked as a whole. What came between another join and its answer
                    // is later than the answer's offset only after a crash.
                    if asked_after || view.since.allows(event) {
                        view.receives(event, database);
                    }
                }
            }
            Sent::TakenOut { room } => {
                // An answer may still be on its way.
                if self.views.get(&room).is_some_and(|view| view.joined) {
                    self.views.remove(&room);
                }
            }
            Sent::Left { room } => {
                self.waits = false;
                if let Some(view) = self.views.remove(&room) {
                    self.keep(room, view);
                }
            }
            Sent::Refused { room } => {
                self.waits = false;
                self.views.remove(&room);
            }
        }
    }

    fn receives_event(&mut self, event: &Committed, offset: String, database: &Database) {
        let Some(view) = self.views.get_mut(&event.room) else {
            return;
        };
        if view.joined {
            view.receives(event, database);
        } else {
            view.events.push(event.uid);
        }
        view.last = Some(offset);
    }

    /// Everything has settled: nothing is missing, and nothing is left that was undone.
    pub(super) fn check_complete(&self, database: &Database) {
        for (room, view) in &self.views {
            assert!(view.joined, "a join of {room:?} was never answered");
            for event in database.committed().filter(|event| event.room == *room) {
                let has = view.events.contains(&event.uid);
                assert!(!(has && event.undone), "undone: {event:?} {view:?}");
                let must = !event.undone && view.since.requires(event);
                assert!(has || !must, "missing: {event:?} {view:?}");
            }
        }
    }
}

impl View {
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
}

impl Since {
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
            Self::Reload(at) => event.committed_at > *at,
        }
    }
}

/// An offset says nothing of transactions after a crash that came later than it.
fn has_not_seen(offset: &Offset, event: &Committed) -> bool {
    event.era > offset.epoch.crashes || offset.seen.misses(event.xid, event.id)
}
