//! Revocations whose event the reader may never see: they are read out of the table.

use super::*;

fn revocation(subject: &str) -> Revocation {
    Revocation {
        subject: subject.to_owned(),
        issuer: None,
        room: None,
        at: 0,
        reason: None,
    }
}

/// What the sink was given of the table, and what came before and after that.
fn revoked(handed: &[Handed]) -> Vec<usize> {
    let revoked = handed.iter().filter_map(|handed| match handed {
        Handed::Revoked(revocations) => Some(revocations.len()),
        _ => None,
    });
    revoked.collect()
}

#[tokio::test]
async fn whoever_connects_reads_the_table_before_anything_else() {
    let database = FakeDatabase::new();
    database.at_once(|outbox| outbox.revocations.push(revocation("a")));
    let running = Running::asleep(&database, NEVER).await;
    assert!(matches!(
        running.sink.handed.borrow().as_slice(),
        [Handed::Revoked(_), Handed::Restart(_), ..]
    ));
    database.at_once(|outbox| {
        outbox.revocations.push(revocation("b"));
        outbox.lose_connection();
        outbox.wake.send_replace(());
    });
    running
        .until("the table to be read again", |outbox| {
            outbox.count(Call::Revocations) == 2
        })
        .await;
    assert_eq!(revoked(&running.end().await), [1, 2]);
}

#[tokio::test]
async fn a_large_read_with_a_revocation_in_it_reads_the_table_first() {
    for (room, reads) in [("rowcast:revocations", 1), ("r", 0)] {
        let database = FakeDatabase::new();
        database.at_once(|outbox| outbox.large_events = 3);
        let running = Running::asleep(&database, NEVER).await;
        database.at_once(|outbox| {
            outbox.before(Call::FlushAndFindRooms, |outbox| {
                outbox.revocations.push(revocation("a"));
            });
            outbox.write(room);
            (0..5).for_each(|_| outbox.write("r"));
        });
        running
            .until("the large read", |outbox| {
                outbox.count(Call::FlushAndFindRooms) == 1
            })
            .await;
        let handed = running.end().await;
        assert_eq!(revoked(&handed).len(), reads, "{room}");
        let is_left = |handed: &Handed| matches!(handed, Handed::LeftToReplays(..));
        let left = handed.iter().position(is_left).expect("it is large");
        let read = handed
            .iter()
            .position(|handed| matches!(handed, Handed::Revoked(_)));
        assert!(read.is_none_or(|read| read < left));
    }
}

#[tokio::test]
async fn where_events_are_gone_that_were_not_read_the_table_is_read() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.revocations.push(revocation("a"));
        outbox.write("rowcast:revocations");
        outbox.prune(i64::MAX);
    });
    running
        .until("the table to be read again", |outbox| {
            outbox.count(Call::Revocations) == 2
        })
        .await;
    assert_eq!(revoked(&running.end().await), [1]);
}
