//! Tells clients who is in the rooms that they watch.
//!
//! Owns what was told: one task holds it, without a lock, and is brought whatever changes. Who is at this server comes from
//! [`LocalPresence`], who is at others from `feed`; both as what holds, so a change that comes twice is told once.
//! Guarantees that a watcher gets the list of a room first, and then each change of that list; and that one who is put out of the room gets
//! nothing of it any more. The list comes when it is known who is at the other servers, which takes the database.
//! Nothing of it is stored or carries an offset. Whoever comes back gets the list anew.

mod told;
mod watched_room;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::hub::Hub;
use super::hub_presence::Watch;
use super::subscriber::Subscriber;
use crate::event::Room;
use crate::presence::{Interest, LocalPresence, RemoteChange, RemoteRow, Since, Subject};
use told::Source;
use watched_room::WatchedRoom;

/// Between two looks at what time has brought, while there is something that waits for it.
const TICK: Duration = Duration::from_millis(250);
/// Between two looks at what has changed here.
const PAUSE: Duration = Duration::from_millis(10);

impl Hub {
    /// From here on it is kept who is in which room. Before the first client comes.
    pub(crate) fn keep_presence(self: &Arc<Self>, local: Arc<LocalPresence>) -> Teller {
        let watched = self.presence.keep(local.clone());
        Teller {
            hub: self.clone(),
            local,
            watched,
            rooms: HashMap::new(),
            remote: HashMap::new(),
            timed: HashSet::new(),
        }
    }
}

/// Tells watchers.
pub(crate) struct Teller {
    hub: Arc<Hub>,
    local: Arc<LocalPresence>,
    watched: mpsc::UnboundedReceiver<Watch>,
    rooms: HashMap<Room, WatchedRoom>,
    /// Where in them the rows of other servers are.
    remote: HashMap<(i64, i64), (Room, Subject)>,
    /// The rooms for which time matters.
    timed: HashSet<Room>,
}

