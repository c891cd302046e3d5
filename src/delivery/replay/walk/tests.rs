use super::*;
use crate::delivery::fakes::{EPOCH, event, replay_page, snapshot};
use crate::offset::ReadRange;

/// From everything below 10 to everything below 20, after the event 1 and up to `upto`.
fn step(upto: Option<i64>) -> ReplayStep {
    ReplayStep {
        range: ReadRange {
            before: snapshot(10),
            batch: snapshot(20),
            after: 1,
            upto,
        },
        epoch: EPOCH,
        durable: true,
        repeated_to: snapshot(0),
        events: None,
    }
}

/// The ids that are sent, with how far whoever has them is in this batch; `None` for its end.
fn sent(mut events: StepEvents) -> Vec<(i64, Option<i64>)> {
    let mut sent = Vec::new();
    while let Some((event, offset)) = events.next(1).pop() {
        sent.push((event.id, place(&offset.seen)));
        events.pop(1);
    }
    sent
}

fn place(seen: &Seen) -> Option<i64> {
    match seen {
        Seen::Part { id, .. } => Some(*id),
        Seen::All(all) => {
            assert_eq!(*all, snapshot(20));
            None
        }
    }
}

#[test]
fn events_at_hand_are_sent_without_a_read() {
    let mut step = step(None);
    step.events = Some(vec![event(2, 11, "r")]);
    let mut state = StepState::default();
    let begun: WalkStep<()> = state.begin(step, || panic!("nobody reads"));
    assert!(matches!(begun, WalkStep::Sent));
    assert!(state.take_reading().is_none());
}

#[test]
fn a_read_is_of_the_steps_range_in_each_room() {
    let mut state = StepState::default();
    let rooms = || vec!["a".into(), "b".into()];
    let WalkStep::<()>::NeedsPage(ranges) = state.begin(step(Some(9)), rooms) else {
        panic!("nothing is at hand");
    };
    let range = |room: &str, upto| RoomRange {
        room: room.into(),
        before: snapshot(10),
        batch: Some(snapshot(20)),
        after: 1,
        upto,
    };
    let reloads = Room::of_reloads();
    let reloads = reloads.as_str();
    assert_eq!(ranges, [range("a", 9), range("b", 9), range(reloads, 9)]);
    assert!(state.take_reading().is_some());
    assert!(state.take_reading().is_none(), "once");
    let whole = ranges_of(&step(None), ["a".into()]);
    assert_eq!(whole, [range("a", i64::MAX), range(reloads, i64::MAX)]);
}

#[test]
fn of_a_shared_page_a_step_takes_what_is_its_own() {
    let events = [
        (1, 11, "r"),
        (2, 9, "r"),
        (3, 12, "r"),
        (4, 25, "r"),
        (5, 13, "x"),
        (6, 14, "r"),
    ];
    let page = replay_page(30, &events, None);
    let of_page = |upto| StepEvents::of_page(step(upto), &page, |event| event.room == "r".into());
    let whole = of_page(None);
    assert_eq!(place(&whole.end().seen), None);
    assert_eq!(sent(whole), [(3, Some(3)), (6, None)]);
    let until_5 = of_page(Some(5));
    assert_eq!(place(&until_5.end().seen), Some(5));
    assert_eq!(sent(until_5), [(3, Some(5))]);
}

#[test]
fn a_page_that_ends_early_ends_the_step_there() {
    let page = replay_page(30, &[(2, 11, "r"), (3, 12, "r")], Some(4));
    let events = StepEvents::of_page(step(None), &page, |_| true);
    assert_eq!(place(&events.end().seen), Some(4));
    assert_eq!(sent(events), [(2, Some(2)), (3, Some(3))]);
}

#[test]
fn an_offset_of_a_step_is_of_its_time() {
    let mut step = step(None);
    step.durable = false;
    let events = StepEvents::at_hand(step, vec![event(2, 11, "r")]);
    let (_, offset) = events.next(1).pop().expect("an event");
    assert_eq!((offset.epoch, offset.durable), (EPOCH, false));
}
