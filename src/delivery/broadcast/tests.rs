use super::*;
use crate::delivery::fakes::{Fake, batch, hub_at, offset_at};

fn broadcast(hub: &Arc<Hub>) -> Broadcast {
    Broadcast::new(
        hub.clone(),
        RoomNotifier::new(9),
        mpsc::unbounded_channel().0,
    )
}

#[tokio::test]
async fn an_event_goes_to_the_members_of_its_room_with_an_exact_offset() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    hub.join(&ben.subscriber, &"b".into()).expect("joined");
    let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "b"), (3, 13, "a")]);
    broadcast(&hub).deliver(batch.clone()).await;
    assert_eq!(ana.sent_ids(), [1, 3]);
    assert_eq!(ben.sent_ids(), [2]);
    assert_eq!(ana.last_offset(), Some(batch.end().pack()));
    assert_eq!(ben.last_offset(), Some(batch.offset(1).pack()));
}

#[tokio::test]
async fn whoever_is_full_is_behind_and_the_others_are_not_waited_for() {
    let (hub, mut behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    for fake in [&ana, &ben] {
        hub.join(&fake.subscriber, &"a".into()).expect("joined");
    }
    ana.set_capacity(1);
    let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "a"), (3, 13, "a")]);
    broadcast(&hub).deliver(batch).await;
    assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![1], vec![1, 2, 3]));
    let (subscriber, _) = behind.0.try_recv().expect("a replay is asked for");
    assert_eq!(subscriber.id, 1);
    assert!(behind.0.try_recv().is_err(), "once");
}

#[tokio::test]
async fn reload_names_the_affected_rooms_of_each_member() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    for room in ["a", "b"] {
        hub.join(&ana.subscriber, &room.into()).expect("joined");
    }
    let mut broadcast = broadcast(&hub);
    broadcast
        .resync(Affected::Rooms(vec!["b".into()]), "why")
        .await;
    assert_eq!(ana.resyncs(), 1);
    broadcast.resync(Affected::All, "why").await;
    assert_eq!(ana.resyncs(), 3);
}

#[tokio::test]
async fn what_one_gets_of_a_burst_goes_out_in_one_write_also_for_two_rooms() {
    let (hub, _behind) = hub_at(10);
    let fakes = [1, 2, 3].map(|id| Fake::live(&hub, id));
    let [ana, ben, cem] = &fakes;
    for (fake, room) in [(ana, "a"), (ben, "b"), (cem, "a"), (cem, "b")] {
        hub.join(&fake.subscriber, &room.into()).expect("joined");
    }
    let batch = batch(
        10,
        20,
        &[
            (1, 11, "a"),
            (2, 12, "b"),
            (3, 13, "x"),
            (4, 13, "a"),
            (5, 14, "b"),
        ],
    );
    broadcast(&hub).deliver(batch.clone()).await;
    let sent = fakes.each_ref().map(|fake| fake.sent_ids());
    assert_eq!(sent, [vec![1, 4], vec![2, 5], vec![1, 2, 4, 5]]);
    assert_eq!(fakes.each_ref().map(|fake| fake.writes()), [1, 1, 1]);
    let offsets = [3, 4, 4].map(|index| Some(batch.offset(index).pack()));
    assert_eq!(fakes.each_ref().map(|fake| fake.last_offset()), offsets);
    assert_eq!(hub.metrics.deliveries.get(), 8);
}

#[tokio::test]
async fn who_takes_a_part_of_a_burst_is_behind_from_before_the_rest() {
    let (hub, mut behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    ana.set_capacity(2);
    let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "a"), (3, 13, "a")]);
    broadcast(&hub).deliver(batch.clone()).await;
    assert_eq!(ana.sent_ids(), [1, 2]);
    assert_eq!(
        ana.subscriber.state().complete_to_offset.seen,
        batch.offset(1).seen
    );
    assert_eq!(behind.0.try_recv().expect("a replay is asked for").0.id, 1);
}

#[test]
fn the_members_of_a_small_room_do_not_wait_for_a_large_one() {
    let (hub, _behind) = hub_at(10);
    let fakes = [1, 2, 3].map(|id| Fake::live(&hub, id));
    for (fake, room) in fakes.iter().zip(["large", "large", "small"]) {
        hub.join(&fake.subscriber, &room.into()).expect("joined");
    }
    let burst = hub.pass_burst(&batch(10, 20, &[(1, 11, "large"), (2, 12, "small")]), 0);
    let members = burst.rooms.iter().map(|room| room.members.len());
    assert_eq!(members.collect::<Vec<_>>(), [1, 2]);
}

#[tokio::test]
async fn who_joins_or_leaves_amid_a_burst_gets_each_event_once_and_in_order() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    for room in ["a", "b"] {
        hub.join(&ana.subscriber, &room.into()).expect("joined");
    }
    hub.join(&ben.subscriber, &"b".into()).expect("joined");
    let broadcast = broadcast(&hub);
    let batch = batch(
        10,
        20,
        &[(1, 11, "a"), (2, 12, "b"), (3, 13, "a"), (4, 14, "b")],
    );
    let burst = hub.pass_burst(&batch, 0);
    let before = (*offset_at(10)).clone();
    let progress = hub.progress(&ana.subscriber).expect("it is there");
    assert_eq!(*progress.complete_to_offset, before, "nothing is sent yet");
    // It leaves one room and joins another, and has what is left for it of the burst by then.
    hub.leave(&ana.subscriber, &"b".into());
    assert_eq!(ana.sent_ids(), [1, 3]);
    hub.join(&ana.subscriber, &"c".into()).expect("joined");
    hub.join(&ben.subscriber, &"a".into()).expect("joined");
    for room in &burst.rooms {
        for member in room.members.iter() {
            broadcast.send_burst_to_member(member, &burst, room);
        }
    }
    hub.finish_batch(batch.end());
    assert_eq!((ana.sent_ids(), ben.sent_ids()), (vec![1, 3], vec![2, 4]));
    assert_eq!((ana.writes(), ben.writes()), (1, 1));
}
