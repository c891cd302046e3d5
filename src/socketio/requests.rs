//! A client's events, handled in the order sent: joins, leaves, typing.
//!
//! Joins and leaves take effect at once. They are answered only after the resume session with the changed rooms is stored, so
//! that a server which is killed a moment after the answer forgets no room. Joins and leaves that arrive together are stored
//! together.
//! Guarantees that answers come in the order of the events, and that a join which can't be stored is undone and refused.

mod join;
mod recheck;
mod refresh;
mod session_writes;
mod typing;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::{Instrument as _, Span};

use super::client::Client;
use super::packet::Incoming;
use super::protocol::{Refusal, Request};
use super::session::Clients;
use super::session::store::stored_session;
use crate::auth::{Authenticator, RoomPolicy};
use crate::backoff::Backoff;
use crate::db::{SessionProgress, Sessions, StoredSession, is_refused, is_transient};
use crate::delivery::{Hub, Outgoing, Replay, ReplaySource, SubscriberTransport as _};
use crate::event::Room;
use crate::metrics::Join;
use crate::quota::Rates;
use crate::spans;
use crate::transport::Ack;
use join::{JoinResult, join_label};
pub(super) use session_writes::SessionWrites;
pub(super) use typing::TypingRate;

/// How long a join, a leave or a resume waits for a database that is away, and a join for the broadcast, before it is refused. A
/// resume that is refused ends the connection.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts of a join that has to wait for the broadcast.
const WAIT_PAUSE: Duration = Duration::from_millis(20);
/// What a client is told that asked for no answer, where the offset that it joined with proves nothing.
const UNPROVEN: &str = "the offset of the join proves nothing";
/// What a client is told whose right to a room ended while its join was under way.
const TAKEN_OUT: &str = "the right to this room has ended";
/// Answers that may wait for one store.
const MAX_UNSTORED: usize = 64;

/// Handles what clients send.
pub(super) struct Requests<S> {
    pub(super) hub: Arc<Hub>,
    pub(super) replay: Arc<Replay<S>>,
    pub(super) sessions: Arc<Sessions>,
    /// What identities, and addresses without one, read of the past.
    pub(super) reads: Arc<Rates>,
    pub(super) session_writes: SessionWrites,
    pub(super) typing: TypingRate,
    pub(super) room_policy: RoomPolicy,
    pub(super) clients: Arc<Clients>,
    pub(super) authenticator: Authenticator,
}

/// An answer that waits until the resume session is stored.
enum PendingAnswer {
    Join {
        room: Room,
        ack: Ack,
        result: JoinResult,
        span: Span,
    },
    Leave(Ack),
}

impl<S: ReplaySource> Requests<S> {
    /// Handles what the inbox holds. A client of which an event can't be handled, because of a fault of ours, would get no
    /// answer any more and look alive: it is cut, and comes back.
    pub(super) async fn handle_inbox_or_cut(&self, client: &Arc<Client>) {
        let handled = AssertUnwindSafe(self.handle_inbox(client)).catch_unwind();
        if handled.await.is_err() {
            self.hub.metrics.panics.inc();
            tracing::error!(
                connection = client.id(),
                "an event could not be handled by a fault of the server's; its client was disconnected and comes back"
            );
            client.inbox.close();
            client.transport.close();
        }
    }

    /// Handles what the inbox holds, one event after another.
    async fn handle_inbox(&self, client: &Arc<Client>) {
        let mut pending = Vec::new();
        while let Some(incoming) = client.inbox.next() {
            let changes_rooms = matches!(incoming.request, Request::Join(_) | Request::Leave(_));
            if !changes_rooms || pending.len() >= MAX_UNSTORED {
                self.store_and_answer(client, &mut pending).await;
            }
            self.handle(client, incoming, &mut pending).await;
            if !client.inbox.has_more() {
                self.store_and_answer(client, &mut pending).await;
            }
        }
    }

    async fn handle(
        &self,
        client: &Arc<Client>,
        Incoming { request, args, ack }: Incoming,
        pending: &mut Vec<PendingAnswer>,
    ) {
        let done = match (request, args) {
            (Request::Join(form), args) => {
                let span = spans::join();
                let joined = self.join(client, form, args).instrument(span.clone());
                match joined.await {
                    Ok(Some((room, result))) => {
                        return pending.push(PendingAnswer::Join {
                            room,
                            ack,
                            result,
                            span,
                        });
                    }
                    // The client has gone.
                    Ok(None) => return,
                    Err(refusal) => {
                        let label = join_label(&refusal);
                        match label {
                            Join::Unavailable => spans::fail(&span, refusal.code()),
                            _ => spans::refuse(&span, refusal.code()),
                        }
                        self.hub.metrics.joins(label);
                        Err(refusal)
                    }
                }
            }
            (Request::Recheck, _) => {
                self.recheck_rooms(client).await;
                return;
            }
            (_, Err(refusal)) => Err(refusal),
            (Request::Leave(form), Ok(args)) => match form.only_arg(&args) {
                Ok(room) => {
                    let left = self.hub.leave(&client.subscriber, &room);
                    if left || client.is_session_dirty() {
                        return pending.push(PendingAnswer::Leave(ack));
                    }
                    Ok(())
                }
                Err(refusal) => Err(refusal),
            },
            (Request::TypingStart | Request::TypingStop, Ok(args)) => {
                self.set_typing(client, &args, request == Request::TypingStart)
            }
            (Request::AuthRefresh, Ok(args)) => self.refresh(client, &args).await,
            (Request::Unknown, Ok(_)) => Err(Refusal::unknown_event()),
        };
        match done {
            Ok(()) => client.transport.answer(ack, &json!({ "ok": true })),
            Err(refusal) => client.refuse(&refusal, ack),
        }
    }

