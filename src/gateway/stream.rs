//! What one client has been sent of its rooms.
//!
//! A client is live, and gets what is broadcast; or it is behind, and gets what it misses out of the outbox, at its own
//! pace, until it has reached the broadcast. It is behind when it comes back, and when it reads so slowly that no more may
//! wait for it.
//! Guarantees: `sent` is exact at every moment. All that it has seen of the client's rooms was sent, and nothing else was.

use std::sync::Arc;

use super::outgoing::Outgoing;
use super::outlet::{Delivery, Outlet};
use crate::event::Event;
use crate::offset::{Offset, Snapshot};

/// An event that the broadcast has come to.
#[derive(Clone)]
pub(super) struct Passed {
    pub(super) event: Arc<Event>,
    /// The snapshot of the read that found it.
    pub(super) batch: Arc<Snapshot>,
    /// Where the broadcast was before it.
    pub(super) before: Arc<Offset>,
    /// Where it is with it.
    pub(super) offset: Arc<Offset>,
    /// Its number in the order of the broadcast.
    pub(super) number: u64,
}

impl Passed {
    pub(super) fn outgoing(&self) -> Outgoing {
        Outgoing::stored(self.event.clone(), self.offset.pack())
    }
}

/// See the module.
pub(super) struct Stream {
    /// Everything up to here was sent.
    pub(super) sent: Arc<Offset>,
    /// The offset of the last event that was sent: what a stock client comes back with if it has got everything. `None`
    /// after it was told to reload, until the next event.
    pub(super) told: Option<Arc<Offset>>,
    /// Whether it goes on from where the broadcast began anew after a crash, though it had more then.
    pub(super) begun: bool,
    state: State,
    /// How often it has fallen behind: a replay of an earlier time has no business any more.
    falls: u32,
}

enum State {
    /// Live, and sent everything up to the broadcast's event of this number.
    Live(u64),
    Behind,
}

/// One time of falling behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Fall(u32);

impl Stream {
    /// A client that has missed nothing, because it is in no room yet.
    pub(super) fn live(at: Arc<Offset>, number: u64) -> Self {
        Self {
            told: Some(at.clone()),
            sent: at,
            begun: false,
            state: State::Live(number),
            falls: 0,
        }
    }

    /// A client that comes back.
    pub(super) fn behind(from: Arc<Offset>) -> Self {
        Self {
            told: Some(from.clone()),
            sent: from,
            begun: false,
            state: State::Behind,
            falls: 0,
        }
    }

    /// Which replay is to bring it back, while it is behind.
    pub(super) fn fall(&self) -> Option<Fall> {
        matches!(self.state, State::Behind).then_some(Fall(self.falls))
    }

    /// Whether an event of one of its rooms is still to be sent by the broadcast.
    pub(super) fn awaits(&self, number: u64) -> bool {
        matches!(self.state, State::Live(through) if number > through)
    }

    /// Sends an event of the broadcast, unless it was sent, or is left to the replay. `Full` for a client that has fallen
    /// behind with it.
    pub(super) fn pass(
        &mut self,
        outlet: &Outlet,
        passed: &Passed,
        outgoing: &Outgoing,
    ) -> Delivery {
        if !self.awaits(passed.number) {
            return Delivery::Gone;
        }
        let delivery = outlet.send(outgoing);
        match delivery {
            Delivery::Sent => {
                self.told = Some(passed.offset.clone());
                self.reach(passed.offset.clone(), passed.number);
            }
            // Also one that has gone got no more than that, and nothing that is broadcast until it is forgotten.
            Delivery::Full | Delivery::Gone => {
                // After a crash the broadcast begins anew before what the client has.
                if !self.sent.seen.reaches(&passed.before.seen) {
                    self.sent = passed.before.clone();
                }
                self.state = State::Behind;
                self.falls = self.falls.wrapping_add(1);
            }
        }
        delivery
    }

    /// The client is live, and has everything up to here.
    pub(super) fn reach(&mut self, at: Arc<Offset>, number: u64) {
        self.sent = at;
        self.state = State::Live(number);
    }
}
