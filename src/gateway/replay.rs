//! Gives clients what they missed, out of the outbox and at their own pace.
//!
//! A client that is behind, because it came back or because it reads slowly, is walked towards the broadcast, step by step,
//! until it is live. A join with an offset is walked the same way, in one room, before the client is in it.
//! Guarantees: each missed event once, with an offset that is exact at that moment, so that a replay may be cut short
//! anywhere; and no more waits for a client than it can be expected to take. One that takes nothing for a while is cut.

mod room;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::client::Client;
use super::hub::{Behind, Hub, Lost, Towards, Turn};
use super::outgoing::Outgoing;
use super::outlet::Delivery;
use super::stream::Fall;
use crate::backoff::Backoff;
use crate::event::{Event, Room};
use crate::offset::Offset;
use crate::outbox::{self, Missed, Replays, Want};

pub(super) use room::Caught;

/// A client to which nothing can be written for so long is cut.
const STALLED: Duration = Duration::from_secs(10);
/// How long a client that came from another server may be ahead of this one.
const AHEAD: Duration = Duration::from_secs(15);

/// See the module.
pub(super) struct Replay {
    pub(super) hub: Arc<Hub>,
    pub(super) replays: Arc<Replays>,
}

/// Brings back whoever falls behind, until `stop`.
pub async fn run(
    hub: Arc<Hub>,
    replays: Arc<Replays>,
    mut behind: Behind,
    stop: CancellationToken,
) {
    let replay = Arc::new(Replay { hub, replays });
    let mut clients = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            Some(_) = clients.join_next() => {}
            Some((client, fall)) = behind.0.recv() => {
                let replay = replay.clone();
                clients.spawn(async move { replay.catch_up(&client, fall).await });
            }
        }
    }
}

/// The client is gone, or has been cut.
struct Ended;

/// Waiting for the broadcast to come to where a client is already.
struct Ahead {
    hub: Arc<Hub>,
    moves: watch::Receiver<()>,
    since: Instant,
}

impl Ahead {
    fn of(hub: &Arc<Hub>) -> Self {
        Self {
            moves: hub.moves(),
            hub: hub.clone(),
            since: Instant::now(),
        }
    }

    /// Waits for the next move. False: it takes too long.
    async fn wait(&mut self) -> bool {
        self.hub.hurry();
        let _ = timeout(Duration::from_secs(1), self.moves.changed()).await;
        self.since.elapsed() < AHEAD
    }

    fn reached(&mut self) {
        self.since = Instant::now();
    }
}

impl Replay {
    /// Walks a client that is behind to the broadcast.
    async fn catch_up(&self, client: &Arc<Client>, fall: Fall) {
        let mut ahead = Ahead::of(&self.hub);
        loop {
            match self.hub.turn(client, fall) {
                Turn::Live => return,
                Turn::Wait => {
                    if ahead.wait().await {
                        continue;
                    }
                    return self.give_up(client, fall, "what was delivered is unknown");
                }
                Turn::Lost(Lost(reason)) => return self.give_up(client, fall, reason),
                Turn::Step(towards) => match self.step(client, fall, towards).await {
                    Ok(None) => {}
                    Ok(Some(reason)) => return self.give_up(client, fall, &reason),
                    Err(Ended) => return,
                },
            }
            ahead.reached();
        }
    }

    /// Takes one step. A text says why the replay can't go on.
    async fn step(
        &self,
        client: &Arc<Client>,
        fall: Fall,
        mut towards: Towards,
    ) -> Result<Option<String>, Ended> {
        let (events, upto) = match towards.events.take() {
            Some(events) => (events, None),
            None => {
                let rooms: Vec<Room> = client.rooms().iter().map(|j| j.room.clone()).collect();
                let read = self.read(client, rooms, &towards).await?;
                if let Some(reason) = lapsed(client, &read) {
                    return Ok(Some(reason));
                }
                (own(client, &towards, &read), towards.reached(read.upto))
            }
        };
        let last = events.len();
        for (index, event) in events.into_iter().enumerate() {
            let ends = upto.is_none() && index + 1 == last;
            let offset = Arc::new(towards.offset((!ends).then_some(event.id)));
            let outgoing = Outgoing::stored(event.clone(), offset.pack());
            self.paced(client, || {
                let mut stream = client.stream();
                if stream.fall() != Some(fall) {
                    return Delivery::Gone;
                }
                // It may have left meanwhile, and joined again.
                if !wants(client, &event) {
                    stream.sent = offset.clone();
                    return Delivery::Sent;
                }
                let delivery = client.outlet.send(&outgoing);
                if delivery == Delivery::Sent {
                    (stream.sent, stream.told) = (offset.clone(), Some(offset.clone()));
                }
                delivery
            })
            .await?;
        }
        self.hub.metrics.replayed.inc_by(last as u64);
        let mut stream = client.stream();
        if stream.fall() == Some(fall) {
            stream.sent = Arc::new(towards.offset(upto));
        }
        Ok(None)
    }

