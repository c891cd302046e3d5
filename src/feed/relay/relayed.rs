//! The reader's feed on the relay: the outbox, and on an edge what the leader says of it.
//!
//! Stands between the reader and the outbox ([`EventFeed`]). The reader reads, sleeps and wakes as without it. What it reads on an edge
//! are statements, as long as they follow on each other; else it is the database, by the statement that a server reads by which is alone.
//! Guarantees that an edge does not hold the key: writers notify for the leader.
//! Relies on the reader to fall asleep anew where [`EventFeed::turns`] says so: there the lock is taken and given up, which takes the
//! reader's own connection.

use futures_util::future::ready;
use futures_util::stream::{self, BoxStream, StreamExt as _};
use tokio::sync::watch;
use tokio::time::Instant;

use super::shared::{Answer, Shared};
use super::standing::{Role, Step};
use crate::db::{Head, ReadPart};
use crate::event::Room;
use crate::feed::event_feed::EventFeed;
use crate::offset::{Seen, Snapshot};
use crate::revocations::Revocation;

/// A feed that others are told of, or that is told by them.
pub(crate) struct Relayed<F> {
    outbox: F,
    shared: Shared,
    /// Wakes the reader, which is this feed's own.
    wake: watch::Sender<()>,
    /// Whether the outbox's feed asks writers to notify, and whether the reader takes it that they do.
    key_held: bool,
    key_wanted: bool,
}

impl<F: EventFeed> Relayed<F> {
    pub(super) fn new(outbox: F, shared: Shared, wake: watch::Sender<()>) -> Self {
        Self {
            outbox,
            shared,
            wake,
            key_held: false,
            key_wanted: false,
        }
    }

    /// Takes the lock, or gives it up, where that is due; and the key, which an edge does not hold. Says what this server is.
    async fn settle(&mut self) -> Result<Role, F::Error> {
        let step = self.shared.state().standing.step(Instant::now());
        match step {
            Step::Stay => {}
            Step::TryToLead => {
                let term = self.outbox.try_to_lead().await?;
                let (mut state, now) = (self.shared.state(), Instant::now());
                match term {
                    Some(term) => state.standing.leads(term, now),
                    None => state.standing.is_denied(now),
                }
            }
            Step::GiveUp => {
                self.outbox.stop_leading().await?;
                let now = Instant::now();
                self.shared.disconnected(now);
            }
        }
        let role = self.shared.state().standing.settle(Instant::now());
        let is_edge = role == Role::Edge;
        if is_edge && std::mem::take(&mut self.key_held) {
            self.outbox.disable_notify().await?;
        } else if !is_edge && self.key_wanted && !self.key_held {
            self.key_held = self.outbox.enable_notify().await?;
        }
        Ok(role)
    }
}

impl<F: EventFeed> EventFeed for Relayed<F> {
    type Error = F::Error;

    async fn connect(&mut self) -> Result<Head, F::Error> {
        (self.key_held, self.key_wanted) = (false, false);
        self.shared.disconnected(Instant::now());
        let head = self.outbox.connect().await?;
        self.shared.connected(&head, Instant::now());
        Ok(head)
    }

    fn read<'a>(
        &'a mut self,
        from: &Seen,
        may_be_large: bool,
    ) -> BoxStream<'a, Result<ReadPart, F::Error>> {
        match self.shared.answer(from, Instant::now()) {
            Answer::Part(part) => {
                if self.shared.has_more() {
                    self.wake.send_replace(());
                }
                stream::once(ready(Ok(part))).boxed()
            }
            Answer::Read => {
                let shared = self.shared.clone();
                let mut told = shared.begin_read(from);
                let parts = self.outbox.read(from, may_be_large);
                let parts = parts.inspect(move |part| {
                    let Ok(part) = part else { return };
                    if let Some(told) = &mut told {
                        told.push(part);
                    }
                    if part.complete {
                        shared.end_read(told.take(), part, Instant::now());
                    }
                });
                parts.boxed()
            }
        }
    }

    async fn flush_and_find_rooms(
        &mut self,
        before: &Snapshot,
        rooms: &[Room],
    ) -> Result<Vec<Room>, F::Error> {
        self.outbox.flush_and_find_rooms(before, rooms).await
    }

    async fn revocations(&mut self) -> Result<Vec<Revocation>, F::Error> {
        self.outbox.revocations().await
    }

    async fn enable_notify(&mut self) -> Result<bool, F::Error> {
        self.key_wanted = true;
        let role = self.settle().await?;
        Ok(role == Role::Edge || self.key_held)
    }

    async fn disable_notify(&mut self) -> Result<(), F::Error> {
        self.key_wanted = false;
        if std::mem::take(&mut self.key_held) {
            self.outbox.disable_notify().await?;
        }
        Ok(())
    }

    async fn writers(&mut self) -> Result<i64, F::Error> {
        match self.settle().await? {
            // Whoever writes wakes the leader.
            Role::Edge => Ok(0),
            Role::Alone | Role::Leader => self.outbox.writers().await,
        }
    }

    fn turns(&self) -> bool {
        self.shared.state().standing.turns(Instant::now())
    }

    async fn try_to_lead(&mut self) -> Result<Option<u64>, F::Error> {
        self.outbox.try_to_lead().await
    }

    async fn stop_leading(&mut self) -> Result<(), F::Error> {
        self.outbox.stop_leading().await
    }

    async fn close(&mut self) {
        self.outbox.close().await;
    }
}
