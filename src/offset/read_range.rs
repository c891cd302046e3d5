//! What is to be read on the way from one offset to a later one.
//!
//! Everybody who replays events walks this way: a client that is behind, a join with an offset, events over HTTP.
//! A read yields the events of one batch in the order of their ids. A batch that was begun is finished first, under its own
//! snapshot; then everything up to a later snapshot follows. So each event of a replay has an exact offset of its own, and a
//! replay may break off after any of them. No I/O.

use std::sync::Arc;

use super::{Seen, Snapshot};
use crate::event::Event;

/// What somebody who has one thing is to read to have another.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NextRead {
    /// Nothing: both have the same.
    Reached,
    /// The client has more than the broadcast: it came from another server, or from history.
    Ahead,
    /// These events.
    Read(ReadRange),
}

/// One read of a replay: the events that `batch` sees and `before` does not, with ids above `after` and up to `upto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReadRange {
    /// What was seen before.
    pub before: Arc<Snapshot>,
    /// What will have been seen.
    pub batch: Arc<Snapshot>,
    /// The last event that was delivered of it; `i64::MIN` for none.
    pub after: i64,
    /// Where the range ends, if that is not the batch's own end.
    pub upto: Option<i64>,
}

/// Events of a range, each with what has been delivered once it is.
#[derive(Debug)]
pub(crate) struct Placed {
    /// By id.
    pub events: Vec<(Arc<Event>, Seen)>,
    /// What has been delivered after them all.
    pub end: Seen,
}

impl ReadRange {
    /// What somebody who has `from` is to read next, towards `to`.
    pub(crate) fn next(from: &Seen, to: &Seen) -> NextRead {
        if from == to {
            return NextRead::Reached;
        }
        let read = |before: &Arc<Snapshot>, batch: &Arc<Snapshot>, after, upto| {
            NextRead::Read(Self {
                before: before.clone(),
                batch: batch.clone(),
                after,
                upto,
            })
        };
        match (from, to) {
            (
                Seen::Part { before, batch, id },
                Seen::Part {
                    before: b,
                    batch: s,
                    id: end,
                },
            ) if before == b && batch == s => {
                if id < end {
                    read(before, batch, *id, Some(*end))
                } else {
                    NextRead::Ahead
                }
            }
            // The rest of a batch that the broadcast has left behind.
            (Seen::Part { before, batch, id }, _) if to.floor().covers(batch) => {
                read(before, batch, *id, None)
            }
            (Seen::Part { .. }, _) => NextRead::Ahead,
            (Seen::All(snapshot), Seen::All(end)) if end.covers(snapshot) => {
                read(snapshot, end, i64::MIN, None)
            }
            (Seen::All(snapshot), Seen::Part { before, batch, id }) => {
                if snapshot == before {
                    read(snapshot, batch, i64::MIN, Some(*id))
                } else if before.covers(snapshot) {
                    read(snapshot, before, i64::MIN, None)
                } else {
                    NextRead::Ahead
                }
            }
            (Seen::All(_), Seen::All(_)) => NextRead::Ahead,
        }
    }

    /// What follows `from` where there is no broadcast to go towards: the rest of a batch that was begun, or else everything
    /// that `present` sees.
    pub(crate) fn following(from: &Seen, present: &Arc<Snapshot>) -> Self {
        let (before, batch, after) = match from {
            Seen::All(snapshot) => (snapshot, present, i64::MIN),
            Seen::Part { before, batch, id } => (before, batch, *id),
        };
        Self {
            before: before.clone(),
            batch: batch.clone(),
            after,
            upto: None,
        }
    }

    /// Whether an event belongs to the range.
    pub(crate) fn holds(&self, xid: u64, id: i64) -> bool {
        id > self.after
            && self.upto.is_none_or(|upto| id <= upto)
            && self.batch.sees(xid)
            && !self.before.sees(xid)
    }

    /// What has been delivered once the event `id` is.
    pub(crate) fn seen_upto(&self, id: i64) -> Seen {
        Seen::Part {
            before: self.before.clone(),
            batch: self.batch.clone(),
            id,
        }
    }

    /// What has been delivered once all of the range is.
    pub(crate) fn seen_at_end(&self) -> Seen {
        match self.upto {
            Some(id) => self.seen_upto(id),
            None => Seen::All(self.batch.clone()),
        }
    }

