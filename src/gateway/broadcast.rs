//! Sends each event to every live socket of its room.
//!
//! Encodes an event once; each socket gets the same bytes. Skips the encoding where nobody is in the room.
//! Guarantees: in the order of the batch, and nobody is waited for. Whoever has no room for an event falls behind, and gets
//! it out of the outbox (`replay`).

use std::sync::Arc;

use super::client::Client;
use super::hub::{CRASHED, Hub, Members, REWOUND};
use super::outgoing::Outgoing;
use super::outlet::Delivery;
use super::stream::Passed;
use crate::arrivals::Arrivals;
use crate::event::Room;
use crate::offset::Offset;
use crate::reader::{Affected, Batch, Sink};

/// Members from which on other tasks get their turn after each event.
const MANY: usize = 64;

/// The reader's sink: see the module.
pub struct Broadcast {
    hub: Arc<Hub>,
    arrivals: Arc<Arrivals>,
}

impl Broadcast {
    /// Broadcasts to the members of `hub`, and tells those who wait for arrivals.
    pub fn new(hub: Arc<Hub>, arrivals: Arc<Arrivals>) -> Self {
        Self { hub, arrivals }
    }

    fn event(&self, passed: &Passed, members: &Members) {
        let outgoing = passed.outgoing();
        let mut sent = 0;
        for client in &**members {
            let mut stream = client.stream();
            match stream.pass(&client.outlet, passed, &outgoing) {
                Delivery::Sent => sent += 1,
                Delivery::Full => {
                    if let Some(fall) = stream.fall() {
                        self.hub.metrics.fell_behind.inc();
                        self.hub.fell_behind(client, fall);
                    }
                }
                Delivery::Gone => {}
            }
        }
        self.hub.metrics.deliveries.inc_by(sent);
        let age = passed.event.age.as_secs_f64();
        self.hub.metrics.commit_to_broadcast.observe(age);
    }

    /// Tells clients to reload rooms.
    fn tell(&self, clients: Vec<(Arc<Client>, Vec<Room>)>, reason: &str) {
        for (client, rooms) in clients {
            for room in rooms {
                self.hub.send(&client, &Outgoing::resync(&room, reason));
            }
        }
    }
}

impl Sink for Broadcast {
    async fn deliver(&mut self, batch: Batch) {
        let position = self.hub.position();
        if position.is_some_and(|(position, _)| position.epoch != batch.epoch) {
            let before = Offset::all(batch.epoch, batch.durable, batch.before.clone());
            self.tell(self.hub.begin(before), CRASHED.0);
        }
        let metrics = &self.hub.metrics;
        metrics.lag_events.set(batch.events.len() as i64);
        for (index, event) in batch.events.iter().enumerate() {
            self.arrivals.announce(&event.room);
            if let Some((members, passed)) = self.hub.pass(&batch, index) {
                self.event(&passed, &members);
                if members.len() >= MANY {
                    tokio::task::yield_now().await;
                }
            }
            metrics.lag_events.dec();
        }
        self.hub.reach(batch.end());
    }

    async fn resync(&mut self, rooms: Affected, reason: &'static str) {
        tracing::warn!("clients are told to reload: {reason}");
        self.arrivals.announce_all();
        self.tell(self.hub.reload(&rooms), reason);
    }

    async fn restart(&mut self, head: Offset) {
        self.arrivals.announce_all();
        if self.hub.position().is_some() {
            self.resync(Affected::All, REWOUND.0).await;
        }
        // Whoever was behind has just been told.
        self.hub.begin(head);
    }
}
