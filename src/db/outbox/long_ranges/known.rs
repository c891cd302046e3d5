//! What is kept of long ranges, and of which life of the database it is. No I/O.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::{Ids, LongRead};
use crate::db::outbox::replay_page::Read;
use crate::event::Room;
use crate::offset::{Epoch, RoomRange, Snapshot};

/// Places of ranges of which something is kept.
pub(super) const MAX_KEPT: usize = 64;

/// What is kept, all of one life of the database.
#[derive(Default)]
pub(super) struct Known {
    pub(super) life: Option<Epoch>,
    /// The last that was used comes last.
    pub(super) places: VecDeque<Place>,
    pub(super) pages: VecDeque<(Instant, LongRead, Read)>,
}

impl Known {
    /// The database is in this life: what is of another one is forgotten.
    pub(super) fn follow(&mut self, life: Epoch) {
        if self.life.replace(life) != Some(life) {
            self.places.clear();
            self.pages.clear();
        }
    }

    pub(super) fn keep(&mut self, place: Option<Place>) {
        self.places.extend(place);
        while self.places.len() > MAX_KEPT {
            self.places.pop_front();
        }
    }

    pub(super) fn has(&self, range: &RoomRange) -> bool {
        self.places.iter().any(|place| place.is_of(range))
    }
}

/// A place of a range.
pub(super) struct Place {
    room: Room,
    before: Arc<Snapshot>,
    batch: Arc<Snapshot>,
    /// `None`: it is known to be long, and its ids are to be found.
    pub(super) ids: Option<Arc<Ids>>,
}

impl Place {
    /// `None` for what is visible when it is read: that is no range that could be kept.
    pub(super) fn new(range: &RoomRange, ids: Option<Arc<Ids>>) -> Option<Self> {
        Some(Self {
            room: range.room.clone(),
            before: range.before.clone(),
            batch: range.batch.clone()?,
            ids,
        })
    }

    pub(super) fn is_of(&self, range: &RoomRange) -> bool {
        range.batch.as_ref() == Some(&self.batch)
            && range.before == self.before
            && range.room == self.room
    }
}
