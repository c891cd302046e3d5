use super::*;
use crate::delivery::fakes::{Fake, batch, hub_at, offset_at, pass_batch, replay_page, snapshot};

/// A join of the room by a client that has what every transaction below `have` wrote there.
fn join(hub: &Arc<Hub>, fake: &Fake, have: u64) -> JoinReplay {
    let (subscriber, have) = (fake.subscriber.clone(), offset_at(have));
    JoinReplay::new(hub.clone(), subscriber, "r".into(), &have)
}

/// Advances until something is needed, or it is over.
fn advance(walk: &mut JoinReplay) -> WalkStep<Outcome> {
    loop {
        match walk.advance() {
            WalkStep::Sent | WalkStep::SentMany => {}
            other => return other,
        }
    }
}

fn outcome(walk: &mut JoinReplay) -> Outcome {
    match advance(walk) {
        WalkStep::Done(outcome) => outcome,
        other => panic!("it is not over: {other:?}"),
    }
}

/// The offset that the client comes back with.
fn last_offset(fake: &Fake) -> Offset {
    let text = fake.last_offset().expect("it was sent something");
    Offset::unpack(&text, offset_at(10).epoch.value).expect("ours")
}

#[test]
fn what_is_missing_is_sent_before_the_room_is_entered() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    pass_batch(
        &hub,
        &batch(10, 20, &[(1, 11, "r"), (2, 12, "x"), (3, 13, "r")]),
    );
    let mut walk = join(&hub, &ana, 10);
    let replayed = JoinReplayOutcome::Entered { replayed: 2 };
    assert_eq!(outcome(&mut walk), Ok(replayed));
    assert_eq!(ana.sent_ids(), [1, 3]);
    assert!(ana.subscriber.is_in(&"r".into()));
    let after = last_offset(&ana);
    assert_eq!(*after.seen_in(&"r".into()), offset_at(20).seen);
    assert_eq!(after.seen, offset_at(10).seen, "of its other rooms");
    let again = outcome(&mut join(&hub, &ana, 20));
    assert_eq!(again, Ok(JoinReplayOutcome::Already));
    let missed = outcome(&mut join(&hub, &ana, 12));
    assert_eq!(missed, Ok(JoinReplayOutcome::Lost), "it can't come after");
}

#[test]
fn an_offset_says_how_far_the_other_rooms_have_gone_on() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.join(&ana.subscriber, &"other".into()).expect("joined");
    let first = batch(10, 20, &[(1, 11, "r"), (2, 12, "r")]);
    pass_batch(&hub, &first);
    ana.set_capacity(1);
    let mut walk = join(&hub, &ana, 10);
    assert!(matches!(advance(&mut walk), WalkStep::Backlogged { .. }));
    ana.set_capacity(2);
    let second = batch(20, 30, &[(3, 21, "other")]);
    let (_, event) = hub.pass_event(&second, 0).expect("a member");
    let transport = &*ana.subscriber.transport;
    let mut state = ana.subscriber.state();
    state.send_live(transport, &event, &event.outgoing());
    drop(state);
    hub.finish_batch(second.end());
    ana.set_capacity(9);
    let replayed = JoinReplayOutcome::Entered { replayed: 2 };
    assert_eq!(outcome(&mut walk), Ok(replayed));
    assert_eq!(ana.sent_ids(), [1, 3, 2]);
    let after = last_offset(&ana);
    assert_eq!(after.seen, second.end().seen);
    assert_eq!(*after.seen_in(&"r".into()), first.end().seen);
}

#[test]
fn what_is_older_is_read_of_the_room_alone() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    let mut walk = join(&hub, &ana, 10);
    let WalkStep::NeedsPage(ranges) = advance(&mut walk) else {
        panic!("it is not at hand");
    };
    let rooms: Vec<_> = ranges.iter().map(|range| range.room.as_str()).collect();
    assert_eq!(rooms, ["r", "rowcast:reloads"]);
    let page = replay_page(30, &[(1, 11, "r"), (2, 12, "x"), (3, 25, "r")], None);
    assert!(walk.take_page(&page).is_none());
    let replayed = JoinReplayOutcome::Entered { replayed: 1 };
    assert_eq!(outcome(&mut walk), Ok(replayed));
    assert_eq!(ana.sent_ids(), [1]);
}

#[test]
fn what_can_not_be_told_any_more_is_lost_and_nothing_is_entered() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    let mut walk = join(&hub, &ana, 10);
    advance(&mut walk);
    let mut page = replay_page(30, &[(1, 11, "r")], None);
    page.state.pruned = Some(snapshot(15));
    let lost = Some(Ok(JoinReplayOutcome::Lost));
    assert_eq!(walk.take_page(&page), lost);
    assert!(ana.sent_ids().is_empty() && !ana.subscriber.is_in(&"r".into()));
}

#[test]
fn an_offset_is_not_lost_because_its_client_has_to_wait() {
    let (hub, _behind) = hub_at(20);
    let ana = Fake::live(&hub, 1);
    let mut walk = join(&hub, &ana, 30);
    assert!(matches!(advance(&mut walk), WalkStep::WaitForBroadcast));
    let lost = Ok(JoinReplayOutcome::Lost);
    assert_eq!(walk.stays_ahead(), lost, "nobody has seen what it has");
    // What the broadcast comes to again after a crash is told to those who were there.
    hub.set_back((*offset_at(20)).clone(), &[].into(), snapshot(25));
    let mut walk = join(&hub, &ana, 20);
    assert!(matches!(advance(&mut walk), WalkStep::WaitForBroadcast));
    assert_eq!(walk.stays_ahead(), Err(JoinError::StillWaiting));
}

#[test]
fn whoever_goes_meanwhile_is_gone() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    pass_batch(&hub, &batch(10, 20, &[(1, 11, "r")]));
    ana.subscriber.transport.close();
    let gone = Ok(JoinReplayOutcome::Gone);
    assert_eq!(outcome(&mut join(&hub, &ana, 10)), gone);
    hub.remove(&ben.subscriber);
    assert_eq!(outcome(&mut join(&hub, &ben, 10)), gone);
}
