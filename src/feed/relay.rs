//! The relay: one server reads the outbox for all that share a NATS, where `ROWCAST_RELAY` names one.
//!
//! - `standing`: who leads, and whether this server follows
//! - `relayed`: the reader's feed, which is told by the leader, or tells; `inbox`: what was heard; `speech`: what is to be said
//! - `message`: what is said, and its bytes; `seal`: who may say it
//! - `link`: the task that speaks with NATS, by the client in `nats`; `shared`: what that task and the reader's feed know together
//! - `trial`: one attempt to be heard, for the doctor
//!
//! The leader is the server that holds the advisory lock of the database. It reads as a server without a relay does, and says what each
//! read found ([`Statement`](message::Statement)). The others, the edges, apply what follows on their own position, and read the outbox
//! by themselves, by the same statement, where something is missing. So NATS is a wire and never a source of truth: a message that is
//! lost, doubled, late or out of order, one that two leaders send, and one that is forged cost an edge a read, and no client an event.
//!
//! What is told may be undone by a crash of Postgres, as what is read may be. A statement says where Postgres's log was, and which crashes
//! its leader knows of; the edge's own crash guard (`crash_guard`) is given the first as if it had read by itself, and a statement from
//! before a crash, or from after one that the edge has not noticed, is not applied. A standby is no leader: it can't number a term.

mod inbox;
mod link;
mod message;
mod nats;
mod relayed;
mod seal;
mod shared;
mod speech;
mod standing;
#[cfg(test)]
mod tests;
mod trial;

use tokio::sync::watch;

use super::event_feed::EventFeed;
use crate::metrics::Metrics;
pub(crate) use link::{Link, LinkEnds};
pub(crate) use relayed::Relayed;
use shared::Shared;
pub(crate) use trial::{RelayTrial, try_relay};

/// The relay of this server, before its two sides begin.
pub(crate) struct Relay {
    shared: Shared,
    wake: watch::Sender<()>,
}

impl Relay {
    /// A relay of a server whose payloads have at most so many bytes, and what wakes its reader.
    pub(crate) fn new(max_payload: usize, metrics: Metrics) -> (Self, watch::Receiver<()>) {
        let (wake, woken) = watch::channel(());
        let shared = Shared::new(max_payload, metrics);
        (Self { shared, wake }, woken)
    }

    /// What the reader reads.
    pub(crate) fn feed<F: EventFeed>(&self, outbox: F) -> Relayed<F> {
        Relayed::new(outbox, self.shared.clone(), self.wake.clone())
    }

    /// What speaks with NATS.
    pub(crate) fn link(self, ends: LinkEnds) -> Link {
        Link::new(self.shared, self.wake, ends)
    }
}
