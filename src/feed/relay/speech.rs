//! What a leader has to say: each read of its own as a statement, and where it is while there is nothing. No I/O.
//!
//! Reads without an event are not told one by one: the next statement begins where the last one that was told ended.
//! Guarantees that every statement is true: a read that finished another one, or that had lost events to the retention, is told to nobody.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::time::Instant;

use super::message::EventBytes;
use crate::db::{LogPosition, ReadPart};
use crate::offset::{Seen, Snapshot};

/// What may wait to be told, in bytes. Beyond it, it is dropped: whoever misses it reads by itself.
const MOST_WAITING_BYTES: usize = 8 * 1024 * 1024;

/// A statement without its heading.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) before: Arc<Snapshot>,
    pub(super) after: Arc<Snapshot>,
    pub(super) log: LogPosition,
    pub(super) synced: bool,
    pub(super) events: EventBytes,
}

/// One read of the leader's, part by part.
#[derive(Debug)]
pub(super) struct ReadToTell {
    from: Seen,
    events: EventBytes,
    synced: bool,
}

impl ReadToTell {
    /// A read from here, whose events are told if they have at most so many bytes.
    pub(super) fn new(from: &Seen, most_bytes: usize) -> Self {
        Self {
            from: from.clone(),
            events: EventBytes::new(most_bytes),
            synced: true,
        }
    }

    pub(super) fn push(&mut self, part: &ReadPart) {
        self.synced &= part.synced;
        if part.is_large {
            self.events.give_up();
        }
        for event in &part.events {
            self.events.push(event);
        }
    }
}

/// What a leader has to say and has not said yet.
#[derive(Debug, Default)]
pub(super) struct Speech {
    drafts: VecDeque<Draft>,
    bytes: usize,
    /// Where the last draft ended, and where the last read has come to since, without an event.
    told: Option<Arc<Snapshot>>,
    here: Option<(Arc<Snapshot>, LogPosition)>,
    /// When a read last ended.
    read: Option<Instant>,
}

impl Speech {
    /// A read has ended with this part.
    pub(super) fn end_read(&mut self, read: ReadToTell, last: &ReadPart, now: Instant) {
        self.read = Some(now);
        let Some(before) = is_whole(&read.from, last) else {
            (self.told, self.here) = (None, None);
            return;
        };
        let told = self.told.get_or_insert_with(|| before.clone());
        self.here = Some((last.snapshot.clone(), last.log));
        if read.events.is_empty() {
            return;
        }
        let before = std::mem::replace(told, last.snapshot.clone());
        self.bytes += read.events.len();
        if self.bytes > MOST_WAITING_BYTES {
            self.drop_all();
            return;
        }
        self.drafts.push_back(Draft {
            before,
            after: last.snapshot.clone(),
            log: last.log,
            synced: read.synced,
            events: read.events,
        });
    }

    /// Nothing of what waits is said.
    pub(super) fn drop_all(&mut self) {
        self.bytes = 0;
        self.drafts.clear();
    }

    /// What is to be said next.
    pub(super) fn next(&mut self) -> Option<Draft> {
        let draft = self.drafts.pop_front()?;
        self.bytes = self.bytes.saturating_sub(draft.events.len());
        Some(draft)
    }

    /// That the leader lives, and where it is; nothing where it has something better to say, or has not come back from a read for so
    /// long.
    pub(super) fn heartbeat(
        &mut self,
        now: Instant,
        longest: std::time::Duration,
    ) -> Option<Draft> {
        let lives = self.read.is_some_and(|read| now - read <= longest);
        if !lives || !self.drafts.is_empty() {
            return None;
        }
        let (here, log) = self.here.clone()?;
        let before = self.told.replace(here.clone())?;
        Some(Draft {
            before,
            after: here,
            log,
            synced: true,
            events: EventBytes::new(0),
        })
    }
}

/// Where a read began, if it found all that came since.
fn is_whole<'a>(from: &'a Seen, last: &ReadPart) -> Option<&'a Arc<Snapshot>> {
    let Seen::All(before) = from else {
        return None;
    };
    let lost_some = |pruned: &Snapshot| !before.covers(pruned);
    (!last.pruned.as_ref().is_some_and(lost_some)).then_some(before)
}
