//! Follows the outbox and hands its events on, in batches.
//!
//! Owns the position: the offset up to which everything was delivered. A wake, the poll or a busy writer make it read;
//! what it reads is decided by snapshots alone, so a wake too many or too few never changes what is delivered.
//! Guarantees: every committed event once, whatever commits late; a failure never moves the position.
//! Relies on an [`EventFeed`] for the reads and an [`EventSink`] for the delivery, so that it can be driven without a database.
//!
//! How it sleeps without missing a wake, and without making busy writers pay for NOTIFY:
//! - asleep, it holds a key that writers test; whoever finds it held notifies. Few events: it stays in this state.
//! - many events: it lets go of the key and reads in a loop, and writers notify nobody. It pauses for longer where the database
//!   answers late (`awake`).
//! - the key is somebody else's for long: it reads when woken, or every 200 ms, and tries again to get the key.
//! - before it sleeps again it takes the key, then asks whether a writer is still at work, then reads. A writer that
//!   tested too early was either seen at work, and is waited for, or was over, and the read saw it.

mod awake;
mod falling_asleep;

use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tracing::Instrument as _;

use super::event_feed::EventFeed;
use super::hand_over::{HandOver, ReadUnderWay};
use super::outage::Outage;
use crate::backoff::Backoff;
use crate::db::ReadPart;
use crate::delivery::EventSink;
use crate::event::Room;
use crate::metrics::{Metrics, WakeSource};
use crate::offset::{Offset, Seen};
use crate::spans;
use crate::status::ReaderStatus;
use falling_asleep::{Fallen, KEY_PATIENCE};

/// Events in one read from which writers are busy enough to be spared NOTIFY.
const BUSY_EVENTS: usize = 16;
/// Writers at work at once who would wait for each other at NOTIFY's lock. They are counted, not inferred from the
/// pace: notifying, they commit one by one, one flush each, and look slow because they are being slowed down.
const CROWD: i64 = 3;
/// They are counted when so many wakes in a row were that close to each other.
const CLOSE_WAKES: u32 = 8;
const CLOSE_GAP: Duration = Duration::from_millis(25);
/// A crowd counts when it was found so many times in a row: one slow flush gathers one, too.
const CROWDS: u32 = 2;
/// Reads events from a feed and hands them to a sink.
pub(crate) struct Reader<F, K> {
    feed: F,
    hand_over: HandOver<K>,
    wake: watch::Receiver<()>,
    poll: Duration,
    status: watch::Sender<ReaderStatus>,
    outage: Outage,
    metrics: Metrics,
    /// How long the database took to answer the last read.
    answered_within: Duration,
}

impl<F: EventFeed, K: EventSink> Reader<F, K> {
    /// A reader that has not begun. It reads when woken, and every `poll` at least.
    pub(crate) fn new(
        feed: F,
        sink: K,
        wake: watch::Receiver<()>,
        poll: Duration,
        status: watch::Sender<ReaderStatus>,
        metrics: Metrics,
    ) -> Self {
        Self {
            feed,
            hand_over: HandOver::new(sink),
            wake,
            poll,
            status,
            outage: Outage::default(),
            metrics,
            answered_within: Duration::ZERO,
        }
    }

