use tokio::sync::watch;

use super::*;
use crate::delivery::fakes::{
    EPOCH, Fake, batch, broadcast_event, hub_at, offset_at, revocations, snapshot,
};
use crate::delivery::hub::Hub;
use crate::delivery::membership::Membership;
use crate::delivery::sink::Affected;
use crate::delivery::subscriber::ReplayGeneration;
use crate::event::Room;
use crate::metrics::Metrics;
use crate::offset::EpochKey;

/// The broadcast's, after it has sent 1 (transaction 11) and 2 (12) of a read up to 20.
fn position() -> BroadcastPosition {
    let mut position = BroadcastPosition::new((*offset_at(10)).clone(), 0, snapshot(10));
    for (id, xid) in [(1_i64, 11), (2, 12)] {
        let event = broadcast_event(id, xid, 20, id.unsigned_abs());
        position.recent.push(event);
    }
    position.offset = offset_at(20);
    position
}

fn after_crash(xmax: u64, durable: bool) -> Offset {
    let epoch = Epoch {
        crashes: 1,
        ..EPOCH
    };
    Offset::all(epoch, durable, snapshot(xmax))
}

/// Ids of the events that are at hand for whoever has `from`.
fn at_hand(position: &BroadcastPosition, from: &Offset) -> Option<Vec<i64>> {
    match position.next_replay_action(from, |event| event.event.id != 1) {
        ReplayAction::Replay(step) => {
            let events = step.events?;
            Some(events.iter().map(|event| event.id).collect())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_missing_is_at_hand_or_to_be_read() {
    let position = position();
    assert_eq!(
        at_hand(&position, &offset_at(10)),
        Some(vec![2]),
        "the wanted"
    );
    assert_eq!(at_hand(&position, &offset_at(9)), None, "not kept");
}

#[test]
fn whoever_has_all_has_reached_the_broadcast_and_whoever_has_more_waits() {
    let position = position();
    let action = |xmax| position.next_replay_action(&offset_at(xmax), |_| true);
    assert!(matches!(action(20), ReplayAction::Reached));
    assert!(matches!(action(21), ReplayAction::WaitForBroadcast));
}

#[test]
fn another_life_of_the_database_can_not_be_compared_unless_all_was_on_disk() {
    let mut position = position();
    let action =
        |position: &BroadcastPosition, from: &Offset| position.next_replay_action(from, |_| true);
    let other = Epoch {
        value: EpochKey::of(8),
        crashes: 0,
    };
    let rewound = Offset::all(other, true, snapshot(10));
    assert!(matches!(
        action(&position, &rewound),
        ReplayAction::Lost(REWOUND)
    ));
    position.offset = Arc::new(after_crash(20, true));
    position.recovered = [20].into();
    let mut before_the_crash = (*offset_at(10)).clone();
    assert_eq!(
        at_hand(&position, &before_the_crash),
        None,
        "it is read anew"
    );
    before_the_crash.durable = false;
    let not_on_disk = action(&position, &before_the_crash);
    assert!(matches!(not_on_disk, ReplayAction::Lost(CRASHED)));
    position.recovered = [9].into();
    before_the_crash.durable = true;
    let handed_out_again = action(&position, &before_the_crash);
    assert!(matches!(handed_out_again, ReplayAction::Lost(CRASHED)));
}

#[test]
fn an_event_has_a_number_and_goes_from_offset_to_offset() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    let batch = batch(10, 20, &[(1, 11, "b"), (2, 12, "a")]);
    assert!(hub.pass_event(&batch, 0).is_none(), "nobody is in the room");
    let (members, event) = hub.pass_event(&batch, 1).expect("a member");
    assert_eq!(members.len(), 1);
    assert_eq!((event.number, event.event.id), (2, 2));
    assert_eq!(*event.before, batch.offset(0));
    assert_eq!(*event.offset, batch.end());
    assert_eq!(hub.position(), Some((event.offset, 2)));
}

#[test]
fn a_replay_that_has_reached_the_broadcast_makes_live() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 10, &["a"]);
    let generation = ana.subscriber.state().replay_generation().expect("behind");
    let action = hub.next_replay_action(&ana.subscriber, generation);
    assert!(matches!(action, ReplayAction::Reached));
    assert!(!ana.subscriber.state().is_behind());
}

/// A subscriber that was behind, came back, and is behind again from 5 on: with the generation of the first time.
fn behind_again(hub: &Hub) -> (Fake, ReplayGeneration) {
    let ana = Fake::behind(hub, 1, 5, &["a"]);
    let first = ana.subscriber.state().replay_generation().expect("behind");
    ana.subscriber.state().become_live(offset_at(5), 0);
    ana.subscriber.transport.close();
    let event = broadcast_event(1, 15, 20, 1);
    let transport = &*ana.subscriber.transport;
    let mut state = ana.subscriber.state();
    state.send_live(transport, &event, &event.outgoing());
    drop(state);
    (ana, first)
}

