use super::*;

fn range(after: i64, upto: i64) -> RoomRange {
    let snapshot = |text: &str| Arc::new(text.parse().expect("a snapshot"));
    RoomRange {
        room: "r".into(),
        before: snapshot("10:10:"),
        batch: Some(snapshot("20:20:")),
        after,
        upto,
    }
}

fn ids(count: i64, complete: bool) -> Ids {
    Ids {
        after: 0,
        ids: (1..=count).map(|n| n * 2).collect(),
        complete,
    }
}

#[test]
fn a_segment_is_a_page_and_ends_where_the_range_goes_on() {
    let (page, some) = (MAX_EVENTS as i64, 5);
    let long = ids(page + some, true);
    let first = long.segment(&range(0, i64::MAX));
    assert_eq!((first.ids.len(), first.end), (MAX_EVENTS, Some(page * 2)));
    let last = long.segment(&range(page * 2, i64::MAX));
    assert_eq!((last.ids.len(), last.end), (5, None));
    let part = ids(some, false);
    assert_eq!(
        part.segment(&range(0, i64::MAX)).end,
        Some(10),
        "more to be found"
    );
    let bounded = part.segment(&range(0, 5));
    assert_eq!(
        (bounded.ids, bounded.end),
        (vec![2, 4], None),
        "its own end"
    );
}

#[test]
fn ids_serve_whoever_is_among_them() {
    let part = ids(5, false);
    assert!(part.reaches_beyond(0) && part.reaches_beyond(9));
    assert!(!part.reaches_beyond(10), "what follows is not known");
    assert!(ids(5, true).reaches_beyond(10), "nothing follows");
    let later = Ids { after: 4, ..part };
    assert!(!later.reaches_beyond(3));
}

/// A crash, or another database behind the same address: its transactions and events have numbers that others had.
#[test]
fn what_is_kept_is_forgotten_in_another_life_of_the_database() {
    let life = |crashes| Epoch {
        value: crate::offset::EpochKey::of(7),
        crashes,
    };
    let (mut known, range) = (Known::default(), range(0, i64::MAX));
    known.follow(life(0));
    known.keep(Place::new(&range, Some(Arc::new(ids(5, true)))));
    known.follow(life(0));
    assert!(known.has(&range));
    known.follow(life(1));
    assert!(!known.has(&range));
}
