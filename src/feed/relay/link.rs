//! The task that speaks with NATS.
//!
//! Owns the connection, the subscription, and the clock of heartbeats. Wakes the reader, also for whoever woke it before there was a relay:
//! a notification wakes no edge, which is told instead.
//! Guarantees that the reader waits for nothing here: what can't be said is dropped, which is a gap at the edges.
//! Relies on the client to connect again by itself, for ever.

use std::future::pending;
use std::time::Duration;

use async_nats::connection::State;
use async_nats::{Client, Message, Subscriber};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;

use super::message;
use super::nats;
use super::seal::Seal;
use super::shared::Shared;
use super::speech::Draft;
use super::standing::{HEARTBEAT, Role};
use crate::config::RelayUrl;
use crate::metrics::{RelayOutcome, RelayRole};
use crate::status::{Check, Checks, FoundBy, ListenerStatus};

/// Between two looks at who leads.
const TICK: Duration = Duration::from_millis(125);
/// What a message needs beside its events: two snapshots, mostly.
const HEADING_BYTES: usize = 16 * 1024;
/// How long NATS may keep this task, and so whoever wakes the reader, waiting for one message.
const PUBLISH_PATIENCE: Duration = Duration::from_millis(100);
const PATIENCE: Duration = Duration::from_secs(1);
/// A leader whose last read ended longer ago says nothing: it reads each second at least.
const LONGEST_READ: Duration = Duration::from_millis(2_500);
/// For so long nobody may lead before it is a fault.
const TROUBLE: Duration = Duration::from_secs(4);

/// The other ends of what this task holds.
pub(crate) struct LinkEnds {
    /// Where NATS is.
    pub servers: RelayUrl,
    /// Somebody wants the reader to look at the database.
    pub asked: watch::Receiver<()>,
    /// A writer has notified.
    pub notified: watch::Receiver<()>,
    /// Whether writers are heard.
    pub listener: watch::Receiver<ListenerStatus>,
    /// Takes what is wrong.
    pub checks: Checks,
}

/// The relay's side of NATS.
pub(crate) struct Link {
    shared: Shared,
    wake: watch::Sender<()>,
    ends: LinkEnds,
    /// What NATS said last that was no good.
    failure: watch::Sender<Option<String>>,
    number: u64,
    /// Since when this server is told by nobody and tells nobody.
    alone_since: Instant,
}

impl Link {
    pub(super) fn new(shared: Shared, wake: watch::Sender<()>, ends: LinkEnds) -> Self {
        Self {
            shared,
            wake,
            ends,
            failure: watch::Sender::new(None),
            number: 0,
            alone_since: Instant::now(),
        }
    }

