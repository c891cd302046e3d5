//! Events over HTTP: the socket's, exact from any offset, and long-polls.

use std::collections::HashSet;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;

use crate::harness::Scene;
use crate::harness::api::column;

const BUSY: (&str, &str) = ("ROWCAST_MAX_HTTP_RATE", "100000");

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
    // A batch that is finished at the limit, with another one behind it; and one whose end is not reached.
    let ask = async |after: &str, limit: usize| {
        let page = scene
            .server
            .read("42", &format!("events?after={after}&limit={limit}"))
            .await;
        let size = page["events"].as_array().expect("events").len();
        (
            size,
            page["more"] == true,
            column(&page["events"], "/offset"),
        )
    };
    let (size, more, offsets) = ask(&after, 3).await;
    assert_eq!((size, more), (3, true));
    scene
        .database
        .run("insert into messages (contact_id, body) select '42', 'y' from generate_series(1, 2)")
        .await;
    for (limit, expected) in [
        (6, (6, true)),
        (7, (7, true)),
        (8, (8, true)),
        (9, (9, false)),
        (10, (9, false)),
    ] {
        let (size, more, offsets) = ask(&offsets[2], limit).await;
        assert_eq!((size, more), expected, "limit={limit}");
        let (rest, more, _) = ask(&offsets[size - 1], 2000).await;
        assert_eq!((rest, more), (9 - size, false), "limit={limit}");
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
        seen.extend(column(&page["messages"], "/id"));
        let oldest = seen.first().cloned();
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
            after = if taken < ids.len() || taken > 0 && step % 3 == 0 {
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
        (oldest, seen)
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
    for (reader, (oldest, seen)) in seen.into_iter().enumerate() {
        // What is older than the page may be an event, too, if it was committed late.
        let since = oldest.map_or(String::new(), |id| {
            format!(
                "and (created_at, id) >= (select created_at, id from messages where id = '{id}')"
            )
        });
        let all = format!(
            "select string_agg(id::text, ' ') from messages where contact_id = '42' {since}"
        );
        let all = scene.database.value(&all).await;
        let once: HashSet<_> = seen.iter().map(String::as_str).collect();
        assert_eq!(
            once.len(),
            seen.len(),
            "reader {reader} got something twice"
        );
        let missed: Vec<_> = all.split(' ').filter(|id| !once.contains(id)).collect();
        assert_eq!(missed, [""; 0], "reader {reader}");
        assert!(once.len() > 150, "{}", once.len());
    }
}
