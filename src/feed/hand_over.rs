//! From what was read to what is delivered.
//!
//! Owns the sink, and what a crash of the database could undo of what it was given ([`CrashGuard`]). Knows neither the
//! database nor time.
//! Guarantees: the position is moved past a batch before the sink gets it and never past what the sink was not given; after a
//! crash an event that the sink has had is marked as repeated, and the rooms of one that is not found again are told to reload.

use std::sync::Arc;

use tracing::{Instrument as _, Span};

use super::crash_guard::{CrashGuard, EventIdentity, ReadFrom};
use crate::db::{Head, LogPosition, ReadPart};
use crate::delivery::{Affected, Batch, BatchEvent, EventSink};
use crate::event::Room;
use crate::offset::{Offset, Seen, Snapshot};
use crate::revocations::Revocation;
use crate::spans;

const PRUNED_UNREAD: &str = "events were pruned before this server had read them";
/// The SDK keeps as many of a span's links.
const MOST_LINKS: usize = 128;
const UNDONE: &str = "a crash of the database undid what was delivered";

/// Gives a sink what was read.
pub(crate) struct HandOver<K> {
    sink: K,
    guard: CrashGuard,
    /// Whether everything that was handed over is on disk.
    durable: bool,
    /// The database has crashed, and the sink has not been told yet: the next batch tells it, even an empty one.
    crash_untold: bool,
    /// Events were removed that were not handed over, and a revocation may be among them.
    revocations_missed: bool,
    /// The next transaction id after each crash that is known of.
    recovered: Arc<[u64]>,
}

/// One read, whose parts are handed over as they come.
pub(crate) struct ReadUnderWay {
    before: Arc<Snapshot>,
    /// Whether it finishes a batch of an earlier read.
    finishes: bool,
    begun: bool,
    events: usize,
}

impl ReadUnderWay {
    /// A read from here, of which nothing has come yet.
    pub(crate) fn from(position: &Offset) -> Self {
        Self {
            before: position.seen.floor().clone(),
            finishes: matches!(position.seen, Seen::Part { .. }),
            begun: false,
            events: 0,
        }
    }

    /// What was seen before it.
    pub(crate) fn before(&self) -> &Snapshot {
        &self.before
    }

    /// How many events were handed over.
    pub(crate) fn events(&self) -> usize {
        self.events
    }
}

impl<K: EventSink> HandOver<K> {
    pub(crate) fn new(sink: K) -> Self {
        Self {
            sink,
            guard: CrashGuard::default(),
            durable: false,
            crash_untold: false,
            revocations_missed: false,
            recovered: Arc::default(),
        }
    }

    /// The database is connected, perhaps after a crash, perhaps another one: says where to go on from, which is `position`
    /// unless what was delivered may be undone.
    pub(crate) async fn connected(&mut self, position: Option<Offset>, head: Head) -> Offset {
        self.recovered = head.recovered;
        let go_on = match &position {
            // No crash came between: what was seen is there still.
            Some(position) if position.epoch == head.epoch => ReadFrom::Here,
            Some(position) if position.epoch.value == head.epoch.value => {
                self.crash_untold = true;
                self.guard.crashed()
            }
            _ => ReadFrom::Nowhere,
        };
        match (go_on, position) {
            (ReadFrom::Here, Some(position)) => Offset {
                epoch: head.epoch,
                ..position
            },
            (ReadFrom::Back(safe), _) => {
                self.durable = true;
                Offset::all(head.epoch, true, safe)
            }
            (ReadFrom::Nowhere, _) | (_, None) => {
                self.durable = true;
                self.guard = CrashGuard::default();
                let log = LogPosition {
                    written: head.log_written,
                    flushed: head.log_written,
                };
                self.guard.begin_read(log, false);
                self.guard.end_read(&head.snapshot);
                let head = Offset::all(head.epoch, true, head.snapshot);
                let recovered = self.recovered.clone();
                self.sink.restart(head.clone(), recovered).await;
                head
            }
        }
    }

