//! Order and completeness under load: nothing missed, nothing doubled, causes before effects.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::harness::database::run;
use crate::harness::wait::within_for;
use crate::harness::{Client, Event, Scene, say};

/// Longer than any part of the suite needs on a machine that has other work.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn a_hundred_thousand_rows_of_one_statement_arrive_in_order_in_bounded_memory() {
    const ROWS: usize = 100_000;
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let before = scene.server.peak_memory_bytes();
    scene
        .database
        .run(&format!("insert into messages (contact_id, body) select '42', n::text from generate_series(1, {ROWS}) n"))
        .await;
    for number in 1..=ROWS {
        assert_eq!(
            client.event_for(LONG, "message:new").await.body(),
            number.to_string()
        );
    }
    scene.database.say("42", "last").await;
    assert_eq!(client.next().await.body(), "last");
    let grown = scene.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 96 << 20, "the import took {} MB", grown >> 20);
}

#[tokio::test]
async fn a_long_transaction_delays_nobody_and_arrives_when_it_commits() {
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut long = scene.database.pool.begin().await.expect("a transaction");
    say(&mut *long, "42", "written first").await;
    for number in 0..50 {
        let written = Instant::now();
        scene.database.say("42", &number.to_string()).await;
        assert_eq!(client.next().await.body(), number.to_string());
        assert!(
            written.elapsed() < Duration::from_secs(5),
            "{:?}",
            written.elapsed()
        );
    }
    say(&mut *long, "42", "written last").await;
    long.commit().await.expect("it commits");
    assert_eq!(client.next().await.body(), "written first");
    assert_eq!(client.next().await.body(), "written last");
    scene.database.say("42", "after").await;
    assert_eq!(client.next().await.body(), "after");
}

#[tokio::test]
async fn a_prepared_transaction_arrives_when_it_is_committed() {
    let scene = Scene::new().await;
    if scene
        .database
        .value("select current_setting('max_prepared_transactions')")
        .await
        == "0"
    {
        return;
    }
    let mut client = scene.joined("42").await;
    // Two-phase commit and NOTIFY exclude each other, hence poll only.
    scene
        .database
        .run("alter table rowcast.events disable trigger wake")
        .await;
    let name = scene.database.value("select current_database()").await;
    let prepare = "begin; insert into messages (contact_id, body) values ('42', 'prepared'); prepare transaction 'NAME'";
    scene.database.run(&prepare.replace("NAME", &name)).await;
    scene.database.say("42", "meanwhile").await;
    assert_eq!(client.next().await.body(), "meanwhile");
    scene
        .database
        .run(&format!("commit prepared '{name}'"))
        .await;
    assert_eq!(client.next().await.body(), "prepared");
}

/// What a writer noted: the numbers it committed, and for each what was known to be committed when it began.
#[derive(Default)]
struct Notes {
    committed: Vec<String>,
    /// Pairs of bodies: the first was committed before the second's transaction began.
    causes: Vec<(String, String)>,
    transactions: Vec<Vec<String>>,
}

