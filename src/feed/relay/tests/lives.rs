//! Which life of the database something was said in, and what of it is on disk.

use super::*;

/// The link goes on in the life that it knows until it is told of another one, which the reader has connected to.
#[test]
fn what_is_said_in_an_earlier_life_of_the_database_is_neither_heard_nor_said() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    database.write("r");
    leader.read(&mut database, now);
    let said = leader.say(now).remove(0);
    database.epoch.value = EpochKey::of(8);
    edge.connect(&mut database, now);
    edge.read(&mut database, now);
    edge.hear(&said, now);
    assert!(edge.shared.state().inbox.is_empty());
    assert_eq!(edge.role(now), Role::Alone);
    leader.connect(&mut database, now);
    leader.shared.state().standing.leads(2, now);
    let says = |life| {
        leader
            .shared
            .heading(EpochKey::of(life), 1, false)
            .is_some()
    };
    assert_eq!([7, 8].map(says), [false, true]);
}

/// An offset proves nothing after a crash as long as its commit may not be on disk.
#[test]
fn an_edge_learns_that_a_commit_is_on_disk_while_nothing_else_happens() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    database.flushes = false;
    database.write("r");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    edge.read(&mut database, now);
    let here = edge
        .position
        .as_ref()
        .expect("it is connected")
        .seen
        .clone();
    let is_flushed = |edge: &Server| match edge.shared.answer(&here, now) {
        Answer::Part(part) => part.log.is_flushed(),
        Answer::Read => panic!("it is told"),
    };
    assert!(!is_flushed(&edge));
    // Whoever connects has the log flushed.
    Server::new(now).connect(&mut database, now);
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(is_flushed(&edge));
}
