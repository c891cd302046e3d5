use super::*;
use crate::delivery::access::JoinBegun;
use crate::delivery::fakes::{FakeTransport, Received, broadcast_event, event, offset_at};
use crate::delivery::subscriber_transport::SendOutcome;
use crate::offset::Seen;

/// A live subscriber at the broadcast's event 0, with these rooms.
fn live(rooms: &[&str]) -> (FakeTransport, DeliveryState) {
    let mut state = DeliveryState::live(offset_at(10), 0);
    let joined = |room: &&str| Membership::new(Room::from(*room), offset_at(10));
    state.rooms = rooms.iter().map(joined).collect();
    (FakeTransport::default(), state)
}

fn send(
    state: &mut DeliveryState,
    transport: &FakeTransport,
    event: &BroadcastEvent,
) -> Option<SendOutcome> {
    state.send_live(transport, event, &event.outgoing())
}

#[test]
fn an_event_of_the_broadcast_is_sent_once() {
    let (transport, mut state) = live(&["r"]);
    let [first, second] = [1, 2].map(|n: i64| broadcast_event(n, 15, 20, n.unsigned_abs()));
    assert!(state.awaits(1));
    assert_eq!(
        send(&mut state, &transport, &first),
        Some(SendOutcome::Sent)
    );
    assert_eq!(send(&mut state, &transport, &first), None, "sent before");
    assert!(!state.awaits(1) && state.awaits(2));
    assert_eq!(state.complete_to_offset, first.offset);
    assert_eq!(state.last_sent_offset.as_ref(), Some(&first.offset));
    assert_eq!(
        send(&mut state, &transport, &second),
        Some(SendOutcome::Sent)
    );
    let sent = [&first, &second].map(|sent| Received::Stored(sent.event.id, sent.offset.pack()));
    assert_eq!(transport.received(), sent);
}

#[test]
fn whoever_can_not_take_an_event_is_behind_from_before_it() {
    let (transport, mut state) = live(&["r"]);
    transport.close();
    let second = broadcast_event(2, 15, 20, 2);
    assert_eq!(
        send(&mut state, &transport, &second),
        Some(SendOutcome::Closed)
    );
    assert!(state.is_behind());
    assert_eq!(
        state.complete_to_offset, second.before,
        "it had all up to there"
    );
    assert_eq!(state.last_sent_offset, Some(offset_at(10)));
    let third = broadcast_event(3, 15, 20, 3);
    assert_eq!(send(&mut state, &transport, &third), None, "the replay's");
}

#[test]
fn each_time_of_being_behind_has_a_replay_of_its_own() {
    let (transport, mut state) = live(&["r"]);
    assert_eq!(state.replay_generation(), None);
    transport.close();
    send(&mut state, &transport, &broadcast_event(1, 15, 20, 1));
    let first = state.replay_generation().expect("behind");
    state.become_live(offset_at(20), 1);
    assert_eq!(state.replay_generation(), None);
    send(&mut state, &transport, &broadcast_event(2, 25, 30, 2));
    let second = state.replay_generation().expect("behind again");
    assert_ne!(first, second);
}

#[test]
fn whoever_has_more_than_the_broadcast_keeps_it_when_it_falls_behind() {
    let (transport, mut state) = live(&["r"]);
    state.complete_to_offset = offset_at(30);
    transport.close();
    send(&mut state, &transport, &broadcast_event(1, 15, 20, 1));
    assert!(state.is_behind());
    assert_eq!(state.complete_to_offset, offset_at(30));
}

#[test]
fn a_replay_wants_what_came_after_the_join() {
    let (_, state) = live(&["r"]);
    assert!(state.wants(&event(1, 10, "r")));
    assert!(!state.wants(&event(1, 9, "r")), "had when it joined");
    assert!(!state.wants(&event(1, 10, "other")));
}

#[test]
fn a_reloaded_room_counts_as_joined_here() {
    let (_, mut state) = live(&["a", "b"]);
    let here = offset_at(20);
    assert!(state.mark_reloaded(&here, |_| false).is_empty());
    assert_eq!(
        state.last_sent_offset,
        Some(offset_at(10)),
        "nothing was told"
    );
    let named = state.mark_reloaded(&here, |room| room.as_str() == "b");
    assert_eq!(named, [Room::from("b")]);
    assert_eq!(state.last_sent_offset, None);
    let [a, b] = &state.rooms[..] else {
        panic!("two rooms");
    };
    assert_eq!((&a.at, &a.must_be_after), (&offset_at(10), &None));
    assert_eq!((&b.at, &b.must_be_after), (&here, &Some(here.clone())));
}

#[test]
fn a_join_is_answered_with_the_later_of_the_join_and_what_was_sent() {
    let (_, state) = live(&["r"]);
    let subscriber = Subscriber::new(1, Arc::new(FakeTransport::default()), state);
    let answered = |room: &str| {
        let mut answer = None;
        subscriber.with_join_offset(&room.into(), false, JoinBegun::default(), |offset, _| {
            answer = Some(offset.seen.clone());
        });
        answer.expect("it is called")
    };
    let all = |xmax| Seen::clone(&offset_at(xmax).seen);
    subscriber.state().rooms[0].at = offset_at(20);
    assert_eq!(answered("r"), all(20), "joined ahead of what was sent");
    subscriber.state().complete_to_offset = offset_at(30);
    assert_eq!(answered("r"), all(30), "sent more since");
    assert_eq!(answered("left"), all(30), "not in the room any more");
}
