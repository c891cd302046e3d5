use serde_json::Value;

use super::super::fakes::{Fake, Received, hub_at};

use super::*;
use crate::delivery::{DeliveryState, JoinError};
use crate::event::name;

const ROOM: &str = "r:1";

struct Scene {
    hub: Arc<Hub>,
    teller: Teller,
    interests: mpsc::UnboundedReceiver<Interest>,
    interested: mpsc::UnboundedSender<Interest>,
    now: Instant,
}

impl Scene {
    fn new() -> Self {
        let (hub, _behind) = hub_at(10);
        let teller = hub.keep_presence(Arc::default());
        let (interested, interests) = mpsc::unbounded_channel();
        let now = Instant::now();
        Self {
            hub,
            teller,
            interests,
            interested,
            now,
        }
    }

    fn client(&self, id: u64, subject: &str) -> Fake {
        let (position, number) = self.hub.position().expect("the hub has begun");
        let state = DeliveryState::live(position, number).counting_for(Some(subject.into()));
        Fake::new(&self.hub, id, state)
    }

    /// One in the room, that watches it.
    fn watcher(&mut self, id: u64, subject: &str) -> Fake {
        let fake = self.client(id, subject);
        self.join(&fake).expect("joined");
        fake.subscriber.set_watching_presence(&room(), true);
        self.hub.presence.tell(&fake.subscriber, &room());
        self.work();
        fake
    }

    fn join(&mut self, fake: &Fake) -> Result<(), JoinError> {
        self.hub.join(&fake.subscriber, &room()).map(drop)
    }

    /// What the task does, but for the time and the other servers.
    fn work(&mut self) {
        while let Ok((subscriber, room)) = self.teller.watched.try_recv() {
            self.teller.watch(subscriber, &room, &self.interested);
        }
        self.teller.take_local(self.now, &self.interested);
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.teller.pass_time(self.now);
    }

    fn found(&mut self, change: RemoteChange) {
        self.teller.take_remote(change, self.now);
    }

    fn nobody_elsewhere(&mut self) {
        self.elsewhere(&[]);
    }

    fn elsewhere(&mut self, rows: &[(i64, i64, &str)]) {
        let rows = rows.iter().map(|row| remote(*row)).collect();
        let rooms = vec![room()];
        self.found(RemoteChange::Rooms { rooms, rows });
    }
}

fn room() -> Room {
    Room::from(ROOM)
}

fn remote((server, id, subject): (i64, i64, &str)) -> RemoteRow {
    RemoteRow {
        server,
        id,
        room: room(),
        subject: subject.into(),
        since: Since(0),
    }
}

/// What a client was told: the changes by their subjects, the lists by their counts and subjects.
fn told(fake: &Fake) -> Vec<String> {
    let received = fake.transport.received().into_iter();
    let told = received.filter_map(|event| match event {
        Received::Transient(name, payload) => {
            let payload: Value = serde_json::from_str(&payload).expect("JSON");
            assert_eq!(payload["room"], ROOM);
            Some(match payload["subjects"].as_array() {
                Some(listed) => format!("{} of {}", listed.len(), payload["count"]),
                None => format!("{} {}", &name[9..], payload["subject"].as_str()?),
            })
        }
        Received::Stored(..) => None,
    });
    told.collect()
}

#[tokio::test]
async fn a_watcher_gets_the_list_when_it_is_whole_and_then_what_changes() {
    let mut scene = Scene::new();
    let ana = scene.watcher(1, "ana");
    let ben = scene.client(2, "ben");
    scene.join(&ben).expect("joined");
    scene.work();
    assert_eq!(told(&ana), [""; 0], "nobody knows yet who is elsewhere");
    assert_eq!(scene.interests.try_recv(), Ok(Interest::Begins(room())));
    scene.elsewhere(&[(7, 1, "cyd")]);
    assert_eq!(told(&ana), ["3 of 3"]);
    let dan = scene.watcher(3, "dan");
    assert_eq!(told(&dan), ["4 of 4"], "it is known by now");
    scene.found(RemoteChange::Changed {
        rows: vec![remote((7, 2, "eve")), remote((7, 3, "ben"))],
        gone: vec![(7, 1), (9, 1)],
    });
    scene.hub.leave(&ben.subscriber, &room());
    scene.work();
    scene.pass(Duration::from_secs(5));
    let changes = ["join dan", "join eve", "leave cyd"];
    assert_eq!(told(&ana)[1..], changes, "ben is at the other server");
    scene.found(RemoteChange::Ended(vec![7]));
    scene.pass(Duration::from_secs(4));
    scene.elsewhere(&[(8, 1, "eve")]);
    scene.pass(Duration::from_secs(1));
    assert_eq!(told(&ana)[4..], ["leave ben"]);
    assert_eq!(told(&ben), [""; 0], "it never asked");
}

