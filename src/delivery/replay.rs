//! Gives subscribers what they missed, out of the outbox and at their own pace.
//!
//! A subscriber that is behind is walked towards the broadcast, step by step, until it is live (`catch_up`). A join with an
//! offset is walked the same way, in one room, before the subscriber is in it (`join_replay`). Both are state machines that
//! know neither time nor the database (`walk`); this file drives them.
//! Guarantees: each missed event once, with an offset that is exact at that moment, so that a replay may be cut short
//! anywhere; and no more waits for a client than it can be expected to take. One that takes nothing for a while is cut.
//! A replay that panics cuts its client, which comes back by itself, and is counted.
//! Few are at work at a time, however many clients come back together: the others wait for their turn before they take what was read
//! for them apart, so that neither memory nor the processors are given to all at once. None waits for a client, the database or the
//! broadcast while it has its turn.

mod catch_up;
mod join_replay;
mod walk;

use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{Semaphore, watch};
use tokio::task::{JoinSet, yield_now};
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::hub::{BehindReceiver, Hub};
use super::rooms::JoinError;
use super::subscriber::{ReplayGeneration, Subscriber};
use crate::backoff::Backoff;
use crate::event::Room;
use crate::offset::{Offset, ReplayPage, RoomRange};

pub(super) use catch_up::CatchUp;
pub(super) use join_replay::JoinReplay;
pub(crate) use join_replay::JoinReplayOutcome;
pub(super) use walk::{ReplayWalk, WalkStep};

/// Replays at work at a time.
const AT_WORK: usize = 64;
/// A client to which nothing can be written for so long is cut.
const STALL_LIMIT: Duration = Duration::from_secs(10);
/// How long a client that came from another server may be ahead of this one.
const AHEAD_LIMIT: Duration = Duration::from_secs(15);
/// The longest wait for a move of the broadcast, before the reader is woken again.
const MOVE_PAUSE: Duration = Duration::from_secs(1);
/// Between two looks at whether a subscriber that is behind has reached the broadcast, and may join.
const BEHIND_PAUSE: Duration = Duration::from_millis(20);

/// Where what was missed is read.
pub(crate) trait ReplaySource: Send + Sync + 'static {
    /// Reads what these ranges hold, and perhaps more.
    ///
    /// # Errors
    /// It can't be read at the moment. Whoever fails has logged why; it is asked again after a pause.
    fn read(
        &self,
        ranges: Vec<RoomRange>,
    ) -> impl Future<Output = Result<Arc<ReplayPage>, ReadFailed>> + Send;
}

/// A read failed, and the reason is in the log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadFailed;

/// Replays for the subscribers of a hub.
pub(crate) struct Replay<S> {
    hub: Arc<Hub>,
    source: S,
    turns: Semaphore,
}

impl<S: ReplaySource> Replay<S> {
    /// Reads what was missed from `source`.
    pub(crate) fn new(hub: Arc<Hub>, source: S) -> Self {
        let turns = Semaphore::new(AT_WORK);
        Self { hub, source, turns }
    }

