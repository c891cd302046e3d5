//! A socket's events, handled in the order sent: joins, leaves, typing.
//!
//! Joins and leaves take effect at once, and are answered once the session that holds them is stored: a server that is
//! killed a moment after the answer has not forgotten the room. What came together is stored together.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::Shared;
use super::client::{Ack, Client};
use super::hub::Entry;
use super::inbox::Incoming;
use super::protocol::{self, JoinArgs, Refusal, Request};
use super::replay::Caught;
use crate::auth::{self, Denied};
use crate::backoff::Backoff;
use crate::event::{ContactId, Room};
use crate::metrics::Join;
use crate::offset::Offset;

/// How long a database that is away is waited for, until a join is refused.
const STORE_PATIENCE: Duration = Duration::from_secs(5);
/// Answers that wait for one store.
const MOST: usize = 64;

/// An answer that waits for the session to be stored.
pub(super) enum Waiting {
    Join {
        contact: ContactId,
        ack: Ack,
        replayed: u64,
        resync: bool,
    },
    Leave(Ack),
}

impl Shared {
    /// Handles what the inbox holds, one event after another.
    pub(super) async fn work(&self, client: &Arc<Client>) {
        let mut waiting = Vec::new();
        while let Some(incoming) = client.inbox.next() {
            let membership = matches!(incoming.request, Request::Join | Request::Leave);
            if !membership || waiting.len() >= MOST {
                self.store(client, &mut waiting).await;
            }
            self.handle(client, incoming, &mut waiting).await;
            if !client.inbox.has_more() {
                self.store(client, &mut waiting).await;
            }
        }
    }

    async fn handle(
        &self,
        client: &Arc<Client>,
        Incoming { request, args, ack }: Incoming,
        waiting: &mut Vec<Waiting>,
    ) {
        let refused = match (request, args) {
            (Request::Join, args) => match self.join(client, args).await {
                Ok(Some((contact, replayed, resync))) => {
                    return waiting.push(Waiting::Join {
                        contact,
                        ack,
                        replayed,
                        resync,
                    });
                }
                // The client has gone.
                Ok(None) => return,
                Err(refusal) => {
                    self.metrics.joins(match refusal {
                        Refusal::Forbidden(_) => Join::Forbidden,
                        Refusal::TooManyRooms(_) => Join::TooManyRooms,
                        Refusal::Unavailable => Join::Unavailable,
                        Refusal::BadRequest(_) | Refusal::TooManyRequests => Join::BadRequest,
                    });
                    Err(refusal)
                }
            },
            (_, Err(refusal)) => Err(refusal),
            (Request::Leave, Ok(args)) => match protocol::contact_arg(&args) {
                Ok(contact) if self.hub.leave(client, &contact) => {
                    return waiting.push(Waiting::Leave(ack));
                }
                Ok(_) => Ok(()),
                Err(refusal) => Err(refusal),
            },
            (Request::TypingStart | Request::TypingStop, Ok(args)) => {
                let typing = request == Request::TypingStart;
                protocol::contact_arg(&args)
                    .and_then(|contact| self.hub.client_types(client, &contact, typing))
            }
            (Request::Unknown, Ok(_)) => Err(Refusal::unknown_event()),
        };
        match refused {
            Ok(()) => client.outlet.answer(ack, &json!({ "ok": true })),
            Err(refusal) => client.refuse(&refusal, ack),
        }
    }

    /// Into the room; with how many events were replayed, and whether the client has to reload.
    async fn join(
        &self,
        client: &Arc<Client>,
        args: Result<Vec<Value>, Refusal>,
    ) -> Result<Option<(ContactId, u64, bool)>, Refusal> {
        let JoinArgs { contact, after } = JoinArgs::parse(&args?)?;
        let room = contact.room();
        auth::may_join(&client.identity, &room)
            .await
            .map_err(|Denied| Refusal::Forbidden("not allowed"))?;
        let mut resync = false;
        if let Some(after) = after {
            let (here, _) = self.hub.position().ok_or(Refusal::Unavailable)?;
            let caught = match Offset::unpack(&after, here.epoch.value) {
                Ok(after) => {
                    let seen = after.seen_in(&room).clone();
                    let after = Offset {
                        seen,
                        aside: None,
                        ..after
                    };
                    self.replay.join(client, &room, &after).await?
                }
                Err(_) => Caught::Lost,
            };
            match caught {
                Caught::Up(replayed) => return Ok(Some((contact, replayed, false))),
                Caught::Gone => return Ok(None),
                Caught::Lost => resync = true,
            }
        }
        match self.hub.enter(client, &room)? {
            Entry::In | Entry::Already => Ok(Some((contact, 0, resync))),
            Entry::Gone => Ok(None),
        }
    }

    /// Stores the session, and answers.
    async fn store(&self, client: &Arc<Client>, waiting: &mut Vec<Waiting>) {
        if waiting.is_empty() {
            return;
        }
        let stored = self.keep(client).await;
        for waiting in waiting.drain(..) {
            match waiting {
                Waiting::Leave(ack) => client.outlet.answer(ack, &json!({ "ok": true })),
                Waiting::Join { contact, ack, .. } if !stored => {
                    self.hub.leave(client, &contact);
                    self.metrics.joins(Join::Unavailable);
                    client.refuse(&Refusal::Unavailable, ack);
                }
                Waiting::Join {
                    contact,
                    ack,
                    replayed,
                    resync,
                } => self.acknowledge(client, &contact.room(), ack, replayed, resync),
            }
        }
    }

    fn acknowledge(&self, client: &Client, room: &Room, ack: Ack, replayed: u64, resync: bool) {
        // Left again in the same breath: the answer to the join is that of a moment ago.
        let at = client.joined(room);
        // Nothing may be sent between the look and the answer.
        let stream = client.stream();
        let at = at.filter(|at| !stream.sent.seen.reaches(&at.seen));
        let offset = at.unwrap_or_else(|| stream.sent.clone());
        let mut answer = json!({
            "ok": true,
            "room": room.as_str(),
            "offset": offset.pack(),
            "replayed": replayed,
        });
        if resync {
            answer["resync"] = true.into();
        }
        client.outlet.answer(ack, &answer);
        self.metrics
            .joins(if resync { Join::Resync } else { Join::Joined });
    }

    /// Stores the rooms that the client is in. False: it is gone, or the database was away for too long.
    pub(super) async fn keep(&self, client: &Arc<Client>) -> bool {
        // A client that is gone keeps the session that it had.
        let Some(stored) = self.hub.kept(client) else {
            return false;
        };
        client.kept.store(true, Ordering::Relaxed);
        let (begun, mut backoff) = (Instant::now(), Backoff::default());
        while !client.outlet.has_ended() {
            let stored = self.sessions.store(client.session.clone(), stored.clone());
            match stored.await {
                Ok(true) => return true,
                Ok(false) => {
                    tracing::debug!(connection = client.id, "its session was taken over");
                    client.outlet.cut();
                }
                Err(error) => {
                    tracing::debug!(connection = client.id, "its session waits: {error}");
                    if begun.elapsed() >= STORE_PATIENCE {
                        return false;
                    }
                    sleep(backoff.next()).await;
                }
            }
        }
        false
    }
}
