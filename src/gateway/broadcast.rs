//! Sends each event to every socket of its room.
//!
//! Encodes an event once; each socket gets the same bytes. Skips the encoding where nobody is in the room.
//! Guarantees: in the order of the batch; and what a slow client holds up is bounded: a full queue of one that polls for
//! `PATIENCE`, a burst for `PACE_BUDGET` in all. After that it is cut, not skipped.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::hub::{Hub, Members};
use super::outlet::Delivery;
use super::protocol::Outgoing;
use crate::arrivals::Arrivals;
use crate::event::Event;
use crate::offset::Offset;
use crate::reader::{Affected, Batch, Sink};

/// How long a full queue of one socket is waited for.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause between two looks at a queue.
const PAUSE: Duration = Duration::from_millis(1);
/// From this backlog on, in bytes, a burst goes at the pace of a socket that makes progress,
const PACE_BYTES: usize = 512 * 1024;
/// unless it takes nothing for this long,
const STALLED: Duration = Duration::from_millis(100);
/// and for this long in one read. Who is still behind then is met by the wire's own bound.
const PACE_BUDGET: Duration = Duration::from_secs(5);

/// The reader's sink: see the module.
pub struct Broadcast {
    hub: Arc<Hub>,
    arrivals: Arc<Arrivals>,
    /// What is left of `PACE_BUDGET` in the read at hand.
    budget: Duration,
}

impl Broadcast {
    /// Broadcasts to the members of `hub`, and tells those who wait for arrivals.
    pub fn new(hub: Arc<Hub>, arrivals: Arc<Arrivals>) -> Self {
        Self {
            hub,
            arrivals,
            budget: PACE_BUDGET,
        }
    }

    async fn event(&self, event: &Event, offset: &Offset, members: &Members) {
        let outgoing = Outgoing::stored(&event.name, event.payload.clone(), offset.pack());
        let mut sent = 0;
        let mut full = Vec::new();
        for client in &**members {
            match self.hub.try_send(client, &outgoing) {
                Delivery::Sent => sent += 1,
                Delivery::Full => full.push(client),
                Delivery::Gone | Delivery::Overflow => {}
            }
        }
        let deadline = Instant::now() + PATIENCE;
        while !full.is_empty() {
            sleep(PAUSE).await;
            let late = Instant::now() >= deadline;
            full.retain(|client| match self.hub.try_send(client, &outgoing) {
                Delivery::Full if late => {
                    self.hub.cut(client);
                    false
                }
                Delivery::Full => true,
                Delivery::Sent => {
                    sent += 1;
                    false
                }
                Delivery::Gone | Delivery::Overflow => false,
            });
        }
        self.hub.metrics.deliveries.inc_by(sent);
        self.hub
            .metrics
            .commit_to_broadcast
            .observe(event.age.as_secs_f64());
    }

    /// After a part of a burst: waits for those who are behind but reading.
    async fn pace(&mut self, touched: &[Members]) {
        let started = Instant::now();
        for client in touched.iter().flat_map(|members| members.iter()) {
            let mut progress = (0, Instant::now());
            loop {
                let (waiting, taken) = client.outlet.meter();
                if taken != progress.0 {
                    progress = (taken, Instant::now());
                }
                if waiting <= PACE_BYTES
                    || progress.1.elapsed() >= STALLED
                    || started.elapsed() >= self.budget
                {
                    break;
                }
                sleep(PAUSE).await;
            }
        }
        self.budget = self.budget.saturating_sub(started.elapsed());
    }
}

impl Sink for Broadcast {
    async fn deliver(&mut self, batch: Batch) {
        let metrics = &self.hub.metrics;
        metrics.lag_events.set(batch.events.len() as i64);
        let mut touched: Vec<Members> = Vec::new();
        for (index, event) in batch.events.iter().enumerate() {
            self.arrivals.announce(&event.room);
            if let Some((members, offset)) = self.hub.pass(&batch, index) {
                self.event(event, &offset, &members).await;
                if !batch.complete && !touched.iter().any(|other| Arc::ptr_eq(other, &members)) {
                    touched.push(members);
                }
            }
            metrics.lag_events.dec();
        }
        self.hub.reach(batch.end());
        if batch.complete {
            self.budget = PACE_BUDGET;
        } else {
            self.pace(&touched).await;
        }
    }

    async fn resync(&mut self, rooms: Affected, reason: &'static str) {
        tracing::warn!("clients are told to reload: {reason}");
        self.arrivals.announce_all();
        for (room, members) in self.hub.joined() {
            let affected = match &rooms {
                Affected::All => true,
                Affected::Rooms(rooms) => rooms.contains(&room),
            };
            if affected {
                let event = Outgoing::resync(&room, reason);
                for client in &*members {
                    self.hub.send(client, &event);
                }
            }
        }
    }

    async fn restart(&mut self, head: Offset) {
        self.arrivals.announce_all();
        if self.hub.offset().is_some() {
            self.resync(Affected::All, "the database was rewound or replaced")
                .await;
        }
        self.hub.reach(head);
    }
}