    /// Brings back whoever is behind, until `stop`.
    pub(crate) async fn run(self: Arc<Self>, mut behind: BehindReceiver, stop: CancellationToken) {
        let mut replays = JoinSet::new();
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Some(_) = replays.join_next() => {}
                Some((subscriber, generation)) = behind.0.recv() => {
                    let replay = self.clone();
                    replays.spawn(async move { replay.catch_up_or_cut(subscriber, generation).await });
                }
            }
        }
    }

    /// A client whose replay has panicked would stay behind for ever, and look alive.
    async fn catch_up_or_cut(&self, subscriber: Arc<Subscriber>, generation: ReplayGeneration) {
        let walk = CatchUp::new(self.hub.clone(), subscriber.clone(), generation);
        let replay = AssertUnwindSafe(self.drive(walk, &subscriber)).catch_unwind();
        if replay.await.is_err() {
            self.hub.metrics.panics.inc();
            tracing::error!(
                connection = subscriber.id,
                "a replay failed by a fault of the server's; its client was disconnected and comes back"
            );
            subscriber.transport.close();
        }
    }

    /// Sends a subscriber what it missed of a room after an offset, and then joins the room.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(crate) async fn join_after(
        &self,
        subscriber: &Arc<Subscriber>,
        room: &Room,
        after: &Offset,
    ) -> Result<JoinReplayOutcome, JoinError> {
        let walk = JoinReplay::new(self.hub.clone(), subscriber.clone(), room.clone(), after);
        self.drive(walk, subscriber).await
    }

    async fn drive<W: ReplayWalk>(&self, mut walk: W, subscriber: &Subscriber) -> W::Outcome {
        let mut ahead = AheadWait::new(&self.hub);
        let mut turn = None;
        loop {
            if turn.is_none() {
                turn = self.turns.acquire().await.ok();
            }
            match walk.advance() {
                WalkStep::Sent => {}
                WalkStep::SentMany => yield_now().await,
                WalkStep::Done(outcome) => return outcome,
                WalkStep::Backlogged { taken_bytes } => {
                    drop(turn.take());
                    if !self.wait_until_taken(subscriber, taken_bytes).await {
                        return walk.ended();
                    }
                }
                WalkStep::NeedsPage(ranges) => {
                    drop(turn.take());
                    let Some(page) = self.read(subscriber, ranges).await else {
                        return walk.ended();
                    };
                    turn = self.turns.acquire().await.ok();
                    if let Some(outcome) = walk.take_page(&page) {
                        return outcome;
                    }
                }
                WalkStep::Behind | WalkStep::WaitForBroadcast
                    if subscriber.transport.is_closed() =>
                {
                    return walk.ended();
                }
                WalkStep::Behind => {
                    drop(turn.take());
                    sleep(BEHIND_PAUSE).await;
                }
                WalkStep::WaitForBroadcast => {
                    drop(turn.take());
                    if !ahead.wait().await {
                        return walk.stays_ahead();
                    }
                    continue;
                }
            }
            ahead.reset();
        }
    }

    /// Reads, however long the database takes to come back. `None`: the client has gone meanwhile.
    async fn read(
        &self,
        subscriber: &Subscriber,
        ranges: Vec<RoomRange>,
    ) -> Option<Arc<ReplayPage>> {
        let mut backoff = Backoff::default();
        loop {
            if let Ok(page) = self.source.read(ranges.clone()).await {
                return Some(page);
            }
            sleep(backoff.next()).await;
            if subscriber.transport.is_closed() {
                return None;
            }
        }
    }

    /// Waits until little waits for the client, and it has taken more than `taken_bytes`. False: it has gone, or was cut
    /// because it takes nothing.
    async fn wait_until_taken(&self, subscriber: &Subscriber, taken_bytes: Option<u64>) -> bool {
        let mut pause = Duration::from_millis(1);
        let (mut last_taken, mut since) = (taken_bytes.unwrap_or_default(), Instant::now());
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
            if subscriber.transport.is_closed() {
                return false;
            }
            let backlog = subscriber.transport.backlog();
            // Its queue may have been full by count, of packets that are few in bytes: something must have been taken.
            let has_taken = taken_bytes != Some(backlog.taken_bytes);
            if backlog.waiting_bytes <= backlog.pause_at_bytes / 4 && has_taken {
                return true;
            }
            if backlog.taken_bytes != last_taken {
                (last_taken, since) = (backlog.taken_bytes, Instant::now());
            } else if since.elapsed() >= STALL_LIMIT {
                self.hub.cut_slow_consumer(subscriber);
                return false;
            }
        }
    }
}

/// Waiting for the broadcast to come to where a client is already.
struct AheadWait {
    hub: Arc<Hub>,
    moves: watch::Receiver<()>,
    since: Instant,
}

impl AheadWait {
    fn new(hub: &Arc<Hub>) -> Self {
        Self {
            moves: hub.moves(),
            hub: hub.clone(),
            since: Instant::now(),
        }
    }

    /// Waits for the next move. False: it takes too long.
    async fn wait(&mut self) -> bool {
        self.hub.wake_reader();
        let _ = timeout(MOVE_PAUSE, self.moves.changed()).await;
        self.since.elapsed() < AHEAD_LIMIT
    }

    /// The client is not ahead any more.
    fn reset(&mut self) {
        self.since = Instant::now();
    }
}

#[cfg(test)]
mod tests;
