//! What one identity may have, from wherever it asks, and that another one has its own: with tokens, and from addresses that differ.

use std::time::Duration;

use serde_json::json;

use crate::harness::client::only;
use crate::harness::token::{JWT, token};
use crate::harness::wait::{until, within};
use crate::harness::{Caller, Client, Scene, Wire};

const EVENTS: &str = "/api/conversations/42/events";
const HISTORY: &str = "/api/conversations/42/messages?limit=200";

async fn guarded(settings: &[(&str, &str)]) -> Scene {
    Scene::with(&[&JWT[..], settings].concat()).await
}

/// The authorization of a subject that may read everything.
fn bearer(subject: &str) -> String {
    format!(
        "Bearer {}",
        token(subject, &json!({ "conversations": "*" }))
    )
}

/// A connection of its own, from the address with this last number.
async fn from(scene: &Scene, number: u8) -> Caller {
    Caller::from(&format!("127.0.0.{number}"), scene.server.address()).await
}

/// The status of a request from there.
async fn status(scene: &Scene, number: u8, path: &str, authorization: &str) -> u16 {
    let headers = [("host", "localhost"), ("authorization", authorization)];
    let mut caller = from(scene, number).await;
    caller.get(path, &headers).await.status
}

async fn limited(scene: &Scene, limit: &str) -> f64 {
    let label = format!("\"{limit}\"");
    scene.server.metric("rowcast_limits_total", &[&label]).await
}

