//! From what was read to what is delivered.
//!
//! Owns the sink, and what a crash of the database could undo of what it was given ([`CrashGuard`]). Knows neither the
//! database nor time.
//! Guarantees: the position is moved past a batch before the sink gets it and never past what the sink was not given; after a
//! crash an event that the sink has had is left out, and the rooms of one that is not found again are told to reload.

use std::sync::Arc;

use super::crash_guard::{CrashGuard, EventIdentity, ReadFrom};
use crate::db::{Head, LogPosition, ReadPart};
use crate::delivery::{Affected, Batch, EventSink};
use crate::offset::{Offset, Seen, Snapshot};

const PRUNED_UNREAD: &str = "events were pruned before this server had read them";
const UNDONE: &str = "a crash of the database undid what was delivered";

/// Gives a sink what was read.
pub(super) struct HandOver<K> {
    sink: K,
    guard: CrashGuard,
    /// Whether everything that was handed over is on disk.
    durable: bool,
}

/// One read, whose parts are handed over as they come.
pub(super) struct ReadUnderWay {
    before: Arc<Snapshot>,
    /// Whether it finishes a batch of an earlier read.
    finishes: bool,
    begun: bool,
    events: usize,
}

impl ReadUnderWay {
    /// A read from here, of which nothing has come yet.
    pub(super) fn from(position: &Offset) -> Self {
        Self {
            before: position.seen.floor().clone(),
            finishes: matches!(position.seen, Seen::Part { .. }),
            begun: false,
            events: 0,
        }
    }

    /// How many events were handed over.
    pub(super) fn events(&self) -> usize {
        self.events
    }
}

impl<K: EventSink> HandOver<K> {
    pub(super) fn new(sink: K) -> Self {
        Self {
            sink,
            guard: CrashGuard::default(),
            durable: false,
        }
    }

