use super::*;
use crate::delivery::fakes::{Fake, batch, hub_at, offset_at, revocations};
use crate::delivery::subscriber::DeliveryState;
use crate::offset::Offset;

/// Of a subscriber of the hub: the last offset that it was sent, and up to where that is complete.
fn progress(hub: &Hub, fake: &Fake) -> (Option<Offset>, Offset) {
    let progress = hub.progress(&fake.subscriber).expect("it is there");
    let last = progress.last_sent_offset.map(|last| (*last).clone());
    (last, (*progress.complete_to_offset).clone())
}

#[test]
fn a_live_subscriber_is_where_the_broadcast_is() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    let begun = (*offset_at(10)).clone();
    assert_eq!(progress(&hub, &ana), (Some(begun.clone()), begun.clone()));
    let batch = batch(10, 20, &[(1, 11, "b"), (2, 12, "b")]);
    hub.pass_event(&batch, 0);
    let passed = batch.offset(0);
    assert_eq!(progress(&hub, &ana), (Some(begun.clone()), passed));
    hub.pass_event(&batch, 1);
    hub.finish_batch(batch.end());
    assert_eq!(progress(&hub, &ana), (Some(begun), batch.end()));
}

#[test]
fn an_event_on_its_way_counts_once_it_is_sent() {
    let (hub, _behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::live(&hub, 2));
    for fake in [&ana, &ben] {
        hub.join(&fake.subscriber, &"a".into()).expect("joined");
    }
    let batch = batch(10, 20, &[(1, 11, "a"), (2, 12, "a")]);
    let (_, event) = hub.pass_event(&batch, 0).expect("members");
    let begun = (*offset_at(10)).clone();
    let transport = &*ana.subscriber.transport;
    let mut state = ana.subscriber.state();
    state.send_live(transport, &event, &event.outgoing());
    drop(state);
    let sent = batch.offset(0);
    assert_eq!(progress(&hub, &ana), (Some(sent.clone()), sent));
    assert_eq!(progress(&hub, &ben), (Some(begun.clone()), begun));
}

#[test]
fn a_subscriber_that_is_behind_is_where_its_replay_is() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::behind(&hub, 1, 5, &["a"]);
    let begun = (*offset_at(5)).clone();
    assert_eq!(progress(&hub, &ana), (Some(begun.clone()), begun));
    let (rooms, _) = hub.rooms_and_progress(&ana.subscriber).expect("there");
    assert_eq!(rooms.len(), 1);
}

#[test]
fn before_the_first_read_a_subscriber_is_where_it_was() {
    let (hub, _behind) = Hub::new(3, watch::Sender::default(), revocations(), Metrics::new().0);
    let ana = Fake::new(&hub, 1, DeliveryState::live(offset_at(10), 0));
    let begun = (*offset_at(10)).clone();
    assert_eq!(progress(&hub, &ana), (Some(begun.clone()), begun));
}

#[test]
fn whoever_is_removed_is_in_no_room_and_known_no_more() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    assert!(hub.remove(&ana.subscriber).is_some());
    assert!(hub.remove(&ana.subscriber).is_none());
    assert!(hub.progress(&ana.subscriber).is_none());
    assert!(hub.rooms_and_progress(&ana.subscriber).is_none());
    assert!(!ana.subscriber.is_in(&"a".into()));
    assert!(hub.state().rooms.is_empty());
    let batch = batch(10, 20, &[(1, 11, "a")]);
    assert!(hub.pass_event(&batch, 0).is_none());
}

#[test]
fn whoever_has_no_room_for_a_transient_event_is_cut_once() {
    let (hub, _behind) = hub_at(10);
    let ana = Fake::live(&hub, 1);
    ana.set_capacity(1);
    for _ in 0..3 {
        hub.send(&ana.subscriber, &Outgoing::transient("t", &()));
    }
    assert_eq!(ana.sent_names(), ["t"]);
    assert!(ana.subscriber.transport.is_closed());
    assert_eq!(hub.metrics.slow_consumers.get(), 1);
}

#[test]
fn a_replay_is_started_for_whoever_is_behind_alone() {
    let (hub, mut behind) = hub_at(10);
    let (ana, ben) = (Fake::live(&hub, 1), Fake::behind(&hub, 2, 5, &["a"]));
    hub.start_replay(&ana.subscriber);
    assert!(behind.0.try_recv().is_err());
    hub.start_replay(&ben.subscriber);
    let (subscriber, generation) = behind.0.try_recv().expect("a replay");
    assert_eq!(subscriber.id, 2);
    let ours = ben.subscriber.state().replay_generation();
    assert_eq!(ours, Some(generation));
}

#[test]
fn what_is_left_to_replays_makes_behind_whom_it_concerns_and_nobody_else() {
    let (hub, mut behind) = hub_at(10);
    let (ana, ben, cem) = (
        Fake::live(&hub, 1),
        Fake::live(&hub, 2),
        Fake::live(&hub, 3),
    );
    hub.join(&ana.subscriber, &"a".into()).expect("joined");
    hub.join(&ben.subscriber, &"b".into()).expect("joined");
    let untouched = ["b".into()].into();
    let asked = hub.rooms();
    assert_eq!(asked.len(), 2);
    // Nobody has asked about this room, so it may have something.
    hub.join(&cem.subscriber, &"c".into()).expect("joined");
    hub.leave_to_replays((*offset_at(20)).clone(), &untouched);
    let mut requested = Vec::new();
    while let Ok((subscriber, _)) = behind.0.try_recv() {
        requested.push(subscriber.id);
    }
    requested.sort_unstable();
    assert_eq!(requested, [1, 3]);
    assert!(!ben.subscriber.state().is_behind());
    let begun = (*offset_at(10)).clone();
    assert_eq!(progress(&hub, &ana).1, begun, "it has what it had");
    assert_eq!(progress(&hub, &ben).1, (*offset_at(20)).clone());
    // Whoever joins now has missed nothing.
    let dan = Fake::live(&hub, 4);
    hub.join(&dan.subscriber, &"a".into()).expect("joined");
    assert_eq!(progress(&hub, &dan).1, (*offset_at(20)).clone());
    assert!(!dan.subscriber.state().is_behind());
}
