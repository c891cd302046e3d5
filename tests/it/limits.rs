//! Every limit: hit, told, counted, and harmless to everybody else.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::harness::client::only;
use crate::harness::raw::Wire;
use crate::harness::wait::{until, within};
use crate::harness::{Polling, Scene};

#[tokio::test]
async fn a_socket_may_be_in_so_many_rooms() {
    let scene = Scene::with(&[("ROWCAST_MAX_ROOMS", "3")]).await;
    let mut client = scene.stock.connect(&scene.server).await;
    for contact in ["1", "2", "3"] {
        client.join(contact).await;
    }
    let refused = client.ask("join:conversation", json!(["4"])).await;
    assert_eq!(refused["ok"], false, "{refused}");
    assert_eq!(refused["error"]["code"], "too_many_rooms", "{refused}");
    client.emit("join:conversation", json!(["4"]));
    assert_eq!(
        client.event("rowcast:error").await.payload()["code"],
        "too_many_rooms"
    );
    // A room it is in already takes no place.
    client.join("3").await;
    client.leave("3").await;
    client.join("4").await;
    scene.database.say("4", "in").await;
    assert_eq!(client.event("message:new").await.body(), "in");
    scene
        .server
        .counted("rowcast_limits_total", &["ooms"], 2.0)
        .await;
}

#[tokio::test]
async fn a_socket_may_send_so_many_events_a_second() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "10")]).await;
    let mut greedy = scene.joined("42").await;
    let mut modest = scene.joined("42").await;
    let answers: Vec<_> = (0..200)
        .map(|_| greedy.ask_later("typing:stop", json!(["42"])))
        .collect();
    let mut refused = 0;
    for (number, answer) in answers.into_iter().enumerate() {
        let answer = only(within(format!("answer {number}"), answer).await);
        if answer["ok"] == false {
            assert_eq!(answer["error"]["code"], "too_many_requests", "{answer}");
            refused += 1;
        }
    }
    assert!(
        (100..200).contains(&refused),
        "{refused} of 200 were refused at 10 a second"
    );
    // Others are as they were, and so is the greedy one a moment later.
    modest.join("43").await;
    scene.database.say("42", "to both").await;
    assert_eq!(greedy.event("message:new").await.body(), "to both");
    assert_eq!(modest.event("message:new").await.body(), "to both");
    until("the greedy client to be heard again", async || {
        let answer = greedy.ask("leave:conversation", json!(["42"])).await;
        (answer["ok"] == true).then_some(())
    })
    .await;
    scene
        .server
        .counted("rowcast_limits_total", &["ate"], 100.0)
        .await;
}

#[tokio::test]
async fn events_beyond_the_rate_are_told_without_an_ack_too() {
    let scene = Scene::with(&[("ROWCAST_MAX_EVENT_RATE", "5")]).await;
    let mut client = scene.joined("42").await;
    for _ in 0..50 {
        client.emit("typing:stop", json!(["42"]));
    }
    assert_eq!(
        client.event("rowcast:error").await.payload()["code"],
        "too_many_requests"
    );
}

#[tokio::test]
async fn a_message_may_be_so_large() {
    let scene = Scene::with(&[("ROWCAST_MAX_MESSAGE_SIZE", "10KB")]).await;
    let mut bystander = scene.joined("42").await;

    // Below it, any text is looked at.
    let mut wire = Wire::connect(scene.server.address()).await;
    let answer = wire
        .ask("join:conversation", &json!(["x".repeat(8_000)]), 1)
        .await;
    assert_eq!(answer["error"]["code"], "bad_request", "{answer}");
    // Above it, the connection ends: in one frame or in many.
    wire.emit("join:conversation", &json!(["x".repeat(20_000)]), None)
        .await;
    wire.closed().await;
    let mut wire = Wire::connect(scene.server.address()).await;
    wire.send_bytes(vec![0; 20_000]).await;
    wire.closed().await;

    let polling = Polling::connect(scene.server.address()).await;
    polling.poll().await;
    let refused = polling
        .post(&format!(
            "42[\"join:conversation\",\"{}\"]",
            "x".repeat(20_000)
        ))
        .await;
    assert!((400..500).contains(&refused.status), "{refused:?}");

    scene.database.say("42", "unmoved").await;
    assert_eq!(bystander.event("message:new").await.body(), "unmoved");
}

