//! The reader's two ends: where events come from, and where they go.

use std::future::Future;

use super::Batch;
use crate::event::Room;
use crate::offset::Offset;

/// Where events come from.
pub trait Source: Send {
    /// Why a read failed.
    type Error: std::fmt::Display + Send;

    /// Connects anew and says where the present is. Moves `position` back where a crash may have undone what it has seen.
    fn connect(
        &mut self,
        position: &mut Option<Offset>,
    ) -> impl Future<Output = Result<Offset, Self::Error>> + Send;
    /// Delivers everything that `position` misses, moves it along, and says how many events that were.
    fn read(
        &mut self,
        position: &mut Offset,
        sink: &mut impl Sink,
    ) -> impl Future<Output = Result<usize, Self::Error>> + Send;
    /// Asks writers to notify from now on; false when that can't be had right now.
    fn doze(&mut self) -> impl Future<Output = Result<bool, Self::Error>> + Send;
    /// Tells writers that nobody needs to be notified.
    fn rouse(&mut self) -> impl Future<Output = Result<(), Self::Error>> + Send;
    /// How many writers are at work. Each of them may not have seen the key.
    fn writers(&mut self) -> impl Future<Output = Result<i64, Self::Error>> + Send;
    /// Ends the connection.
    fn close(&mut self) -> impl Future<Output = ()> + Send;
}

/// Which rooms lost their continuity.
#[derive(Debug)]
pub enum Affected {
    /// Every one.
    All,
    /// These.
    Rooms(Vec<Room>),
}

/// Where events go.
pub trait Sink: Send {
    /// Delivers a batch; returns when the next may follow.
    fn deliver(&mut self, batch: Batch) -> impl Future<Output = ()> + Send;
    /// What these rooms were given is not, or not all of, what the database holds.
    fn resync(&mut self, rooms: Affected, reason: &'static str) -> impl Future<Output = ()> + Send;
    /// Continuity with what was delivered is lost: the stream goes on from `head`.
    fn restart(&mut self, head: Offset) -> impl Future<Output = ()> + Send;
}