    /// Hands a part of a read over, and moves the position past it.
    pub(crate) async fn hand_over(
        &mut self,
        read: &mut ReadUnderWay,
        part: ReadPart,
        position: &mut Offset,
    ) {
        if !std::mem::replace(&mut read.begun, true) {
            self.begin_read(read, &part).await;
        }
        self.durable &= part.synced || self.guard.is_flushed();
        let ReadPart {
            snapshot,
            events,
            complete,
            ..
        } = part;
        let events: Vec<_> = events
            .into_iter()
            .map(|event| BatchEvent {
                repeated: !self.guard.is_news(EventIdentity::of(&event), &event.room),
                event,
            })
            .collect();
        read.events += events.iter().filter(|event| !event.repeated).count();
        let batch = Batch {
            epoch: position.epoch,
            recovered: self.recovered.clone(),
            repeats: self.guard.expects_repeats(),
            durable: self.durable,
            after: position.seen.clone(),
            before: read.before.clone(),
            snapshot,
            events,
            complete,
        };
        self.deliver(batch, position).await;
    }

    /// Whether a read may be left to the replays, instead of being handed over: not where it finishes a batch, nor where the sink
    /// is to be told of a crash, or of events that come again after one.
    pub(crate) fn may_be_large(&self, position: &Offset) -> bool {
        matches!(position.seen, Seen::All(_)) && !self.crash_untold && !self.guard.expects_repeats()
    }

    /// The rooms of which somebody may be waiting for events.
    pub(crate) fn rooms(&self) -> Vec<Room> {
        self.sink.rooms()
    }

    /// Moves past a large read, and leaves its events to the replays. Everything that it sees is on disk, and of the rooms that
    /// were `asked` about these were `found` to have an event since.
    pub(crate) async fn leave_to_replays(
        &mut self,
        read: &ReadUnderWay,
        mut part: ReadPart,
        asked: Vec<Room>,
        found: &[Room],
        position: &mut Offset,
    ) {
        part.log.flushed = part.log.flushed.max(part.log.written);
        self.begin_read(read, &part).await;
        *position = Offset::all(position.epoch, self.durable, part.snapshot.clone());
        let untouched = asked.into_iter().filter(|room| !found.contains(room));
        self.sink
            .leave_to_replays(position.clone(), untouched.collect())
            .await;
        self.guard.end_read(&part.snapshot);
    }

    /// These are all revocations that there are.
    pub(crate) async fn revoke(&mut self, revocations: Vec<Revocation>) {
        self.sink.revoke(revocations).await;
    }

    /// Whether a revocation may not have been handed over. Says it once.
    pub(crate) fn has_missed_revocations(&mut self) -> bool {
        std::mem::take(&mut self.revocations_missed)
    }

    async fn begin_read(&mut self, read: &ReadUnderWay, part: &ReadPart) {
        self.guard.begin_read(part.log, read.finishes);
        if let Some(pruned) = &part.pruned
            && !read.before.covers(pruned)
        {
            self.revocations_missed = true;
            self.sink.resync(Affected::All, PRUNED_UNREAD).await;
        }
        self.durable |= self.guard.is_flushed();
    }

    async fn deliver(&mut self, batch: Batch, position: &mut Offset) {
        let (complete, snapshot) = (batch.complete, batch.snapshot.clone());
        *position = batch.end();
        let has_moved = !batch.events.is_empty() || batch.before != snapshot;
        if std::mem::take(&mut self.crash_untold) || has_moved {
            self.guard.handed_over();
            let span = broadcast_span(&batch.events);
            self.sink.deliver(batch).instrument(span).await;
        }
        if complete {
            let undone = self.guard.end_read(&snapshot);
            if !undone.is_empty() {
                self.sink.resync(Affected::Rooms(undone), UNDONE).await;
            }
        }
    }
}

/// The span of the events' way to their rooms; none, where there are none.
fn broadcast_span(events: &[BatchEvent]) -> Span {
    if events.is_empty() {
        return Span::none();
    }
    let span = spans::broadcast(events.len());
    if let [only] = events {
        spans::set_room(&span, &only.event.room);
    }
    if !span.is_disabled() {
        for traceparent in events
            .iter()
            .filter_map(|each| each.event.traceparent.as_deref())
            .take(MOST_LINKS)
        {
            spans::link(&span, traceparent);
        }
    }
    span
}

#[cfg(test)]
mod tests;
