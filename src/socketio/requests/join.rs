//! How a client enters a room: by its offset, if it gave one that proves something, else from now on.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::{Requests, STORE_PATIENCE, WAIT_PAUSE};
use crate::db::Verdict;
use crate::delivery::{
    JoinBegun, JoinReplayOutcome, Joined, ReplaySource, SubscriberTransport as _,
};
use crate::event::Room;
use crate::metrics::{Join, Limit};
use crate::offset::Offset;
use crate::presence::Subject;
use crate::quota::Holder;
use crate::socketio::client::Client;
use crate::socketio::protocol::{JoinArgs, Refusal};
use crate::spans;

/// What a replay costs beside what it finds.
const READ_COST: usize = 10;

/// How a join went.
#[derive(Clone, Copy)]
pub(super) struct JoinResult {
    /// Whether the client was not in the room before.
    pub(super) entered: bool,
    pub(super) replayed: u64,
    pub(super) resync: bool,
    /// Whether it said that it wants to be told who is in the room, or not.
    pub(super) presence: Option<bool>,
    /// When it was begun.
    pub(super) begun: JoinBegun,
}

impl JoinResult {
    /// What the client is told. `presence` is there where it wants to be told who is in the room: whom it counts for itself, if that is kept.
    pub(super) fn answer(
        self,
        room: &Room,
        offset: &str,
        resync: bool,
        presence: Option<&Option<Subject>>,
    ) -> Value {
        let mut answer = json!({
            "ok": true,
            "room": room.as_str(),
            "offset": offset,
            "replayed": self.replayed,
        });
        if resync {
            answer["resync"] = true.into();
        }
        if let Some(subject) = presence {
            answer["presence"] = subject.is_some().into();
            if let Some(subject) = subject {
                answer["subject"] = (**subject).into();
            }
        }
        answer
    }
}

impl<S: ReplaySource> Requests<S> {
    /// Enters the room, with a replay if the client gave an offset. `None`: the client has gone.
    pub(super) async fn join(
        &self,
        client: &Arc<Client>,
        asked: Result<JoinArgs, Refusal>,
    ) -> Result<Option<(Room, JoinResult)>, Refusal> {
        let JoinArgs {
            room,
            after,
            presence,
        } = asked?;
        spans::set_current_room(&room);
        if !self.session_writes.may_write(client) {
            self.hub.metrics.limits(Limit::SessionRate);
            return Err(Refusal::TooManyRequests);
        }
        let begun = client.subscriber.join_begun();
        self.check_policy(client, &room).await?;
        let mut resync = false;
        if let Some(after) = after {
            match self.join_after(client, &room, &after).await? {
                JoinReplayOutcome::Entered { replayed } => {
                    let result = JoinResult {
                        entered: true,
                        replayed,
                        resync: false,
                        presence,
                        begun,
                    };
                    self.note_presence(client, &room, presence);
                    return Ok(Some((room, result)));
                }
                JoinReplayOutcome::Already => {}
                JoinReplayOutcome::Gone => return Ok(None),
                JoinReplayOutcome::Lost => resync = true,
            }
        }
        let Some(entered) = self.enter(client, &room, resync).await? else {
            return Ok(None);
        };
        let result = JoinResult {
            entered,
            replayed: 0,
            resync,
            presence,
            begun,
        };
        self.note_presence(client, &room, presence);
        Ok(Some((room, result)))
    }

    /// Enters the room without a replay: whether the client was not in it before. `None`: the client has gone.
    async fn enter(
        &self,
        client: &Client,
        room: &Room,
        resync: bool,
    ) -> Result<Option<bool>, Refusal> {
        let begun = Instant::now();
        loop {
            let joined = if resync {
                self.hub.join_unproven(&client.subscriber, room)
            } else {
                self.hub.join(&client.subscriber, room)
            };
            match joined? {
                Joined::Entered => return Ok(Some(true)),
                Joined::Already => return Ok(Some(false)),
                Joined::Gone => return Ok(None),
                Joined::Wait if client.transport.is_closed() => return Ok(None),
                Joined::Wait if begun.elapsed() >= STORE_PATIENCE => {
                    return Err(Refusal::Unavailable);
                }
                Joined::Wait => {
                    self.hub.wake_reader();
                    sleep(WAIT_PAUSE).await;
                }
            }
        }
    }

    /// Before the session is stored, which is to say it.
    fn note_presence(&self, client: &Client, room: &Room, presence: Option<bool>) {
        if let Some(wants) = presence {
            let watches = wants && self.hub.presence.is_kept();
            client.subscriber.set_watching_presence(room, watches);
        }
    }

    async fn check_policy(&self, client: &Client, room: &Room) -> Result<(), Refusal> {
        let identity = client.identity();
        match self.room_policy.may_join_room(&identity, room).await {
            Verdict::Allowed => Ok(()),
            Verdict::Denied => Err(Refusal::Forbidden("not allowed")),
            Verdict::Unavailable => Err(Refusal::PolicyUnavailable),
        }
    }

    async fn join_after(
        &self,
        client: &Client,
        room: &Room,
        after: &str,
    ) -> Result<JoinReplayOutcome, Refusal> {
        let (here, _) = self.hub.position().ok_or(Refusal::Unavailable)?;
        let Ok(after) = Offset::unpack(after, here.epoch.value) else {
            return Ok(JoinReplayOutcome::Lost);
        };
        let reader = client.holder();
        let may_read = |reader: &Holder| self.reads.has_left(reader, Instant::now());
        if !reader.as_ref().is_none_or(may_read) {
            self.hub.metrics.limits(Limit::ReadRate);
            return Err(Refusal::TooManyRequests);
        }
        let joined = self.replay.join_after(&client.subscriber, room, &after);
        let joined = joined.await?;
        if let Some(reader) = &reader {
            let replayed = match joined {
                JoinReplayOutcome::Entered { replayed } => replayed as usize,
                _ => 0,
            };
            self.reads
                .charge(reader, replayed + READ_COST, Instant::now());
        }
        Ok(joined)
    }
}

/// How the metrics count a join that was refused.
pub(super) fn join_label(refusal: &Refusal) -> Join {
    match refusal {
        Refusal::Forbidden(_) | Refusal::Token(_) => Join::Forbidden,
        Refusal::TooManyRooms(_) => Join::TooManyRooms,
        Refusal::Unavailable | Refusal::CantStore | Refusal::PolicyUnavailable => Join::Unavailable,
        Refusal::BadRequest(_) | Refusal::TooManyRequests => Join::BadRequest,
    }
}
