//! What one address, and all of them together, may have: each limit is hit, told, counted, logged with its variable, and harmless to
//! everybody else.

use serde_json::{Value, json};

use crate::harness::bare::HANDSHAKE;
use crate::harness::http::Response;
use crate::harness::wait::{until, until_for, within};
use crate::harness::{Caller, Scene, Server, Wire};

const OPEN: &str = "/socket.io/?EIO=4&transport=polling";
const HOST: (&str, &str) = ("host", "localhost");
/// So that addresses of this machine are counted as any others are.
const ALL_COUNT: (&str, &str) = ("ROWCAST_TRUSTED_PROXIES", "none");

/// Checks for a refusal that says when to come back.
#[track_caller]
fn assert_refused(answer: &Response, status: u16, code: &str, retry_after: &str) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.json()["error"]["code"], code, "{answer:?}");
    assert_eq!(
        answer.header("retry-after"),
        Some(retry_after),
        "{answer:?}"
    );
}

/// The limit is counted, and the log names the variable that moves it.
async fn assert_told(server: &Server, limit: &str, variable: &str) {
    let label = format!("limit=\"{limit}\"");
    server.counted("rowcast_limits_total", &[&label], 1.0).await;
    let named = |line: &Value| {
        let message = line["message"].as_str().unwrap_or_default();
        line["limit"] == limit && message.contains(variable)
    };
    server
        .log(&format!("a line that names {variable}"), named)
        .await;
}

async fn livez(caller: &mut Caller) -> u16 {
    caller.get("/livez", &[HOST]).await.status
}