    /// Speaks and hears until `stop`, for ever trying again.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let Some(client) = self.connect().await else {
            return self.pass_wakes_on(&stop).await;
        };
        let mut life = self.shared.life.subscribe();
        // The reader may have been first.
        life.mark_changed();
        let mut spoken: Option<(Seal, Subscriber)> = None;
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut count = 0_u64;
        loop {
            tokio::select! {
                () = stop.cancelled() => break,
                Ok(()) = life.changed() => {
                    let key = *life.borrow_and_update();
                    spoken = match key {
                        Some(key) => self.subscribe(&client, Seal::of(key)).await,
                        None => None,
                    };
                }
                Some(message) = next(&mut spoken) => self.hear(&message, spoken.as_ref()),
                () = self.shared.spoken.notified() => self.say(&client, spoken.as_ref()).await,
                _ = ticks.tick() => {
                    count += 1;
                    self.look(&client);
                    if spoken.is_none() {
                        life.mark_changed();
                    }
                    if count.is_multiple_of(HEARTBEAT.div_duration_f32(TICK) as u64) {
                        self.say(&client, spoken.as_ref()).await;
                        self.say_alive(&client, spoken.as_ref(), false).await;
                    }
                }
                Ok(()) = self.ends.asked.changed() => {
                    self.shared.look();
                    self.wake.send_replace(());
                }
                Ok(()) = self.ends.notified.changed() => {
                    if self.role() != Role::Edge {
                        self.wake.send_replace(());
                    }
                }
            }
        }
        self.say_alive(&client, spoken.as_ref(), true).await;
        let _ = timeout(PATIENCE, client.flush()).await;
    }

    /// Without a client this server is alone, and its reader is woken as it would be without a relay.
    async fn pass_wakes_on(&mut self, stop: &CancellationToken) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                Ok(()) = self.ends.asked.changed() => {}
                Ok(()) = self.ends.notified.changed() => {}
            }
            self.wake.send_replace(());
        }
    }

    async fn connect(&self) -> Option<Client> {
        let connected = nats::connect(&self.ends.servers, self.failure.clone()).await;
        let failed = |cause| {
            let cause = format!("{cause}; every server reads the outbox by itself");
            self.ends
                .checks
                .fail(Check::Relay, FoundBy::Operation, cause);
        };
        connected.map_err(failed).ok()
    }

    async fn subscribe(&self, client: &Client, seal: Seal) -> Option<(Seal, Subscriber)> {
        let subject = seal.subject().to_owned();
        match timeout(PATIENCE, client.subscribe(subject)).await {
            Ok(Ok(subscriber)) => Some((seal, subscriber)),
            Ok(Err(error)) => {
                self.failure.send_replace(Some(error.to_string()));
                None
            }
            Err(_) => None,
        }
    }

    fn hear(&self, heard: &Message, spoken: Option<&(Seal, Subscriber)>) {
        let Some((seal, _)) = spoken else { return };
        match message::open(&heard.payload, seal) {
            Some(statement) => {
                let bytes = heard.payload.len();
                if self
                    .shared
                    .hear(statement, seal.life(), bytes, Instant::now())
                {
                    self.wake.send_replace(());
                }
            }
            None => self.shared.metrics.relay(RelayOutcome::Refused),
        }
    }

    /// Says what there is to be said.
    async fn say(&mut self, client: &Client, spoken: Option<&(Seal, Subscriber)>) {
        loop {
            let draft = self.shared.state().speech.next();
            let Some(draft) = draft else { return };
            let outcome = if draft.events.is_over() {
                RelayOutcome::Announced
            } else {
                RelayOutcome::Told
            };
            let told = self.publish(client, spoken, &draft, false).await;
            let outcome = if told { outcome } else { RelayOutcome::Untold };
            self.shared.metrics.relay(outcome);
            if !told {
                // Whoever misses it reads; nobody waits here for NATS once for each.
                self.shared.state().speech.drop_all();
            }
        }
    }

    /// Says that this server leads, or that it stops to.
    async fn say_alive(
        &mut self,
        client: &Client,
        spoken: Option<&(Seal, Subscriber)>,
        is_farewell: bool,
    ) {
        let now = Instant::now();
        let draft = self.shared.state().speech.heartbeat(now, LONGEST_READ);
        if let Some(draft) = draft {
            self.publish(client, spoken, &draft, is_farewell).await;
        }
    }

    /// False: it was not said, because NATS is away or does not take it, or because this server does not lead any more.
    async fn publish(
        &mut self,
        client: &Client,
        spoken: Option<&(Seal, Subscriber)>,
        draft: &Draft,
        is_farewell: bool,
    ) -> bool {
        let (Some((seal, _)), State::Connected) = (spoken, client.connection_state()) else {
            return false;
        };
        self.number += 1;
        let heading = self.shared.heading(seal.life(), self.number, is_farewell);
        let Some(heading) = heading else { return false };
        let Draft {
            before,
            after,
            log,
            synced,
            events,
        } = draft;
        let bytes = message::pack(heading, (before, after), *log, *synced, events, seal);
        let publish = client.publish(seal.subject().to_owned(), bytes.into());
        matches!(timeout(PUBLISH_PATIENCE, publish).await, Ok(Ok(())))
    }

    fn role(&self) -> Role {
        self.shared.state().standing.role(Instant::now())
    }

    /// Looks at who leads, wakes the reader where it has something to do about it, and says what is wrong.
    fn look(&mut self, client: &Client) {
        let now = Instant::now();
        let is_connected = client.connection_state() == State::Connected;
        let is_woken = self.ends.listener.borrow().bound;
        let (role, is_heard, turns, differs) = {
            let mut state = self.shared.state();
            state.most_bytes = client.max_payload().saturating_sub(HEADING_BYTES);
            let standing = &mut state.standing;
            standing.can_lead(is_connected, is_woken, now);
            let (role, turns) = (standing.role(now), standing.turns(now));
            (role, standing.is_heard(now), turns, state.differs)
        };
        if turns {
            self.wake.send_replace(());
        }
        self.shared.metrics.relay_role(match role {
            Role::Alone => RelayRole::Alone,
            Role::Edge => RelayRole::Edge,
            Role::Leader => RelayRole::Leader,
        });
        if role == Role::Edge || role == Role::Leader && is_heard {
            self.alone_since = now;
            self.ends.checks.pass(Check::Relay, FoundBy::Operation);
        } else if now - self.alone_since >= TROUBLE {
            let trouble = self.trouble(is_connected, is_woken, differs);
            self.ends
                .checks
                .fail(Check::Relay, FoundBy::Operation, trouble);
        }
    }

    /// One line with the cause and the remedy.
    fn trouble(&self, is_connected: bool, is_woken: bool, differs: bool) -> String {
        let cause = if !is_connected {
            let said = self.failure.borrow().clone();
            let said = said.map_or_else(String::new, |said| format!(" ({said})"));
            format!("NATS can't be reached{said}: look after NATS, or correct ROWCAST_RELAY")
        } else if differs {
            "a server with another ROWCAST_MAX_PAYLOAD leads: give all servers the same".to_owned()
        } else if !is_woken {
            "nobody leads, and this server can't, because its LISTEN is not in force: mend that"
                .to_owned()
        } else {
            "NATS is connected, and nothing that is said there is heard: let servers publish and subscribe at rowcast.relay.>".to_owned()
        };
        format!("{cause}; every server reads the outbox by itself meanwhile")
    }
}

async fn next(spoken: &mut Option<(Seal, Subscriber)>) -> Option<Message> {
    match spoken {
        Some((_, subscriber)) => subscriber.next().await,
        None => pending().await,
    }
}