    /// The database is connected, perhaps after a crash, perhaps another one: says where to go on from, which is `position`
    /// unless what was delivered may be undone.
    pub(super) async fn connected(&mut self, position: Option<Offset>, head: Head) -> Offset {
        let go_on = match &position {
            // No crash came between: what was seen is there still.
            Some(position) if position.epoch == head.epoch => ReadFrom::Here,
            Some(position) if position.epoch.value == head.epoch.value => self.guard.crashed(),
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
                self.sink.restart(head.clone()).await;
                head
            }
        }
    }

    /// Hands a part of a read over, and moves the position past it.
    pub(super) async fn hand_over(
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
            .filter(|event| self.guard.is_news(EventIdentity::of(event), &event.room))
            .collect();
        read.events += events.len();
        let batch = Batch {
            epoch: position.epoch,
            durable: self.durable,
            before: read.before.clone(),
            snapshot,
            events,
            complete,
        };
        self.deliver(batch, position).await;
    }

    async fn begin_read(&mut self, read: &ReadUnderWay, part: &ReadPart) {
        self.guard.begin_read(part.log, read.finishes);
        if let Some(pruned) = &part.pruned
            && !read.before.covers(pruned)
        {
            self.sink.resync(Affected::All, PRUNED_UNREAD).await;
        }
        self.durable |= self.guard.is_flushed();
    }

    async fn deliver(&mut self, batch: Batch, position: &mut Offset) {
        let (complete, snapshot) = (batch.complete, batch.snapshot.clone());
        if batch.events.is_empty() && !complete {
            // All of it was delivered before a crash. The next part says how far the read has come.
            return;
        }
        *position = batch.end();
        if !batch.events.is_empty() || batch.before != snapshot {
            self.guard.handed_over();
            self.sink.deliver(batch).await;
        }
        if complete {
            let undone = self.guard.end_read(&snapshot);
            if !undone.is_empty() {
                self.sink.resync(Affected::Rooms(undone), UNDONE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::*;
    use crate::event::Event;
    use crate::feed::fakes::{FakeSink, Handed};
    use crate::offset::Epoch;

    const UNFLUSHED: LogPosition = LogPosition {
        written: 200,
        flushed: 100,
    };

    fn snapshot(xmax: u64) -> Arc<Snapshot> {
        Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
    }

    fn head(crashes: usize, xmax: u64, log_written: i64) -> Head {
        Head {
            epoch: Epoch { value: 7, crashes },
            snapshot: snapshot(xmax),
            log_written,
        }
    }

    /// A part of a read that sees everything below `xmax`.
    fn part(xmax: u64, log: LogPosition, ids: &[i64], complete: bool) -> ReadPart {
        let event = |id: i64| Event {
            id,
            xid: id.unsigned_abs(),
            room: format!("room {id}").as_str().into(),
            name: "e".into(),
            payload: RawValue::NULL.to_owned(),
            at_us: id,
            age: Duration::ZERO,
        };
        ReadPart {
            snapshot: snapshot(xmax),
            log,
            pruned: None,
            events: ids.iter().map(|id| Arc::new(event(*id))).collect(),
            synced: false,
            complete,
        }
    }

    /// What was handed over since the last look: of each batch its ids and whether it is the end of its read.
    fn batches(sink: &FakeSink) -> Vec<(Vec<i64>, bool)> {
        let handed = sink.0.send_replace(Vec::new());
        let batches = handed.into_iter().filter_map(|handed| match handed {
            Handed::Batch(batch) => Some((
                batch.events.iter().map(|event| event.id).collect(),
                batch.complete,
            )),
            Handed::Resync(_) | Handed::Restart(_) => None,
        });
        batches.collect()
    }

    /// After the crash that followed a read of these events; with the position to go on from.
    async fn crashed_after(ids: &[i64]) -> (HandOver<FakeSink>, FakeSink, Offset) {
        let sink = FakeSink::default();
        let mut hand_over = HandOver::new(sink.clone());
        let mut position = hand_over.connected(None, head(0, 10, 100)).await;
        let mut read = ReadUnderWay::from(&position);
        let whole = part(20, UNFLUSHED, ids, true);
        hand_over.hand_over(&mut read, whole, &mut position).await;
        let position = hand_over.connected(Some(position), head(1, 20, 200)).await;
        assert_eq!(position.seen, Seen::All(snapshot(10)), "before the crash");
        batches(&sink);
        (hand_over, sink, position)
    }

    #[tokio::test]
    async fn a_part_of_which_nothing_is_left_is_not_handed_over() {
        let (mut hand_over, sink, mut position) = crashed_after(&[11, 12, 15]).await;
        let before = position.clone();
        let mut read = ReadUnderWay::from(&position);
        let mut take = async |ids: &[i64], complete| {
            let part = part(30, UNFLUSHED, ids, complete);
            hand_over.hand_over(&mut read, part, &mut position).await;
            (batches(&sink), position.clone())
        };
        let (handed, at) = take(&[11, 12], false).await;
        assert_eq!((handed, at), (vec![], before), "it was delivered before");
        let (handed, at) = take(&[13, 15, 16], false).await;
        assert_eq!(handed, [(vec![13, 16], false)]);
        assert!(matches!(&at.seen, Seen::Part { id: 16, .. }), "{at:?}");
        let (handed, at) = take(&[], true).await;
        assert_eq!(handed, [(vec![], true)], "the end of the read is told");
        assert_eq!(at.seen, Seen::All(snapshot(30)));
        assert_eq!(read.events(), 2);
    }

    #[tokio::test]
    async fn a_part_that_ends_with_what_was_delivered_before_ends_after_its_last_news() {
        let (mut hand_over, sink, mut position) = crashed_after(&[12]).await;
        let mut read = ReadUnderWay::from(&position);
        let first = part(30, UNFLUSHED, &[11, 12], false);
        hand_over.hand_over(&mut read, first, &mut position).await;
        assert!(matches!(&position.seen, Seen::Part { id: 11, .. }));
        assert_eq!(batches(&sink), [(vec![11], false)]);
        // The read breaks off here, and is finished with what follows 11.
        let mut read = ReadUnderWay::from(&position);
        let rest = part(30, UNFLUSHED, &[12, 13], true);
        hand_over.hand_over(&mut read, rest, &mut position).await;
        assert_eq!(batches(&sink), [(vec![13], true)]);
    }

    #[tokio::test]
    async fn what_was_left_out_of_a_read_that_broke_off_is_left_out_after_another_crash() {
        let (mut hand_over, sink, mut position) = crashed_after(&[11, 12]).await;
        let mut read = ReadUnderWay::from(&position);
        let first = part(30, UNFLUSHED, &[11], false);
        hand_over.hand_over(&mut read, first, &mut position).await;
        position = hand_over.connected(Some(position), head(2, 30, 300)).await;
        let mut read = ReadUnderWay::from(&position);
        let whole = part(30, UNFLUSHED, &[11, 12, 13], true);
        hand_over.hand_over(&mut read, whole, &mut position).await;
        assert_eq!(batches(&sink), [(vec![13], true)]);
    }

    #[tokio::test]
    async fn a_read_that_sees_nothing_new_is_not_handed_over() {
        let (mut hand_over, sink, mut position) = crashed_after(&[11]).await;
        for (xmax, handed) in [(10, vec![]), (11, vec![(vec![], true)]), (11, vec![])] {
            let mut read = ReadUnderWay::from(&position);
            let nothing = part(xmax, UNFLUSHED, &[], true);
            hand_over.hand_over(&mut read, nothing, &mut position).await;
            assert_eq!(batches(&sink), handed, "up to {xmax}");
        }
    }
}