#[tokio::test]
async fn whoever_is_out_of_the_room_is_told_nothing_more() {
    let mut scene = Scene::new();
    let (ana, ben) = (scene.watcher(1, "ana"), scene.watcher(2, "ben"));
    scene.nobody_elsewhere();
    scene.hub.put_out(&ben.subscriber, &room(), "forbidden");
    let cyd = scene.watcher(3, "cyd");
    assert_eq!(ben.sent_names(), [name::PRESENCE_STATE, name::LEFT]);
    assert_eq!(told(&ana), ["2 of 2", "join cyd"]);
    // In it again, it is told only if it asks again.
    scene.join(&ben).expect("joined");
    scene.work();
    scene.hub.leave(&cyd.subscriber, &room());
    scene.work();
    scene.pass(Duration::from_secs(5));
    assert_eq!(ben.sent_names().len(), 2);
    assert_eq!(told(&ana)[2..], ["leave cyd"], "ben was away for a moment");
    scene.hub.remove(&ana.subscriber);
    scene.work();
    assert!(scene.teller.rooms.is_empty(), "nobody watches");
    let begun_and_ended = [Interest::Begins(room()), Interest::Ends(room())];
    let told = [scene.interests.try_recv(), scene.interests.try_recv()];
    assert_eq!(told, begun_and_ended.map(Ok));
}

#[tokio::test]
async fn a_crowd_is_told_by_lists_and_not_one_by_one() {
    let mut scene = Scene::new();
    let ana = scene.watcher(1, "ana");
    scene.nobody_elsewhere();
    let mut crowd = Vec::new();
    for id in 2..=100 {
        crowd.push(scene.client(id, &format!("s{id}")));
    }
    for fake in &crowd {
        scene.join(fake).expect("joined");
    }
    scene.work();
    assert_eq!(told(&ana).len(), 100, "the list and 99 joins");
    let last = scene.client(101, "last");
    scene.join(&last).expect("joined");
    scene.work();
    assert_eq!(told(&ana)[100..], ["100 of 101"]);
    let more: Vec<_> = (102..=110)
        .map(|id| scene.client(id, &format!("s{id}")))
        .collect();
    for fake in &more {
        scene.join(fake).expect("joined");
        scene.work();
    }
    assert_eq!(told(&ana).len(), 101, "not at once");
    scene.pass(Duration::from_secs(5));
    assert_eq!(told(&ana)[101..], ["100 of 110"]);
    for fake in more.iter().chain([&last]) {
        scene.hub.remove(&fake.subscriber);
    }
    scene.work();
    scene.pass(Duration::from_secs(5));
    assert_eq!(
        told(&ana)[102..],
        ["100 of 100"],
        "everybody's list is whole again"
    );
    scene.hub.remove(&crowd[0].subscriber);
    scene.work();
    scene.pass(Duration::from_secs(5));
    assert_eq!(told(&ana)[103..], ["leave s2"]);
}

/// Whoever has not the whole list can't keep it by changes.
#[tokio::test]
async fn a_list_that_has_no_place_for_long_names_comes_anew() {
    let mut scene = Scene::new();
    let ana = scene.watcher(1, "ana");
    scene.nobody_elsewhere();
    let long: Vec<_> = (2..=40)
        .map(|id| scene.client(id, &format!("{id:01000}")))
        .collect();
    for fake in &long {
        scene.join(fake).expect("joined");
    }
    scene.work();
    assert_eq!(told(&ana)[33..], ["33 of 34"], "after a list and 32 joins");
    scene.pass(Duration::from_secs(5));
    assert_eq!(told(&ana)[34..], ["33 of 40"]);
    for fake in &long[10..] {
        scene.hub.remove(&fake.subscriber);
    }
    scene.work();
    scene.pass(Duration::from_secs(5));
    assert_eq!(told(&ana)[35..], ["11 of 11"]);
}

#[tokio::test]
async fn one_that_reads_nothing_is_cut() {
    let mut scene = Scene::new();
    let ana = scene.watcher(1, "ana");
    ana.set_capacity(1);
    scene.nobody_elsewhere();
    let ben = scene.client(2, "ben");
    scene.join(&ben).expect("joined");
    scene.work();
    assert!(ana.subscriber.transport.is_closed());
    scene.work();
    assert_eq!(scene.hub.metrics.slow_consumers.get(), 1);
}
