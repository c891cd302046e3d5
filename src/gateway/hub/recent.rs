//! The last events of the broadcast, for clients that were away for a moment: no read of the database for them.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::event::Event;
use crate::gateway::stream::Passed;
use crate::offset::{Snapshot, Step};

const MAX_EVENTS: usize = 2_048;
const MAX_BYTES: usize = 4 * 1024 * 1024;

/// Every event that the broadcast has come to since `start`.
pub(super) struct Recent {
    events: VecDeque<Passed>,
    bytes: usize,
    start: Arc<Snapshot>,
    /// After a crash the broadcast leaves out what it had come to before, up to here.
    known: Arc<Snapshot>,
}

impl Recent {
    /// Nothing yet, after a broadcast that has seen `start`; it leaves nothing out from `known` on.
    pub(super) fn since(start: Arc<Snapshot>, known: Arc<Snapshot>) -> Self {
        Self {
            events: VecDeque::new(),
            bytes: 0,
            start,
            known,
        }
    }

    pub(super) fn push(&mut self, passed: Passed) {
        self.bytes += passed.event.payload.get().len();
        self.events.push_back(passed);
        let much = |recent: &Self| recent.events.len() > MAX_EVENTS || recent.bytes > MAX_BYTES;
        // The last one stays in any case: it may be on its way.
        while self.events.len() > 1 && much(self) {
            let Some(oldest) = self.events.pop_front() else {
                return;
            };
            self.bytes -= oldest.event.payload.get().len();
            // Of its batch only a part is left.
            self.start = oldest.batch;
        }
    }

    /// The event that the broadcast is at, or was at last.
    pub(super) fn last(&self) -> Option<&Passed> {
        self.events.back()
    }

    /// The events of a step, by id, as far as `wanted`; `None` where some may be older than what is kept, or were left out
    /// and not had by whoever asks.
    pub(super) fn step(
        &self,
        step: &Step,
        had: bool,
        wanted: impl Fn(&Event) -> bool,
    ) -> Option<Vec<Arc<Event>>> {
        if !step.before.covers(&self.start) || !(had || step.before.covers(&self.known)) {
            return None;
        }
        let of_step = |event: &&Arc<Event>| step.holds(event.xid, event.id) && wanted(event);
        let events = self.events.iter().map(|passed| &passed.event);
        let mut events: Vec<_> = events.filter(of_step).cloned().collect();
        events.sort_by_key(|event| event.id);
        Some(events)
    }
}
