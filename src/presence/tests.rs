use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

fn room(number: u8) -> Room {
    Room::from(&*format!("r:{number}"))
}

fn subject(number: u8) -> Subject {
    format!("s{number}").into()
}

#[derive(Clone, Debug)]
enum Step {
    Enter(u8, u8),
    Leave(u8, u8),
    Store(usize),
    Lose,
    Watch(u8),
    Tell,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_u8, 0..3_u8).prop_map(|(room, who)| Step::Enter(room, who)),
        4 => (0..3_u8, 0..3_u8).prop_map(|(room, who)| Step::Leave(room, who)),
        2 => (1..5_usize).prop_map(Step::Store),
        1 => Just(Step::Lose),
        1 => (0..3_u8).prop_map(Step::Watch),
        2 => Just(Step::Tell),
    ];
    prop::collection::vec(step, 0..80)
}

/// Writes into a table as the server does.
fn store(local: &LocalPresence, table: &mut BTreeMap<i64, LocalRow>, most: usize) {
    let Unstored { rows, gone } = local.take_unstored(most);
    table.extend(rows.into_iter().map(|row| (row.id, row)));
    for id in gone {
        table.remove(&id);
    }
}

/// Tells whoever watches.
fn tell(local: &LocalPresence, told: &mut BTreeMap<String, BTreeMap<Subject, Since>>) {
    for (room, subject, since) in local.take_untold() {
        let room = told.get_mut(room.as_str()).expect("it is watched");
        match since {
            Some(since) => drop(room.insert(subject, since)),
            None => drop(room.remove(&subject)),
        }
    }
}

proptest! {
    /// A table that is given each write, and loses its rows now and then, has what is in memory; so has whoever is told.
    #[test]
    fn what_is_stored_and_told_is_what_is_there(steps in steps()) {
        let local = LocalPresence::default();
        let mut there: BTreeMap<(String, Subject), u32> = BTreeMap::new();
        let mut table: BTreeMap<i64, LocalRow> = BTreeMap::new();
        let mut told: BTreeMap<String, BTreeMap<Subject, Since>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Enter(at, who) => {
                    local.enter(&room(at), &subject(who));
                    *there.entry((room(at).as_str().into(), subject(who))).or_default() += 1;
                }
                Step::Leave(at, who) => {
                    local.leave(&room(at), &subject(who));
                    let place = (room(at).as_str().into(), subject(who));
                    if let Some(left) = there.get_mut(&place) {
                        *left -= 1;
                        if *left == 0 {
                            there.remove(&place);
                        }
                    }
                }
                Step::Store(most) => store(&local, &mut table, most),
                Step::Lose => {
                    local.forget_stored();
                    table.clear();
                }
                Step::Watch(at) => {
                    let now = local.watch(&room(at)).into_iter().collect();
                    told.insert(room(at).as_str().into(), now);
                }
                Step::Tell => tell(&local, &mut told),
            }
        }
        store(&local, &mut table, usize::MAX);
        tell(&local, &mut told);
        let stored: BTreeMap<_, _> = table
            .values()
            .map(|row| ((String::from(row.room.as_str()), row.subject.clone()), row.connections))
            .collect();
        prop_assert_eq!(stored.len(), table.len(), "one row each");
        prop_assert_eq!(&stored, &there);
        for (room, told) in &told {
            let there = there.keys().filter(|(at, _)| at == room).map(|(_, who)| who);
            prop_assert!(told.keys().eq(there), "{told:?}");
        }
        prop_assert!(!local.has_unstored());
    }
}

#[test]
fn a_time_is_told_in_milliseconds() {
    assert_eq!(
        Since(1_700_000_000_123_456).text(),
        "2023-11-14T22:13:20.123Z"
    );
    for odd in [i64::MIN, -1, i64::MAX] {
        assert_eq!(Since(odd).text(), "1970-01-01T00:00:00.000Z");
    }
}
