//! Busy and quiet phases, writers at work, and wakes.

use super::*;

/// Keeps the transaction that the script begins.
type Slot = Arc<Mutex<Option<Transaction>>>;

fn commit(outbox: &mut Outbox, slot: &Slot) {
    let transaction = slot.lock().expect("no panic").take();
    outbox.commit(transaction.expect("it was begun"));
}

/// A database in which a writer writes just before the reader takes the key, and is still at work.
fn with_a_writer_that_was_too_early() -> (FakeDatabase, Slot) {
    let (database, slot) = (FakeDatabase::new(), Slot::default());
    let begun = slot.clone();
    database.at_once(|outbox| {
        outbox.before(Call::EnableNotify, move |outbox| {
            *begun.lock().expect("no panic") = Some(outbox.begin("r"));
        });
    });
    (database, slot)
}

#[tokio::test]
async fn busy_writers_are_spared_notify_until_it_is_quiet() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        // Nobody holds the key after this call, so this one notifies nobody.
        outbox.before(Call::DisableNotify, |outbox| {
            outbox.before(Call::Read, |outbox| outbox.write("r"));
        });
        (0..BUSY_EVENTS).for_each(|_| outbox.write("r"));
    });
    running.until_delivered(BUSY_EVENTS + 1).await;
    running
        .until("the key to be taken again", |outbox| {
            outbox.count(Call::EnableNotify) == 2
        })
        .await;
    {
        let outbox = database.outbox.borrow();
        assert_eq!(outbox.count(Call::DisableNotify), 1);
        assert_eq!(outbox.notifications, BUSY_EVENTS, "while it slept");
    }
    let ids: Vec<i64> = (1..=BUSY_EVENTS as i64 + 2).collect();
    assert_eq!(delivered_ids(&running.end().await), ids);
}

#[tokio::test]
async fn a_few_events_do_not_end_the_sleep() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    for events in 1..=3 {
        database.at_once(|outbox| outbox.write("r"));
        running.until_delivered(events).await;
    }
    assert_eq!(database.outbox.borrow().count(Call::DisableNotify), 0);
    assert_eq!(delivered_ids(&running.end().await), [1, 2, 3, 4]);
}

#[tokio::test]
async fn a_crowd_of_writers_with_few_events_is_spared_notify() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    let begin = |_| database.at_once(|outbox| outbox.begin("r"));
    let crowd: Vec<_> = (0..CROWD).map(begin).collect();
    let mut wakes = 0;
    while database.outbox.borrow().count(Call::DisableNotify) == 0 {
        wakes += 1;
        assert!(wakes < 10_000, "the crowd is not found");
        let reads = database.outbox.borrow().count(Call::Read);
        database.at_once(|outbox| outbox.wake.send_replace(()));
        running
            .until("a read", |outbox| outbox.count(Call::Read) > reads)
            .await;
    }
    assert!(wakes >= CLOSE_WAKES * CROWDS, "{wakes}");
    for transaction in crowd {
        database.at_once(|outbox| outbox.commit(transaction));
    }
    running.until_delivered(CROWD as usize).await;
    running.end().await;
}

#[tokio::test]
async fn a_writer_that_looked_too_early_is_waited_for() {
    let (database, slot) = with_a_writer_that_was_too_early();
    let running = Running::start(&database, NEVER);
    running
        .until("a second look at the writer", |outbox| {
            outbox.count(Call::Writers) == 2
        })
        .await;
    database.at_once(|outbox| commit(outbox, &slot));
    running.until_delivered(1).await;
    assert_eq!(database.outbox.borrow().notifications, 0);
    assert_eq!(delivered_ids(&running.end().await), [1, 2]);
}

#[tokio::test]
async fn a_writer_that_ends_before_the_look_is_found_by_the_read() {
    let (database, slot) = with_a_writer_that_was_too_early();
    database.at_once(|outbox| {
        outbox.before(Call::Writers, move |outbox| commit(outbox, &slot));
    });
    let running = Running::start(&database, NEVER);
    running.until_delivered(1).await;
    assert_eq!(database.outbox.borrow().notifications, 0);
    assert_eq!(delivered_ids(&running.end().await), [1, 2]);
}

#[tokio::test]
async fn a_lost_wake_is_made_good_by_the_poll() {
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, Duration::from_millis(20)).await;
    database.at_once(|outbox| {
        outbox.lose_wakes = true;
        outbox.write("r");
    });
    running.until_delivered(1).await;
    assert_eq!(delivered_ids(&running.end().await), [1, 2]);
}

