//! Who is in which room of this server, in memory: what `rowcast.presence` is made of.
//!
//! Owns the count of connections by room and subject, and which of them have changed since they were last looked at: by whoever stores
//! them ([`LocalPresence::take_unstored`]) and by whoever tells clients of them ([`LocalPresence::take_untold`]). Both get what holds at
//! that moment, never a difference, so that nothing can drift: a change that is missed is made good by the next look.
//! Guarantees that a room and a subject have one number while somebody is there, and another one the next time.
//! A leaf: `delivery` enters and leaves under the hub's lock, `feed` stores, `delivery` tells.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::sync::watch;

use crate::event::Room;

/// Whom a connection counts for: the claim `sub`, or without tokens what stands for its session.
pub(crate) type Subject = Arc<str>;

/// A time in microseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Since(pub i64);

impl Since {
    /// This moment, by this machine's clock.
    pub(crate) fn now() -> Self {
        let passed = SystemTime::now().duration_since(UNIX_EPOCH);
        Self(passed.map_or(0, |passed| {
            i64::try_from(passed.as_micros()).unwrap_or(i64::MAX)
        }))
    }

    /// As clients are told it: RFC 3339, with milliseconds.
    pub(crate) fn text(self) -> String {
        let micros = u64::try_from(self.0).unwrap_or_default();
        let at = UNIX_EPOCH.checked_add(std::time::Duration::from_micros(micros));
        // What is beyond the calendar was written by nobody of ours.
        let at = at.filter(|at| *at < UNIX_EPOCH + std::time::Duration::from_secs(250_000_000_000));
        humantime::format_rfc3339_millis(at.unwrap_or(UNIX_EPOCH)).to_string()
    }
}

/// A subject in a room of this server, as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LocalRow {
    /// This server's number for it.
    pub id: i64,
    /// The room.
    pub room: Room,
    /// The subject.
    pub subject: Subject,
    /// How many connections of the subject are in the room.
    pub connections: u32,
    /// When the first of them came.
    pub since: Since,
}

/// What is to be written.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unstored {
    /// Rows with what they hold.
    pub rows: Vec<LocalRow>,
    /// The numbers of rows that are to be gone.
    pub gone: Vec<i64>,
}

/// A subject in a room of another server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RemoteRow {
    /// The server.
    pub server: i64,
    /// Its number for the row.
    pub id: i64,
    /// The room.
    pub room: Room,
    /// The subject.
    pub subject: Subject,
    /// When its first connection there came.
    pub since: Since,
}

/// What was found of the other servers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum RemoteChange {
    /// All that they have in these rooms.
    Rooms {
        /// The rooms that were read.
        rooms: Vec<Room>,
        /// Their rows.
        rows: Vec<RemoteRow>,
    },
    /// What has changed, in rooms that may be of no interest, too.
    Changed {
        /// Rows that have come, or hold something else.
        rows: Vec<RemoteRow>,
        /// Rows that are gone: the server, and its number.
        gone: Vec<(i64, i64)>,
    },
    /// Servers that have ended, with all of their rows.
    Ended(Vec<i64>),
}

/// Whether somebody watches who is in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Interest {
    /// Somebody does, from now on.
    Begins(Room),
    /// Nobody does any more.
    Ends(Room),
}

/// Who is in which room of this server.
#[derive(Debug, Default)]
pub(crate) struct LocalPresence {
    /// A leaf among the locks.
    state: Mutex<State>,
    unstored: watch::Sender<()>,
    untold: watch::Sender<()>,
}

#[derive(Debug, Default)]
struct State {
    rooms: HashMap<Room, BTreeMap<Subject, Here>>,
    watched: HashSet<Room>,
    last_id: i64,
    unstored: HashMap<i64, (Room, Subject)>,
    untold: HashSet<(Room, Subject)>,
}

/// A subject's connections in a room.
#[derive(Clone, Copy, Debug)]
struct Here {
    id: i64,
    connections: u32,
    since: Since,
}

impl LocalPresence {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection of the subject has entered the room.
    pub(crate) fn enter(&self, room: &Room, subject: &Subject) {
        let mut state = self.state();
        let State { rooms, last_id, .. } = &mut *state;
        let subjects = rooms.entry(room.clone()).or_default();
        let here = subjects.entry(subject.clone()).or_insert_with(|| {
            *last_id += 1;
            Here {
                id: *last_id,
                connections: 0,
                since: Since::now(),
            }
        });
        here.connections += 1;
        let id = here.id;
        self.note(state, id, room, subject);
    }

