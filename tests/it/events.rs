//! Events over HTTP: the socket's, exact from any offset, and long-polls.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::harness::api::column;
use crate::harness::wait::{until, until_for, within};
use crate::harness::{Database, Launch, Scene, Server};

const BUSY: (&str, &str) = ("ROWCAST_MAX_HTTP_RATE", "100000");
/// No poll within a test's time: what is delivered was notified.
const NO_POLL: (&str, &str) = ("ROWCAST_POLL", "1h");

#[tokio::test]
async fn they_are_the_sockets_events_to_the_letter() {
    let scene = Scene::with(&[("ROWCAST_MAX_PAYLOAD", "2KB")]).await;
    let mut client = scene.joined("42").await;
    let after = scene.server.offset("42").await;
    let id = scene.database.say("42", "hi").await;
    scene.database.report(&id, "read").await;
    scene.database.say("42", &"x".repeat(3_000)).await;
    scene.database.say("43", "elsewhere").await;
    scene.database.run("select rowcast.typing('42')").await;
    let odd = r#"{"b":1.50,  "a" : "\u00e4", "b":2}"#;
    scene
        .database
        .run(&format!(
            "select rowcast.emit('conversation:42', 'odd', '{odd}'); delete from messages"
        ))
        .await;
    let mut seen = Vec::new();
    while seen.len() < 6 {
        let event = client.next().await;
        if event.offset().is_some() {
            seen.push(event);
        }
    }
    let answer = scene
        .server
        .ask("42", &format!("events?after={after}"), &[])
        .await;
    assert!(answer.body.contains(odd), "verbatim: {}", answer.body);
    let page = answer.json();
    let events = page["events"].as_array().expect("events");
    assert_eq!(events.len(), seen.len(), "{page}");
    for (event, seen) in events.iter().zip(&seen) {
        assert_eq!(
            (&event["event"], &event["data"]),
            (&json!(seen.name), seen.payload())
        );
        assert_eq!(event.as_object().expect("an object").len(), 3, "{event}");
    }
    assert_eq!(events[2]["data"]["truncated"], true, "{page}");
    assert_eq!(page["offset"], events[5]["offset"]);
    assert_eq!(page["more"], false);
    // From each event's own offset on, and from the socket's.
    for (place, event) in events.iter().enumerate() {
        for offset in [event["offset"].as_str(), seen[place].offset()] {
            let rest = scene
                .server
                .read("42", &format!("events?after={}", offset.expect("text")))
                .await;
            let names = column(&rest["events"], "/event");
            assert_eq!(
                names,
                column(&page["events"], "/event")[place + 1..],
                "{place}"
            );
        }
    }
}

#[tokio::test]
async fn pages_of_events_end_where_more_says() {
    let scene = Scene::with(&[BUSY]).await;
    let after = scene.server.offset("42").await;
    for rows in [3, 1, 6] {
        let insert = format!(
            "insert into messages (contact_id, body) select '42', 'x' from generate_series(1, {rows})"
        );
        scene.database.run(&insert).await;
    }
    for limit in [1, 2, 3, 5, 9, 10, 11, 2000] {
        let (mut after, mut sizes) = (after.clone(), Vec::new());
        loop {
            let page = scene
                .server
                .read("42", &format!("events?after={after}&limit={limit}"))
                .await;
            sizes.push(page["events"].as_array().expect("events").len());
            after = page["offset"].as_str().expect("text").to_owned();
            if page["more"] == false {
                break;
            }
        }
        assert_eq!(
            sizes.len(),
            10_usize.div_ceil(limit),
            "limit={limit}: {sizes:?}"
        );
        assert_eq!(sizes.iter().sum::<usize>(), 10, "limit={limit}: {sizes:?}");
    }
}