    /// Follows until `stop`: the read at hand is finished, then the connection is closed.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let mut backoff = Backoff::default();
        let mut position = None;
        while !stop.is_cancelled() {
            let error = match self.follow(&mut position, &mut backoff, &stop).await {
                Ok(()) => break,
                Err(error) => error,
            };
            let pause = backoff.next();
            self.fail(&error.to_string());
            let _ = timeout(pause, stop.cancelled()).await;
        }
        self.feed.close().await;
    }

    /// Says why reading fails.
    fn fail(&mut self, cause: &str) {
        self.status.send_modify(|status| {
            let since = status.failing.take().map(|(since, _)| since);
            status.failing = Some((since.unwrap_or_else(Instant::now), cause.into()));
        });
        if self.outage.is_news(cause) {
            tracing::warn!("reading the outbox failed, it is tried again and again: {cause}");
        } else {
            tracing::debug!("reading the outbox failed again: {cause}");
        }
    }

    /// Connects, and follows until `stop` or an error.
    async fn follow(
        &mut self,
        position: &mut Option<Offset>,
        backoff: &mut Backoff,
        stop: &CancellationToken,
    ) -> Result<(), F::Error> {
        let head = self.feed.connect().await?;
        // After the head: one that is not in the table is an event to come.
        self.load_revocations().await?;
        let go_on = self.hand_over.connected(position.take(), head).await;
        let position = position.insert(go_on);
        let mut denied_since = None;
        while !stop.is_cancelled() {
            let fallen = self.fall_asleep(position, stop).await?;
            backoff.reset();
            let denied = matches!(fallen, Fallen::Denied);
            let since = denied.then(|| denied_since.unwrap_or_else(Instant::now));
            denied_since = since;
            match since {
                None if matches!(fallen, Fallen::Asleep) => self.sleep(position, stop).await?,
                Some(since) if since.elapsed() >= KEY_PATIENCE => {
                    self.wait_without_key(position, stop).await?;
                }
                _ => self.stay_awake(position, stop).await?,
            }
        }
        Ok(())
    }

    /// Reads and hands over everything that the position misses, and says how many events that were.
    async fn read(&mut self, position: &mut Offset) -> Result<usize, F::Error> {
        let finishes = matches!(position.seen, Seen::Part { .. });
        let mut events = self.read_once(position).await?;
        if finishes {
            // What finishes a read that broke off sees no more than that one saw, and nobody may wake us for the rest.
            events += self.read_once(position).await?;
        }
        self.status.send_replace(ReaderStatus {
            caught_up: Some(Instant::now()),
            moved: Some(Instant::now()),
            failing: None,
            handing_over: None,
        });
        if self.outage.ends() {
            tracing::info!("the outbox is read again");
        }
        Ok(events)
    }

    /// Ends the rights that the table says have ended, also those whose event this reader has missed.
    async fn load_revocations(&mut self) -> Result<(), F::Error> {
        self.hand_over.revoke(self.feed.revocations().await?).await;
        Ok(())
    }

    async fn read_once(&mut self, position: &mut Offset) -> Result<usize, F::Error> {
        let span = spans::reader_pass();
        let read = self.pass(position).instrument(span.clone()).await;
        match &read {
            Ok(events) => spans::set_events(&span, *events),
            Err(_) => spans::fail(&span, "database"),
        }
        read
    }

    async fn pass(&mut self, position: &mut Offset) -> Result<usize, F::Error> {
        let mut read = ReadUnderWay::from(position);
        let may_be_large = self.hand_over.may_be_large(position);
        let mut parts = self.feed.read(&position.seen, may_be_large);
        let mut large = None;
        let asked = Instant::now();
        let mut answered_within = None;
        while let Some(part) = parts.try_next().await? {
            answered_within.get_or_insert_with(|| asked.elapsed());
            if part.is_large {
                large = Some(part);
                continue;
            }
            let begun = Instant::now();
            self.status
                .send_modify(|status| status.handing_over = Some(begun));
            self.hand_over.hand_over(&mut read, part, position).await;
            self.status.send_modify(|status| {
                status.moved = Some(Instant::now());
                status.handing_over = None;
            });
        }
        drop(parts);
        self.answered_within = answered_within.unwrap_or_default();
        if let Some(part) = large {
            self.leave_to_replays(&read, part, position).await?;
        }
        if self.hand_over.has_missed_revocations() {
            self.load_revocations().await?;
        }
        self.metrics.events_read.inc_by(read.events() as u64);
        Ok(read.events())
    }

    /// A read found more than is to be handed over: those who want it get it from replays, and the reader goes on behind it at
    /// once, so that nobody else waits.
    async fn leave_to_replays(
        &mut self,
        read: &ReadUnderWay,
        part: ReadPart,
        position: &mut Offset,
    ) -> Result<(), F::Error> {
        let mut asked = self.hand_over.rooms();
        asked.push(Room::of_revocations());
        let found = self
            .feed
            .flush_and_find_rooms(read.before(), &asked)
            .await?;
        asked.pop();
        if found.contains(&Room::of_revocations()) {
            self.load_revocations().await?;
        }
        let rooms = found.len();
        tracing::debug!(rooms, "a large commit is left to replays");
        self.hand_over
            .leave_to_replays(read, part, asked, &found, position)
            .await;
        self.metrics.large_reads.inc();
        Ok(())
    }

    /// Holds the key: reads when woken or when the poll is due, until writers are busy.
    async fn sleep(
        &mut self,
        position: &mut Offset,
        stop: &CancellationToken,
    ) -> Result<(), F::Error> {
        let (mut near, mut crowds) = (0, 0);
        let mut last = Instant::now();
        loop {
            let source = tokio::select! {
                () = stop.cancelled() => return Ok(()),
                woken = timeout(self.poll, self.wake.changed()) => match woken {
                    Ok(_) => WakeSource::Notify,
                    Err(_) => WakeSource::Poll,
                },
            };
            self.metrics.wakes(source);
            let events = self.read(position).await?;
            if self.feed.turns() {
                return Ok(());
            }
            if last.elapsed() >= CLOSE_GAP {
                (near, crowds) = (0, 0);
            }
            last = Instant::now();
            near += 1;
            if near >= CLOSE_WAKES {
                near = 0;
                let crowded = self.feed.writers().await? >= CROWD;
                crowds = if crowded { crowds + 1 } else { 0 };
            }
            if events >= BUSY_EVENTS || crowds >= CROWDS {
                self.feed.disable_notify().await?;
                return self.stay_awake(position, stop).await;
            }
        }
    }
}

#[cfg(test)]
use awake::busy_pause;
#[cfg(test)]
use falling_asleep::{SHORT_WAITS, WAIT_LONG, WAIT_SHORT, writer_pause};
#[cfg(test)]
mod tests;
