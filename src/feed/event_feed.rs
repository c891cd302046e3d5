//! Where the reader's events come from: the outbox, or a test's script.

use std::future::Future;

use futures_util::future::ready;
use futures_util::stream::BoxStream;

use crate::db::{Follow, FollowError, Head, ReadPart};
use crate::event::Room;
use crate::offset::{Seen, Snapshot};
use crate::revocations::Revocation;

/// Events as they are committed, and what the reader tells writers.
pub(crate) trait EventFeed: Send {
    /// Why something failed. After an error the feed is connected anew before anything else.
    type Error: std::fmt::Display + Send;

    /// Connects anew, and says where the database is.
    fn connect(&mut self) -> impl Future<Output = Result<Head, Self::Error>> + Send;
    /// Reads everything that `from` misses, in at least one part. A read that `may_be_large` has one part without an event where
    /// there is too much to be handed over, and that part says so.
    fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, Self::Error>>;
    /// Waits until everything that is visible is on disk, and says which of these rooms have an event that `before` does not
    /// see.
    fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> impl Future<Output = Result<Vec<Room>, Self::Error>> + Send;
    /// Every revocation that is kept.
    fn revocations(&mut self) -> impl Future<Output = Result<Vec<Revocation>, Self::Error>> + Send;
    /// Asks writers to notify from now on; false when that can't be had right now.
    fn enable_notify(&mut self) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// Tells writers that nobody needs to be notified.
    fn disable_notify(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// How many writers are at work. Each of them may have written before they were asked to notify.
    fn writers(&mut self) -> impl Future<Output = Result<i64, Self::Error>> + Send;
    /// Whether the reader is to fall asleep anew, because another server takes over from this one, or this one from another.
    fn turns(&self) -> bool {
        false
    }
    /// Tries to take the lock of the one server that tells others; the number of its term, which is higher than any before.
    fn try_to_lead(&mut self) -> impl Future<Output = Result<Option<u64>, Self::Error>> + Send {
        ready(Ok(None))
    }
    /// Gives that lock up.
    fn stop_leading(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send {
        ready(Ok(()))
    }
    /// Ends the connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

impl EventFeed for Follow {
    type Error = FollowError;

    async fn connect(&mut self) -> Result<Head, FollowError> {
        Self::connect(self).await
    }

    fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, FollowError>> {
        Self::read(self, from, may_be_large)
    }

    async fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> Result<Vec<Room>, FollowError> {
        Self::flush_and_find_rooms(self, before, rooms).await
    }

    async fn revocations(&mut self) -> Result<Vec<Revocation>, FollowError> {
        Self::revocations(self).await
    }

    async fn enable_notify(&mut self) -> Result<bool, FollowError> {
        Self::enable_notify(self).await
    }

    async fn disable_notify(&mut self) -> Result<(), FollowError> {
        Self::disable_notify(self).await
    }

    async fn writers(&mut self) -> Result<i64, FollowError> {
        Self::writers(self).await
    }

    async fn try_to_lead(&mut self) -> Result<Option<u64>, FollowError> {
        Self::try_to_lead(self).await
    }

    async fn stop_leading(&mut self) -> Result<(), FollowError> {
        Self::stop_leading(self).await
    }

    async fn close(&mut self) {
        Self::close(self).await;
    }
}
