//! Who waits for the next event of a room, or of any, and the word that there is one.
//!
//! A leaf between the broadcast, which announces, and long-polls, which wait; neither knows the other. Carries no event:
//! whoever is woken reads the outbox again.
//! Guarantees: an announcement after [`Arrivals::watch`] wakes that watch, whenever it begins to wait. Waiting costs memory
//! only, and announcing costs nothing while nobody waits.
//! Refuses more than a fixed number of watches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::event::Room;

/// See the module.
pub struct Arrivals {
    rooms: Mutex<HashMap<Room, watch::Sender<()>>>,
    any: watch::Sender<()>,
    watches: AtomicUsize,
    limit: usize,
}

/// As many watches as there may be.
#[derive(Debug, thiserror::Error)]
#[error("too many requests wait already")]
pub struct Full;

/// A wait for the next event, from its making on.
pub struct Watch {
    arrivals: Arc<Arrivals>,
    /// `None` waits for any room's.
    room: Option<Room>,
    /// `None` only while it is dropped.
    receiver: Option<watch::Receiver<()>>,
}

impl Arrivals {
    /// Takes `limit` watches at a time.
    pub fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::default(),
            any: watch::channel(()).0,
            watches: AtomicUsize::new(0),
            limit,
        })
    }

    fn rooms(&self) -> MutexGuard<'_, HashMap<Room, watch::Sender<()>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to listen for `room`'s next event.
    ///
    /// # Errors
    /// There are too many already.
    pub fn watch(self: &Arc<Self>, room: &Room) -> Result<Watch, Full> {
        self.begin(Some(room))
    }

    /// Begins to listen for the next event of any room.
    ///
    /// # Errors
    /// There are too many already.
    pub fn watch_any(self: &Arc<Self>) -> Result<Watch, Full> {
        self.begin(None)
    }

    fn begin(self: &Arc<Self>, room: Option<&Room>) -> Result<Watch, Full> {
        let mut rooms = self.rooms();
        if self.watches() >= self.limit {
            return Err(Full);
        }
        self.watches.fetch_add(1, Ordering::SeqCst);
        let sender = match room {
            Some(room) => rooms
                .entry(room.clone())
                .or_insert_with(|| watch::channel(()).0),
            None => &self.any,
        };
        Ok(Watch {
            arrivals: self.clone(),
            room: room.cloned(),
            receiver: Some(sender.subscribe()),
        })
    }

    /// How many watches there are.
    pub fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }

    /// The room has another event.
    pub fn announce(&self, room: &Room) {
        // Whoever is not counted yet reads after this, and so after the event was committed.
        if self.watches() > 0 {
            if let Some(sender) = self.rooms().get(room) {
                sender.send_replace(());
            }
            self.any.send_replace(());
        }
    }

    /// Any room may have another event.
    pub fn announce_all(&self) {
        for sender in self.rooms().values() {
            sender.send_replace(());
        }
        self.any.send_replace(());
    }
}

impl Watch {
    /// Returns once there was an announcement since the last return, or since the beginning.
    pub async fn next(&mut self) {
        let receiver = self.receiver.as_mut().expect("it is not dropped");
        let changed = receiver.changed().await;
        changed.expect("the sender stays while it has a receiver");
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut rooms = self.arrivals.rooms();
        self.receiver = None;
        if let Some(room) = &self.room
            && rooms
                .get(room)
                .is_some_and(|sender| sender.receiver_count() == 0)
        {
            rooms.remove(room);
        }
        self.arrivals.watches.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn woken(watch: &mut Watch) -> bool {
        watch.next().now_or_never().is_some()
    }

    #[test]
    fn an_announcement_wakes_those_who_watch_the_room_once() {
        let arrivals = Arrivals::new(9);
        let (here, there) = (Room::from("here"), Room::from("there"));
        arrivals.announce(&here);
        let mut watches = [&here, &here, &there].map(|room| arrivals.watch(room).expect("room"));
        assert!(!watches.iter_mut().any(woken), "what was before is past");
        arrivals.announce(&here);
        arrivals.announce(&here);
        let [a, b, c] = &mut watches;
        assert!(woken(a) && woken(b) && !woken(c));
        assert!(!woken(a), "two before the look are one");
        arrivals.announce_all();
        assert!(watches.iter_mut().all(woken));
    }

    #[test]
    fn whoever_watches_any_room_is_woken_by_each() {
        let arrivals = Arrivals::new(9);
        let mut any = arrivals.watch_any().expect("room");
        assert!(!woken(&mut any));
        for room in ["here", "there"] {
            arrivals.announce(&Room::from(room));
            assert!(woken(&mut any), "{room}");
        }
        arrivals.announce_all();
        assert!(woken(&mut any) && !woken(&mut any));
        drop(any);
        assert_eq!(arrivals.watches(), 0);
    }

    #[test]
    fn watches_are_bounded_and_leave_nothing() {
        let arrivals = Arrivals::new(2);
        let room = Room::from("here");
        let first = arrivals.watch(&room).expect("room");
        let second = arrivals.watch(&room).expect("room");
        assert!(arrivals.watch(&room).is_err());
        drop(first);
        drop(arrivals.watch(&room).expect("room again"));
        assert_eq!(arrivals.rooms().len(), 1);
        drop(second);
        assert!(arrivals.rooms().is_empty());
    }
}