/// Readers load the history at any moment and follow the events from there, in steps of every size, beside writers whose
/// transactions overlap, roll back and commit late.
#[tokio::test]
async fn history_and_then_events_lose_and_double_nothing() {
    const WRITERS: u64 = 6;
    const READERS: u64 = 6;
    let scene = Scene::with(&[BUSY]).await;
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let pool = scene.database.pool.clone();
        writers.spawn(async move {
            for turn in 0..60_u64 {
                let mut transaction = pool.begin().await.expect("a transaction");
                for row in 0..=(turn * 7 + writer) % 4 {
                    let body = format!("{writer}.{turn}.{row}");
                    sqlx::query("savepoint s")
                        .execute(&mut *transaction)
                        .await
                        .expect("a savepoint");
                    crate::harness::say(&mut *transaction, ["42", "43"][(row % 2) as usize], &body)
                        .await;
                    // Some writers' transactions stay open over several of the others'.
                    if writer < 2 {
                        tokio::time::sleep(Duration::from_millis(turn % 9)).await;
                    }
                }
                if turn % 5 == 4 {
                    transaction.rollback().await.expect("rolled back");
                } else {
                    transaction.commit().await.expect("committed");
                }
            }
        });
    }
    let follow = async |reader: u64| {
        let mut seen: Vec<String> = Vec::new();
        for _ in 0..reader * 12 {
            tokio::time::sleep(Duration::from_millis(3)).await;
        }
        let page = scene.server.read("42", "messages?limit=200").await;
        assert_eq!(page["more"], false, "one page for all");
        seen.extend(column(&page["messages"], "/id"));
        let mut after = page["offset"].as_str().expect("text").to_owned();
        let mut quiet = 0;
        for step in reader.. {
            let limit = [1, 2, 3, 50, 2000][(step % 5) as usize];
            let page = scene
                .server
                .read("42", &format!("events?after={after}&limit={limit}"))
                .await;
            let ids = column(&page["events"], "/data/message/id");
            let offsets = column(&page["events"], "/offset");
            // Now and then it goes on from an event in the middle, as a client that was cut off would.
            let taken = if step % 4 == 1 {
                ids.len().div_ceil(2)
            } else {
                ids.len()
            };
            after = if taken < ids.len() {
                offsets[taken - 1].clone()
            } else {
                page["offset"].as_str().expect("text").to_owned()
            };
            seen.extend(ids[..taken].iter().cloned());
            let done =
                ids.is_empty() && scene.database.value("select count(*) from done").await != "0";
            quiet = if done { quiet + 1 } else { 0 };
            if quiet == 2 {
                break;
            }
        }
        seen
    };
    scene.database.run("create table done (d int)").await;
    let readers = futures_util::future::join_all((0..READERS).map(follow));
    let writing = async {
        while let Some(ended) = writers.join_next().await {
            ended.expect("a writer ends well");
        }
        scene.database.run("insert into done values (1)").await;
    };
    let (seen, ()) = tokio::join!(readers, writing);
    let all = scene
        .database
        .value("select string_agg(id::text, ' ') from messages where contact_id = '42'")
        .await;
    let all: HashSet<_> = all.split(' ').map(str::to_owned).collect();
    assert!(all.len() > 300, "{}", all.len());
    for (reader, seen) in seen.into_iter().enumerate() {
        let once: HashSet<_> = seen.iter().cloned().collect();
        assert_eq!(
            once.len(),
            seen.len(),
            "reader {reader} got something twice"
        );
        assert_eq!(once, all, "reader {reader}");
    }
}

#[tokio::test]
async fn a_long_poll_is_answered_at_once() {
    let scene = Scene::with(&[NO_POLL]).await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let poll = scene.server.read("42", &asked);
    let write = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        scene.database.say("43", "elsewhere").await;
        scene.database.say("42", "now").await;
        Instant::now()
    };
    let (page, written) = tokio::join!(async { (poll.await, Instant::now()) }, write);
    let ((page, answered), took) = (page, |answered: Instant| {
        answered.saturating_duration_since(written)
    });
    assert_eq!(column(&page["events"], "/data/message/body"), ["now"]);
    assert!(
        took(answered) < Duration::from_secs(2),
        "{:?}",
        took(answered)
    );
    // What is there already is not waited for.
    let begun = Instant::now();
    scene.server.read("42", &asked).await;
    assert!(
        begun.elapsed() < Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
}

#[tokio::test]
async fn a_long_poll_ends_empty_and_goes_on() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let begun = Instant::now();
    let page = scene
        .server
        .read("42", &format!("events?after={after}&wait=1"))
        .await;
    assert!(
        begun.elapsed() >= Duration::from_secs(1),
        "{:?}",
        begun.elapsed()
    );
    assert_eq!(
        (&page["events"], &page["more"]),
        (&json!([]), &json!(false))
    );
    scene.database.say("42", "later").await;
    let after = page["offset"].as_str().expect("text");
    let page = scene
        .server
        .read("42", &format!("events?after={after}&wait=25"))
        .await;
    assert_eq!(column(&page["events"], "/data/message/body"), ["later"]);
}

