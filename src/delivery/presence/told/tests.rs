use std::collections::{BTreeSet, HashMap};

use proptest::prelude::*;

use super::*;

fn subject(name: u8) -> Subject {
    format!("s{name}").into()
}

fn source(number: u8) -> Source {
    match number {
        0 => Source::Here,
        server => Source::There {
            server: server.into(),
            id: 1,
        },
    }
}

#[test]
fn whoever_comes_back_in_time_has_not_left() {
    let (mut room, begun) = (ToldRoom::default(), Instant::now());
    let ana = subject(1);
    let at = |ms| begun + Duration::from_millis(ms);
    assert_eq!(
        room.set(&ana, Source::Here, Some(Since(7)), at(0)),
        Some(Since(7))
    );
    assert_eq!(room.set(&ana, Source::Here, None, at(1_000)), None);
    assert_eq!(room.take_left(at(5_999)), []);
    assert_eq!(
        room.set(&ana, Source::Here, Some(Since(9)), at(5_999)),
        None,
        "as before"
    );
    assert_eq!(room.take_left(at(60_000)), []);
    assert_eq!(
        room.first(9),
        [(&ana, Since(7))],
        "since it was told to be there"
    );
    room.set(&ana, Source::Here, None, at(60_000));
    assert_eq!(room.take_left(at(65_000)), [(ana, Since(7))]);
    assert!(!room.has_leaving());
}

#[test]
fn a_subject_is_there_while_any_connection_is() {
    let (mut room, now) = (ToldRoom::default(), Instant::now());
    let ana = subject(1);
    room.set(&ana, Source::Here, Some(Since(2)), now);
    assert_eq!(room.set(&ana, source(1), Some(Since(1)), now), None);
    room.set(&ana, Source::Here, None, now);
    assert!(!room.has_leaving());
    assert_eq!(room.remote(), [(ana.clone(), source(1))]);
    room.set(&ana, source(1), None, now);
    assert!(room.has_leaving());
}

#[test]
fn the_list_has_those_who_came_first() {
    let (mut room, now) = (ToldRoom::default(), Instant::now());
    for name in (0..50).rev() {
        room.set(&subject(name), Source::Here, Some(Since(name.into())), now);
    }
    let first: Vec<_> = room
        .first(3)
        .into_iter()
        .map(|(_, since)| since.0)
        .collect();
    assert_eq!((first, room.len()), (vec![0, 1, 2], 50));
}

#[derive(Clone, Debug)]
enum Step {
    Set(u8, u8, bool),
    Wait(u64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..4_u8, 0..3_u8, any::<bool>()).prop_map(|(who, at, is)| Step::Set(who, at, is)),
        1 => (1..7_000_u64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 0..60)
}

proptest! {
    /// Against a model that knows nothing but who is where, and since when a subject has been away.
    #[test]
    fn what_is_told_is_what_holds_but_for_the_debounce(steps in steps()) {
        let mut room = ToldRoom::default();
        let mut now = Instant::now();
        let mut present: BTreeSet<(u8, u8)> = BTreeSet::new();
        let mut away_since: HashMap<u8, Instant> = HashMap::new();
        let mut told: BTreeSet<u8> = BTreeSet::new();
        let number = |who: &Subject| who[1..].parse::<u8>().expect("a number");
        for step in steps.iter().chain([&Step::Wait(5_000)]) {
            match *step {
                Step::Set(who, at, is) => {
                    let was_there = present.iter().any(|(other, _)| *other == who);
                    if is { present.insert((who, at)); } else { present.remove(&(who, at)); }
                    let is_there = present.iter().any(|(other, _)| *other == who);
                    if was_there && !is_there { away_since.insert(who, now); }
                    if is_there { away_since.remove(&who); }
                    let since = is.then_some(Since(1));
                    let joined = room.set(&subject(who), source(at), since, now).is_some();
                    prop_assert_eq!(joined, is_there && told.insert(who), "told at once, and once");
                }
                Step::Wait(ms) => now += Duration::from_millis(ms),
            }
            for (who, _) in room.take_left(now) {
                let who = number(&who);
                prop_assert!(told.remove(&who), "it had been told to be there");
                let away = away_since.get(&who).map(|since| now - *since);
                prop_assert!(away >= Some(DEBOUNCE), "{away:?}");
            }
            let listed: BTreeSet<u8> = room.first(99).into_iter().map(|(who, _)| number(who)).collect();
            prop_assert_eq!(&listed, &told);
            let due = |who: &u8| away_since.get(who).is_some_and(|since| now - *since >= DEBOUNCE);
            prop_assert!(!told.iter().any(due), "nobody stays who has been away for so long");
        }
        let there: BTreeSet<u8> = present.iter().map(|(who, _)| *who).collect();
        prop_assert_eq!(told, there);
    }
}