    /// Stores the resume session, and gives the answers that waited for that.
    async fn store_and_answer(&self, client: &Arc<Client>, pending: &mut Vec<PendingAnswer>) {
        if pending.is_empty() {
            return;
        }
        let stored = self.store_session(client).await;
        client.set_session_dirty(stored.is_err());
        for answer in pending.drain(..) {
            match answer {
                PendingAnswer::Leave(ack) => match &stored {
                    Ok(()) => client.transport.answer(ack, &json!({ "ok": true })),
                    Err(refusal) => client.refuse(refusal, ack),
                },
                PendingAnswer::Join {
                    room,
                    ack,
                    result,
                    span,
                } => match &stored {
                    Ok(()) => {
                        let outcome = self.acknowledge(client, &room, ack, result);
                        spans::set_outcome(&span, outcome);
                    }
                    Err(refusal) => {
                        spans::fail(&span, refusal.code());
                        if result.entered {
                            self.hub.leave(&client.subscriber, &room);
                        }
                        if result.resync {
                            client.subscriber.refuse_unproven_join();
                        }
                        self.hub.metrics.joins(Join::Unavailable);
                        client.refuse(refusal, ack);
                    }
                },
            }
        }
    }

    /// Answers a join, and says how it ended.
    fn acknowledge(
        &self,
        client: &Client,
        room: &Room,
        ack: Ack,
        result: JoinResult,
    ) -> &'static str {
        let mut resync = false;
        let subscriber = &client.subscriber;
        let mut unanswered = Some(ack);
        let wants_presence = result.presence == Some(true);
        let presence = wants_presence.then(|| subscriber.presence_subject());
        let is_in =
            subscriber.with_join_offset(room, result.resync, result.begun, |offset, reload| {
                let ack = unanswered.take().expect("it is called once");
                resync = reload;
                if resync && matches!(ack, Ack::None) {
                    return self.hub.send(subscriber, &Outgoing::resync(room, UNPROVEN));
                }
                let answer = result.answer(room, &offset.pack(), resync, presence.as_ref());
                client.transport.answer(ack, &answer);
            });
        if let Some(ack) = unanswered.filter(|_| !is_in) {
            self.hub.metrics.joins(Join::Forbidden);
            client.refuse(&Refusal::Forbidden(TAKEN_OUT), ack);
            return "refused";
        }
        if result.presence.is_some() {
            self.hub.presence.tell(subscriber, room);
        }
        let (outcome, name) = match resync {
            true => (Join::Resync, "resync"),
            false => (Join::Joined, "joined"),
        };
        self.hub.metrics.joins(outcome);
        name
    }

    /// Stores the rooms that the client is in. Refused where the client is gone, or the database is away or won't take it.
    pub(super) async fn store_session(&self, client: &Arc<Client>) -> Result<(), Refusal> {
        // A client that is gone keeps the session that it had.
        let Some(stored) = stored_session(&self.hub, &client.subscriber) else {
            return Err(Refusal::Unavailable);
        };
        client.set_session_stored();
        self.session_writes.charge(client, &stored);
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        while !client.transport.was_closed() {
            match self.write_session(client, stored.clone()).await {
                Ok(true) => {
                    if client.has_left() || self.hub.is_revoked(&client.subscriber) {
                        self.sessions.forget_or_log(&client.session).await;
                    } else if client.has_ended() {
                        self.end_session(client, stored.progress).await;
                    }
                    return Ok(());
                }
                Ok(false) => {
                    tracing::debug!(connection = client.id(), "its session was taken over");
                    client.transport.close();
                }
                Err(error) => {
                    tracing::debug!(connection = client.id(), "its session waits: {error}");
                    let left = STORE_PATIENCE.saturating_sub(begun.elapsed());
                    let hopeless = !is_transient(&error) || self.sessions.known_to_fail();
                    if hopeless || left.is_zero() {
                        return Err(Refusal::not_stored(is_refused(&error)));
                    }
                    sleep(backoff.next().min(left)).await;
                }
            }
        }
        Err(Refusal::Unavailable)
    }
}

impl<S: ReplaySource> Requests<S> {
    async fn write_session(
        &self,
        client: &Client,
        stored: StoredSession,
    ) -> Result<bool, Arc<sqlx::Error>> {
        let session = client.session.clone();
        if client.subscriber.was_taken_out() {
            self.sessions.store_or_forget(session, stored).await
        } else {
            self.sessions.store(session, stored).await
        }
    }

    /// The connection has ended, and a store that was under way has landed since.
    async fn end_session(&self, client: &Client, progress: SessionProgress) {
        let ended = self.sessions.end(client.session.clone(), progress);
        if let Err(error) = ended.await {
            tracing::debug!("a session that has ended is not marked as such: {error}");
        }
    }
}
