use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

fn snapshot(xmax: u64, xip: &[u64]) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        xmax,
        xip: xip.to_vec(),
    })
}

const EPOCH: Epoch = Epoch {
    value: EpochKey::of(7),
    crashes: 0,
};

fn all(xmax: u64, xip: &[u64]) -> Offset {
    Offset::all(EPOCH, true, snapshot(xmax, xip))
}

fn any_snapshot(floor: u64) -> impl Strategy<Value = Arc<Snapshot>> {
    (floor.max(3)..floor.max(3) + (1 << 40)).prop_flat_map(|xmax| {
        let low = xmax.saturating_sub(5_000).max(1);
        btree_set(low..xmax.max(low + 1), 0..40).prop_map(move |xip| {
            let xip: Vec<u64> = xip.into_iter().filter(|xid| *xid < xmax).collect();
            snapshot(xmax, &xip)
        })
    })
}

fn any_seen() -> impl Strategy<Value = Seen> {
    let part = any_snapshot(0).prop_flat_map(|before| {
        (any_snapshot(before.xmax), 0..i64::MAX).prop_map(move |(batch, id)| Seen::Part {
            before: before.clone(),
            batch,
            id,
        })
    });
    prop_oneof![any_snapshot(0).prop_map(Seen::All), part]
}

fn any_offset() -> impl Strategy<Value = Offset> {
    let joining = prop::option::of((any::<u64>(), any_seen()));
    (any::<(u8, u16, bool)>(), any_seen(), joining).prop_map(
        |((value, crashes, durable), seen, joining)| Offset {
            epoch: Epoch {
                value: EpochKey::of(value),
                crashes: crashes.into(),
            },
            durable,
            seen,
            joining_room: joining.map(|(room, seen)| Box::new(JoiningRoom { room, seen })),
        },
    )
}