    /// A connection of the subject has left the room.
    pub(crate) fn leave(&self, room: &Room, subject: &Subject) {
        let mut state = self.state();
        let Some(subjects) = state.rooms.get_mut(room) else {
            return;
        };
        let Some(here) = subjects.get_mut(subject) else {
            return;
        };
        here.connections -= 1;
        let (id, left) = (here.id, here.connections);
        if left == 0 {
            subjects.remove(subject);
            if subjects.is_empty() {
                state.rooms.remove(room);
            }
        }
        self.note(state, id, room, subject);
    }

    fn note(&self, mut state: MutexGuard<'_, State>, id: i64, room: &Room, subject: &Subject) {
        state.unstored.insert(id, (room.clone(), subject.clone()));
        let is_watched = state.watched.contains(room);
        if is_watched {
            state.untold.insert((room.clone(), subject.clone()));
        }
        drop(state);
        self.unstored.send_replace(());
        if is_watched {
            self.untold.send_replace(());
        }
    }

    /// Says that there may be something to store.
    pub(crate) fn unstored(&self) -> watch::Receiver<()> {
        self.unstored.subscribe()
    }

    /// Says that there may be something to tell.
    pub(crate) fn untold(&self) -> watch::Receiver<()> {
        self.untold.subscribe()
    }

    /// Everything is to be stored anew, for a server that has written nothing yet.
    pub(crate) fn forget_stored(&self) {
        let mut state = self.state();
        let State {
            rooms, unstored, ..
        } = &mut *state;
        unstored.clear();
        for (room, subjects) in rooms {
            for (subject, here) in subjects {
                unstored.insert(here.id, (room.clone(), subject.clone()));
            }
        }
    }

    /// What has changed since the last time, `most` rows of it. What is taken counts as stored.
    pub(crate) fn take_unstored(&self, most: usize) -> Unstored {
        let mut state = self.state();
        let State {
            rooms, unstored, ..
        } = &mut *state;
        let mut taken = Unstored::default();
        let some: Vec<i64> = unstored.keys().copied().take(most).collect();
        for id in some {
            let Some((room, subject)) = unstored.remove(&id) else {
                continue;
            };
            let here = rooms.get(&room).and_then(|subjects| subjects.get(&subject));
            match here.filter(|here| here.id == id) {
                Some(here) => taken.rows.push(LocalRow {
                    id,
                    connections: here.connections,
                    since: here.since,
                    room,
                    subject,
                }),
                None => taken.gone.push(id),
            }
        }
        // One order, so that two servers with a trigger of somebody's never wait for each other in a circle.
        taken
            .rows
            .sort_by(|a, b| (a.room.as_str(), &a.subject).cmp(&(b.room.as_str(), &b.subject)));
        taken
    }

    /// Whether something waits to be stored.
    pub(crate) fn has_unstored(&self) -> bool {
        !self.state().unstored.is_empty()
    }

    /// From here on changes in this room are to be told. Returns who is there.
    pub(crate) fn watch(&self, room: &Room) -> Vec<(Subject, Since)> {
        let mut state = self.state();
        state.watched.insert(room.clone());
        let subjects = state.rooms.get(room).into_iter().flatten();
        subjects
            .map(|(subject, here)| (subject.clone(), here.since))
            .collect()
    }

    /// Nobody is to be told of this room any more.
    pub(crate) fn unwatch(&self, room: &Room) {
        self.state().watched.remove(room);
    }

    /// The subjects of watched rooms for which something has changed, with the time since which each is there; none who is not.
    pub(crate) fn take_untold(&self) -> Vec<(Room, Subject, Option<Since>)> {
        let mut state = self.state();
        let untold = std::mem::take(&mut state.untold);
        let rooms = &state.rooms;
        let present = untold.into_iter().map(|(room, subject)| {
            let here = rooms.get(&room).and_then(|subjects| subjects.get(&subject));
            let since = here.map(|here| here.since);
            (room, subject, since)
        });
        present.collect()
    }
}

#[cfg(test)]
mod tests;