#[tokio::test]
async fn there_are_so_many_connections() {
    let scene = Scene::with(&[("ROWCAST_MAX_CONNECTIONS", "6")]).await;
    let address = scene.server.address();
    let mut inside = scene.joined("42").await;
    let mut held = Vec::new();
    for _ in 0..5 {
        let mut caller = Caller::from("127.0.0.1", address).await;
        assert_eq!(livez(&mut caller).await, 200);
        held.push(caller);
    }
    // Whether it speaks first or not: it is told before anything is read.
    for speaks in [true, false] {
        let mut one_more = Caller::from("127.0.0.1", address).await;
        if speaks {
            one_more
                .send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
                .await;
        }
        let answer = within("an answer", one_more.answer())
            .await
            .expect("an answer");
        assert_refused(&answer, 503, "too_many_connections", "5");
        within("the end", one_more.ended()).await;
    }
    assert_told(&scene.server, "connections", "ROWCAST_MAX_CONNECTIONS").await;
    // The admin listener and those who are in notice nothing; one that goes makes room.
    scene.database.say("42", "unmoved").await;
    assert_eq!(inside.event("message:new").await.body(), "unmoved");
    held.pop();
    until("a place", async || {
        let mut caller = Caller::from("127.0.0.1", address).await;
        caller
            .send("GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .await;
        let answer = caller.answer().await;
        answer.filter(|answer| answer.status == 200)
    })
    .await;
}

#[tokio::test]
async fn a_stock_client_that_finds_no_place_comes_in_later_by_itself() {
    let scene = Scene::with(&[ALL_COUNT, ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut caller = Caller::from("127.0.0.1", scene.server.address()).await;
        assert_eq!(livez(&mut caller).await, 200);
        held.push(caller);
    }
    let options = json!({"reconnectionDelay": 50, "reconnectionDelayMax": 100});
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    scene
        .server
        .counted("rowcast_limits_total", &["address_connections"], 2.0)
        .await;
    held.clear();
    client.connected().await;
    client.event("rowcast:ready").await;
}

#[tokio::test]
async fn an_address_has_so_many_connections() {
    let scene = Scene::with(&[ALL_COUNT, ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let address = scene.server.address();
    let mut held = Vec::new();
    for _ in 0..3 {
        let mut caller = Caller::from("127.0.0.2", address).await;
        assert_eq!(livez(&mut caller).await, 200);
        held.push(caller);
    }
    let mut greedy = Caller::from("127.0.0.2", address).await;
    let answer = within("an answer", greedy.answer())
        .await
        .expect("an answer");
    assert_refused(&answer, 429, "too_many_connections", "5");
    let variable = "ROWCAST_MAX_CONNECTIONS_PER_ADDRESS";
    assert_told(&scene.server, "address_connections", variable).await;
    let mut other = Caller::from("127.0.0.3", address).await;
    assert_eq!(livez(&mut other).await, 200);
}

/// A session that polls has no connection of its own.
#[tokio::test]
async fn an_address_has_so_many_sessions_however_few_its_connections() {
    let scene = Scene::with(&[("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "3")]).await;
    let mut caller = Caller::from("127.0.0.1", scene.server.address()).await;
    for _ in 0..3 {
        assert_eq!(caller.get(OPEN, &[HOST]).await.status, 200);
    }
    let answer = caller.get(OPEN, &[HOST]).await;
    assert_refused(&answer, 429, "too_many_connections", "5");
    let mut other = Caller::from("127.0.0.3", scene.server.address()).await;
    assert_eq!(other.get(OPEN, &[HOST]).await.status, 200);
}

/// socketioxide waits for CONNECT also when nobody is there any more.
#[tokio::test]
async fn who_leaves_before_connect_leaves_room_for_others_at_once() {
    let scene = Scene::with(&[
        ALL_COUNT,
        ("ROWCAST_MAX_CONNECTIONS_PER_ADDRESS", "3"),
        ("ROWCAST_HANDSHAKE_TIMEOUT", "60s"),
    ])
    .await;
    let address = scene.server.address();
    let websocket = "/socket.io/?EIO=4&transport=websocket";
    let handshake = [&[HOST], &HANDSHAKE[..]].concat();
    // Both the connection and the engine session have a place.
    for _ in 0..3 {
        let mut open = Vec::new();
        while open.len() < 3 {
            let opened = until("a place", async || {
                let mut caller = Caller::from("127.0.0.2", address).await;
                let answer = caller.try_get(websocket, &handshake).await?;
                (answer.status == 101).then_some(caller)
            });
            open.push(opened.await);
        }
    }
    // One that polls says so.
    let mut caller = Caller::from("127.0.0.3", address).await;
    for _ in 0..9 {
        let open = caller.get(OPEN, &[HOST]).await;
        let sid = &open.body[open.body.find("\"sid\":\"").expect("a session") + 7..];
        let sid = sid.split('"').next().expect("its id");
        let path = format!("{OPEN}&sid={sid}");
        let left = caller.request("POST", &path, &[HOST], "1").await;
        assert_eq!(left.status, 200, "{left:?}");
    }
    let label = ["\"handshake_time\""];
    let slow = scene.server.metric("rowcast_limits_total", &label).await;
    assert_eq!(slow, 0.0, "nobody was");
}

#[tokio::test]
async fn an_address_opens_so_many_sessions_a_second() {
    let scene = Scene::with(&[("ROWCAST_MAX_HANDSHAKE_RATE", "1")]).await;
    let address = scene.server.address();
    let mut greedy = Caller::from("127.0.0.2", address).await;
    let mut opened = 0;
    let refused = loop {
        let answer = greedy.get(OPEN, &[HOST]).await;
        if answer.status != 200 {
            break answer;
        }
        opened += 1;
    };
    assert_refused(&refused, 429, "too_many_requests", "1");
    assert!(
        (10..15).contains(&opened),
        "{opened}: ten at once, and one a second"
    );
    assert_told(
        &scene.server,
        "handshake_rate",
        "ROWCAST_MAX_HANDSHAKE_RATE",
    )
    .await;
    // Others come in at once, and so does the greedy one when it has waited.
    scene.joined("42").await;
    until_for(
        std::time::Duration::from_secs(20),
        "a session",
        async || (greedy.get(OPEN, &[HOST]).await.status == 200).then_some(()),
    )
    .await;
}

#[tokio::test]
async fn an_address_sends_so_many_requests_to_socketio_a_second() {
    let scene = Scene::with(&[("ROWCAST_MAX_SOCKETIO_RATE", "5")]).await;
    let mut greedy = Caller::from("127.0.0.2", scene.server.address()).await;
    let mut answered = 0;
    let path = format!("{OPEN}&sid=none");
    let refused = loop {
        let answer = greedy.get(&path, &[HOST]).await;
        if answer.status != 400 {
            break answer;
        }
        answered += 1;
    };
    assert_refused(&refused, 429, "too_many_requests", "1");
    assert!(
        (50..100).contains(&answered),
        "{answered}: ten seconds' worth"
    );
    assert_told(&scene.server, "socketio_rate", "ROWCAST_MAX_SOCKETIO_RATE").await;
    scene.joined("42").await;
    assert_eq!(
        livez(&mut greedy).await,
        200,
        "it is counted for /socket.io alone"
    );
}

#[tokio::test]
async fn an_address_has_so_many_long_polls() {
    let scene = Scene::with(&[("ROWCAST_MAX_LONG_POLLS", "2")]).await;
    let address = scene.server.address();
    let path = "/api/conversations/42/events";
    let mut caller = Caller::from("127.0.0.2", address).await;
    let offset = caller.get(path, &[HOST]).await.json()["offset"].clone();
    let wait = format!(
        "{path}?wait=25&after={}",
        offset.as_str().expect("an offset")
    );
    let request = format!("GET {wait} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let mut caller = Caller::from("127.0.0.2", address).await;
        caller.send(&request).await;
        waiting.push(caller);
    }
    until("both to wait", async || {
        (scene.server.metric("rowcast_long_polls", &[]).await == 2.0).then_some(())
    })
    .await;
    let refused = caller.get(&wait, &[HOST]).await;
    assert_refused(&refused, 429, "too_many_requests", "1");
    assert_told(&scene.server, "long_polls", "ROWCAST_MAX_LONG_POLLS").await;
    // It may ask without waiting, others may wait, and those who wait get what they wait for.
    let now = format!("{path}?after={}", offset.as_str().expect("an offset"));
    assert_eq!(caller.get(&now, &[HOST]).await.status, 200);
    let mut other = Caller::from("127.0.0.3", address).await;
    other.send(&request).await;
    until("three to wait", async || {
        (scene.server.metric("rowcast_long_polls", &[]).await == 3.0).then_some(())
    })
    .await;
    scene.database.say("42", "here").await;
    for caller in waiting.iter_mut().chain([&mut other]) {
        let answer = within("the event", caller.answer())
            .await
            .expect("an answer");
        assert!(answer.body.contains("here"), "{answer:?}");
    }
    // Whoever was answered, or has gone, takes no place.
    waiting.clear();
    let gone = caller.get(path, &[HOST]).await.json()["offset"].clone();
    let gone = format!("{path}?wait=1&after={}", gone.as_str().expect("an offset"));
    assert_eq!(caller.get(&gone, &[HOST]).await.status, 200);
}

#[tokio::test]
async fn an_address_reads_so_much_of_what_is_past() {
    // A burst of 30, of which each read takes ten and what it finds.
    let scene = Scene::with(&[("ROWCAST_MAX_READ_RATE", "1")]).await;
    let mut greedy = Caller::from("127.0.0.1", scene.server.address()).await;
    let offset = greedy.get("/api/conversations/42/events", &[HOST]).await;
    let offset = offset.json()["offset"].clone();
    for number in 0..30 {
        scene.database.say("42", &format!("{number}")).await;
    }
    let history = "/api/conversations/42/messages";
    let first = greedy.get(history, &[HOST]).await;
    assert_eq!(first.status, 200, "{first:?}");
    let answer = greedy.get(history, &[HOST]).await;
    assert_refused(&answer, 429, "too_many_requests", "1");
    let events = format!(
        "/api/conversations/42/events?after={}",
        offset.as_str().expect("an offset")
    );
    let answer = greedy.get(&events, &[HOST]).await;
    assert_refused(&answer, 429, "too_many_requests", "1");
    assert_told(&scene.server, "read_rate", "ROWCAST_MAX_READ_RATE").await;

    // A join that asks for what is past is refused, too; one that does not is not.
    let mut wire = Wire::connect(scene.server.address()).await;
    let after = json!([{"contactId": "42", "after": offset}]);
    let answer = wire.ask("join:conversation", &after, 1).await;
    assert_eq!(answer["error"]["code"], "too_many_requests", "{answer}");
    let answer = wire.ask("join:conversation", &json!(["42"]), 2).await;
    assert_eq!(answer["ok"], true, "{answer}");
    // Others are as they were.
    let mut other = Caller::from("127.0.0.3", scene.server.address()).await;
    assert_eq!(other.get(history, &[HOST]).await.status, 200);
}

/// Each CONNECT begins a resume session.
#[tokio::test]
async fn a_client_connects_anew_so_often_on_one_connection() {
    let scene = Scene::new().await;
    let mut bystander = scene.joined("42").await;
    let mut wire = Wire::connect(scene.server.address()).await;
    let mut connects = 1;
    let refused = loop {
        wire.send("41").await;
        wire.send("40").await;
        let answer = wire
            .find("CONNECT or an error", |frame| {
                frame.starts_with("40") || frame.starts_with("44")
            })
            .await;
        if answer.starts_with("44") {
            break answer;
        }
        connects += 1;
    };
    assert!(refused.contains("too_many_connections"), "{refused}");
    assert!((10..20).contains(&connects), "{connects}");
    scene
        .server
        .counted("rowcast_limits_total", &["connect_rate"], 1.0)
        .await;
    scene.database.say("42", "unmoved").await;
    assert_eq!(bystander.event("message:new").await.body(), "unmoved");
}
