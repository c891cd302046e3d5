//! Answers that wait until the resume session is stored with what they say.
//!
//! Whoever is in a room in the stored session is served it: so a room is joined before it is stored, and left after. Where the store
//! fails, a join is undone, and a leave has not begun.

use std::sync::Arc;

use serde_json::json;
use tokio::time::{Instant, sleep};
use tracing::Span;

use super::join::JoinResult;
use super::{Requests, STORE_PATIENCE};
use crate::backoff::Backoff;
use crate::db::{SessionProgress, is_refused, is_transient};
use crate::delivery::{Outgoing, ReplaySource, SubscriberTransport as _};
use crate::event::Room;
use crate::metrics::Join;
use crate::socketio::client::Client;
use crate::socketio::protocol::Refusal;
use crate::socketio::session::store::stored_session;
use crate::spans;
use crate::transport::Ack;

/// What a client is told that asked for no answer, where the offset that it joined with proves nothing.
const UNPROVEN: &str = "the offset of the join proves nothing";
/// What a client is told whose right to a room ended while its join was under way.
const TAKEN_OUT: &str = "the right to this room has ended";

/// An answer that waits until the resume session is stored.
pub(super) enum PendingAnswer {
    Join {
        room: Room,
        ack: Ack,
        result: JoinResult,
        span: Span,
    },
    Leave {
        room: Room,
        ack: Ack,
    },
}

impl<S: ReplaySource> Requests<S> {
    /// Stores the resume session, and gives the answers that waited for that.
    pub(super) async fn store_and_answer(
        &self,
        client: &Arc<Client>,
        pending: &mut Vec<PendingAnswer>,
    ) {
        if pending.is_empty() {
            return;
        }
        let stored = self.store_session(client).await;
        client.set_session_dirty(stored.is_err());
        for answer in pending.drain(..) {
            match answer {
                PendingAnswer::Leave { room, ack } => match &stored {
                    Ok(()) => {
                        self.hub.leave(&client.subscriber, &room);
                        client.transport.answer(ack, &json!({ "ok": true }));
                    }
                    Err(refusal) => {
                        client.subscriber.cancel_leave(&room);
                        client.refuse(refusal, ack);
                    }
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
    pub(in crate::socketio) async fn store_session(
        &self,
        client: &Arc<Client>,
    ) -> Result<(), Refusal> {
        // A client that is gone keeps the session that it had.
        let Some(stored) = stored_session(&self.hub, &client.subscriber) else {
            return Err(Refusal::Unavailable);
        };
        client.set_session_stored();
        self.session_writes.charge(client, &stored);
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        while !client.transport.was_closed() {
            match client.write_session(&self.sessions, stored.clone()).await {
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
    /// The connection has ended, and a store that was under way has landed since.
    async fn end_session(&self, client: &Client, progress: SessionProgress) {
        let ended = self.sessions.end(client.session.clone(), progress);
        if let Err(error) = ended.await {
            tracing::debug!("a session that has ended is not marked as such: {error}");
        }
    }
}