#[tokio::test]
async fn many_long_polls_hold_no_connection_and_all_are_answered() {
    const MANY: usize = 300;
    let scene = Scene::with(&[BUSY, NO_POLL]).await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let polls = futures_util::future::join_all((0..MANY).map(|_| scene.server.read("42", &asked)));
    let write = async {
        scene
            .server
            .counted("rowcast_long_polls", &[], MANY as f64)
            .await;
        // Nobody reads while they wait.
        let at_work = "select count(*) from pg_stat_activity where application_name = 'rowcast http' and datname = current_database() and (state <> 'idle' or state_change > now() - interval '200 ms')";
        until("the reads to rest", async || {
            (scene.database.value(at_work).await == "0").then_some(())
        })
        .await;
        scene.database.say("42", "now").await;
    };
    let (pages, ()) = tokio::join!(polls, write);
    for page in pages {
        assert_eq!(column(&page["events"], "/data/message/body"), ["now"]);
    }
}

#[tokio::test]
async fn a_client_that_goes_away_waits_no_more() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let waiting = async {
        tokio::select! {
            page = scene.server.read("42", &asked) => panic!("answered: {page}"),
            () = scene.server.counted("rowcast_long_polls", &[], 1.0) => {}
        }
    };
    waiting.await;
    until("the wait to be given up", async || {
        (scene.server.metric("rowcast_long_polls", &[]).await == 0.0).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_drain_ends_long_polls() {
    let scene = Scene::new().await;
    let after = scene.server.offset("42").await;
    let asked = format!("events?after={after}&wait=25");
    let poll = scene.server.read("42", &asked);
    let stop = async {
        scene.server.counted("rowcast_long_polls", &[], 1.0).await;
        within("the server to stop", scene.server.stop()).await;
    };
    let (page, ()) = tokio::join!(poll, stop);
    assert_eq!(page["events"], json!([]));
    // And another server goes on from there.
    let next = Server::on(&scene.database).await;
    scene.database.say("42", "meanwhile").await;
    let after = page["offset"].as_str().expect("text");
    let page = next.read("42", &format!("events?after={after}")).await;
    assert_eq!(column(&page["events"], "/data/message/body"), ["meanwhile"]);
}

#[tokio::test]
async fn what_is_asked_wrongly_is_said() {
    let scene = Scene::new().await;
    for (query, word) in [
        ("after=nonsense", "offset"),
        ("after=", "offset"),
        ("after=%00", "offset"),
        ("limit=0", "1 to 2000"),
        ("limit=2001", "1 to 2000"),
        ("wait=26", "0 to 25"),
        ("wait=-1", "0 to 25"),
        ("wait=1s", "0 to 25"),
        ("before=x", "before"),
        ("after=a&after=b", "twice"),
    ] {
        let message = scene
            .server
            .refused("42", &format!("events?{query}"), 400, "bad_request")
            .await;
        assert!(message.contains(word), "{query}: {message}");
    }
}

#[tokio::test]
async fn an_offset_that_proves_nothing_is_expired() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "1s")]).await;
    let after = scene.server.offset("42").await;
    let expired = async |server: &Server, offset: &str| {
        server
            .refused(
                "42",
                &format!("events?after={offset}"),
                410,
                "offset_expired",
            )
            .await
    };
    // Altered, in each of its bytes.
    for place in 0..after.len() {
        let mut altered = after.clone().into_bytes();
        altered[place] = if altered[place] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).expect("ASCII");
        let answer = scene
            .server
            .ask("42", &format!("events?after={altered}"), &[])
            .await;
        assert!(matches!(answer.status, 400 | 410), "{altered}: {answer:?}");
    }
    // Of another database.
    let other = Database::empty().await;
    let other = Launch::serve().database(&other.url).start().await;
    let message = expired(&other, &after).await;
    assert!(message.contains("database"), "{message}");
    // Older than the retention.
    scene.database.say("42", "missed").await;
    let gone = "select count(*) from rowcast.events";
    until_for(
        Duration::from_secs(20),
        "the event to be pruned",
        async || (scene.database.value(gone).await == "0").then_some(()),
    )
    .await;
    let message = expired(&scene.server, &after).await;
    assert!(message.contains("retention"), "{message}");
    // The database has become another one under a running server: a copy of its own offsets.
    let after = scene.server.offset("42").await;
    scene
        .database
        .run("update rowcast.epoch set value = value + 1")
        .await;
    expired(&scene.server, &after).await;
    let after = scene.server.offset("42").await;
    assert_eq!(
        scene
            .server
            .read("42", &format!("events?after={after}"))
            .await["more"],
        Value::Bool(false)
    );
}