impl Teller {
    /// Tells until `stop`. `remote` brings who is at other servers, `interests` takes which rooms matter.
    pub(crate) async fn run(
        mut self,
        interests: mpsc::UnboundedSender<Interest>,
        mut remote: mpsc::Receiver<RemoteChange>,
        stop: CancellationToken,
    ) {
        let mut untold = self.local.untold();
        let (mut tick, mut next_untold) = (Instant::now(), Instant::now());
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some((subscriber, room)) = self.watched.recv() => self.watch(subscriber, &room, &interests),
                Some(change) = remote.recv() => self.take_remote(change, Instant::now()),
                Ok(()) = async { sleep_until(next_untold).await; untold.changed().await } => {
                    self.take_local(Instant::now(), &interests);
                    next_untold = Instant::now() + PAUSE;
                }
                () = sleep_until(tick), if !self.timed.is_empty() => {
                    self.pass_time(Instant::now());
                    tick = Instant::now() + TICK;
                }
            }
        }
    }

    fn watch(
        &mut self,
        subscriber: Arc<Subscriber>,
        room: &Room,
        interests: &mpsc::UnboundedSender<Interest>,
    ) {
        // Its own join is among what has changed: the list is to have it.
        self.take_local(Instant::now(), interests);
        if !subscriber.watches(room) {
            return self.prune(room, interests);
        }
        if !self.rooms.contains_key(room) {
            let mut watched = WatchedRoom::default();
            let now = Instant::now();
            for (subject, since) in self.local.watch(room) {
                watched.told.set(&subject, Source::Here, Some(since), now);
            }
            self.rooms.insert(room.clone(), watched);
            let _ = interests.send(Interest::Begins(room.clone()));
        }
        if let Some(watched) = self.rooms.get_mut(room) {
            watched.watch(&self.hub, room, subscriber);
        }
    }

    /// Forgets who watches the room no more, and the room where nobody does.
    fn prune(&mut self, room: &Room, interests: &mpsc::UnboundedSender<Interest>) {
        let hub = &self.hub;
        let watched = self.rooms.get_mut(room);
        let is_watched = watched.is_none_or(|it| it.prune(hub, room));
        if !is_watched {
            let forgotten = self.rooms.remove(room);
            let remote = forgotten.into_iter().flat_map(|it| it.told.remote());
            for (_, source) in remote {
                if let Source::There { server, id } = source {
                    self.remote.remove(&(server, id));
                }
            }
            self.timed.remove(room);
            self.local.unwatch(room);
            let _ = interests.send(Interest::Ends(room.clone()));
        }
    }

    fn take_local(&mut self, now: Instant, interests: &mpsc::UnboundedSender<Interest>) {
        let mut rooms = HashSet::new();
        for (room, subject, since) in self.local.take_untold() {
            self.set(&room, (&subject, Source::Here), since, now);
            rooms.insert(room);
        }
        for room in rooms {
            self.prune(&room, interests);
        }
    }

    fn take_remote(&mut self, change: RemoteChange, now: Instant) {
        match change {
            RemoteChange::Rooms { rooms, rows } => {
                let mut read: HashMap<Room, Vec<RemoteRow>> = HashMap::new();
                for row in rows {
                    read.entry(row.room.clone()).or_default().push(row);
                }
                for room in rooms {
                    let rows = read.remove(&room).unwrap_or_default();
                    self.replace(&room, &rows, now);
                }
            }
            RemoteChange::Changed { rows, gone } => {
                for row in &rows {
                    self.set(&row.room, (&row.subject, source(row)), Some(row.since), now);
                }
                self.remove(&gone, now);
            }
            RemoteChange::Ended(servers) => {
                let theirs = self.remote.keys();
                let theirs = theirs.filter(|(server, _)| servers.contains(server));
                let theirs: Vec<_> = theirs.copied().collect();
                self.remove(&theirs, now);
            }
        }
    }

    /// Other servers have these rows in a room, and no others.
    fn replace(&mut self, room: &Room, rows: &[RemoteRow], now: Instant) {
        let Some(watched) = self.rooms.get(room) else {
            return;
        };
        let read: HashSet<_> = rows.iter().map(source).collect();
        let before = watched.told.remote().into_iter();
        let gone: Vec<_> = before.filter(|(_, it)| !read.contains(it)).collect();
        for row in rows {
            self.set(room, (&row.subject, source(row)), Some(row.since), now);
        }
        for (subject, source) in gone {
            self.set(room, (&subject, source), None, now);
        }
        if let Some(watched) = self.rooms.get_mut(room) {
            watched.become_known(&self.hub, room);
        }
    }

    /// These rows are gone: each by its server, and the server's number for it.
    fn remove(&mut self, rows: &[(i64, i64)], now: Instant) {
        for row in rows {
            if let Some((room, subject)) = self.remote.get(row).cloned() {
                let (server, id) = *row;
                self.set(&room, (&subject, Source::There { server, id }), None, now);
            }
        }
    }

    fn set(
        &mut self,
        room: &Room,
        (subject, source): (&Subject, Source),
        since: Option<Since>,
        now: Instant,
    ) {
        let Some(watched) = self.rooms.get_mut(room) else {
            return;
        };
        watched.set(&self.hub, room, (subject, source), since, now);
        if let Source::There { server, id } = source {
            match since {
                Some(_) => {
                    let place = (room.clone(), subject.clone());
                    self.remote.insert((server, id), place);
                }
                None => drop(self.remote.remove(&(server, id))),
            }
        }
        self.note_time(room, now);
    }

    fn pass_time(&mut self, now: Instant) {
        for room in std::mem::take(&mut self.timed) {
            self.note_time(&room, now);
        }
    }

    /// Tells what time has brought to a room, and remembers whether it will bring more.
    fn note_time(&mut self, room: &Room, now: Instant) {
        let Some(watched) = self.rooms.get_mut(room) else {
            return;
        };
        watched.pass_time(&self.hub, room, now);
        if watched.waits_for_time() {
            self.timed.insert(room.clone());
        }
    }
}

fn source(row: &RemoteRow) -> Source {
    Source::There {
        server: row.server,
        id: row.id,
    }
}

#[cfg(test)]
mod tests;
