//! One rule each.

use super::*;
use crate::feed::relay::inbox::{Inbox, Next};
use crate::feed::relay::message::EventBytes;
use crate::offset::Snapshot;

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn an_edge_is_told_and_asks_the_database_for_nothing() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    for id in 1..=3 {
        database.write("r");
        leader.read(&mut database, now);
        tell(&mut leader, &[&edge], now);
        assert!(!edge.read(&mut database, now));
        assert_eq!(edge.delivered().len(), id);
    }
    assert_eq!(edge.delivered(), leader.delivered());
    assert!(
        !edge.read(&mut database, now),
        "also while there is nothing"
    );
    edge.shared.look();
    assert!(edge.read(&mut database, now), "but where somebody asks");
}

#[test]
fn a_lost_message_costs_one_read_and_no_event() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    database.write("r");
    leader.read(&mut database, now);
    let lost = leader.say(now);
    assert_eq!(lost.len(), 1);
    database.write("r");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(edge.read(&mut database, now), "of the gap");
    // What comes late, or again, is known.
    for bytes in &lost {
        assert!(edge.hear(bytes, now) && edge.hear(bytes, now));
    }
    database.write("r");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(!edge.read(&mut database, now));
    assert_eq!(edge.delivered(), leader.delivered());
}

/// An edge that has read by itself is where the leader never was: of what it is told next it leaves out what it has.
#[test]
fn an_edge_that_has_read_by_itself_goes_on_with_what_it_is_told() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    let open = database.begin("r");
    database.write("r");
    edge.shared.look();
    assert!(edge.read(&mut database, now));
    database.commit(open);
    database.write("r");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(!edge.read(&mut database, now));
    let ids: Vec<i64> = edge.delivered().into_iter().map(|(id, _)| id).collect();
    assert_eq!(ids, [2, 1, 3], "what was committed first came first");
}

#[test]
fn a_batch_that_is_too_large_is_announced_and_read() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    leader.shared.state().most_bytes = 100;
    for _ in 0..5 {
        database.write("r");
    }
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(edge.read(&mut database, now));
    assert_eq!(edge.delivered().len(), 5);
}

#[test]
fn nobody_but_a_server_of_the_database_is_heard() {
    let now = Instant::now();
    let (mut database, mut leader, edge) = led(now);
    database.write("r");
    leader.read(&mut database, now);
    let said = leader.say(now).remove(0);
    let mut forged = said.clone();
    let middle = forged.len() / 2;
    forged[middle] ^= 1;
    assert!(!edge.hear(&forged, now));
    for len in 0..said.len() {
        assert!(!edge.hear(&said[..len], now), "cut off after {len} bytes");
    }
    let other = Seal::of(EpochKey::of(8));
    assert!(message::open(&said, &other).is_none(), "another database's");
    assert_ne!(other.subject(), seal().subject());
    assert!(edge.hear(&said, now));
}

#[test]
fn an_edge_that_hears_nothing_for_a_second_reads_by_itself() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    assert_eq!(edge.role(now + seconds(0.9)), Role::Edge);
    let silent = now + seconds(1.3);
    assert_eq!(edge.role(silent), Role::Alone);
    assert!(edge.read(&mut database, silent));
    // Heard again, it is an edge again.
    leader.read(&mut database, silent);
    tell(&mut leader, &[&edge], silent);
    assert_eq!(edge.role(silent), Role::Edge);
}

/// Somebody who records what is said and says it again can't make an edge take a dead leader for one that lives.
#[test]
fn what_is_said_again_is_no_sign_of_life() {
    let now = Instant::now();
    let (mut database, mut leader, edge) = led(now);
    let mut said = Vec::new();
    for _ in 0..3 {
        database.write("r");
        leader.read(&mut database, now);
        said.extend(tell(&mut leader, &[&edge], now));
    }
    let late = now + seconds(0.9);
    for bytes in &said {
        edge.hear(bytes, late);
    }
    assert_eq!(edge.role(now + seconds(1.3)), Role::Alone);
}

