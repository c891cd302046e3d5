//! Waking: the notification alone delivers, the poll alone delivers, and no interleaving of writers with a reader that
//! falls asleep leaves an event lying.

use std::time::Duration;

use sqlx::PgConnection;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::harness::database::{run, value};
use crate::harness::wait::{until, within, within_for};
use crate::harness::{Scene, say};

/// How many hold the key by which writers see that a reader sleeps.
const KEY_HOLDERS: &str =
    "select count(*) from pg_locks where locktype = 'advisory' and classid = 1919903602
     and objid = 1 and database = (select oid from pg_database where datname = current_database())";

/// So long that no test lives to see a poll.
const NO_POLL: (&str, &str) = ("ROWCAST_POLL", "1h");

#[tokio::test]
async fn notify_alone_delivers_single_commits_at_any_moment() {
    let scene = Scene::with(&[NO_POLL]).await;
    let mut client = scene.joined("42").await;
    for number in 0..300u64 {
        // From inside the reader's shortest pause to far beyond its longest, in an order without a pattern.
        let gap = number.wrapping_mul(2_654_435_761) % 12_000;
        sleep(Duration::from_micros(gap)).await;
        scene.database.say("42", &number.to_string()).await;
        if number % 3 == 0 {
            // Not each: else no commit would ever meet a reader at work.
            for expected in number.saturating_sub(2)..=number {
                assert_eq!(client.next().await.body(), expected.to_string());
            }
        }
    }
}

#[tokio::test]
async fn the_poll_alone_delivers() {
    let scene = Scene::with(&[("ROWCAST_POLL", "50ms")]).await;
    let mut client = scene.joined("42").await;
    scene
        .database
        .run("alter table rowcast.events disable trigger wake")
        .await;
    for number in 0..20 {
        scene.database.say("42", &number.to_string()).await;
        assert_eq!(client.next().await.body(), number.to_string());
    }
    scene.database.run("insert into messages (contact_id, body) select '42', n::text from generate_series(20, 3000) n").await;
    for number in 20..=3_000 {
        assert_eq!(client.next().await.body(), number.to_string());
    }
    assert!(scene.server.metric("rowcast_wakes_total", &["oll"]).await >= 10.0);
}

/// Writers that pause around the reader's own pauses, so that some commit meets each step of its falling asleep. After
/// each burst everybody is silent: an event that was left lying would lie for an hour.
#[tokio::test]
async fn no_interleaving_with_a_dozing_reader_leaves_an_event_lying() {
    const ROUNDS: u64 = 40;
    const WRITERS: u64 = 8;
    let scene = Scene::with(&[NO_POLL]).await;
    let second = crate::harness::Server::with(&scene.database, &[NO_POLL]).await;
    let mut here = scene.joined("42").await;
    let mut there = scene.stock.joined(&second, "42").await;
    for round in 0..ROUNDS {
        let mut writers = JoinSet::new();
        for writer in 0..WRITERS {
            let pool = scene.database.pool.clone();
            writers.spawn(async move {
                let mut commits = 0;
                for step in 0..6u64 {
                    // From inside a pause of the reader's to beyond its falling asleep, another course for each
                    // writer and round.
                    let pause =
                        (round * 131 + writer * 37 + step * 17) * 7_919 % 5_000 * (1 + round % 10);
                    sleep(Duration::from_micros(pause)).await;
                    if (round + writer + step) % 4 == 0 {
                        // Tests the key, then stays open past the reader's decision to sleep.
                        let mut open = pool.begin().await.expect("a transaction");
                        say(&mut *open, "42", "open").await;
                        sleep(Duration::from_micros(pause * 2)).await;
                        open.commit().await.expect("it commits");
                    } else {
                        say(&pool, "42", "single").await;
                    }
                    commits += 1;
                }
                commits
            });
        }
        let commits: usize = within_for(Duration::from_secs(30), "the writers", writers.join_all())
            .await
            .into_iter()
            .sum();
        for client in [&mut here, &mut there] {
            for event in client.take(commits).await {
                assert_eq!(event.name, "message:new", "round {round}");
            }
        }
    }
}

