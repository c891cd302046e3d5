use tokio::sync::mpsc;

use super::*;
use crate::delivery::batch::Batch;
use crate::delivery::broadcast::{Broadcast, EndedRights};
use crate::delivery::fakes::{Fake, batch, hub_at, offset_at, replay_page};
use crate::delivery::membership::Membership;
use crate::delivery::replay::{JoinReplay, JoinReplayOutcome, ReplayWalk as _, WalkStep};
use crate::delivery::room_notifier::RoomNotifier;
use crate::delivery::rooms::Joined;
use crate::delivery::sink::EventSink as _;
use crate::delivery::subscriber::DeliveryState;
use crate::event::{Event, left, name};
use serde_json::value::RawValue;
use std::time::{SystemTime, UNIX_EPOCH};

fn now() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("after 1970").as_secs().cast_signed()
}

/// A client with a token of `subject`, issued so many seconds after the moment of the revocations.
fn client(hub: &Hub, id: u64, subject: &str, issued: i64) -> Fake {
    let (position, number) = hub.position().expect("the hub has begun");
    let bearer = hub.revocations.bearer(None, subject, Some(now() + issued));
    Fake::new(
        hub,
        id,
        DeliveryState::live(position, number).of(Some(bearer)),
    )
}

fn join(hub: &Hub, fake: &Fake, room: &str) -> Result<Joined, JoinError> {
    hub.join(&fake.subscriber, &room.into())
}

/// What `rowcast.revoke` wrote, as the broadcast comes to it.
fn revoked(batch: &mut Batch, index: usize, subject: &str, room: Option<&str>) {
    let payload = serde_json::json!({ "subject": subject, "issuer": null, "room": room, "at": now(), "reason": "moved" });
    let earlier = &batch.events[index].event;
    let payload = RawValue::from_string(payload.to_string()).expect("JSON");
    batch.events[index].event = Arc::new(Event {
        id: earlier.id,
        xid: earlier.xid,
        room: Room::of_revocations(),
        name: "revoked".into(),
        payload,
        at_us: 0,
        age: std::time::Duration::ZERO,
        traceparent: None,
    });
}

fn broadcast(hub: &Arc<Hub>) -> (Broadcast, mpsc::UnboundedReceiver<EndedRights>) {
    let (ended, ends) = mpsc::unbounded_channel();
    (
        Broadcast::new(hub.clone(), RoomNotifier::new(9), ended),
        ends,
    )
}

#[tokio::test]
async fn a_room_that_is_closed_is_left_before_the_next_event_and_others_stay() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (client(&hub, 1, "ana", -9), client(&hub, 2, "ben", -9));
    let later = client(&hub, 3, "ana", 9);
    for fake in [&ana, &ben, &later] {
        join(&hub, fake, "a:1").expect("joined");
    }
    join(&hub, &ana, "b:1").expect("joined");
    let (mut broadcast, mut ends) = broadcast(&hub);
    // The event before it may have been committed later.
    let mut batch = batch(
        10,
        20,
        &[(1, 12, "a:1"), (2, 11, "x"), (3, 13, "a:1"), (4, 14, "b:1")],
    );
    revoked(&mut batch, 1, "ana", Some("a:1"));
    broadcast.deliver(batch).await;
    assert_eq!(ana.sent_ids(), [4]);
    assert_eq!(ana.sent_names(), ["rowcast:left"]);
    assert_eq!(ben.sent_ids(), [1, 3]);
    assert_eq!(later.sent_ids(), [1, 3], "its token is a later one");
    let ended = ends.try_recv().expect("stored sessions are looked after");
    assert_eq!(ended.subject.as_deref(), Some("ana"));
    assert_eq!(ended.left.len(), 1);
    assert_eq!(join(&hub, &ana, "a:1"), Err(JoinError::Revoked));
}

#[tokio::test]
async fn who_may_nothing_any_more_is_cut_and_not_taken_in_again() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (client(&hub, 1, "ana", -9), client(&hub, 2, "ben", -9));
    for fake in [&ana, &ben] {
        join(&hub, fake, "a:1").expect("joined");
    }
    let (mut broadcast, _ends) = broadcast(&hub);
    let mut batch = batch(10, 20, &[(1, 11, "x"), (2, 12, "a:1")]);
    revoked(&mut batch, 0, "ana", None);
    broadcast.deliver(batch).await;
    assert!(ana.subscriber.transport.is_closed() && !ben.subscriber.transport.is_closed());
    assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![], vec![2]));
    let again = client(&hub, 3, "ana", -9);
    assert_eq!(
        join(&hub, &again, "a:1"),
        Ok(Joined::Gone),
        "it came in between"
    );
    let with_a_new_token = client(&hub, 4, "ana", 9);
    assert_eq!(join(&hub, &with_a_new_token, "a:1"), Ok(Joined::Entered));
    for fake in [&ana, &ben, &with_a_new_token] {
        hub.remove(&fake.subscriber);
    }
    assert!(hub.state().by_subject.is_empty());
}