#[tokio::test]
async fn a_handshake_may_take_so_long() {
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "500ms")]).await;
    // A websocket that never says `40`.
    let mut silent = Wire::open(scene.server.address()).await;
    silent.closed().await;

    // A connection that never finishes its request.
    let mut slow = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("accepted");
    tokio::io::AsyncWriteExt::write_all(&mut slow, b"GET /livez HTTP/1.1\r\nhost: x\r\n")
        .await
        .expect("written");
    let mut answer = Vec::new();
    let _cut = within(
        "the half request to be cut",
        tokio::io::AsyncReadExt::read_to_end(&mut slow, &mut answer),
    )
    .await;

    // Those who are in stay in.
    let mut client = scene.joined("42").await;
    scene.database.say("42", "in").await;
    assert_eq!(client.event("message:new").await.body(), "in");
    scene
        .server
        .counted("rowcast_limits_total", &["andshake"], 1.0)
        .await;
}

#[tokio::test]
async fn a_socket_that_sends_without_end_is_bounded_and_alone() {
    let scene = Scene::new().await;
    let mut bystander = scene.joined("42").await;
    let before = scene.server.peak_memory_bytes();
    let mut flood = Wire::connect(scene.server.address()).await;
    for ack in 0..20_000 {
        flood
            .emit("join:conversation", &json!(["42"]), Some(ack))
            .await;
    }
    scene.database.say("42", "unmoved").await;
    assert_eq!(bystander.event("message:new").await.body(), "unmoved");
    let grown = scene.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "the flood took {} MB", grown >> 20);
}

#[tokio::test]
async fn a_body_that_never_ends_keeps_no_connection() {
    let scene = Scene::with(&[("ROWCAST_HANDSHAKE_TIMEOUT", "1s")]).await;
    let path = "/socket.io/?EIO=4&transport=polling";
    let open = scene.server.get(path).await;
    let open: serde_json::Value =
        serde_json::from_str(open.body.trim_start_matches('0')).expect("an open packet");
    let session = open["sid"].as_str().expect("a session id");
    let mut connection = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("the server accepts");
    let head =
        format!("POST {path}&sid={session} HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n4");
    connection
        .write_all(head.as_bytes())
        .await
        .expect("it reads");
    let mut answer = String::new();
    within("the end", connection.read_to_string(&mut answer))
        .await
        .expect("an orderly end");
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

/// A request that names an engine session which does not exist leaves nothing in memory.
#[tokio::test]
async fn an_upgrade_of_no_session_is_not_remembered() {
    const REQUESTS: usize = 8_000;
    let scene = Scene::new().await;
    let mut tcp = tokio::net::TcpStream::connect(scene.server.address())
        .await
        .expect("TCP");
    let before = scene.server.peak_memory_bytes();
    let long = "x".repeat(12_000);
    let mut buffer = vec![0; 64 * 1024];
    for number in 0..REQUESTS {
        let request = format!(
            "GET /socket.io/?EIO=4&transport=websocket&sid={long}{number} HTTP/1.1\r\nHost: x\r\n\r\n"
        );
        tcp.write_all(request.as_bytes()).await.expect("sent");
        let read = tcp.read(&mut buffer).await.expect("an answer");
        assert!(
            buffer[..read].starts_with(b"HTTP/1.1 4"),
            "{}",
            String::from_utf8_lossy(&buffer[..read])
        );
    }
    let grown = scene.server.peak_memory_bytes().saturating_sub(before);
    assert!(grown < 32 << 20, "it took {} MB", grown >> 20);
}