    /// Gives each of these events, which are in the order of their ids, its place. `page_end` is the id up to which the page
    /// that they were read with holds everything, if there is more: `None` says that the page holds all of the range.
    pub(crate) fn place(
        &self,
        events: impl IntoIterator<Item = Arc<Event>>,
        page_end: Option<i64>,
    ) -> Placed {
        // A page that is shared with others may end before this range begins, or after it has ended.
        let cut = page_end
            .map(|end| end.max(self.after))
            .filter(|end| self.upto.is_none_or(|upto| *end < upto));
        let end = cut.map_or_else(|| self.seen_at_end(), |id| self.seen_upto(id));
        let mut events: Vec<_> = events
            .into_iter()
            .map(|event| {
                let seen = self.seen_upto(event.id);
                (event, seen)
            })
            .collect();
        // Whoever has the last event of a whole range has the range.
        if cut.is_none()
            && let Some((_, last)) = events.last_mut()
        {
            *last = end.clone();
        }
        Placed { events, end }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::value::RawValue;

    use super::*;

    fn snapshot(xmax: u64) -> Arc<Snapshot> {
        Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
    }

    /// From everything below 10 to everything below 20, after the event 5.
    fn range(upto: Option<i64>) -> ReadRange {
        ReadRange {
            before: snapshot(10),
            batch: snapshot(20),
            after: 5,
            upto,
        }
    }

    fn part(id: i64) -> Seen {
        Seen::Part {
            before: snapshot(10),
            batch: snapshot(20),
            id,
        }
    }

    fn all() -> Seen {
        Seen::All(snapshot(20))
    }

    /// What has been delivered after each of the events 6 and 8, and after them all.
    fn place(upto: Option<i64>, page_end: Option<i64>, ids: &[i64]) -> (Vec<Seen>, Seen) {
        let event = |id: &i64| {
            Arc::new(Event {
                id: *id,
                xid: 15,
                room: "r".into(),
                name: "e".into(),
                payload: RawValue::NULL.to_owned(),
                at_us: 0,
                age: Duration::ZERO,
                traceparent: None,
            })
        };
        let placed = range(upto).place(ids.iter().map(event), page_end);
        let events = placed.events.into_iter().map(|(_, seen)| seen);
        (events.collect(), placed.end)
    }

    #[test]
    fn the_last_event_of_a_whole_range_is_its_end() {
        let whole = place(None, None, &[6, 8]);
        assert_eq!(whole, (vec![part(6), all()], all()));
        let bounded = place(Some(9), None, &[6, 8]);
        assert_eq!(bounded, (vec![part(6), part(9)], part(9)));
        assert_eq!(place(None, None, &[]), (vec![], all()));
    }

    #[test]
    fn a_page_that_ends_within_the_range_ends_it_there() {
        let cut = place(None, Some(9), &[6, 8]);
        assert_eq!(cut, (vec![part(6), part(8)], part(9)));
        let bounded = place(Some(12), Some(9), &[6, 8]);
        assert_eq!(bounded, (vec![part(6), part(8)], part(9)));
        assert_eq!(place(None, Some(9), &[]), (vec![], part(9)));
    }

    #[test]
    fn a_shared_page_that_ends_after_the_range_holds_all_of_it() {
        for page_end in [9, 10] {
            let whole = place(Some(9), Some(page_end), &[6, 8]);
            assert_eq!(whole, (vec![part(6), part(9)], part(9)), "{page_end}");
        }
    }

    #[test]
    fn a_shared_page_that_ends_before_the_range_moves_nothing_back() {
        for page_end in [i64::MIN, 4, 5] {
            assert_eq!(place(None, Some(page_end), &[]), (vec![], part(5)));
        }
    }

    #[test]
    fn what_was_begun_is_finished_before_what_is_there_now() {
        let from_here = ReadRange::following(&Seen::All(snapshot(10)), &snapshot(30));
        let whole = ReadRange {
            before: snapshot(10),
            batch: snapshot(30),
            after: i64::MIN,
            upto: None,
        };
        assert_eq!(from_here, whole);
        assert_eq!(ReadRange::following(&part(5), &snapshot(30)), range(None));
    }
}
