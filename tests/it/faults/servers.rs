//! Two servers on one database: a client moves from one to the other with its pid.

use serde_json::json;

use crate::harness::{Server, Trial, Wire};

#[tokio::test]
async fn clients_that_move_between_two_servers_lose_nothing() {
    let trial = Trial::new().await;
    let second = trial.another().await;
    for round in 1..=6 {
        let there = if round % 2 == 1 {
            &second
        } else {
            &trial.server
        };
        trial.network.lead(there.address());
        trial.cut().await;
        trial.ledger.more(20).await;
        trial.back().await;
    }
    trial.flows().await;
    trial.complete().await;
}

/// The old server has not noticed that its client is gone when the new one resumes it.
#[tokio::test]
async fn clients_that_move_while_the_old_server_hangs_lose_nothing() {
    let trial = Trial::new().await;
    let second = trial.another().await;
    trial.server.freeze().await;
    trial.ledger.more(60).await;
    trial.network.lead(second.address());
    trial.cut().await;
    trial.back().await;
    trial.flows().await;
    trial.server.signal(rustix::process::Signal::CONT);
    trial.flows().await;
    // And back, while it serves the sockets of their earlier selves or has just let go of them.
    trial.network.lead(trial.server.address());
    trial.cut().await;
    trial.back().await;
    trial.flows().await;
    trial.complete().await;
}

#[tokio::test]
async fn of_two_connections_with_one_pid_the_later_one_wins() {
    let trial = Trial::new().await;
    let (pid, offset, mut earlier) = joined(&trial.server, "a").await;
    let auth = json!({"pid": pid, "offset": offset});
    let mut later = Wire::open(trial.server.address()).await;
    later.send(&format!("40{auth}")).await;
    let connect = later
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    assert!(connect.contains(&pid), "resumed: {connect}");
    later
        .find("an event", |frame| frame.contains("message:new"))
        .await;
    // Its transport ends: a stock client would come back, and not be told to stay away.
    while let Some(frame) = earlier.frame().await {
        assert!(!frame.starts_with("41"), "{frame}");
    }
    later
        .find("another event", |frame| frame.contains("message:new"))
        .await;
    trial.flows().await;
    trial.complete().await;
}

/// A raw client in a room: its pid, the offset of its join, and its connection.
async fn joined(server: &Server, contact: &str) -> (String, String, Wire) {
    let mut wire = Wire::open(server.address()).await;
    wire.send("40").await;
    let connect = wire
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    let connect: serde_json::Value = serde_json::from_str(&connect[2..]).expect("JSON");
    let answer = wire.ask("join:conversation", &json!([contact]), 1).await;
    assert_eq!(answer["ok"], true, "{answer}");
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    (text(&connect["pid"]), text(&answer["offset"]), wire)
}
