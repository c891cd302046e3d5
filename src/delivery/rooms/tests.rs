use tokio::sync::watch;

use super::*;
use crate::delivery::batch::Batch;
use crate::delivery::broadcast::Broadcast;
use crate::delivery::broadcast_event::BroadcastEvent;
use crate::delivery::fakes::{Fake, batch, event, hub_at, offset_at, revocations};
use crate::delivery::room_notifier::RoomNotifier;
use crate::metrics::Metrics;

fn join(hub: &Hub, fake: &Fake, room: &str) -> Result<Joined, JoinError> {
    hub.join(&fake.subscriber, &room.into())
}

/// The broadcast passes the first event of a batch, and has sent it to nobody yet.
fn pass(hub: &Hub, batch: &Batch) -> (Members, BroadcastEvent) {
    hub.pass_event(batch, 0).expect("the room has members")
}

/// Now it sends it. Says to how many.
fn send(hub: &Arc<Hub>, (members, event): &(Members, BroadcastEvent)) -> usize {
    let broadcast = Broadcast::new(
        hub.clone(),
        RoomNotifier::new(9),
        tokio::sync::mpsc::unbounded_channel().0,
    );
    let outgoing = event.outgoing();
    let sent = members
        .iter()
        .filter(|member| broadcast.send_to_member(member, event, &outgoing));
    sent.count()
}

fn joined_at(fake: &Fake, room: &str) -> Offset {
    let state = fake.subscriber.state();
    let joined = state.membership(&room.into()).expect("in the room");
    (*joined.at).clone()
}

#[test]
fn whoever_joins_gets_what_comes_after() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    assert_eq!(join(&hub, &ana, "a"), Ok(Joined::Entered));
    let on_its_way = pass(&hub, &batch(10, 20, &[(1, 11, "a")]));
    assert_eq!(join(&hub, &ben, "a"), Ok(Joined::Entered));
    assert_eq!(join(&hub, &ben, "a"), Ok(Joined::Already));
    assert_eq!(send(&hub, &on_its_way), 1);
    assert_eq!(joined_at(&ben, "a"), *on_its_way.1.offset);
    let later = pass(&hub, &batch(20, 30, &[(2, 21, "a")]));
    assert_eq!(send(&hub, &later), 2);
    assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![1, 2], vec![2]));
}

#[test]
fn a_join_sends_what_is_on_its_way_and_the_broadcast_does_not_send_it_again() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    join(&hub, &ana, "a").expect("joined");
    let on_its_way = pass(&hub, &batch(10, 20, &[(1, 11, "a")]));
    join(&hub, &ana, "b").expect("joined");
    assert_eq!(ana.sent_ids(), [1], "before the join's answer");
    assert_eq!(joined_at(&ana, "b"), *on_its_way.1.offset);
    assert_eq!(send(&hub, &on_its_way), 0);
    assert_eq!(ana.sent_ids(), [1]);
}

#[test]
fn a_join_that_can_not_send_what_is_on_its_way_leaves_it_to_a_replay() {
    let (hub, mut behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    join(&hub, &ana, "a").expect("joined");
    ana.set_capacity(0);
    let on_its_way = pass(&hub, &batch(10, 20, &[(1, 11, "a")]));
    assert_eq!(join(&hub, &ana, "b"), Ok(Joined::Entered));
    assert!(behind.0.try_recv().is_ok(), "a replay is asked for");
    assert_eq!(send(&hub, &on_its_way), 0);
    assert!(behind.0.try_recv().is_err(), "once");
    let state = ana.subscriber.state();
    assert_eq!(state.complete_to_offset, on_its_way.1.before);
    assert!(state.wants(&event(1, 11, "a")));
    assert!(!state.wants(&event(1, 11, "b")), "joined after it");
}

#[test]
fn a_join_is_refused_beyond_the_limit_and_before_the_first_read() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    for room in ["a", "b", "c"] {
        assert_eq!(join(&hub, &ana, room), Ok(Joined::Entered));
    }
    let refused = Err(JoinError::TooManyRooms(3));
    assert_eq!(join(&hub, &ana, "d"), refused);
    assert_eq!(join(&hub, &ana, "c"), Ok(Joined::Already));
    let with_offset = hub.try_join_after(&ana.subscriber, &"d".into(), &offset_at(10), None);
    assert_eq!(with_offset.err(), refused.err());
    hub.leave(&ana.subscriber, &"a".into());
    assert_eq!(join(&hub, &ana, "d"), Ok(Joined::Entered));
    assert_eq!(join(&hub, &Fake::live(&hub, 2), "d"), Ok(Joined::Entered));

    let (begun, _behind) = hub_at(10);
    let ben = Fake::live(&begun, 1);
    let (hub, _behind) = Hub::new(3, watch::Sender::default(), revocations(), Metrics::new().0);
    hub.add(&ben.subscriber);
    assert_eq!(join(&hub, &ben, "a"), Err(JoinError::NotStarted));
}

#[test]
fn whoever_is_removed_joins_nothing() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.remove(&ana.subscriber);
    assert_eq!(join(&hub, &ana, "a"), Ok(Joined::Gone));
    let after = hub.try_join_after(&ana.subscriber, &"a".into(), &offset_at(10), None);
    assert!(matches!(after, Ok(JoinProgress::Gone)));
    hub.restore(
        &ana.subscriber,
        vec![Membership::new("a".into(), offset_at(10))],
        Vec::new(),
    );
    assert!(hub.state().rooms.is_empty());
}

