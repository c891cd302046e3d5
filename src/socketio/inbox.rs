//! A client's incoming events, in the order sent.
//!
//! socketioxide spawns a task for each incoming event, in no order and without a bound. But it calls the handler in order,
//! before it spawns the future that the handler returns. So the handler puts the event in here at once, and the first of the
//! spawned futures handles everything that is in here, one event after another. An idle client has no task.
//! Guarantees that at most [`MAX_WAITING`] events wait; one more is given back to the caller, which refuses it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::packet::Incoming;
use super::protocol::{Refusal, Request};
use crate::metrics::{Limit, Metrics};
use crate::transport::Ack;

const MAX_WAITING: usize = 256;

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
    Full(Incoming),
}

struct State {
    waiting: VecDeque<Incoming>,
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
    pub(super) fn push(&self, mut incoming: Incoming, now: Instant) -> Pushed {
        let mut state = self.state();
        if state.closed {
            return Pushed::Waits;
        }
        if state.waiting.len() >= MAX_WAITING {
            self.metrics.limits(Limit::Inbox);
            return Pushed::Full(incoming);
        }
        if !state.take_token(self.rate, now) {
            self.metrics.limits(Limit::EventRate);
            incoming.args = Err(Refusal::TooManyRequests);
        }
        state.waiting.push_back(incoming);
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
        state.waiting.push_back(Incoming {
            request: Request::Recheck,
            args: Ok(Vec::new()),
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
    }

    /// Whether another event waits already.
    pub(super) fn has_more(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    /// The next event to handle; `None` ends the work.
    pub(super) fn next(&self) -> Option<Incoming> {
        let mut state = self.state();
        let next = state.waiting.pop_front();
        if next.is_none() {
            state.working = false;
            state.waiting = VecDeque::new();
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
mod tests {
    use super::*;

    fn event() -> Incoming {
        Incoming {
            request: Request::Leave,
            args: Ok(Vec::new()),
            ack: Ack::None,
        }
    }

    #[test]
    fn one_worker_at_a_time_and_none_when_empty() {
        let (inbox, now) = (Inbox::new(100, Metrics::new().0), Instant::now());
        assert!(
            matches!(inbox.push(event(), now), Pushed::Waits),
            "the connect handler works first"
        );
        assert!(inbox.next().is_some() && inbox.next().is_none());
        assert!(matches!(inbox.push(event(), now), Pushed::Work));
        assert!(matches!(inbox.push(event(), now), Pushed::Waits));
    }

    #[test]
    fn the_rate_is_a_bucket_that_refills() {
        let inbox = Inbox::new(2, Metrics::new().0);
        let now = Instant::now();
        for _ in 0..3 {
            inbox.push(event(), now);
        }
        let refused = |inbox: &Inbox| {
            inbox
                .next()
                .is_some_and(|event| event.args == Err(Refusal::TooManyRequests))
        };
        assert!(!refused(&inbox) && !refused(&inbox) && refused(&inbox));
        inbox.push(event(), now + std::time::Duration::from_millis(600));
        assert!(!refused(&inbox));
    }

    #[test]
    fn a_closed_inbox_keeps_nothing() {
        let (inbox, now) = (Inbox::new(100, Metrics::new().0), Instant::now());
        inbox.push(event(), now);
        inbox.close();
        inbox.push(event(), now);
        assert!(!inbox.has_more() && inbox.next().is_none());
    }

    #[test]
    fn a_full_inbox_takes_no_more() {
        let (inbox, now) = (Inbox::new(100_000, Metrics::new().0), Instant::now());
        for _ in 0..MAX_WAITING {
            inbox.push(event(), now);
        }
        assert!(matches!(inbox.push(event(), now), Pushed::Full(_)));
        let held = std::iter::from_fn(|| inbox.next()).count();
        assert_eq!(held, MAX_WAITING);
    }
}
