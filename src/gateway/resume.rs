//! Whether a client that comes back can be given exactly what it missed.
//!
//! A stock client sends, with CONNECT, the `pid` that an earlier CONNECT gave it and the offset of the last event it got.
//! It goes on only if its session is there, is the same identity's, and every room's continuity is proved; then CONNECT
//! carries the same pid, by which the client knows. Otherwise it gets a new pid, and is told which rooms to reload.

use std::sync::Arc;

use serde_json::Value;

use super::client::Membership;
use crate::auth::{self, Denied, Identity};
use crate::event::Room;
use crate::offset::{Lapse, Offset, Present};
use crate::outbox::{Served, Stored, Taken};

/// No pid of ours is longer.
const MAX_PID_BYTES: usize = 64;

/// What a client that comes back says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) pid: String,
    pub(super) offset: String,
}

impl Claim {
    /// Out of the CONNECT packet's data, if it is there.
    pub(super) fn of(auth: &Value) -> Option<Self> {
        let text = |name: &str| Some(auth.get(name)?.as_str()?.to_owned());
        let (pid, offset) = (text("pid")?, text("offset")?);
        (pid.len() <= MAX_PID_BYTES).then_some(Self { pid, offset })
    }
}

/// How a client comes in.
pub(super) enum Comeback {
    /// Without a past.
    New,
    /// It goes on.
    Resumed(Resumed),
    /// It had these rooms, and can't be told what it missed.
    Lost { rooms: Vec<Room>, reason: String },
}

/// A client that goes on.
pub(super) struct Resumed {
    pub(super) offset: Arc<Offset>,
    pub(super) rooms: Vec<Membership>,
    /// Rooms that it may not be in any more.
    pub(super) denied: Vec<Room>,
    /// Whether the session is to be kept anew before anything is replayed.
    pub(super) changed: bool,
}

/// Decides.
pub(super) async fn judge(taken: Taken, claim: &Claim, identity: &Identity) -> Comeback {
    let Some(stored) = taken.stored else {
        return Comeback::New;
    };
    let names: Vec<Room> = stored
        .rooms
        .keys()
        .map(|name| Room::from(name.as_str()))
        .collect();
    match prove(&stored, &claim.offset, &taken.present) {
        Err(reason) => Comeback::Lost {
            rooms: names,
            reason,
        },
        Ok((offset, proved, mut changed)) => {
            let (mut rooms, mut denied) = (Vec::with_capacity(proved.len()), Vec::new());
            for (room, at) in proved {
                match auth::may_join(identity, &room).await {
                    Ok(()) => rooms.push(Membership::new(room, at)),
                    Err(Denied) => denied.push(room),
                }
            }
            changed |= !denied.is_empty();
            Comeback::Resumed(Resumed {
                offset: Arc::new(offset),
                rooms,
                denied,
                changed,
            })
        }
    }
}

type Proved = (Offset, Vec<(Room, Arc<Offset>)>, bool);

