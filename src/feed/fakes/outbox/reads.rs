//! What the fake database answers to the reader's reads.

use std::sync::Arc;

use super::{Call, Connection, Outbox};
use crate::db::ReadPart;
use crate::event::{Event, Room};
use crate::offset::{Seen, Snapshot};

impl Outbox {
    /// What a read yields.
    pub(in crate::feed) fn read(
        &mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> Vec<Result<ReadPart, &'static str>> {
        self.reads_from.push(from.clone());
        match self.call(Call::Read) {
            Ok(()) => self.parts(from, may_be_large),
            Err(error) => vec![Err(error)],
        }
    }

    pub(in crate::feed) fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> Result<Vec<Room>, &'static str> {
        self.call(Call::FlushAndFindRooms)?;
        self.log.flushed = self.log.written;
        let has_event = |room: &&Room| {
            let mut rows = self.rows.iter().filter(|row| row.committed.is_some());
            rows.any(|row| row.event.room == **room && !before.sees(row.event.xid))
        };
        Ok(rooms.iter().filter(has_event).cloned().collect())
    }

    fn parts(&mut self, from: &Seen, may_be_large: bool) -> Vec<Result<ReadPart, &'static str>> {
        let (snapshot, after) = match from {
            Seen::All(_) => (Arc::new(self.snapshot()), i64::MIN),
            Seen::Part { batch, id, .. } => (batch.clone(), *id),
        };
        let is_fresh = |event: &Event| {
            event.id > after && snapshot.sees(event.xid) && !from.floor().sees(event.xid)
        };
        let found: Vec<_> = self
            .rows
            .iter()
            .filter(|row| row.committed.is_some() && is_fresh(&row.event))
            .map(|row| row.event.clone())
            .collect();
        let is_large = may_be_large && found.len() > self.large_events;
        let found = if is_large { Vec::new() } else { found };
        let mut parts: Vec<_> = found
            .chunks(self.events_in_a_part)
            .map(<[_]>::to_vec)
            .collect();
        parts.resize_with(parts.len().max(1), Vec::new);
        let last = parts.len() - 1;
        let part = |(index, events)| {
            Ok(ReadPart {
                snapshot: snapshot.clone(),
                log: self.log,
                pruned: self.pruned.clone(),
                events,
                synced: self.flushes,
                complete: index == last,
                is_large,
            })
        };
        let mut parts: Vec<_> = parts.into_iter().enumerate().map(part).collect();
        if let Some(count) = self.breaks_after_parts.take() {
            parts.truncate(count);
            parts.push(Err("the read broke off"));
            (self.connection, self.key_held, self.is_down) = (Connection::Failed, false, true);
        }
        parts
    }
}
