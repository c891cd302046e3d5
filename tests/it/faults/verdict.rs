//! The judge is judged: what is lost, doubled, invented or out of order is found, and what is right is not.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::harness::ledger::{Key, Mark, Truth};
use crate::harness::tally::Tally;
use crate::harness::witness::{Phase, Room, View};

fn key(message: u128) -> Key {
    Key { message, rank: 0 }
}

/// Four events in one room: three by one writer, one by another who began when the first was committed.
fn judged(arrivals: &[u128]) -> Tally {
    let zero = Instant::now();
    let at = |seconds| zero + Duration::from_secs(seconds);
    let mark = |writer, place, began, over| Mark {
        writer,
        place,
        began: at(began),
        over: Some(at(over)),
    };
    let marks = HashMap::from([
        (key(1), mark(1, 1, 0, 1)),
        (key(2), mark(1, 2, 2, 3)),
        (key(3), mark(1, 3, 3, 9)),
        (key(4), mark(2, 1, 2, 9)),
    ]);
    let truth = Truth::from([("a".to_owned(), (1..=4).map(key).collect())]);
    let mut room = Room::default();
    room.phase = Phase::In;
    room.arrivals = arrivals.iter().copied().map(key).collect();
    let view = View {
        events: arrivals.len() as u64,
        rooms: [("a".to_owned(), room)].into(),
        ..View::default()
    };
    let mut tally = Tally::default();
    tally.judge("it", &view, &truth, &marks);
    tally
}

#[test]
fn each_kind_of_failure_is_found() {
    let sums = |arrivals: &[u128]| {
        let tally = judged(arrivals);
        let sums = (tally.lost, tally.doubled, tally.invented, tally.disordered);
        assert_eq!(tally.is_clean(), sums == (0, 0, 0, 0), "{tally}");
        sums
    };
    assert_eq!(sums(&[1, 2, 3, 4]), (0, 0, 0, 0));
    assert_eq!(sums(&[1, 4, 2, 3]), (0, 0, 0, 0), "they were concurrent");
    assert_eq!(sums(&[1, 2, 4]), (1, 0, 0, 0));
    assert_eq!(sums(&[]), (4, 0, 0, 0));
    assert_eq!(sums(&[1, 2, 3, 4, 4]), (0, 1, 0, 0));
    assert_eq!(sums(&[1, 2, 3, 4, 5]), (0, 0, 1, 0));
    assert_eq!(sums(&[1, 3, 2, 4]), (0, 0, 0, 1), "against its writer");
    assert_eq!(sums(&[4, 1, 2, 3]), (0, 0, 0, 1), "against the clock");
}
