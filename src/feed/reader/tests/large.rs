//! Large commits, which are left to replays.

use super::*;
use crate::offset::Offset;

const LARGE: usize = 4;

/// A reader that is asleep, of a server with somebody in the rooms `quiet` and `r`, on a database where more than three events
/// of one read are many.
async fn asleep(database: &FakeDatabase) -> Running {
    database.at_once(|outbox| outbox.large_events = LARGE - 1);
    let sink = FakeSink {
        rooms: vec!["quiet".into(), "r".into()],
        ..FakeSink::default()
    };
    let running = Running::start_with(database, sink, NEVER);
    running
        .until("the reader to sleep", Outbox::is_asleep)
        .await;
    running
}

/// The offsets to which large reads were passed over, with the rooms that had nothing of them.
fn left_to_replays(handed: &[Handed]) -> Vec<(Offset, Vec<&str>)> {
    let left = handed.iter().filter_map(|handed| match handed {
        Handed::LeftToReplays(end, untouched) => Some((
            end.clone(),
            untouched.iter().map(|room| room.as_str()).collect(),
        )),
        _ => None,
    });
    left.collect()
}

#[tokio::test]
async fn a_large_read_is_left_to_replays_and_what_comes_after_it_is_delivered() {
    let database = FakeDatabase::new();
    let running = asleep(&database).await;
    database.at_once(|outbox| {
        (0..LARGE).for_each(|_| outbox.write("r"));
        // While the rooms are looked for, somebody else writes.
        outbox.before(Call::FlushAndFindRooms, |outbox| outbox.write("other"));
    });
    running.until_delivered(1).await;
    let handed = running.end().await;
    let left = left_to_replays(&handed);
    let [(end, untouched)] = left.as_slice() else {
        panic!("one read is large: {left:?}");
    };
    assert_eq!(untouched, &["quiet"]);
    assert!(end.durable, "what is left to replays is on disk");
    assert_eq!(
        delivered_ids(&handed),
        [5, 6],
        "and nothing of it is handed over"
    );
    let after = handed.iter().find_map(|handed| match handed {
        Handed::Batch(batch) => Some(batch.after.clone()),
        _ => None,
    });
    assert_eq!(after, Some(end.seen.clone()), "it goes on where that ends");
}

#[tokio::test]
async fn a_large_read_on_a_connection_that_is_lost_is_read_again() {
    let database = FakeDatabase::new();
    let running = asleep(&database).await;
    database.at_once(|outbox| {
        (0..LARGE).for_each(|_| outbox.write("r"));
        outbox.before(Call::FlushAndFindRooms, Outbox::lose_connection);
    });
    running
        .until("the rooms to be looked for again", |outbox| {
            outbox.count(Call::FlushAndFindRooms) == 2
        })
        .await;
    let handed = running.end().await;
    assert_eq!(left_to_replays(&handed).len(), 1);
    assert_eq!(delivered_ids(&handed), [5]);
}

#[tokio::test]
async fn after_a_crash_what_comes_again_is_handed_over_however_large_it_is() {
    let database = FakeDatabase::new();
    let running = asleep(&database).await;
    database.at_once(|outbox| {
        outbox.flushes = false;
        outbox.write("r");
    });
    running.until_delivered(1).await;
    database.at_once(|outbox| {
        outbox.flushes = true;
        (0..LARGE).for_each(|_| outbox.write("r"));
        outbox.crash(1 + LARGE as i64);
    });
    running.until_delivered(1 + LARGE).await;
    let handed = running.end().await;
    assert!(left_to_replays(&handed).is_empty());
    let ids: Vec<i64> = (1..=2 + LARGE as i64).collect();
    assert_eq!(delivered_ids(&handed), ids);
}
