//! What waits in socketioxide's queue for a client, which does not say how full it is.
//!
//! What waits is what went in minus what came out: with the answers to polls, and over the connection that the engine session was
//! upgraded to. An answer to a poll empties the queue, so an error in the count never grows.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use super::connection::Connection;
use crate::delivery::Backlog;

/// Bytes of events that may wait in socketioxide's queue. The queue itself is bounded by a number of packets; with events of a
/// usual size this bound is reached first, and leaves room for answers.
pub(super) const MAX_QUEUED_BYTES: usize = 128 * 1024;

/// The count of one client's queue.
#[derive(Default)]
pub(super) struct EngineQueue {
    queued_bytes: AtomicU64,
    polled_bytes: AtomicU64,
    /// The connection that the engine session was upgraded to, and the bytes that had been written to it before.
    upgraded: OnceLock<(Arc<Connection>, u64)>,
}

impl EngineQueue {
    /// So many bytes went in.
    pub(super) fn add(&self, bytes: usize) {
        self.queued_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// A poll has been answered: its answer has everything that was queued.
    pub(super) fn poll_answered(&self) {
        let queued = self.queued_bytes.load(Ordering::Relaxed);
        self.polled_bytes.fetch_max(queued, Ordering::Relaxed);
    }

    /// From now on the queue is written to this connection.
    pub(super) fn set_upgraded(&self, connection: &Arc<Connection>) {
        let _ = self
            .upgraded
            .set((connection.clone(), connection.meter().1));
    }

    /// The connection that the engine session was upgraded to.
    pub(super) fn upgraded(&self) -> Option<&Arc<Connection>> {
        self.upgraded.get().map(|(connection, _)| connection)
    }

    pub(super) fn backlog(&self) -> Backlog {
        let written = self.upgraded.get().map_or(0, |(connection, before)| {
            connection.meter().1.saturating_sub(*before)
        });
        let taken_bytes = self.polled_bytes.load(Ordering::Relaxed) + written;
        let waiting = self
            .queued_bytes
            .load(Ordering::Relaxed)
            .saturating_sub(taken_bytes);
        Backlog {
            waiting_bytes: usize::try_from(waiting).unwrap_or(usize::MAX),
            taken_bytes,
            pause_at_bytes: MAX_QUEUED_BYTES / 2,
        }
    }
}
