//! A transport that takes as much as a test says, and keeps it.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::delivery::outgoing::Outgoing;
use crate::delivery::subscriber_transport::{Backlog, SendOutcome, SubscriberTransport};

/// What a fake client was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::delivery) enum Received {
    /// A stored event: its id, and its offset.
    Stored(i64, String),
    /// Anything else: its name, and its payload.
    Transient(String, String),
}

/// A client that takes so many events and no more, until it is said to have read them.
#[derive(Default)]
pub(in crate::delivery) struct FakeTransport {
    waiting: Mutex<Waiting>,
    closed: AtomicBool,
}

#[derive(Default)]
struct Waiting {
    /// Events that may wait; `None` for any number.
    capacity: Option<usize>,
    queue: VecDeque<Received>,
    /// What has been read.
    read: Vec<Received>,
    /// How often something was written.
    writes: usize,
}

impl Waiting {
    fn take(&mut self, event: &Outgoing) -> bool {
        if self
            .capacity
            .is_some_and(|capacity| self.queue.len() >= capacity)
        {
            return false;
        }
        self.queue.push_back(match event.offset() {
            Some(offset) => Received::Stored(
                event.payload().get().parse().expect("its own id"),
                offset.to_owned(),
            ),
            None => {
                let payload = event.payload().get().to_owned();
                Received::Transient(event.name().to_owned(), payload)
            }
        });
        true
    }
}

impl FakeTransport {
    fn waiting(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many events may wait.
    pub(in crate::delivery) fn set_capacity(&self, events: usize) {
        self.waiting().capacity = Some(events);
    }

    /// How often something was written.
    pub(in crate::delivery) fn writes(&self) -> usize {
        self.waiting().writes
    }

    /// Everything that was taken, read or not.
    pub(in crate::delivery) fn received(&self) -> Vec<Received> {
        let waiting = self.waiting();
        waiting.read.iter().chain(&waiting.queue).cloned().collect()
    }
}

impl SubscriberTransport for FakeTransport {
    fn send(&self, event: &Outgoing) -> SendOutcome {
        self.send_together(&[event]).1
    }

    fn send_together(&self, events: &[&Outgoing]) -> (usize, SendOutcome) {
        if self.is_closed() {
            return (0, SendOutcome::Closed);
        }
        let mut waiting = self.waiting();
        let taken = events.iter().take_while(|event| waiting.take(event));
        let taken = taken.count();
        waiting.writes += usize::from(taken > 0);
        if taken < events.len() {
            (taken, SendOutcome::Full)
        } else {
            (taken, SendOutcome::Sent)
        }
    }

    fn backlog(&self) -> Backlog {
        let waiting = self.waiting();
        Backlog {
            waiting_bytes: waiting.queue.len(),
            taken_bytes: waiting.read.len() as u64,
            pause_at_bytes: waiting.capacity.unwrap_or(usize::MAX),
        }
    }

    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    fn close(&self) -> bool {
        !self.closed.swap(true, Ordering::Relaxed)
    }
}
