//! Who waits for the next event of a room, and the word that there is one.
//!
//! A leaf between the broadcast, which notifies, and long-polls, which wait; neither knows the other. Carries no event:
//! whoever is woken reads the outbox again.
//! Guarantees: a notice after [`RoomNotifier::watch`] wakes that watch, whenever it begins to wait. Waiting costs memory
//! only, and notifying costs nothing while nobody waits.
//! Refuses more than a fixed number of watches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use crate::event::Room;

/// Who waits for which rooms.
pub(crate) struct RoomNotifier {
    rooms: Mutex<HashMap<Room, watch::Sender<()>>>,
    watches: AtomicUsize,
    limit: usize,
}

/// As many watches as there may be.
#[derive(Debug, thiserror::Error)]
#[error("too many requests wait already")]
pub(crate) struct TooManyWatches;

/// A wait for the next event, from its making on.
pub(crate) struct RoomWatch {
    notifier: Arc<RoomNotifier>,
    room: Room,
    /// `None` only while it is dropped.
    receiver: Option<watch::Receiver<()>>,
}

impl RoomNotifier {
    /// Takes `limit` watches at a time.
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            rooms: Mutex::default(),
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
    pub(crate) fn watch(self: &Arc<Self>, room: &Room) -> Result<RoomWatch, TooManyWatches> {
        let mut rooms = self.rooms();
        if self.watches() >= self.limit {
            return Err(TooManyWatches);
        }
        self.watches.fetch_add(1, Ordering::SeqCst);
        let sender = rooms
            .entry(room.clone())
            .or_insert_with(|| watch::channel(()).0);
        Ok(RoomWatch {
            notifier: self.clone(),
            room: room.clone(),
            receiver: Some(sender.subscribe()),
        })
    }

    /// How many watches there are.
    pub(crate) fn watches(&self) -> usize {
        self.watches.load(Ordering::SeqCst)
    }

    /// The room has another event.
    pub(crate) fn notify(&self, room: &Room) {
        // Whoever is not counted yet reads after this, and so after the event was committed.
        if self.watches() > 0
            && let Some(sender) = self.rooms().get(room)
        {
            sender.send_replace(());
        }
    }

    /// These rooms have another event.
    pub(crate) fn notify_those(&self, which: impl Fn(&Room) -> bool) {
        for (_, sender) in self.rooms().iter().filter(|(room, _)| which(room)) {
            sender.send_replace(());
        }
    }

    /// Any room may have another event.
    pub(crate) fn notify_all(&self) {
        self.notify_those(|_| true);
    }
}

impl RoomWatch {
    /// Returns once there was a notice since the last return, or since the beginning.
    pub(crate) async fn next(&mut self) {
        let receiver = self.receiver.as_mut().expect("it is not dropped");
        let changed = receiver.changed().await;
        changed.expect("the sender stays while it has a receiver");
    }
}

impl Drop for RoomWatch {
    fn drop(&mut self) {
        let mut rooms = self.notifier.rooms();
        self.receiver = None;
        if rooms
            .get(&self.room)
            .is_some_and(|sender| sender.receiver_count() == 0)
        {
            rooms.remove(&self.room);
        }
        self.notifier.watches.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    fn woken(watch: &mut RoomWatch) -> bool {
        watch.next().now_or_never().is_some()
    }

    #[test]
    fn a_notice_wakes_those_who_watch_the_room_once() {
        let notifier = RoomNotifier::new(9);
        let (here, there) = (Room::from("here"), Room::from("there"));
        notifier.notify(&here);
        let mut watches = [&here, &here, &there].map(|room| notifier.watch(room).expect("room"));
        assert!(!watches.iter_mut().any(woken), "what was before is past");
        notifier.notify(&here);
        notifier.notify(&here);
        let [a, b, c] = &mut watches;
        assert!(woken(a) && woken(b) && !woken(c));
        assert!(!woken(a), "two before the look are one");
        notifier.notify_all();
        assert!(watches.iter_mut().all(woken));
    }

    #[test]
    fn watches_are_bounded_and_leave_nothing() {
        let notifier = RoomNotifier::new(2);
        let room = Room::from("here");
        let first = notifier.watch(&room).expect("room");
        let second = notifier.watch(&room).expect("room");
        assert!(notifier.watch(&room).is_err());
        drop(first);
        drop(notifier.watch(&room).expect("room again"));
        assert_eq!(notifier.rooms().len(), 1);
        drop(second);
        assert!(notifier.rooms().is_empty());
    }
}