#[test]
fn a_replay_of_an_earlier_time_has_nothing_to_do() {
    let (hub, _behind) = hub_at(10);
    let (ana, stale) = behind_again(&hub);
    let action = hub.next_replay_action(&ana.subscriber, stale);
    assert!(matches!(action, ReplayAction::Reached));
    assert!(hub.give_up_replay(&ana.subscriber, stale).is_empty());
    assert!(ana.subscriber.state().is_behind(), "another replay's");
}

#[test]
fn a_replay_that_is_given_up_names_the_rooms_and_makes_live() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 5, &["a", "b"]);
    let generation = ana.subscriber.state().replay_generation().expect("behind");
    let named = hub.give_up_replay(&ana.subscriber, generation);
    assert_eq!(named, [Room::from("a"), Room::from("b")]);
    let state = ana.subscriber.state();
    assert!(!state.is_behind());
    assert_eq!(state.complete_to_offset, offset_at(10));
    assert_eq!(state.last_sent_offset, None);
    assert!(state.rooms.iter().all(|joined| joined.at == offset_at(10)));
}

#[test]
fn after_a_crash_whoever_had_only_what_was_on_disk_goes_on() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::behind(&hub, 2, 5, &["a"]));
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    let first = batch(10, 12, &[(1, 11, "a")]);
    let (_, event) = hub.pass_event(&first, 0).expect("a member");
    let transport = &*ana.subscriber.transport;
    let mut state = ana.subscriber.state();
    state.send_live(transport, &event, &event.outgoing());
    drop(state);
    hub.finish_batch(first.end());

    let recovered: Arc<[u64]> = [12].into();
    let told = hub.set_back(after_crash(8, true), &recovered, snapshot(20));
    assert!(told.is_empty());
    let state = ana.subscriber.state();
    assert_eq!(state.complete_to_offset, offset_at(12), "as it was");
    assert!(state.rooms[0].has_repeated, "it has had whatever was sent");
    drop(state);
    assert!(ben.subscriber.state().is_behind(), "its replay goes on");
    let (position, number) = hub.position().expect("set back");
    assert_eq!((&*position, number), (&after_crash(8, true), 1));
    let (_, event) = hub
        .pass_event(&batch(8, 20, &[(2, 13, "a")]), 0)
        .expect("members");
    assert!(ana.subscriber.state().awaits(event.number), "not sent yet");
}

#[test]
fn after_a_crash_whoever_may_have_had_what_is_undone_begins_here() {
    let (hub, _behind) = hub_at(10);
    let fakes = [
        Fake::live(&hub, 1),
        Fake::behind(&hub, 2, 5, &["a"]),
        Fake::live(&hub, 3),
    ];
    let in_memory = Arc::new(Offset {
        durable: false,
        ..(*offset_at(10)).clone()
    });
    for fake in &fakes[..2] {
        fake.subscriber.state().complete_to_offset = in_memory.clone();
    }
    // Of the third it is only the room that was joined at what may be undone.
    let joined = Membership::new("a".into(), in_memory);
    hub.restore(&fakes[2].subscriber, vec![joined], Vec::new());
    let told = hub.set_back(after_crash(8, false), &[12].into(), snapshot(20));
    let told: Vec<_> = told
        .into_iter()
        .map(|(who, rooms)| (who.id, rooms))
        .collect();
    assert_eq!(told, [(2, vec!["a".into()])], "who was behind");
    let here = Arc::new(after_crash(8, false));
    for fake in &fakes {
        let state = fake.subscriber.state();
        assert!(state.rooms.iter().all(|joined| joined.has_repeated));
        assert!(!state.is_behind());
        assert_eq!(state.complete_to_offset, here);
        assert_eq!(state.last_sent_offset, None);
        for joined in &state.rooms {
            assert_eq!(
                (&joined.at, &joined.must_be_after),
                (&here, &Some(here.clone()))
            );
        }
    }
}

#[test]
fn a_reload_names_the_affected_rooms_and_counts_them_as_joined_here() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    for room in ["a", "b"] {
        hub.join(&ana.subscriber, &room.into()).expect("joined");
    }
    hub.finish_batch((*offset_at(20)).clone());
    let told = hub.reload(&Affected::Rooms(vec!["b".into(), "c".into()]));
    let mut told: Vec<_> = told
        .into_iter()
        .map(|(who, rooms)| (who.id, rooms))
        .collect();
    told.sort_by_key(|(id, _)| *id);
    assert_eq!(told, [(1, vec![Room::from("b")]), (2, vec![])]);
    let state = ana.subscriber.state();
    let at = |room: &str| state.membership(&room.into()).expect("in it").at.clone();
    assert_eq!((at("a"), at("b")), (offset_at(10), offset_at(20)));
    assert_eq!(state.last_sent_offset, None);
    assert!(ben.subscriber.state().last_sent_offset.is_some());
}

#[test]
fn before_the_first_read_there_is_nobody_to_tell() {
    let (hub, _behind) = Hub::new(3, watch::Sender::default(), revocations(), Metrics::new().0);
    assert_eq!(hub.position(), None);
    assert!(hub.reload(&Affected::All).is_empty());
}
