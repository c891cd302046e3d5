use super::*;
use crate::db::SessionProgress;
use crate::offset::{Epoch, EpochKey, JoiningRoom, Seen, Snapshot};

const EPOCH: Epoch = Epoch {
    value: EpochKey::of(7),
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
    let continuity = prove_continuity(&stored, &at(21).pack(), &pruned).expect("it has got all");
    assert_eq!(continuity.offset, at(50));
    assert!(prove_continuity(&stored, &at(22).pack(), &pruned).is_err());
}

#[test]
fn no_offset_is_not_the_last_one_sent() {
    let stored = StoredSession {
        progress: SessionProgress {
            last_sent_offset: String::new(),
            complete_to_offset: at(50).pack(),
        },
        ..stored(20)
    };
    assert!(prove_continuity(&stored, "", &state(None)).is_err());
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
    let proved = prove_continuity(&stored, &joining(20).pack(), &state(None)).expect("it got all");
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
            value: EpochKey::of(8),
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