#[tokio::test]
async fn twenty_four_writers_lose_double_and_disorder_nothing() {
    const WRITERS: usize = 24;
    const TRANSACTIONS: usize = 60;
    let scene = Scene::new().await;
    let second = crate::harness::Server::on(&scene.database).await;
    let mut clients = [
        scene.joined("42").await,
        scene.joined("42").await,
        scene.stock.joined(&second, "42").await,
    ];

    let latest = Arc::new(std::sync::Mutex::new(String::new()));
    let going = Arc::new(AtomicUsize::new(WRITERS));
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let mut connection = scene.database.connection().await;
        let (latest, going) = (Arc::clone(&latest), Arc::clone(&going));
        writers.spawn(async move {
            let mut notes = Notes::default();
            for number in 0..TRANSACTIONS {
                let cause = latest.lock().expect("unpoisoned").clone();
                run(&mut connection, "begin").await;
                let mut bodies = Vec::new();
                for part in 0..=(number % 3) {
                    let body = format!("{writer}.{number}.{part}");
                    say(&mut connection, "42", &body).await;
                    run(&mut connection, "savepoint s").await;
                    say(&mut connection, "42", &format!("undone {body}")).await;
                    // Every second one takes a nested savepoint with it.
                    if part % 2 == 1 {
                        run(&mut connection, "savepoint t").await;
                        say(&mut connection, "42", &format!("undone twice {body}")).await;
                        run(&mut connection, "release t").await;
                    }
                    run(&mut connection, "rollback to s").await;
                    bodies.push(body);
                }
                // A transaction that stays open while others come and go; longer for some than for others.
                if (writer + number) % 7 == 0 {
                    run(
                        &mut connection,
                        &format!("select pg_sleep({})", 0.002 * writer as f64),
                    )
                    .await;
                }
                if (writer + number) % 5 == 0 {
                    run(&mut connection, "rollback").await;
                    continue;
                }
                run(&mut connection, "commit").await;
                let last = bodies.last().expect("one at least").clone();
                *latest.lock().expect("unpoisoned") = last;
                if !cause.is_empty() {
                    notes.causes.push((cause, bodies[0].clone()));
                }
                notes.committed.extend(bodies.iter().cloned());
                notes.transactions.push(bodies);
            }
            going.fetch_sub(1, Ordering::Relaxed);
            notes
        });
    }
    let notes: Vec<Notes> = within_for(LONG, "the writers", writers.join_all()).await;
    scene.database.say("42", "the end").await;

    let expected: HashSet<_> = notes
        .iter()
        .flat_map(|notes| notes.committed.iter().cloned())
        .collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let seen = until_the_end(client).await;
        let place: HashMap<_, _> = seen
            .iter()
            .enumerate()
            .map(|(at, event)| (event.body().to_owned(), at))
            .collect();
        assert_eq!(
            place.len(),
            seen.len(),
            "client {number}: nothing is doubled"
        );
        let missed: Vec<_> = expected
            .iter()
            .filter(|body| !place.contains_key(*body))
            .collect();
        assert!(missed.is_empty(), "client {number} missed {missed:?}");
        assert_eq!(
            seen.len(),
            expected.len(),
            "client {number}: nothing undone is told"
        );
        for notes in &notes {
            for (cause, effect) in &notes.causes {
                assert!(
                    place[cause] < place[effect],
                    "client {number}: {cause} was over before {effect} began"
                );
            }
            for transaction in &notes.transactions {
                assert!(
                    transaction.is_sorted_by_key(|body| place[body]),
                    "client {number}: {transaction:?}"
                );
            }
        }
    }
}

#[tokio::test]
async fn a_message_and_its_changes_stay_in_order_under_concurrent_writers() {
    const MESSAGES: usize = 20;
    let scene = Scene::new().await;
    let mut client = scene.joined("42").await;
    let mut writers = JoinSet::new();
    for _ in 0..12 {
        let pool = scene.database.pool.clone();
        writers.spawn(async move {
            for _ in 0..MESSAGES {
                let id = say(&pool, "42", "0").await;
                for version in 1..=3 {
                    run(
                        &pool,
                        &format!("update messages set body = '{version}' where id = '{id}'"),
                    )
                    .await;
                }
                run(&pool, &format!("delete from messages where id = '{id}'")).await;
            }
        });
    }
    within_for(LONG, "the writers", writers.join_all()).await;
    let mut versions: HashMap<String, Vec<String>> = HashMap::new();
    for event in client.take(12 * MESSAGES * 5).await {
        let payload = event.payload();
        let id = payload["message"]["id"]
            .as_str()
            .or(payload["messageId"].as_str())
            .expect("an id");
        let version = if event.name == "message:deleted" {
            "deleted"
        } else {
            event.body()
        };
        versions
            .entry(id.to_owned())
            .or_default()
            .push(version.to_owned());
    }
    assert_eq!(versions.len(), 12 * MESSAGES);
    for (id, seen) in versions {
        assert_eq!(seen, ["0", "1", "2", "3", "deleted"], "{id}");
    }
}

async fn until_the_end(client: &mut Client) -> Vec<Event> {
    let mut seen = Vec::new();
    loop {
        let event = client.event_for(LONG, "message:new").await;
        if event.body() == "the end" {
            return seen;
        }
        seen.push(event);
    }
}
