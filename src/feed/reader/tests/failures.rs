//! Reads that fail or break off, crashes, another database, and events that were pruned too early.

use super::*;
use crate::delivery::Batch;
use crate::offset::EpochKey;

/// What is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().expect("no panic").clone()).expect("UTF-8")
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("no panic").write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn batches(handed: &[Handed]) -> Vec<&Batch> {
    let batches = handed.iter().filter_map(|handed| match handed {
        Handed::Batch(batch) => Some(batch),
        _ => None,
    });
    batches.collect()
}

fn resyncs(handed: &[Handed]) -> Vec<&Affected> {
    let resyncs = handed.iter().filter_map(|handed| match handed {
        Handed::Resync(affected) => Some(affected),
        _ => None,
    });
    resyncs.collect()
}

/// The values of the epochs in which the sink was told to go on from another place.
fn restarts(handed: &[Handed]) -> Vec<EpochKey> {
    let restarts = handed.iter().filter_map(|handed| match handed {
        Handed::Restart(head) => Some(head.epoch.value),
        _ => None,
    });
    restarts.collect()
}

#[tokio::test]
async fn it_begins_where_the_database_is() {
    let database = FakeDatabase::new();
    database.at_once(|outbox| outbox.write("r"));
    let handed = Running::asleep(&database, NEVER).await.end().await;
    assert_eq!(delivered_ids(&handed), [2], "what was there before is past");
    assert!(matches!(handed[0], Handed::Restart(_)));
}

#[tokio::test]
async fn a_failing_read_is_logged_and_moves_nothing() {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone());
    let _guard = tracing::subscriber::set_default(subscriber.finish());
    let database = FakeDatabase::new();
    let mut running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.write("r");
        outbox.breaks_after_parts = Some(0);
    });
    let failing = running.status.wait_for(|status| status.failing.is_some());
    wait_for("a status that fails", async { drop(failing.await) }).await;
    let reads = database.at_once(|outbox| {
        outbox.write("r");
        outbox.is_down = false;
        outbox.reads_from.len()
    });
    running.until_delivered(2).await;
    let works = running.status.wait_for(|status| status.failing.is_none());
    wait_for("a status that works", async { drop(works.await) }).await;
    {
        let from = &database.outbox.borrow().reads_from;
        assert_eq!(from[reads - 1], from[reads], "the position has not moved");
    }
    let log = log.text();
    assert!(
        log.contains("reading the outbox failed: the read broke off"),
        "{log}"
    );
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [1, 2, 3]);
    assert_eq!(restarts(&handed), [EpochKey::of(7)]);
}

/// Lets the database come back after a read that broke off.
async fn bring_back(running: &Running) {
    running
        .until("an attempt to connect", |outbox| {
            outbox.is_down
                && outbox
                    .calls
                    .last()
                    .is_some_and(|(call, _)| *call == Call::Connect)
        })
        .await;
    running.database.at_once(|outbox| outbox.is_down = false);
}

#[tokio::test]
async fn a_read_that_broke_off_is_finished_under_its_own_snapshot() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        let late = outbox.begin("r");
        (2..=6).for_each(|_| outbox.write("r"));
        outbox.events_in_a_part = 2;
        outbox.breaks_after_parts = Some(1);
        // It ends before the read is finished, and is not of that read.
        outbox.before(Call::Connect, move |outbox| outbox.commit(late));
    });
    bring_back(&running).await;
    running.until_delivered(6).await;
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [2, 3, 4, 5, 6, 1, 7]);
    let [first, second, third, late, _] = batches(&handed)[..] else {
        panic!("five batches: {handed:?}");
    };
    for part in [second, third] {
        assert_eq!(
            (&part.before, &part.snapshot),
            (&first.before, &first.snapshot)
        );
    }
    assert_eq!(
        [first, second, third].map(|part| part.complete),
        [false, false, true]
    );
    assert_eq!(late.before, first.snapshot);
}

#[tokio::test]
async fn what_was_committed_while_a_read_was_broken_off_does_not_wait_for_the_poll() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.write("r");
        outbox.write("r");
        outbox.events_in_a_part = 1;
        outbox.breaks_after_parts = Some(1);
        // Nobody holds the key, so that this one notifies nobody.
        outbox.before(Call::Connect, |outbox| outbox.write("r"));
    });
    bring_back(&running).await;
    running.until_delivered(3).await;
    assert_eq!(delivered_ids(&running.end().await), [1, 2, 3, 4]);
}

/// A database whose reader has delivered 1, which is on disk, and 2 and 3, which are not known to be.
async fn with_unflushed_events() -> (FakeDatabase, Running) {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| outbox.write("flushed"));
    running.until_delivered(1).await;
    database.at_once(|outbox| {
        outbox.flushes = false;
        outbox.write("kept");
    });
    running.until_delivered(2).await;
    database.at_once(|outbox| outbox.write("undone"));
    running.until_delivered(3).await;
    (database, running)
}

#[tokio::test]
async fn a_crash_delivers_nothing_twice_and_names_what_is_undone() {
    let (database, running) = with_unflushed_events().await;
    database.at_once(|outbox| {
        outbox.crash(2);
        outbox.flushes = true;
        outbox.write("new");
        outbox.wake.send_replace(());
    });
    running.until_delivered(4).await;
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [1, 2, 3, 3, 4], "3 is another one");
    assert_eq!(resyncs(&handed), [&Affected::Rooms(vec!["undone".into()])]);
    assert_eq!(restarts(&handed), [EpochKey::of(7)]);
    let [first, _, unflushed, after, _] = batches(&handed)[..] else {
        panic!("five batches: {handed:?}");
    };
    assert_eq!(after.before, first.snapshot, "from what was on disk on");
    assert_eq!((unflushed.epoch.crashes, unflushed.durable), (0, false));
    assert_eq!((after.epoch.crashes, after.durable), (1, true));
}

#[tokio::test]
async fn after_a_crash_a_read_that_breaks_off_leaves_out_the_same() {
    let (database, running) = with_unflushed_events().await;
    database.at_once(|outbox| {
        outbox.crash(3);
        outbox.flushes = true;
        outbox.write("new");
        outbox.events_in_a_part = 1;
        // The first read finds the connection lost. Of the second, the part that comes has nothing that is news.
        outbox.before(Call::Read, |_| ());
        outbox.before(Call::Read, |outbox| outbox.breaks_after_parts = Some(1));
        outbox.wake.send_replace(());
    });
    bring_back(&running).await;
    running.until_delivered(4).await;
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [1, 2, 3, 4, 5]);
    assert!(resyncs(&handed).is_empty(), "nothing is undone: {handed:?}");
}

#[tokio::test]
async fn another_database_is_a_restart() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.epoch.value = !outbox.epoch.value;
        outbox.lose_connection();
        outbox.write("r");
        outbox.wake.send_replace(());
    });
    running
        .until("another connection", |outbox| {
            outbox.count(Call::Connect) == 2 && outbox.is_asleep()
        })
        .await;
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [2], "what was there before is past");
    assert_eq!(restarts(&handed), [EpochKey::of(7), !EpochKey::of(7)]);
}

#[tokio::test]
async fn what_is_pruned_before_it_was_read_is_told_to_everybody() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.write("r");
        outbox.prune(1);
        outbox.write("r");
    });
    running.until_delivered(1).await;
    let handed = running.end().await;
    assert_eq!(delivered_ids(&handed), [2, 3]);
    assert_eq!(resyncs(&handed), [&Affected::All], "once");
}