/// When the reader looked at who writes, since it first did.
fn looks(outbox: &Outbox) -> Vec<Duration> {
    let looks = outbox
        .calls
        .iter()
        .filter(|(call, _)| *call == Call::Writers);
    let times: Vec<_> = looks.map(|(_, at)| *at).collect();
    times.iter().map(|at| *at - times[0]).collect()
}

/// Waits until the reader has waited so long for a writer, and is in a pause.
async fn until_a_pause(running: &Running, after: Duration) {
    running
        .until("a long wait for a writer", |outbox| {
            looks(outbox).last().is_some_and(|last| *last >= after)
                && outbox
                    .calls
                    .last()
                    .is_some_and(|(call, _)| *call == Call::Read)
        })
        .await;
}

#[tokio::test]
async fn a_transaction_that_stays_open_costs_no_more_than_the_poll() {
    let poll = Duration::from_millis(100);
    let (database, slot) = with_a_writer_that_was_too_early();
    let running = Running::start(&database, poll);
    until_a_pause(&running, Duration::from_millis(1_200)).await;
    let looks = looks(&database.outbox.borrow());
    assert_eq!(
        database.outbox.borrow().count(Call::Read),
        looks.len(),
        "a look is one count and one read"
    );
    let late: Vec<_> = looks
        .iter()
        .filter(|at| **at >= Duration::from_millis(500))
        .collect();
    for pair in late.windows(2) {
        assert!(*pair[1] - *pair[0] >= poll * 9 / 10, "{looks:?}");
    }
    database.at_once(|outbox| commit(outbox, &slot));
    running.until_delivered(1).await;
    assert_eq!(delivered_ids(&running.end().await), [1, 2]);
}

#[tokio::test]
async fn a_wake_while_a_writer_is_waited_for_reads_at_once() {
    let (database, slot) = with_a_writer_that_was_too_early();
    let running = Running::start(&database, NEVER);
    // The pause is a quarter of what was waited: half a second.
    until_a_pause(&running, Duration::from_secs(2)).await;
    let written = Instant::now();
    database.at_once(|outbox| outbox.write("r"));
    running.until_delivered(1).await;
    let late = written.elapsed();
    assert!(late < Duration::from_millis(400), "after {late:?}");
    database.at_once(|outbox| commit(outbox, &slot));
    running.until_delivered(2).await;
    assert_eq!(delivered_ids(&running.end().await), [2, 1, 3]);
}

#[test]
fn the_pause_for_a_writer_grows_with_what_was_waited_and_ends_at_the_poll() {
    let ms = Duration::from_millis;
    let pause = |waited, poll| writer_pause(SHORT_WAITS, ms(waited), ms(poll));
    assert_eq!(writer_pause(SHORT_WAITS - 1, ms(900), ms(100)), WAIT_SHORT);
    assert_eq!(pause(40, 10_000), WAIT_LONG);
    assert_eq!(pause(4_000, 10_000), ms(1_000));
    assert_eq!(pause(4_000, 100), ms(100));
    assert_eq!(pause(4_000, 5), WAIT_LONG, "a poll that is shorter still");
}

#[tokio::test]
async fn a_database_that_answers_late_is_read_less_often() {
    let answer = Duration::from_millis(4);
    let database = FakeDatabase::new();
    let running = Running::asleep(&database, NEVER).await;
    database.at_once(|outbox| {
        outbox.answers_after = answer;
        (0..BUSY_EVENTS).for_each(|_| outbox.write("r"));
    });
    running.until_delivered(BUSY_EVENTS).await;
    running
        .until("the key to be taken again", |outbox| {
            outbox.count(Call::EnableNotify) == 2
        })
        .await;
    let calls = database.outbox.borrow().calls.clone();
    let place = |call| calls.iter().rposition(|(made, _)| *made == call);
    let (from, to) = (place(Call::DisableNotify), place(Call::EnableNotify));
    let awake = &calls[from.expect("it woke")..to.expect("it falls asleep")];
    let reads = awake.iter().filter(|(call, _)| *call == Call::Read);
    let reads: Vec<Instant> = reads.map(|(_, at)| *at).collect();
    assert!(reads.len() > 1, "{awake:?}");
    for pair in reads.windows(2) {
        let apart = pair[1] - pair[0];
        assert!(apart >= answer + busy_pause(answer), "{apart:?}");
    }
    running.end().await;
}

#[test]
fn the_pause_of_a_busy_reader_grows_with_the_answer_and_has_bounds() {
    let us = Duration::from_micros;
    assert_eq!(busy_pause(us(50)), us(1_000));
    assert_eq!(busy_pause(us(2_000)), us(6_000));
    assert_eq!(busy_pause(us(900_000)), us(20_000));
}
