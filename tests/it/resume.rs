//! Coming back: quiet rooms, other servers, and what a server must know before it answers.

use serde_json::json;

use crate::harness::wait::{until, until_for};
use crate::harness::{Proxy, Scene, Server, Wire};

/// The client has got all that there was, however long ago that was.
#[tokio::test]
async fn a_client_of_a_quiet_room_resumes_after_longer_than_the_retention() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "2s")]).await;
    let network = Proxy::to(scene.server.address()).await;
    let options = json!({"transports": ["websocket"]});
    let mut client = scene.stock.open(network.address(), &options, &[]).0;
    client.connected().await;
    client.join("quiet").await;
    let joined = scene
        .database
        .value("select complete_to_offset from rowcast.sessions")
        .await;
    for _ in 0..2 {
        scene.database.say("busy", "pruned").await;
        until("events to be pruned", async || {
            let left = scene.database.value("select count(*) from rowcast.events");
            (left.await == "0").then_some(())
        })
        .await;
    }
    let told = "select complete_to_offset from rowcast.sessions";
    until("the session to be kept up", async || {
        (scene.database.value(told).await != joined).then_some(())
    })
    .await;
    client.cut();
    assert!(client.connected().await, "it had missed nothing");
    scene.database.say("quiet", "hello").await;
    assert_eq!(client.event("message:new").await.body(), "hello");
}

/// The history's snapshot is later than what the reader has looked at, though no event came between.
#[tokio::test]
async fn a_join_after_a_history_is_answered_at_once() {
    let scene = Scene::with(&[("ROWCAST_POLL", "60s")]).await;
    let client = scene.joined("other").await;
    scene
        .database
        .run("create table elsewhere (n int); insert into elsewhere values (1)")
        .await;
    let page = scene
        .server
        .get("/api/conversations/42/messages")
        .await
        .json();
    let join = json!([{"contactId": "42", "after": page["offset"]}]);
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(answer["ok"], true, "{answer}");
    assert_eq!(answer["resync"], json!(null), "{answer}");
}

/// Every server sees each read of another at its own time.
#[tokio::test]
async fn a_client_that_is_ahead_of_its_new_server_waits_for_it() {
    let lazy = [("ROWCAST_POLL", "60s")];
    let scene = Scene::with(&lazy).await;
    let other = Server::with(&scene.database, &lazy).await;
    let mut client = scene.joined("42").await;
    scene.database.say("42", "one").await;
    let offset = client
        .event("message:new")
        .await
        .offset()
        .map(str::to_owned);
    let mut moved = scene.stock.connect(&other).await;
    let join = json!([{"contactId": "42", "after": offset}]);
    let answer = moved.ask("join:conversation", join).await;
    assert_eq!(answer["resync"], json!(null), "{answer}");
    scene.database.say("42", "two").await;
    assert_eq!(moved.event("message:new").await.body(), "two");
}

/// A join that was answered is known after a `kill -9` a moment later.
#[tokio::test]
async fn an_answered_join_outlives_the_server() {
    for _ in 0..3 {
        let scene = Scene::new().await;
        let network = Proxy::to(scene.server.address()).await;
        let options = json!({"transports": ["websocket"]});
        let mut client = scene.stock.open(network.address(), &options, &[]).0;
        client.connected().await;
        for contact in ["1", "2", "3"] {
            client.join(contact).await;
        }
        scene.server.crash().await;
        for contact in ["1", "2", "3"] {
            scene.database.say(contact, contact).await;
        }
        let next = Server::on(&scene.database).await;
        network.lead(next.address());
        assert!(client.connected().await);
        for contact in ["1", "2", "3"] {
            assert_eq!(client.event("message:new").await.body(), contact);
        }
    }
}

/// What nobody can come back to is not kept.
#[tokio::test]
async fn sessions_end_with_a_goodbye_or_with_the_retention() {
    let scene = Scene::with(&[("ROWCAST_RETENTION", "1s")]).await;
    let kept = async || {
        scene
            .database
            .value("select count(*) from rowcast.sessions")
            .await
    };
    let client = scene.joined("42").await;
    assert_eq!(kept().await, "1");
    client.disconnect();
    until("the session to end", async || {
        (kept().await == "0").then_some(())
    })
    .await;

    let gone = scene.joined("42").await;
    assert_eq!(kept().await, "1");
    drop(scene.stock);
    drop(gone);
    until_for(
        std::time::Duration::from_secs(30),
        "the session to be pruned",
        async || (kept().await == "0").then_some(()),
    )
    .await;
}

/// What is replayed of a room to a slow consumer ends where it leaves.
#[tokio::test]
async fn a_room_that_is_left_and_joined_again_during_a_replay_repeats_nothing() {
    const EVENTS: usize = 600;
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let options = json!({"transports": ["polling"]});
    let mut client = scene.stock.open(network.address(), &options, &[]).0;
    client.connected().await;
    client.join("42").await;
    network.stall(true);
    let burst = format!(
        "insert into messages (contact_id, body) select '42', n || repeat(' and so on', 2000) from generate_series(0, {EVENTS} - 1) n"
    );
    scene.database.run(&burst).await;
    scene
        .server
        .counted("rowcast_fell_behind_total", &[], 1.0)
        .await;
    network.stall(false);
    let mut events = Vec::new();
    while events.len() < EVENTS / 10 {
        events.push(client.event("message:new").await);
    }
    client.leave("42").await;
    events.extend(client.arrived("message:new"));
    let after = events
        .last()
        .and_then(|event| event.offset())
        .map(str::to_owned);
    assert!(events.len() < EVENTS, "it left in the middle");
    let join = json!([{"contactId": "42", "after": after}]);
    let answer = client.ask("join:conversation", join).await;
    assert_eq!(answer["resync"], json!(null), "{answer}");
    events.extend(client.arrived("message:new"));
    for (number, event) in events.iter().enumerate() {
        assert!(
            event.body().starts_with(&format!("{number} and")),
            "{number} is to come, not {:.20}",
            event.body()
        );
    }
    assert_eq!(events.len(), EVENTS);
}

#[tokio::test]
async fn a_client_that_connects_anew_on_its_transport_starts_anew() {
    let scene = Scene::new().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    // No more than a client may connect at once on one engine session.
    for _ in 0..9 {
        wire.ask("join:conversation", &serde_json::json!(["42"]), 1)
            .await;
        wire.send("41").await;
        until("the end of the connection", async || {
            (scene.server.metric("rowcast_sockets", &[]).await == 0.0).then_some(())
        })
        .await;
        wire.send("40").await;
        let first = wire.frame().await.expect("a frame");
        assert!(
            first.starts_with("40"),
            "before the CONNECT packet came {first}"
        );
        let second = wire.frame().await.expect("a frame");
        assert!(second.contains("rowcast:ready"), "{second}");
    }
}
