use super::*;
use crate::delivery::fakes::{Fake, batch, hub_at, offset_at, pass_batch, replay_page, snapshot};
use crate::event::Room;

fn catch_up(hub: &Arc<Hub>, fake: &Fake) -> CatchUp {
    let generation = fake.subscriber.state().replay_generation();
    let generation = generation.expect("behind");
    CatchUp::new(hub.clone(), fake.subscriber.clone(), generation)
}

/// Advances until something is needed, or it is over.
fn advance(walk: &mut CatchUp) -> WalkStep<()> {
    loop {
        match walk.advance() {
            WalkStep::Sent | WalkStep::SentMany => {}
            other => return other,
        }
    }
}

#[test]
fn what_is_at_hand_is_sent_and_the_subscriber_is_live() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 10, &["a"]);
    let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "b"), (3, 13, "a")]);
    pass_batch(&hub, &batch);
    assert!(matches!(
        advance(&mut catch_up(&hub, &ana)),
        WalkStep::Done(())
    ));
    assert_eq!(ana.sent_ids(), [1, 3]);
    assert_eq!(ana.last_offset(), Some(batch.end().pack()));
    assert!(!ana.subscriber.state().is_behind());
    assert_eq!(hub.metrics.replayed.get(), 2);
}

#[test]
fn what_is_older_is_read_of_the_subscribers_rooms_page_by_page() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::behind(&hub, 1, 10, &["a", "b"]);
    let mut walk = catch_up(&hub, &ana);
    let mut read = |after, events: &[(i64, u64, &str)], upto| {
        let WalkStep::NeedsPage(ranges) = advance(&mut walk) else {
            panic!("there is more to read");
        };
        let rooms: Vec<_> = ranges.iter().map(|range| range.room.as_str()).collect();
        assert_eq!(rooms, ["a", "b", "rowcast:reloads"]);
        for range in &ranges {
            assert_eq!(range.after, after);
            assert_eq!(range.batch, Some(snapshot(20)));
        }
        assert!(walk.take_page(&replay_page(30, events, upto)).is_none());
    };
    read(i64::MIN, &[(1, 11, "a"), (2, 12, "c")], Some(2));
    // Others share this page: 4 is of nobody's room here, 5 is of a later read.
    read(2, &[(3, 13, "b"), (4, 14, "c"), (5, 25, "a")], None);
    assert!(matches!(advance(&mut walk), WalkStep::Done(())));
    assert_eq!(ana.sent_ids(), [1, 3]);
    assert_eq!(ana.last_offset(), Some(offset_at(20).pack()));
}

#[test]
fn it_pauses_while_much_waits_for_the_client() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 10, &["a"]);
    pass_batch(&hub, &batch(10, 20, &[(1, 11, "a"), (2, 12, "a")]));
    ana.set_capacity(1);
    let mut walk = catch_up(&hub, &ana);
    for _ in 0..2 {
        let paused = advance(&mut walk);
        assert!(matches!(paused, WalkStep::Backlogged { .. }));
    }
    assert_eq!(ana.sent_ids(), [1]);
    ana.set_capacity(2);
    assert!(matches!(advance(&mut walk), WalkStep::Done(())));
    assert_eq!(ana.sent_ids(), [1, 2]);
}

#[test]
fn a_room_that_was_left_meanwhile_is_left_out() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 10, &["a", "b"]);
    pass_batch(
        &hub,
        &batch(10, 20, &[(1, 11, "a"), (2, 12, "a"), (3, 13, "b")]),
    );
    ana.set_capacity(1);
    let mut walk = catch_up(&hub, &ana);
    advance(&mut walk);
    hub.leave(&ana.subscriber, &"a".into());
    ana.set_capacity(9);
    assert!(matches!(advance(&mut walk), WalkStep::Done(())));
    assert_eq!(ana.sent_ids(), [1, 3]);
}

#[test]
fn a_replay_of_an_earlier_time_sends_nothing_more() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 10, &["a"]);
    pass_batch(&hub, &batch(10, 20, &[(1, 11, "a"), (2, 12, "a")]));
    ana.set_capacity(1);
    let mut walk = catch_up(&hub, &ana);
    advance(&mut walk);
    ana.subscriber.state().become_live(offset_at(20), 2);
    ana.set_capacity(9);
    assert!(matches!(advance(&mut walk), WalkStep::Done(())));
    assert_eq!(ana.sent_ids(), [1]);
}

#[test]
fn what_can_not_be_told_any_more_is_to_be_reloaded() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::behind(&hub, 1, 10, &["a", "b"]);
    let mut walk = catch_up(&hub, &ana);
    advance(&mut walk);
    let mut page = replay_page(30, &[(1, 11, "a")], None);
    page.state.pruned = Some(snapshot(15));
    assert!(walk.take_page(&page).is_some());
    assert_eq!((ana.sent_ids(), ana.resyncs()), (vec![], 2));
    assert!(!ana.subscriber.state().is_behind());
}

#[test]
fn what_was_pruned_before_the_rooms_were_joined_is_not_missed() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::behind(&hub, 1, 10, &[]);
    hub.join(&ana.subscriber, &Room::from("a")).expect("joined");
    let mut walk = catch_up(&hub, &ana);
    advance(&mut walk);
    let mut page = replay_page(30, &[(1, 11, "a")], None);
    page.state.pruned = Some(snapshot(15));
    assert!(walk.take_page(&page).is_none());
    assert!(matches!(advance(&mut walk), WalkStep::Done(())));
    assert_eq!((ana.sent_ids(), ana.resyncs()), (vec![], 0));
}

#[test]
fn whoever_stays_ahead_of_the_broadcast_reloads() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 15, &["a"]);
    let mut walk = catch_up(&hub, &ana);
    assert!(matches!(advance(&mut walk), WalkStep::WaitForBroadcast));
    walk.stays_ahead();
    assert_eq!(ana.resyncs(), 1);
    assert!(!ana.subscriber.state().is_behind());
}