/// The narrowest place: a writer tested the key while the reader was awake, so it notifies nobody, and commits around the
/// reader's last look before it sleeps. Nobody writes after it who could wake the reader by chance.
#[tokio::test]
async fn a_commit_around_the_last_look_before_sleep_is_seen() {
    let scene = Scene::with(&[NO_POLL]).await;
    let mut client = scene.joined("42").await;
    let mut writer = scene.database.connection().await;
    for round in 0..120u64 {
        within(
            "the reader to let go of its key",
            awake(&scene, &mut writer),
        )
        .await;
        run(&mut writer, "begin").await;
        say(&mut writer, "42", &round.to_string()).await;
        within("the reader to take its key", async {
            while value(&mut writer, KEY_HOLDERS).await == "0" {}
        })
        .await;
        // It looks every two milliseconds now, whether this writer is still at work.
        sleep(Duration::from_micros(round * 7_919 % 5_000)).await;
        run(&mut writer, "commit").await;
        assert_eq!(client.next().await.body(), round.to_string());
    }
}

/// Makes the reader busy by enough events at once, and looks until it has let go of its key.
async fn awake(scene: &Scene, writer: &mut PgConnection) {
    let burst = "insert into messages (contact_id, body) select '43', n::text from generate_series(1, 20) n";
    loop {
        scene.database.run(burst).await;
        for _look in 0..20 {
            if value(&mut *writer, KEY_HOLDERS).await == "0" {
                return;
            }
        }
    }
}

#[tokio::test]
async fn a_busy_reader_spares_the_writers_their_notifications() {
    let scene = Scene::with(&[NO_POLL]).await;
    let mut client = scene.joined("42").await;
    let before = scene.server.metric("rowcast_wakes_total", &["otify"]).await;
    let mut writers = JoinSet::new();
    for _ in 0..8 {
        let pool = scene.database.pool.clone();
        writers.spawn(async move {
            for _ in 0..250 {
                say(&pool, "42", "x").await;
            }
        });
    }
    within_for(Duration::from_secs(60), "the writers", writers.join_all()).await;
    client.take(2_000).await;
    let wakes = scene.server.metric("rowcast_wakes_total", &["otify"]).await - before;
    assert!(
        wakes < 1_000.0,
        "{wakes} wakes for 2,000 commits of busy writers"
    );
}

#[tokio::test]
async fn a_writer_pays_no_notification_when_nobody_reads() {
    let scene = Scene::new().await;
    let mut listener = sqlx::postgres::PgListener::connect(&scene.database.url)
        .await
        .expect("a listener");
    listener.listen("rowcast").await.expect("it listens");
    let mut client = scene.joined("42").await;
    scene.database.say("42", "asleep").await;
    client.next().await;
    // While a reader sleeps, a commit notifies.
    within_for(
        Duration::from_secs(10),
        "a notification",
        listener.try_recv(),
    )
    .await
    .expect("it is received");

    scene.server.stop().await;
    until("the reader's key to be dropped", async || {
        let held = scene.database.value(KEY_HOLDERS).await;
        (held == "0").then_some(())
    })
    .await;
    // Between two fences there is what the commit notified, and nothing of what came before.
    scene.database.run("notify rowcast, 'before'").await;
    scene.database.say("42", "nobody").await;
    scene.database.run("notify rowcast, 'after'").await;
    let mut heard = Vec::new();
    while heard.last().is_none_or(|payload| payload != "after") {
        let next = within_for(Duration::from_secs(10), "the fence", listener.try_recv()).await;
        let notification = next.expect("it is received").expect("no gap");
        heard.push(notification.payload().to_owned());
    }
    let between = heard.iter().skip_while(|payload| *payload != "before");
    assert_eq!(
        between.collect::<Vec<_>>(),
        ["before", "after"],
        "a commit notified although nobody reads"
    );
}
