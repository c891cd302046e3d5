//! How much waits in socketioxide's queue for one client.
//!
//! The queue does not say how full it is, so it is counted from outside: what waits is what went in minus what came out. It
//! comes out by answers to polls, and, after an upgrade, over the connection that the engine session was upgraded to.
//! Guarantees that an error in the count does not grow: whenever the client has taken everything, the count begins anew.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::connection::Connection;
use crate::delivery::Backlog;

/// Bytes of events that may wait in socketioxide's queue. The queue itself is bounded by a number of packets; with events of a
/// usual size this bound is reached first, and leaves room for answers.
pub(super) const MAX_QUEUED_BYTES: usize = 128 * 1024;

/// Bytes that may wait there with answers among them. A client that has so many asks, and never looks.
const MAX_WITH_ANSWERS_BYTES: usize = 512 * 1024;

/// Counts what goes through socketioxide's queue for one client.
#[derive(Default)]
pub(super) struct EngineQueue {
    queued_bytes: AtomicU64,
    polled_bytes: AtomicU64,
    /// The connection that the engine session was upgraded to, and the bytes that had been written to it before.
    upgraded: OnceLock<(Arc<Connection>, u64)>,
}

impl EngineQueue {
    /// So many bytes go into the queue. To be said before they do, so that no more comes out than went in.
    pub(super) fn add(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// An answer of so many bytes is to go into the queue. False: too much waits there.
    pub(super) fn takes_answer(&self, bytes: usize) -> bool {
        let takes = self.backlog().waiting_bytes + bytes <= MAX_WITH_ANSWERS_BYTES;
        if takes {
            self.add(bytes);
        }
        takes
    }

    /// So many bytes did not go into the queue after all.
    pub(super) fn take_back(&self, bytes: usize) {
        self.queued_bytes.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// An answer to a poll has everything that was queued.
    pub(super) fn poll_emptied(&self) {
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        self.polled_bytes.fetch_max(queued, Ordering::Relaxed);
    }

    /// The engine session is being upgraded to this connection.
    pub(super) fn set_upgraded(&self, connection: &Arc<Connection>) {
        let written = connection.meter().1;
        let _ = self.upgraded.set((connection.clone(), written));
    }

    /// The connection that the engine session was, or is being, upgraded to.
    pub(super) fn upgraded(&self) -> Option<&Arc<Connection>> {
        self.upgraded.get().map(|(connection, _)| connection)
    }

    /// What waits in the queue.
    pub(super) fn backlog(&self) -> Backlog {
        let written = self.upgraded.get().map_or(0, |(connection, before)| {
            connection.meter().1.saturating_sub(*before)
        });
        let taken_bytes = self.polled_bytes.load(Ordering::Relaxed) + written;
        // The connection also carries what never went into the queue, pings mostly. Left in the count they would hide as many
        // bytes that wait. Once everything is taken, they are the whole difference.
        let queued = self.queued_bytes.fetch_max(taken_bytes, Ordering::Relaxed);
        Backlog {
            waiting_bytes: usize::try_from(queued.saturating_sub(taken_bytes))
                .unwrap_or(usize::MAX),
            taken_bytes,
            pause_at_bytes: MAX_QUEUED_BYTES / 2,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::{TcpListener, TcpStream};

    async fn connected() -> (Arc<Connection>, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (client, accepted) = tokio::join!(TcpStream::connect(address), listener.accept());
        let connection = Connection::new(accepted.expect("accepted").0, None);
        (connection, client.expect("connected"))
    }

    async fn write(connection: &Arc<Connection>, bytes: usize) {
        connection.tcp.writable().await.expect("it is writable");
        let written = connection.write_past(&mut connection.out(), &vec![b'x'; bytes]);
        assert_eq!(written, bytes);
    }

    fn waiting(queue: &EngineQueue) -> usize {
        queue.backlog().waiting_bytes
    }

    #[test]
    fn what_waits_is_what_no_poll_has_taken() {
        let queue = EngineQueue::default();
        queue.add(100);
        queue.add(30);
        queue.take_back(30);
        assert_eq!(waiting(&queue), 100);
        queue.poll_emptied();
        assert_eq!((waiting(&queue), queue.backlog().taken_bytes), (0, 100));
        queue.add(5);
        assert_eq!(waiting(&queue), 5);
    }

    #[test]
    fn answers_are_bounded_too() {
        let queue = EngineQueue::default();
        queue.add(MAX_QUEUED_BYTES);
        assert!(queue.takes_answer(MAX_WITH_ANSWERS_BYTES - MAX_QUEUED_BYTES));
        assert!(!queue.takes_answer(1));
        queue.poll_emptied();
        assert!(queue.takes_answer(1));
    }

    #[tokio::test]
    async fn after_an_upgrade_what_the_connection_takes_waits_no_more() {
        let (connection, _client) = connected().await;
        let queue = EngineQueue::default();
        write(&connection, 50).await;
        queue.add(100);
        queue.set_upgraded(&connection);
        assert_eq!(waiting(&queue), 100);
        write(&connection, 60).await;
        assert_eq!(waiting(&queue), 40);
        write(&connection, 40).await;
        assert_eq!(waiting(&queue), 0);
    }

    #[tokio::test]
    async fn what_never_was_queued_hides_nothing_that_waits() {
        let (connection, _client) = connected().await;
        let queue = EngineQueue::default();
        queue.set_upgraded(&connection);
        for _ in 0..10 {
            write(&connection, 3).await;
            assert_eq!(waiting(&queue), 0);
        }
        queue.add(100);
        assert_eq!(waiting(&queue), 100);
        write(&connection, 100).await;
        assert_eq!(waiting(&queue), 0);
    }
}