#[test]
fn whoever_leaves_gets_nothing_more_of_the_room() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    for fake in [&ana, &ben] {
        join(&hub, fake, "a").expect("joined");
    }
    let on_its_way = pass(&hub, &batch(10, 20, &[(1, 11, "a")]));
    assert!(hub.leave(&ana.subscriber, &"a".into()));
    assert!(!hub.leave(&ana.subscriber, &"a".into()), "not in it");
    assert_eq!(send(&hub, &on_its_way), 1);
    let later = pass(&hub, &batch(20, 30, &[(2, 21, "a")]));
    assert_eq!((later.0.len(), send(&hub, &later)), (1, 1));
    assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![], vec![1, 2]));
    hub.leave(&ben.subscriber, &"a".into());
    assert!(hub.state().rooms.is_empty(), "an empty room is forgotten");
}

#[test]
fn a_leave_sends_what_is_on_its_way_of_another_room() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    for room in ["a", "b"] {
        join(&hub, &ana, room).expect("joined");
    }
    let on_its_way = pass(&hub, &batch(10, 20, &[(1, 11, "a")]));
    hub.leave(&ana.subscriber, &"b".into());
    assert_eq!(ana.sent_ids(), [1]);
    assert_eq!(send(&hub, &on_its_way), 0);
}

/// What a join with an offset comes to, of a client that has what every transaction below `have` wrote in the room.
fn join_after(hub: &Hub, fake: &Fake, have: u64) -> JoinProgress {
    hub.try_join_after(&fake.subscriber, &"r".into(), &offset_at(have), None)
        .expect("no limit")
}

#[test]
fn a_join_with_an_offset_enters_once_nothing_is_missing() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.pass_event(&batch(10, 20, &[(1, 11, "r")]), 0);
    hub.pass_event(&batch(10, 20, &[(2, 12, "other")]), 0);
    let JoinProgress::Replay(step) = join_after(&hub, &ana, 10) else {
        panic!("an event is missing");
    };
    let events = step.events.expect("it is at hand");
    assert_eq!(events.len(), 1, "of this room alone");
    assert_eq!(events[0].id, 1);
    assert!(!ana.subscriber.is_in(&"r".into()), "not yet");
    assert!(matches!(
        join_after(&hub, &ana, 21),
        JoinProgress::WaitForBroadcast
    ));
    hub.finish_batch((*offset_at(20)).clone());
    assert!(matches!(join_after(&hub, &ana, 20), JoinProgress::Entered));
    assert_eq!(joined_at(&ana, "r"), *offset_at(20));
    for (have, missed_nothing) in [(20, true), (19, false)] {
        let JoinProgress::Already { missed_nothing: is } = join_after(&hub, &ana, have) else {
            panic!("it is in the room");
        };
        assert_eq!(is, missed_nothing, "{have}");
    }
}

#[test]
fn a_join_with_an_offset_of_another_database_is_lost() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    let mut foreign = (*offset_at(10)).clone();
    foreign.epoch.value = !foreign.epoch.value;
    let lost = hub.try_join_after(&ana.subscriber, &"r".into(), &foreign, None);
    assert!(matches!(lost, Ok(JoinProgress::Lost)));
    assert!(!ana.subscriber.is_in(&"r".into()));
}

#[test]
fn whoever_is_behind_joins_with_an_offset_later() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 5, &["a"]);
    assert!(matches!(join_after(&hub, &ana, 10), JoinProgress::Behind));
    assert!(!ana.subscriber.is_in(&"r".into()));
}

#[test]
fn a_room_that_was_replayed_is_joined_at_the_last_event_of_the_replay() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    let replayed = offset_at(15);
    let joined = hub.try_join_after(
        &ana.subscriber,
        &"r".into(),
        &offset_at(20),
        Some(&replayed),
    );
    assert!(matches!(joined, Ok(JoinProgress::Entered)));
    let state = ana.subscriber.state();
    let joined = state.membership(&"r".into()).expect("in the room");
    assert_eq!(joined.at, replayed);
    assert_eq!(joined.must_be_after, Some(offset_at(20)));
}

#[test]
fn until_a_join_that_left_something_out_is_answered_no_offset_can_be_come_back_with() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    let joined = hub.join_unproven(&ana.subscriber, &"a".into());
    assert_eq!(joined, Ok(Joined::Entered));
    let stored = hub.rooms_and_progress(&ana.subscriber).expect("connected");
    assert_eq!(stored.0[0].must_be_after, Some(offset_at(10)));
    assert_eq!(stored.1.last_sent_offset, None, "it was sent before");
    assert_eq!(send(&hub, &pass(&hub, &batch(10, 20, &[(1, 11, "a")]))), 1);
    assert_eq!(ana.subscriber.state().last_sent_offset, None);
    hub.finish_batch((*offset_at(20)).clone());

    let mut told = false;
    ana.subscriber.with_join_offset(
        &"a".into(),
        true,
        ana.subscriber.join_begun(),
        |_, reload| told = reload,
    );
    assert!(told);
    assert_eq!(send(&hub, &pass(&hub, &batch(20, 30, &[(2, 21, "a")]))), 1);
    assert!(ana.subscriber.state().last_sent_offset.is_some());
}

#[test]
fn until_a_reload_is_told_no_offset_can_be_come_back_with() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 5, &["a"]);
    let generation = ana.subscriber.state().replay_generation().expect("behind");
    let rooms = hub.give_up_replay(&ana.subscriber, generation);
    // The broadcast is faster than the telling.
    assert_eq!(send(&hub, &pass(&hub, &batch(10, 20, &[(1, 11, "a")]))), 1);
    assert_eq!(ana.subscriber.state().last_sent_offset, None);
    hub.finish_batch((*offset_at(20)).clone());
    hub.send_resyncs(&ana.subscriber, &rooms, "a test");
    assert_eq!(send(&hub, &pass(&hub, &batch(20, 30, &[(2, 21, "a")]))), 1);
    assert!(ana.subscriber.state().last_sent_offset.is_some());
}