async fn waiting(scene: &Scene, count: f64) {
    until(format!("{count} long-polls to wait"), async || {
        let waiting = scene.server.metric("rowcast_long_polls", &[]).await;
        (waiting == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_identity_has_its_long_polls_from_whatever_address() {
    let scene = guarded(&[("ROWCAST_MAX_LONG_POLLS", "2")]).await;
    let (one, other) = (bearer("one"), bearer("other"));
    let headers = [("host", "localhost"), ("authorization", &*one)];
    let now = from(&scene, 2).await.get(EVENTS, &headers).await.json();
    let poll = format!(
        "{EVENTS}?wait=25&after={}",
        now["offset"].as_str().expect("an offset")
    );
    let ask = |authorization: &str| {
        format!("GET {poll} HTTP/1.1\r\nhost: localhost\r\nauthorization: {authorization}\r\n\r\n")
    };
    let (mut first, mut second) = (from(&scene, 2).await, from(&scene, 3).await);
    first.send(&ask(&one)).await;
    second.send(&ask(&one)).await;
    waiting(&scene, 2.0).await;
    assert_eq!(status(&scene, 4, &poll, &one).await, 429);
    assert!((limited(&scene, "long_polls").await - 1.0).abs() < 0.5);
    // Another identity has places of its own there.
    let mut third = from(&scene, 4).await;
    third.send(&ask(&other)).await;
    waiting(&scene, 3.0).await;
    // Whoever goes away gives its place back.
    drop(first);
    waiting(&scene, 2.0).await;
    let mut fourth = from(&scene, 5).await;
    fourth.send(&ask(&one)).await;
    waiting(&scene, 3.0).await;
    scene.database.say("42", "now").await;
    for caller in [&mut second, &mut third, &mut fourth] {
        let answer = within("an answer", caller.answer()).await;
        assert_eq!(answer.expect("an answer").status, 200);
    }
}

async fn admitted(scene: &Scene, subject: &str) -> Client {
    let token = token(subject, &json!({ "conversations": "*", "rooms": ["k*"] }));
    let options = json!({ "transports": ["websocket"], "auth": { "token": token } });
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    client.connected().await;
    client
}

#[tokio::test]
async fn what_an_identity_reads_of_the_past_counts_for_history_events_and_joins_alike() {
    // Half a minute's worth at once: 30.
    let scene = guarded(&[("ROWCAST_MAX_READ_RATE", "1")]).await;
    let (one, other) = (bearer("one"), bearer("other"));
    let headers = [("host", "localhost"), ("authorization", &*other)];
    let now = from(&scene, 9).await.get(EVENTS, &headers).await.json();
    let after = now["offset"].as_str().expect("an offset");
    scene
        .database
        .run("insert into messages (contact_id, body) select '42', 'x' from generate_series(1, 60)")
        .await;
    let events = format!("{EVENTS}?after={after}");
    assert_eq!(status(&scene, 2, HISTORY, &one).await, 200);
    for (number, path) in [(3, HISTORY), (4, &*events)] {
        assert_eq!(status(&scene, number, path, &one).await, 429, "{path}");
    }
    let join = json!([{ "contactId": "42", "after": after }]);
    let client = admitted(&scene, "one").await;
    let answer = client.ask("join:conversation", join.clone()).await;
    assert_eq!(answer["error"]["code"], "too_many_requests", "{answer}");
    // What is of now is no read of the past.
    client.join("42").await;
    // Another identity has its own, also at that address; a join takes from it.
    let client = admitted(&scene, "other").await;
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(answer["replayed"], 60, "{answer}");
    assert_eq!(status(&scene, 3, HISTORY, &other).await, 429);
    assert_eq!(status(&scene, 3, HISTORY, &bearer("third")).await, 200);
    assert!(limited(&scene, "read_rate").await >= 4.0);
}

/// Whoever says that it has whatever there is, waits on, and all of it is read again for each event that comes.
#[tokio::test]
async fn a_long_poll_that_reads_again_and_again_counts_each_time() {
    let scene = guarded(&[("ROWCAST_MAX_READ_RATE", "1")]).await;
    let one = bearer("one");
    let headers = [("host", "localhost"), ("authorization", &*one)];
    let now = from(&scene, 2).await.get(EVENTS, &headers).await.json();
    let after = now["offset"].as_str().expect("an offset");
    scene.database.say("42", "the first").await;
    let poll = format!("{EVENTS}?wait=25&after={after}");
    let has_all = [&headers[..], &[("if-none-match", "*")]].concat();
    let mut caller = from(&scene, 2).await;
    let answer = caller.get(&poll, &has_all);
    let writing = async {
        waiting(&scene, 1.0).await;
        loop {
            scene.database.say("42", "one more").await;
        }
    };
    let answer = tokio::select! {
        answer = answer => answer,
        () = writing => unreachable!("it never ends"),
    };
    assert_eq!(answer.status, 304);
    assert_eq!(status(&scene, 3, &poll, &one).await, 429);
    assert!(limited(&scene, "read_rate").await >= 1.0);
}

/// For each one the policy is asked about all rooms of the socket.
#[tokio::test]
async fn a_socket_goes_on_with_another_token_so_often() {
    let scene = guarded(&[]).await;
    let mut client = admitted(&scene, "one").await;
    client.join("42").await;
    let token = token("one", &json!({ "conversations": "*" }));
    let mut taken = 0;
    let refused = loop {
        let answer = client.ask("auth:refresh", json!([token])).await;
        if answer["ok"] != true {
            break answer;
        }
        taken += 1;
        assert!(taken < 200, "as often as it likes");
    };
    assert!(taken >= 10, "some are allowed at once: {taken}");
    assert_eq!(refused["error"]["code"], "too_many_requests", "{refused}");
    assert!(limited(&scene, "refresh_rate").await >= 1.0);
    // It stays where it is, as who it is; and another one has its own.
    scene.database.say("42", "still here").await;
    assert_eq!(client.event("message:new").await.body(), "still here");
    let other = admitted(&scene, "one").await;
    let answer = other.ask("auth:refresh", json!([token])).await;
    assert_eq!(answer["ok"], true, "{answer}");
}

#[tokio::test]
async fn an_identity_has_its_requests_a_second_from_whatever_address() {
    let scene = guarded(&[("ROWCAST_MAX_HTTP_RATE", "2")]).await;
    let one = bearer("one");
    let all = async {
        for number in 10..250 {
            if status(&scene, number, EVENTS, &one).await == 429 {
                return number;
            }
        }
        panic!("as many requests as it likes");
    };
    let refused_at = tokio::time::timeout(Duration::from_secs(60), all).await;
    let refused_at = refused_at.expect("in time");
    assert!(refused_at >= 12, "two are allowed at once");
    let other = bearer("other");
    assert_eq!(status(&scene, refused_at, EVENTS, &other).await, 200);
    assert!(limited(&scene, "http_rate").await >= 1.0);
}

/// One event of a client's is as many packets as its room has members.
#[tokio::test]
async fn an_identity_tells_so_many_that_it_types() {
    const MEMBERS: u32 = 100;
    const TOGETHER: usize = 25;
    let scene = guarded(&[("ROWCAST_MAX_EVENT_RATE", "100000")]).await;
    let auth = json!({ "token": token("two", &json!({ "conversations": "*" })) });
    let mut members = Vec::new();
    for _ in 0..MEMBERS {
        let (_, mut member) = Wire::connect_with(scene.server.address(), &auth).await;
        let answer = member.ask("join:conversation", &json!(["42"]), 1).await;
        assert_eq!(answer["ok"], true, "{answer}");
        members.push(member);
    }
    let client = admitted(&scene, "one").await;
    client.join("42").await;
    let mut told = 0;
    let refused = loop {
        // Many at a time: it must be faster than the limit refills.
        let asked: Vec<_> = ["typing:start", "typing:stop"]
            .into_iter()
            .cycle()
            .take(2 * TOGETHER)
            .map(|event| client.ask_later(event, json!(["42"])))
            .collect();
        let mut refused = None;
        for answer in asked {
            let answer = only(within("an answer", answer).await);
            if answer["ok"] == true {
                told += MEMBERS;
            } else {
                refused = Some(answer);
            }
        }
        if let Some(refused) = refused {
            break refused;
        }
        assert!(told < 1_000_000, "as many as it likes");
    };
    assert!(told >= 50_000, "some are at once: {told}");
    assert_eq!(refused["error"]["code"], "too_many_requests", "{refused}");
    assert!(limited(&scene, "typing_rate").await >= 1.0);
    let other = members[0].ask("typing:start", &json!(["42"]), 2).await;
    assert_eq!(other["ok"], true, "{other}");
}

/// Each join and each leave writes the names of all rooms of the socket.
#[tokio::test]
async fn an_identity_has_so_much_written_by_joins_and_leaves() {
    let scene = guarded(&[("ROWCAST_MAX_EVENT_RATE", "1000")]).await;
    let client = admitted(&scene, "one").await;
    // Of 2,000 bytes each. That they compress well doesn't count.
    let room = |number: u32| json!([format!("{}:{number}", "k".repeat(1_990))]);
    for number in 0..99 {
        let answer = client.ask("join:room", room(number)).await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
    let mut written = 0;
    let refused = loop {
        let answer = client.ask("join:room", room(99)).await;
        if answer["ok"] != true {
            break answer;
        }
        client.ask("leave:room", room(99)).await;
        written += 2 * 200_000;
        assert!(written < 200_000_000, "as much as it likes");
    };
    assert!(written > 40_000_000, "some is allowed: {written}");
    assert_eq!(refused["error"]["code"], "too_many_requests", "{refused}");
    assert!(limited(&scene, "session_rate").await >= 1.0);
    // It may leave, and nobody else notices.
    let answer = client.ask("leave:room", room(0)).await;
    assert_eq!(answer["ok"], true, "{answer}");
    admitted(&scene, "two").await.join("42").await;
}
