use super::*;
use proptest::collection::{btree_set, vec};
use proptest::prelude::*;

fn snapshot(xmax: u64, xip: &[u64]) -> Arc<Snapshot> {
    Arc::new(Snapshot {
        xmax,
        xip: xip.to_vec(),
    })
}

fn all(xmax: u64, xip: &[u64]) -> Offset {
    Offset {
        epoch: Epoch(7),
        seen: Seen::All(snapshot(xmax, xip)),
    }
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

fn any_offset() -> impl Strategy<Value = Offset> {
    let part = any_snapshot(0).prop_flat_map(|before| {
        (any_snapshot(before.xmax), 0..i64::MAX).prop_map(move |(batch, id)| Seen::Part {
            before: before.clone(),
            batch,
            id,
        })
    });
    (
        any::<u64>(),
        prop_oneof![any_snapshot(0).prop_map(Seen::All), part],
    )
        .prop_map(|(epoch, seen)| Offset {
            epoch: Epoch(epoch),
            seen,
        })
}

proptest! {
    #[test]
    fn what_was_packed_unpacks_to_the_same(offset in any_offset()) {
        prop_assert_eq!(Offset::unpack(&offset.pack()), Ok(offset));
    }

    #[test]
    fn no_text_panics_and_only_what_pack_writes_is_accepted(text in ".{0,300}") {
        if let Ok(offset) = Offset::unpack(&text) {
            prop_assert_eq!(offset.pack(), text);
        }
    }

    #[test]
    fn no_bytes_panic(bytes in vec(any::<u8>(), 0..300)) {
        let text = URL_SAFE_NO_PAD.encode([&[VERSION, bytes.len() as u8 % 2], bytes.as_slice()].concat());
        if let Ok(offset) = Offset::unpack(&text) {
            prop_assert_eq!(offset.pack(), text);
        }
    }

    #[test]
    fn a_tampered_offset_is_another_offset_or_none(offset in any_offset(), at in any::<prop::sample::Index>(), bit in 0..8_u8) {
        let mut bytes = URL_SAFE_NO_PAD.decode(offset.pack()).expect("packed as base64url");
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert_ne!(Offset::unpack(&URL_SAFE_NO_PAD.encode(bytes)), Ok(offset));
    }

    #[test]
    fn a_snapshot_survives_its_text(snapshot in any_snapshot(0)) {
        let again: Snapshot = snapshot.to_string().parse().expect("its own text");
        prop_assert_eq!(&again, &*snapshot);
    }
}

#[test]
fn a_late_commit_is_missed_though_its_id_is_lower() {
    let offset = all(100, &[90]);
    assert!(!offset.misses(99, 12));
    assert!(offset.misses(90, 5));
    assert!(offset.misses(100, 13));
}

#[test]
fn within_a_batch_only_later_ids_are_missed() {
    let seen = Seen::Part {
        before: snapshot(100, &[90]),
        batch: snapshot(110, &[105]),
        id: 50,
    };
    let offset = Offset {
        epoch: Epoch(7),
        seen,
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
    assert!(all(40_000_000, &[]).pack().len() <= 22);
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