#[test]
fn a_replay_on_the_way_into_a_room_ends_with_the_right() {
    for at_hand in [true, false] {
        let (hub, _behind) = hub_at(if at_hand { 10 } else { 20 });
        let ana = client(&hub, 1, "ana", -9);
        if at_hand {
            let missed = batch(10, 20, &[(1, 11, "a:1"), (2, 12, "a:1"), (3, 13, "a:1")]);
            crate::delivery::fakes::pass_batch(&hub, &missed);
        }
        let have = offset_at(10);
        let mut walk = JoinReplay::new(hub.clone(), ana.subscriber.clone(), "a:1".into(), &have);
        let first = walk.advance();
        if let WalkStep::NeedsPage(_) = first {
            let events = [(1, 11, "a:1"), (2, 12, "a:1"), (3, 13, "a:1")];
            assert!(walk.take_page(&replay_page(20, &events, None)).is_none());
        }
        ana.set_capacity(1);
        walk.advance();
        assert_eq!(ana.sent_ids(), [1]);
        ana.set_capacity(9);
        let revocation = Revocation {
            subject: "ana".to_owned(),
            issuer: None,
            room: Some("a:1".to_owned()),
            at: now(),
            reason: None,
        };
        assert!(hub.revoke(&revocation).is_empty(), "it is in no room");
        let outcome = loop {
            if let WalkStep::Done(outcome) = walk.advance() {
                break outcome;
            }
        };
        assert_eq!(outcome, Err(JoinError::Revoked));
        assert_eq!(ana.sent_ids(), [1]);
    }
}

#[test]
fn a_replay_whose_right_stands_goes_on_when_another_has_ended() {
    let (hub, _behind) = hub_at(10);
    let ana = client(&hub, 1, "ana", -9);
    let missed = batch(10, 20, &[(1, 11, "a:1"), (2, 12, "a:1")]);
    crate::delivery::fakes::pass_batch(&hub, &missed);
    let have = offset_at(10);
    let mut walk = JoinReplay::new(hub, ana.subscriber.clone(), "a:1".into(), &have);
    walk.advance();
    ana.set_capacity(1);
    walk.advance();
    assert_eq!(ana.sent_ids(), [1]);
    ana.set_capacity(9);
    ana.subscriber.state().access.renew();
    let outcome = loop {
        if let WalkStep::Done(outcome) = walk.advance() {
            break outcome;
        }
    };
    assert_eq!(outcome, Ok(JoinReplayOutcome::Entered { replayed: 2 }));
    assert_eq!(ana.sent_ids(), [1, 2]);
}

#[test]
fn a_session_that_was_read_before_the_revocation_is_not_restored_with_its_room() {
    let (hub, _behind) = hub_at(10);
    let ana = client(&hub, 1, "ana", -9);
    let revocation = |room: &str| Revocation {
        subject: "ana".to_owned(),
        issuer: None,
        room: Some(room.to_owned()),
        at: now(),
        reason: None,
    };
    hub.revoke_all(&[revocation("a:1"), revocation("c:1")]);
    let joined = |room: &str| Membership::new(room.into(), offset_at(5));
    let rooms = vec![joined("a:1"), joined("b:1")];
    assert!(hub.restore(&ana.subscriber, rooms, Vec::new()));
    assert!(ana.subscriber.is_in(&"b:1".into()) && !ana.subscriber.is_in(&"a:1".into()));
}

#[test]
fn whoever_comes_back_to_fewer_rooms_proves_that_it_heard_so() {
    let (hub, _behind) = hub_at(10);
    let ana = client(&hub, 1, "ana", -9);
    let b = Membership::new("b:1".into(), offset_at(5));
    let left = vec![("a:1".into(), left::FORBIDDEN)];
    assert!(hub.restore(&ana.subscriber, vec![b], left));
    assert_eq!(ana.sent_names(), [name::LEFT]);
    let (rooms, progress) = hub.rooms_and_progress(&ana.subscriber).expect("connected");
    assert_eq!(rooms[0].must_be_after, Some(offset_at(10)));
    assert_eq!(progress.last_sent_offset, None);
    assert!(ana.subscriber.was_taken_out());
}

#[test]
fn what_another_server_sent_proves_nothing_of_what_this_one_says() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 20, &["a:1", "b:1"]);
    assert!(hub.put_out(&ana.subscriber, &"a:1".into(), left::FORBIDDEN));
    let (rooms, _) = hub.rooms_and_progress(&ana.subscriber).expect("connected");
    assert_eq!(rooms[0].must_be_after, Some(offset_at(20)));
}

#[test]
fn a_join_is_not_answered_whose_room_was_closed_meanwhile() {
    let (hub, _behind) = hub_at(10);
    let ana = client(&hub, 1, "ana", -9);
    let begun = ana.subscriber.join_begun();
    join(&hub, &ana, "a:1").expect("joined");
    let room = Room::from("a:1");
    let answers = |begun| {
        let mut called = false;
        let answered = ana
            .subscriber
            .with_join_offset(&room, false, begun, |_, _| called = true);
        assert_eq!(answered, called);
        called
    };
    assert!(answers(begun));
    hub.put_out(&ana.subscriber, &room, "moved");
    assert!(!answers(begun));
    let begun = ana.subscriber.join_begun();
    join(&hub, &ana, "a:1").expect("joined");
    hub.leave(&ana.subscriber, &room);
    assert!(answers(begun), "it left by itself");
}
