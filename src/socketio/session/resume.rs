//! Whether a client that comes back can be given exactly what it missed.
//!
//! A stock client sends, with CONNECT, the `pid` of an earlier CONNECT and the offset of the last event it got (`socket.io-client`,
//! connection state recovery). It resumes only if its session exists and is the same identity's, and if it can be proved what it
//! missed of each room. Then CONNECT carries the same pid, by which the client knows. Otherwise CONNECT carries a new pid, and the
//! client is told which rooms to reload.

use std::sync::Arc;

use serde_json::Value;

use super::store::split_stored;
use crate::db::{StoredSession, Takeover};
use crate::delivery::Membership;
use crate::event::Room;
use crate::offset::{ContinuityError, DatabaseState, Offset};

/// No pid of ours is longer.
const MAX_PID_BYTES: usize = 64;

const INCOMPLETE: &str = "the session is not complete";
const UNKNOWN_WHAT_CAME: &str = "the connection was lost before it was known what had come";

/// What a client that comes back says.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ResumeRequest {
    pub(crate) pid: String,
    pub(crate) offset: String,
}

impl ResumeRequest {
    /// Out of the CONNECT packet's data, if it is there.
    pub(crate) fn of(auth: &Value) -> Option<Self> {
        let text = |name: &str| Some(auth.get(name)?.as_str()?.to_owned());
        let (pid, offset) = (text("pid")?, text("offset")?);
        (pid.len() <= MAX_PID_BYTES).then_some(Self { pid, offset })
    }
}

/// How a client comes in.
pub(crate) enum ResumeOutcome {
    /// It has no session.
    New,
    /// It goes on.
    Resumed(Resumed),
    /// It had these rooms, and can't be told what it missed.
    Lost { rooms: Vec<Room>, reason: String },
}

impl ResumeOutcome {
    /// The word for it in traces: the metrics' own.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Resumed(_) => "resumed",
            Self::Lost { .. } => "resync",
        }
    }

    /// How many rooms the client had.
    pub(crate) fn rooms(&self) -> usize {
        match self {
            Self::New => 0,
            Self::Resumed(resumed) => resumed.rooms.len(),
            Self::Lost { rooms, .. } => rooms.len(),
        }
    }
}

/// A client that goes on.
pub(crate) struct Resumed {
    /// It has had everything of its rooms up to here.
    pub(crate) offset: Arc<Offset>,
    pub(crate) rooms: Vec<Membership>,
    /// Rooms that it is not in any more, each with the reason that it is told.
    pub(crate) left: Vec<(Room, &'static str)>,
    /// Whether the session must be stored anew before anything is replayed.
    pub(crate) must_store: bool,
}

/// Decides how a client comes in whose session was taken over, but for the question whether it may still be in its rooms.
pub(crate) fn evaluate(takeover: Takeover, request: &ResumeRequest) -> ResumeOutcome {
    let Some(stored) = takeover.stored else {
        return ResumeOutcome::New;
    };
    let continuity = match prove_continuity(&stored, &request.offset, &takeover.state) {
        Ok(continuity) => continuity,
        Err(reason) => {
            let rooms = stored.rooms.keys().map(|name| Room::from(name.as_str()));
            return ResumeOutcome::Lost {
                rooms: rooms.collect(),
                reason,
            };
        }
    };
    let rooms = continuity.rooms.into_iter();
    ResumeOutcome::Resumed(Resumed {
        offset: Arc::new(continuity.offset),
        must_store: continuity.must_store,
        rooms: rooms
            .map(|(room, at)| {
                let kept = stored.rooms.get(room.as_str());
                let mut joined = Membership::new(room, at);
                joined.watches_presence = kept.is_some_and(|kept| split_stored(kept).1);
                joined
            })
            .collect(),
        left: Vec::new(),
    })
}

/// What is known for certain of a client that comes back.
#[derive(Debug)]
struct Continuity {
    /// It has had everything of its rooms up to here.
    offset: Offset,
    /// Each room, with what the client had of it when it was in.
    rooms: Vec<(Room, Arc<Offset>)>,
    /// Whether a room had a `must_be_after`, which is now proved: the client's next offset may not prove it again.
    must_store: bool,
}

/// What the client has had of its rooms, or the reason why that can't be proved, which the client is told.
fn prove_continuity(
    stored: &StoredSession,
    claimed: &str,
    state: &DatabaseState,
) -> Result<Continuity, String> {
    let unpack = |text: &str| Offset::unpack(text, state.epoch.value).map_err(|e| e.to_string());
    let progress = &stored.progress;
    // If the client's offset is the last one that we sent, it missed nothing up to `complete_to_offset`, however old its own
    // offset is. None is stored where the last event sent carried an offset that is no proof: an empty claim is not that one.
    let has_last_sent = !claimed.is_empty() && claimed == progress.last_sent_offset;
    let offset = unpack(if has_last_sent {
        &progress.complete_to_offset
    } else {
        claimed
    })?;
    let mut rooms = Vec::with_capacity(stored.rooms.len());
    let mut must_store = false;
    for (name, offsets) in &stored.rooms {
        let room = Room::from(name.as_str());
        let [at, must_be_after @ ..] = split_stored(offsets).0 else {
            return Err(INCOMPLETE.to_owned());
        };
        let at = unpack(at)?;
        for must_be_after in must_be_after {
            must_store = true;
            if !has_last_sent && !has_what_came(&offset, &room, &at, &unpack(must_be_after)?) {
                return Err(UNKNOWN_WHAT_CAME.to_owned());
            }
        }
        check_room(&offset, &room, &at, state).map_err(|error| error.to_string())?;
        rooms.push((room, Arc::new(at)));
    }
    if rooms.is_empty() {
        offset
            .check_continuity(&offset.seen, state)
            .map_err(|error| error.to_string())?;
    }
    let offset = Offset {
        joining_room: None,
        ..offset
    };
    Ok(Continuity {
        offset,
        rooms,
        must_store,
    })
}

/// Whether a client has received what it was sent on the way into a room: the replay, or the request to reload the room. It has
/// if its offset is later than the one that was current then, or is that of the replay's last event.
fn has_what_came(offset: &Offset, room: &Room, at: &Offset, must_be_after: &Offset) -> bool {
    let is_later = offset.seen.reaches(&must_be_after.seen) && offset.seen != must_be_after.seen;
    let has_last_replayed = offset
        .seen_in_joining_room(room)
        .is_some_and(|seen| seen.reaches(&at.seen));
    is_later || has_last_replayed
}

/// Whether it can be told what a room got since the client's offset, or since the client joined the room.
fn check_room(
    offset: &Offset,
    room: &Room,
    at: &Offset,
    state: &DatabaseState,
) -> Result<(), ContinuityError> {
    let since_offset = offset.check_continuity(offset.seen_in(room), state);
    let since_join = at.check_continuity(&at.seen, state);
    match (since_offset, since_join) {
        // The client has seen what either of the two offsets has seen, so it is enough if one of them has not expired.
        (Ok(()), Ok(()) | Err(ContinuityError::Expired))
        | (Err(ContinuityError::Expired), Ok(())) => Ok(()),
        (Err(error), _) | (_, Err(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests;