/// A leader that speaks and does not read, for whatever reason: the edge has found the database to be further.
#[test]
fn a_leader_that_does_not_come_to_where_an_edge_was_leads_nobody() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    database.write("r");
    edge.shared.look();
    edge.read(&mut database, now);
    let mut then = now;
    for _ in 0..14 {
        then += seconds(0.25);
        tell(&mut leader, &[&edge], then);
    }
    assert_eq!(edge.role(then), Role::Alone);
    leader.read(&mut database, then);
    tell(&mut leader, &[&edge], then);
    assert_eq!(edge.role(then), Role::Edge);
}

#[test]
fn a_leader_that_does_not_hear_itself_gives_the_lock_up() {
    use crate::feed::relay::standing::Step;
    let now = Instant::now();
    let (_database, mut leader, _edge) = led(now);
    let said = leader.say(now + seconds(0.5));
    for bytes in &said {
        leader.hear(bytes, now + seconds(0.5));
    }
    let step = |at: f64| leader.shared.state().standing.step(now + seconds(at));
    assert_eq!(step(1.4), Step::Stay);
    assert_eq!(step(1.6), Step::GiveUp);
}

#[test]
fn of_two_leaders_the_later_is_followed_and_both_say_the_truth() {
    let now = Instant::now();
    let (mut database, mut earlier, mut edge) = led(now);
    let mut later = Server::new(now);
    later.connect(&mut database, now);
    later.shared.state().standing.leads(2, now);
    for server in [&mut earlier, &mut later] {
        database.write("r");
        server.read(&mut database, now);
    }
    tell(&mut later, &[&edge], now);
    tell(&mut earlier, &[&edge], now);
    edge.read(&mut database, now);
    edge.read(&mut database, now);
    assert_eq!(edge.delivered().len(), 2);
    // The earlier one alone is no sign of life while the later one is remembered.
    let late = now + seconds(1.3);
    earlier.read(&mut database, late);
    tell(&mut earlier, &[&edge], late);
    assert_eq!(edge.role(late), Role::Alone);
}

#[test]
fn a_crash_that_the_leader_knows_of_sends_the_edge_to_the_database() {
    let now = Instant::now();
    let (mut database, mut leader, mut edge) = led(now);
    database.write("r");
    leader.read(&mut database, now);
    let before_the_crash = tell(&mut leader, &[&edge], now);
    edge.read(&mut database, now);
    database.flushes = false;
    database.write("undone");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    edge.read(&mut database, now);
    assert_eq!(edge.delivered().len(), 2);
    database.crash(1);
    leader.connect(&mut database, now);
    leader.shared.state().standing.leads(2, now);
    database.write("r");
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    assert!(edge.read(&mut database, now));
    let told = |server: &Server| {
        let handed = server.sink.handed.borrow();
        let resync = handed
            .iter()
            .filter(|handed| matches!(handed, Handed::Resync(_)));
        (server.delivered(), resync.count())
    };
    assert_eq!(
        told(&edge),
        told(&leader),
        "and the undone one's room is to reload"
    );
    assert_eq!(told(&edge).1, 1);
    leader.read(&mut database, now);
    tell(&mut leader, &[&edge], now);
    for bytes in before_the_crash {
        edge.hear(&bytes, now);
        assert!(!edge.read(&mut database, now));
    }
    assert_eq!(edge.delivered(), leader.delivered());
}

#[test]
fn what_waits_is_bounded_and_a_flood_is_a_gap() {
    let mut inbox = Inbox::default();
    let snapshot =
        |xmax: u64| Arc::new(format!("{xmax}:{xmax}:").parse::<Snapshot>().expect("one"));
    let bytes = EventBytes::new(10);
    let heading = Heading {
        crashes: 0,
        max_payload: 1,
        term: 1,
        number: 1,
        is_farewell: false,
    };
    let statement = |from: u64| {
        let (before, after) = (snapshot(from), snapshot(from + 1));
        let log = crate::db::LogPosition::default();
        let packed = message::pack(heading, (&before, &after), log, true, &bytes, &seal());
        message::open(&packed, &seal()).expect("ours")
    };
    let mib = 1024 * 1024;
    for number in 0..8 {
        assert!(inbox.push(statement(10 + number), mib));
    }
    assert!(!inbox.push(statement(18), mib));
    assert!(inbox.is_empty());
    inbox.push(statement(19), mib);
    assert!(matches!(inbox.next(&snapshot(10)), Next::Gap));
}