proptest! {
    #[test]
    fn what_was_packed_unpacks_to_the_same(offset in any_offset()) {
        prop_assert_eq!(Offset::unpack(&offset.pack(), offset.epoch.value), Ok(offset));
    }

    #[test]
    fn no_text_panics_or_is_accepted(text in ".{0,300}") {
        prop_assert!(Offset::unpack(&text, EpochKey::of(7)).is_err());
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        let mut body = [&[codec::VERSION], bytes.as_slice()].concat();
        body.extend(codec::tag(EpochKey::of(7), &body));
        let text = URL_SAFE_NO_PAD.encode(body);
        if let Ok(offset) = Offset::unpack(&text, EpochKey::of(7)) {
            prop_assert_eq!(Offset::unpack(&offset.pack(), EpochKey::of(7)), Ok(offset));
        }
    }

    #[test]
    fn one_altered_bit_or_another_database_is_found_out(offset in any_offset(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = URL_SAFE_NO_PAD.decode(offset.pack()).expect("packed as base64url");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(Offset::unpack(&URL_SAFE_NO_PAD.encode(bytes), offset.epoch.value).is_err());
        prop_assert_eq!(Offset::unpack(&offset.pack(), !offset.epoch.value), Err(BadOffset::Foreign));
    }

    #[test]
    fn a_snapshot_survives_its_text(snapshot in any_snapshot(0)) {
        let again: Snapshot = snapshot.to_string().parse().expect("its own text");
        prop_assert_eq!(&again, &*snapshot);
    }
}

#[test]
fn a_late_commit_is_missed_though_its_id_is_lower() {
    let offset = Seen::All(snapshot(100, &[90]));
    assert!(!offset.misses(99, 12));
    assert!(offset.misses(90, 5));
    assert!(offset.misses(100, 13));
}

#[test]
fn within_a_batch_only_later_ids_are_missed() {
    let offset = Seen::Part {
        before: snapshot(100, &[90]),
        batch: snapshot(110, &[105]),
        id: 50,
    };
    assert!(!offset.misses(99, 60), "seen before the batch");
    assert!(!offset.misses(101, 50), "of the batch and delivered");
    assert!(offset.misses(101, 51), "of the batch and not yet delivered");
    assert!(
        !offset.misses(90, 40),
        "in progress before, over in the batch, delivered"
    );
    assert!(offset.misses(105, 40), "still in progress at the batch");
    assert!(offset.misses(110, 40), "began after the batch");
}

#[test]
fn a_later_snapshot_covers_an_earlier_one() {
    let at = |xmax, xip: &[u64]| Snapshot {
        xmax,
        xip: xip.to_vec(),
    };
    let earlier = at(100, &[90, 95]);
    for later in [
        at(100, &[90, 95]),
        at(100, &[95]),
        at(120, &[90, 110]),
        at(120, &[]),
    ] {
        assert!(later.covers(&earlier), "{later:?}");
    }
    for not_later in [at(99, &[90, 95]), at(120, &[80]), at(100, &[91])] {
        assert!(!not_later.covers(&earlier), "{not_later:?}");
    }
}

#[test]
fn most_offsets_are_short() {
    assert!(all(40_000_000, &[]).pack().len() <= 24);
}

#[test]
fn postgres_text_is_parsed() {
    let parsed: Snapshot = "10:20:10,14,15".parse().expect("valid");
    assert_eq!(
        parsed,
        Snapshot {
            xmax: 20,
            xip: vec![10, 14, 15]
        }
    );
    for bad in [
        "",
        "10",
        "10:20",
        "a:b:",
        "10:20:21",
        "10:20:14,10",
        "10:20:14,",
        "-1:20:",
    ] {
        assert!(bad.parse::<Snapshot>().is_err(), "{bad:?}");
    }
}

/// What somebody has who walks from `from` to `to`, out of every event there is.
fn walk(from: &Seen, to: &Seen, events: &[(u64, i64)]) -> Option<Vec<(u64, i64)>> {
    let (mut at, mut got) = (from.clone(), Vec::new());
    for _ in 0..10 {
        match ReadRange::next(&at, to) {
            NextRead::Reached => return Some(got),
            NextRead::Ahead => return None,
            NextRead::Read(range) => {
                let mut batch: Vec<_> = events
                    .iter()
                    .filter(|(xid, id)| range.holds(*xid, *id))
                    .copied()
                    .collect();
                batch.sort_by_key(|(_, id)| *id);
                got.extend(batch);
                at = range.seen_at_end();
            }
        }
    }
    panic!("no end from {from:?} to {to:?}");
}

proptest! {
    /// Snapshots of one database in the order they were taken, and events whose transactions end between them.
    #[test]
    fn a_walk_yields_what_was_missed_and_nothing_twice(
        ends in vec((0_usize..6, 1_i64..40), 1..40), from in 0_usize..4, to in 0_usize..4, part in any::<[Option<i64>; 2]>(),
    ) {
        // The transaction `xid` is over before the snapshot number `end`; its event has some id.
        let taken = |n: usize| {
            let open: Vec<u64> = (0..ends.len()).filter(|i| ends[*i].0 > n).map(|i| i as u64 + 10).collect();
            snapshot((ends.len() + n) as u64 + 10, &open)
        };
        let events: Vec<(u64, i64)> = ends.iter().enumerate().map(|(i, (_, id))| (i as u64 + 10, *id * 40 + i as i64)).collect();
        let seen = |n: usize, part: Option<i64>| match part {
            Some(id) => Seen::Part { before: taken(n), batch: taken(n + 1), id: id.rem_euclid(1_600) },
            None => Seen::All(taken(n)),
        };
        let (from, to) = (seen(from, part[0]), seen(to, part[1]));
        if let Some(mut got) = walk(&from, &to, &events) {
            got.sort();
            let mut missed: Vec<_> = events.iter().filter(|(xid, id)| from.misses(*xid, *id) && !to.misses(*xid, *id)).copied().collect();
            missed.sort();
            prop_assert_eq!(got, missed);
        } else {
            prop_assert!(!to.reaches(&from) || from == to);
        }
    }
}

#[test]
fn an_offset_is_believed_only_where_it_can_be_proved() {
    let state = |recovered: &[u64], pruned: Option<u64>| DatabaseState {
        epoch: Epoch {
            value: EpochKey::of(7),
            crashes: recovered.len(),
        },
        snapshot: snapshot(200, &[]),
        pruned: pruned.map(|xmax| snapshot(xmax, &[])),
        recovered: recovered.to_vec(),
    };
    let check =
        |offset: &Offset, state: &DatabaseState| offset.check_continuity(&offset.seen, state);
    let at_100 = all(100, &[]);
    assert_eq!(check(&at_100, &state(&[], None)), Ok(()));
    assert_eq!(check(&at_100, &state(&[], Some(100))), Ok(()));
    assert_eq!(
        check(&at_100, &state(&[], Some(101))),
        Err(ContinuityError::Expired)
    );
    assert_eq!(
        check(&all(201, &[]), &state(&[], None)),
        Err(ContinuityError::Ahead)
    );
    assert_eq!(check(&at_100, &state(&[100], None)), Ok(()), "on disk");
    assert_eq!(
        check(&at_100, &state(&[99], None)),
        Err(ContinuityError::Undone),
        "the disk was set back"
    );
    let in_memory = Offset {
        durable: false,
        ..at_100
    };
    assert_eq!(check(&in_memory, &state(&[], None)), Ok(()));
    assert_eq!(
        check(&in_memory, &state(&[150], None)),
        Err(ContinuityError::Undone)
    );
}
