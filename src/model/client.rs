//! A client as it is at the other end: what has arrived, and what must have.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::database::Database;
use super::view::{Rejoin, View};
use crate::delivery::{Backlog, Outgoing, SendOutcome, SubscriberTransport};
use crate::event::{Reload, Room, name};
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
    /// It is to reload a room, perhaps because of an event. With the moment at which it was sent.
    Resync { room: Room, by_event: bool, at: u64 },
    /// The first event of a connection.
    Ready { offset: Offset },
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
        if !self.is_closed() {
            self.queue().push_back(sent);
        }
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
                    room: payload["room"].as_str().expect("text").into(),
                    by_event: payload["reason"] == Reload::REASON,
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
        self.kept.remove(room);
        self.views.insert(room.clone(), View::new(room, after));
    }

    /// Asks to join a room that it has joined, after what it has loaded: as whoever was told to reload it does.
    pub(super) fn asks_again(&mut self, room: &Room, after: &Offset, is_believed: bool) {
        if let Some(view) = self.views.get_mut(room) {
            view.rejoin = Some(Rejoin {
                after: Box::new(after.clone()),
                is_believed,
                is_told: false,
            });
        }
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
        (view.joined, view.rejoin) = (false, None);
        if view.last.is_some() && view.knows_since() {
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
        for (room, mut view) in std::mem::take(&mut self.views) {
            view.rejoin = None;
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
            Sent::Ready { offset } => {
                for view in self.views.values_mut() {
                    view.comes_back(&offset);
                }
                self.offset = Some(offset.pack());
            }
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
                let event = database.event(uid);
                if let Some(view) = self.views.get_mut(&event.room) {
                    view.receives_with(event, offset, database);
                }
            }
            Sent::Resync { room, by_event, at } => {
                if let Some(view) = self.views.get_mut(&room) {
                    view.is_to_reload(at, by_event, database);
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
                view.is_answered(offset, lost, at, database);
            }
            Sent::TakenOut { room } => {
                // An answer may still be on its way.
                if let Some(view) = self.views.get_mut(&room).filter(|view| view.joined) {
                    match view.rejoin.take() {
                        None => drop(self.views.remove(&room)),
                        Some(rejoin) => *view = View::new(&room, Some(&rejoin.after)),
                    }
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

    /// Everything has settled: nothing is missing, and nothing is left that was undone.
    pub(super) fn check_complete(&self, database: &Database) {
        for view in self.views.values() {
            view.check_complete(database);
        }
    }
}