    fn give_up(&self, client: &Arc<Client>, fall: Fall, reason: &str) {
        for room in self.hub.give_up(client, fall) {
            self.hub.send(client, &Outgoing::resync(&room, reason));
        }
    }

    /// Reads a step for some rooms, however long the database takes to come back.
    async fn read(
        &self,
        client: &Client,
        rooms: Vec<Room>,
        towards: &Towards,
    ) -> Result<Arc<Missed>, Ended> {
        let want = |room| Want {
            room,
            before: towards.step.before.clone(),
            batch: Some(towards.step.batch.clone()),
            after: towards.step.after,
            upto: towards.step.upto.unwrap_or(i64::MAX),
        };
        let wants: Vec<Want> = rooms.into_iter().map(want).collect();
        let mut backoff = Backoff::default();
        loop {
            match self.replays.read(wants.clone()).await {
                Ok(read) => return Ok(read),
                Err(error) => outbox::log_wait("a replay", &error),
            }
            sleep(backoff.next()).await;
            if client.outlet.has_ended() || !client.connected() {
                return Err(Ended);
            }
        }
    }

    /// Sends when the client has room, and waits until it has.
    async fn paced(
        &self,
        client: &Client,
        mut send: impl FnMut() -> Delivery,
    ) -> Result<(), Ended> {
        if client.outlet.meter().0 >= client.outlet.high_bytes() {
            self.drained(client, None).await?;
        }
        loop {
            let (_, taken) = client.outlet.meter();
            match send() {
                Delivery::Sent => return Ok(()),
                Delivery::Gone => return Err(Ended),
                // Full by count, perhaps, of packets that are few in bytes: something must have been taken.
                Delivery::Full => self.drained(client, Some(taken)).await?,
            }
        }
    }

    /// Waits until little waits for the client, and it has taken more than `full`.
    async fn drained(&self, client: &Client, full: Option<u64>) -> Result<(), Ended> {
        let mut pause = Duration::from_millis(1);
        let (mut taken, mut since) = (full.unwrap_or_default(), Instant::now());
        loop {
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(50));
            let (waiting, now_taken) = client.outlet.meter();
            if client.outlet.has_ended() || !client.connected() {
                return Err(Ended);
            }
            if waiting <= client.outlet.high_bytes() / 4 && full != Some(now_taken) {
                return Ok(());
            }
            if now_taken != taken {
                (taken, since) = (now_taken, Instant::now());
            } else if since.elapsed() >= STALLED {
                self.hub.cut(client);
                return Err(Ended);
            }
        }
    }
}

/// Why what the client missed can't be told any more, if it can't.
fn lapsed(client: &Client, read: &Missed) -> Option<String> {
    let sent = client.stream().sent.clone();
    let lapse = sent.proves(&sent.seen, &read.present).err()?;
    // A room that was joined later has missed less.
    let rooms = client.rooms();
    let proved = |at: &Offset| at.proves(&at.seen, &read.present).is_ok();
    (!rooms.iter().all(|joined| proved(&joined.at))).then(|| lapse.to_string())
}

/// What is the client's own of a read that others may share.
fn own(client: &Client, towards: &Towards, read: &Missed) -> Vec<Arc<Event>> {
    let own = read.events.iter();
    let own = own.filter(|event| towards.step.holds(event.xid, event.id) && wants(client, event));
    own.cloned().collect()
}

/// Whether a client that is behind is to get an event of a room: it is in there, and was before.
fn wants(client: &Client, event: &Event) -> bool {
    let at = client.joined(&event.room);
    at.is_some_and(|at| at.seen.misses(event.xid, event.id))
}