/// The offset, and what the client had of each room when it was in; or why that is not known.
fn prove(stored: &Stored, claimed: &str, present: &Present) -> Result<Proved, String> {
    let unpack = |text: &str| Offset::unpack(text, present.epoch.value).map_err(|e| e.to_string());
    let Served {
        last_sent_offset,
        complete_to_offset,
    } = &stored.served;
    // A client whose offset is the last one that it was sent has missed nothing up to `complete_to_offset`, however old that is.
    let has_all = claimed == last_sent_offset;
    let offset = unpack(if has_all { complete_to_offset } else { claimed })?;
    let mut rooms = Vec::with_capacity(stored.rooms.len());
    let mut changed = false;
    for (name, offsets) in &stored.rooms {
        let room = Room::from(name.as_str());
        let [at, proof @ ..] = offsets.as_slice() else {
            return Err("the session is not complete".to_owned());
        };
        let at = unpack(at)?;
        for proof in proof {
            changed = true;
            // What was replayed to it, or that it has to reload, has come to it, or not: that must be known.
            let proof = unpack(proof)?;
            let later = offset.seen.reaches(&proof.seen) && offset.seen != proof.seen;
            let last = offset.seen_aside(&room);
            let last = last.is_some_and(|seen| seen.reaches(&at.seen));
            if !(has_all || later || last) {
                return Err("the connection was lost before it was known what had come".to_owned());
            }
        }
        let seen = offset.seen_in(&room);
        let lapses = [offset.proves(seen, present), at.proves(&at.seen, present)];
        match lapses {
            // Either knows what came since; what both have seen is not missed.
            [Ok(()), Ok(()) | Err(Lapse::Expired)] | [Err(Lapse::Expired), Ok(())] => {}
            [Err(lapse), _] | [_, Err(lapse)] => return Err(lapse.to_string()),
        }
        rooms.push((room, Arc::new(at)));
    }
    if rooms.is_empty() {
        offset
            .proves(&offset.seen, present)
            .map_err(|lapse| lapse.to_string())?;
    }
    let offset = Offset {
        aside: None,
        ..offset
    };
    Ok((offset, rooms, changed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offset::{Aside, Epoch, Seen, Snapshot};

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

    fn present(pruned: Option<u64>) -> Present {
        Present {
            epoch: EPOCH,
            snapshot: snapshot(100),
            pruned: pruned.map(snapshot),
            recovered: Vec::new(),
        }
    }

    fn stored(last: u64) -> Stored {
        joined(last, None)
    }

    fn joined(last: u64, proof: Option<u64>) -> Stored {
        let offsets = std::iter::once(last).chain(proof);
        let offsets = offsets.map(|xmax| at(xmax).pack()).collect();
        Stored {
            rooms: [("r".to_owned(), offsets)].into(),
            served: Served::default(),
        }
    }

    #[test]
    fn who_has_the_last_that_was_sent_has_missed_nothing_until_then() {
        let stored = Stored {
            served: Served {
                last_sent_offset: at(21).pack(),
                complete_to_offset: at(50).pack(),
            },
            ..stored(20)
        };
        let pruned = present(Some(40));
        let (offset, ..) = prove(&stored, &at(21).pack(), &pruned).expect("it has got all");
        assert_eq!(offset, at(50));
        assert!(prove(&stored, &at(22).pack(), &pruned).is_err());
    }

    #[test]
    fn an_offset_from_before_the_join_is_no_gap() {
        let proved = prove(&stored(20), &at(10).pack(), &present(None)).expect("proved");
        assert_eq!(*proved.1[0].1, at(20));
        assert!(prove(&stored(20), &at(10).pack(), &present(Some(15))).is_ok());
        assert!(prove(&stored(20), &at(30).pack(), &present(Some(25))).is_ok());
        assert!(prove(&stored(20), &at(10).pack(), &present(Some(25))).is_err());
    }

    #[test]
    fn a_replay_that_the_client_did_not_get_is_a_gap() {
        let stored = joined(20, Some(30));
        for (claimed, got) in [(15, false), (25, false), (30, false), (31, true)] {
            let proved = prove(&stored, &at(claimed).pack(), &present(None));
            assert_eq!(proved.is_ok(), got, "{claimed}");
        }
        let aside = |xmax| Offset {
            aside: Some(Box::new(Aside {
                room: Room::from("r").tag(),
                seen: Seen::All(snapshot(xmax)),
            })),
            ..at(25)
        };
        assert!(prove(&stored, &aside(19).pack(), &present(None)).is_err());
        let (offset, rooms, changed) =
            prove(&stored, &aside(20).pack(), &present(None)).expect("it got all");
        assert_eq!((offset, &*rooms[0].1, changed), (at(25), &at(20), true));
    }

    #[test]
    fn what_is_not_of_this_database_proves_nothing() {
        for claimed in ["", "nonsense", &at(101).pack()] {
            assert!(prove(&stored(20), claimed, &present(None)).is_err());
        }
        let other = Present {
            epoch: Epoch {
                value: 8,
                crashes: 0,
            },
            ..present(None)
        };
        assert!(prove(&stored(20), &at(30).pack(), &other).is_err());
    }

    #[test]
    fn a_claim_is_a_pid_and_an_offset() {
        use serde_json::json;
        assert!(Claim::of(&json!({ "pid": "p", "offset": "o", "token": "t" })).is_some());
        for none in [
            json!(null),
            json!({ "pid": "p" }),
            json!({ "pid": 1, "offset": "o" }),
            json!({ "pid": "p".repeat(65), "offset": "o" }),
        ] {
            assert_eq!(Claim::of(&none), None);
        }
    }
}
