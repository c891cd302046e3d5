//! Whether a client that comes back can be given exactly what it missed.
//!
//! A stock client sends, with CONNECT, the `pid` of an earlier CONNECT and the offset of the last event it got (`socket.io-client`,
//! connection state recovery). It resumes only if its session exists and is the same identity's, and if it can be proved what it
//! missed of each room. Then CONNECT carries the same pid, by which the client knows. Otherwise CONNECT carries a new pid, and the
//! client is told which rooms to reload.

use std::sync::Arc;

use serde_json::Value;

use crate::auth::{self, Denied, Identity};
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

/// A client that goes on.
pub(crate) struct Resumed {
    /// It has had everything of its rooms up to here.
    pub(crate) offset: Arc<Offset>,
    pub(crate) rooms: Vec<Membership>,
    /// Rooms that it may not be in any more.
    pub(crate) denied: Vec<Room>,
    /// Whether the session must be stored anew before anything is replayed.
    pub(crate) must_store: bool,
}

/// Decides how a client comes in whose session was taken over.
pub(crate) async fn evaluate(
    takeover: Takeover,
    request: &ResumeRequest,
    identity: &Identity,
) -> ResumeOutcome {
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
    let (mut rooms, mut denied) = (Vec::with_capacity(continuity.rooms.len()), Vec::new());
    for (room, at) in continuity.rooms {
        match auth::may_join(identity, &room).await {
            Ok(()) => rooms.push(Membership::new(room, at)),
            Err(Denied) => denied.push(room),
        }
    }
    ResumeOutcome::Resumed(Resumed {
        offset: Arc::new(continuity.offset),
        must_store: continuity.must_store || !denied.is_empty(),
        rooms,
        denied,
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
    // offset is.
    let has_last_sent = claimed == progress.last_sent_offset;
    let offset = unpack(if has_last_sent {
        &progress.complete_to_offset
    } else {
        claimed
    })?;
    let mut rooms = Vec::with_capacity(stored.rooms.len());
    let mut must_store = false;
    for (name, offsets) in &stored.rooms {
        let room = Room::from(name.as_str());
        let [at, must_be_after @ ..] = offsets.as_slice() else {
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
mod tests {
    use super::*;
    use crate::db::SessionProgress;
    use crate::offset::{Epoch, JoiningRoom, Seen, Snapshot};

    const EPOCH: Epoch = Epoch {
        value: 7,
        crashes: 0,
    };

    fn snapshot(xmax: u64) -> Arc<Snapshot> {
        Arc::new(format!("{xmax}:{xmax}:").parse().expect("a snapshot"))
    }

    fn at(xmax: u64) -> Offset {
        Offset::all(EPOCH, true, snapshot(xmax))
    }

    fn state(pruned: Option<u64>) -> DatabaseState {
        DatabaseState {
            epoch: EPOCH,
            snapshot: snapshot(100),
            pruned: pruned.map(snapshot),
            recovered: Vec::new(),
        }
    }

    fn stored(last: u64) -> StoredSession {
        joined(last, None)
    }

    fn joined(last: u64, proof: Option<u64>) -> StoredSession {
        let offsets = std::iter::once(last).chain(proof);
        let offsets = offsets.map(|xmax| at(xmax).pack()).collect();
        StoredSession {
            rooms: [("r".to_owned(), offsets)].into(),
            progress: SessionProgress::default(),
        }
    }

    #[test]
    fn a_client_with_the_last_offset_sent_missed_nothing_until_then() {
        let stored = StoredSession {
            progress: SessionProgress {
                last_sent_offset: at(21).pack(),
                complete_to_offset: at(50).pack(),
            },
            ..stored(20)
        };
        let pruned = state(Some(40));
        let continuity =
            prove_continuity(&stored, &at(21).pack(), &pruned).expect("it has got all");
        assert_eq!(continuity.offset, at(50));
        assert!(prove_continuity(&stored, &at(22).pack(), &pruned).is_err());
    }

    #[test]
    fn an_offset_from_before_the_join_is_no_gap() {
        let proved = prove_continuity(&stored(20), &at(10).pack(), &state(None)).expect("proved");
        assert_eq!(*proved.rooms[0].1, at(20));
        assert!(prove_continuity(&stored(20), &at(10).pack(), &state(Some(15))).is_ok());
        assert!(prove_continuity(&stored(20), &at(30).pack(), &state(Some(25))).is_ok());
        assert!(prove_continuity(&stored(20), &at(10).pack(), &state(Some(25))).is_err());
    }

    #[test]
    fn a_replay_that_the_client_did_not_get_is_a_gap() {
        let stored = joined(20, Some(30));
        for (claimed, got) in [(15, false), (25, false), (30, false), (31, true)] {
            let proved = prove_continuity(&stored, &at(claimed).pack(), &state(None));
            assert_eq!(proved.is_ok(), got, "{claimed}");
        }
        let joining = |xmax| Offset {
            joining_room: Some(Box::new(JoiningRoom {
                room: Room::from("r").tag(),
                seen: Seen::All(snapshot(xmax)),
            })),
            ..at(25)
        };
        assert!(prove_continuity(&stored, &joining(19).pack(), &state(None)).is_err());
        let proved =
            prove_continuity(&stored, &joining(20).pack(), &state(None)).expect("it got all");
        assert_eq!(
            (proved.offset, &*proved.rooms[0].1, proved.must_store),
            (at(25), &at(20), true)
        );
    }

    #[test]
    fn what_is_not_of_this_database_proves_nothing() {
        for claimed in ["", "nonsense", &at(101).pack()] {
            assert!(prove_continuity(&stored(20), claimed, &state(None)).is_err());
        }
        let other = DatabaseState {
            epoch: Epoch {
                value: 8,
                crashes: 0,
            },
            ..state(None)
        };
        assert!(prove_continuity(&stored(20), &at(30).pack(), &other).is_err());
    }

    #[test]
    fn a_resume_request_is_a_pid_and_an_offset() {
        use serde_json::json;
        assert!(ResumeRequest::of(&json!({ "pid": "p", "offset": "o", "token": "t" })).is_some());
        for none in [
            json!(null),
            json!({ "pid": "p" }),
            json!({ "pid": 1, "offset": "o" }),
            json!({ "pid": "p".repeat(65), "offset": "o" }),
        ] {
            assert_eq!(ResumeRequest::of(&none), None);
        }
    }
}
