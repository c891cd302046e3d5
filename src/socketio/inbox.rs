//! A client's incoming events, in the order sent.
//!
//! socketioxide spawns a task for each incoming event, in no order and without a bound. But it calls the handler in order,
//! before it spawns the future that the handler returns. So the handler puts the event in here at once, and the first of the
//! spawned futures handles everything that is in here, one event after another. An idle client has no task.
//! Guarantees that at most [`MAX_WAITING`] events wait, and of their texts at most [`MAX_WAITING_BYTES`], unless one longer text
//! waits alone. One more is given back to the caller, which refuses it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::packet::{Content, Incoming, Waiting};
use super::protocol::Refusal;
use crate::metrics::{Limit, Metrics};
use crate::transport::Ack;

const MAX_WAITING: usize = 256;
/// Enough for so many joins with an offset.
const MAX_WAITING_BYTES: usize = 128 * 1024;

/// The events of one client that wait for their turn.
pub(super) struct Inbox {
    state: Mutex<State>,
    rate: f64,
    metrics: Metrics,
}

/// What became of an event that came in.
pub(super) enum Pushed {
    /// It waits, and the caller must handle what is in the inbox.
    Work,
    /// It waits, and a task that is at work will handle it.
    Waits,
    /// Too many events wait: it is given back.
    Full(Waiting),
}

struct State {
    waiting: VecDeque<Waiting>,
    /// Of the texts of those that wait.
    bytes: usize,
    /// Whether a task is at work. True from the start: the connect handler works the queue first, after the ready event.
    working: bool,
    /// Whether nobody will handle an event any more.
    closed: bool,
    tokens: f64,
    filled: Instant,
}

impl Inbox {
    /// An inbox that takes `rate` events a second, and bursts of as many.
    pub(super) fn new(rate: u32, metrics: Metrics) -> Arc<Self> {
        let state = State {
            waiting: VecDeque::new(),
            bytes: 0,
            working: true,
            closed: false,
            tokens: f64::from(rate),
            filled: Instant::now(),
        };
        Arc::new(Self {
            state: Mutex::new(state),
            rate: f64::from(rate),
            metrics,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts an event at the end. One above the rate stays in the queue as a refusal, so that answers keep their order.
    pub(super) fn push(&self, mut event: Waiting, now: Instant) -> Pushed {
        let mut state = self.state();
        if state.closed {
            return Pushed::Waits;
        }
        let bytes = event.bytes();
        let is_full = state.waiting.len() >= MAX_WAITING
            || (state.bytes > 0 && state.bytes + bytes > MAX_WAITING_BYTES);
        if is_full {
            self.metrics.limits(Limit::Inbox);
            return Pushed::Full(event);
        }
        if state.take_token(self.rate, now) {
            state.bytes += bytes;
        } else {
            self.metrics.limits(Limit::EventRate);
            event.content = Content::Refused(Refusal::TooManyRequests);
        }
        state.waiting.push_back(event);
        if std::mem::replace(&mut state.working, true) {
            Pushed::Waits
        } else {
            Pushed::Work
        }
    }

    /// Puts an event of the server's own at the end: its turn is to ask again about the client's rooms. True: the caller must
    /// handle what is in the inbox.
    pub(super) fn push_recheck(&self) -> bool {
        let mut state = self.state();
        if state.closed {
            return false;
        }
        state.waiting.push_back(Waiting {
            content: Content::Recheck,
            ack: Ack::None,
        });
        !std::mem::replace(&mut state.working, true)
    }

    /// The client has gone: what waits is dropped, and so is what comes. An event that waits would keep the socket, which
    /// keeps the inbox.
    pub(super) fn close(&self) {
        let mut state = self.state();
        state.closed = true;
        state.waiting = VecDeque::new();
        state.bytes = 0;
    }

    /// Whether another event waits already.
    pub(super) fn has_more(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// The next event to handle; `None` ends the work.
    pub(super) fn next(&self) -> Option<Incoming> {
        let next = self.take();
        // Not under the lock: the client's next event must not wait for it.
        next.map(Waiting::parse)
    }

    fn take(&self) -> Option<Waiting> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        match &next {
            Some(event) => state.bytes -= event.bytes(),
            None => {
                state.working = false;
                state.waiting = VecDeque::new();
            }
        }
        next
    }
}

impl State {
    fn take_token(&mut self, rate: f64, now: Instant) -> bool {
        self.tokens = (self.tokens
            + now.saturating_duration_since(self.filled).as_secs_f64() * rate)
            .min(rate);
        self.filled = now;
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests;
