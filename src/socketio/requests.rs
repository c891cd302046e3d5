//! A client's events, handled in the order sent: joins, leaves, typing.
//!
//! Joins take effect at once, leaves once they are stored. Both are answered only after the resume session with the changed rooms is
//! stored, so that a server which is killed a moment after the answer forgets no room. Joins and leaves that arrive together are
//! stored together.
//! Guarantees that answers come in the order of the events, and that one which can't be stored is refused and has changed nothing.

mod join;
mod recheck;
mod refresh;
mod session_writes;
mod typing;
mod unstored;

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use serde_json::json;
use tracing::Instrument as _;

use super::client::Client;
use super::packet::Incoming;
use super::protocol::{JoinArgs, Refusal, Request};
use super::session::Clients;
use crate::auth::{Authenticator, RoomPolicy};
use crate::db::Sessions;
use crate::delivery::{Hub, Replay, ReplaySource, SubscriberTransport as _};
use crate::metrics::Join;
use crate::quota::Rates;
use crate::spans;
use crate::transport::Ack;
use join::join_label;
pub(super) use session_writes::SessionWrites;
pub(super) use typing::TypingRate;
use unstored::PendingAnswer;

/// How long a join, a leave or a resume waits for a database that is away, and a join for the broadcast, before it is refused. A
/// resume that is refused ends the connection.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// Between two attempts of a join that has to wait for the broadcast.
const WAIT_PAUSE: Duration = Duration::from_millis(20);
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
                let asked = args.and_then(|args| JoinArgs::parse(form, &args));
                return self.handle_join(client, asked, ack, pending).await;
            }
            (Request::Recheck, _) => {
                self.recheck_rooms(client).await;
                return;
            }
            (_, Err(refusal)) => Err(refusal),
            (Request::Leave(form), Ok(args)) => match form.only_arg(&args) {
                Ok(room) => {
                    let leaves = client.subscriber.begin_leave(&room);
                    if leaves || client.is_session_dirty() {
                        return pending.push(PendingAnswer::Leave { room, ack });
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
    async fn handle_join(
        &self,
        client: &Arc<Client>,
        asked: Result<JoinArgs, Refusal>,
        ack: Ack,
        pending: &mut Vec<PendingAnswer>,
    ) {
        let leaves = |asked: &JoinArgs| client.subscriber.is_leaving(&asked.room);
        if asked.as_ref().is_ok_and(leaves) {
            self.store_and_answer(client, pending).await;
        }
        let span = spans::join();
        let joined = self.join(client, asked).instrument(span.clone());
        match joined.await {
            Ok(Some((room, result))) => pending.push(PendingAnswer::Join {
                room,
                ack,
                result,
                span,
            }),
            // The client has gone.
            Ok(None) => {}
            Err(refusal) => {
                let label = join_label(&refusal);
                match label {
                    Join::Unavailable => spans::fail(&span, refusal.code()),
                    _ => spans::refuse(&span, refusal.code()),
                }
                self.hub.metrics.joins(label);
                client.refuse(&refusal, ack);
            }
        }
    }
}
