//! Pids and offsets that are not what they seem: a fresh session, and nothing that was not there to be seen.

use serde_json::{Value, json};

use crate::harness::{Scene, Server, Wire};

/// A raw client in room 42: its pid, the offset of its join, and its connection.
async fn joined(server: &Server) -> (String, String, Wire) {
    let (connect, mut wire) = connected(server, &json!({})).await;
    let answer = wire.ask("join:conversation", &json!(["42"]), 1).await;
    assert_eq!(answer["ok"], true, "{answer}");
    (text(&connect["pid"]), text(&answer["offset"]), wire)
}

/// A connection with this in its CONNECT, and the answer.
async fn connected(server: &Server, auth: &Value) -> (Value, Wire) {
    let mut wire = Wire::open(server.address()).await;
    wire.send(&format!("40{auth}")).await;
    let frame = wire
        .find("the CONNECT packet", |frame| frame.starts_with("40"))
        .await;
    let connect: Value = serde_json::from_str(&frame[2..]).expect("JSON");
    assert!(
        connect["pid"].as_str().is_some_and(|pid| pid.len() >= 16),
        "{connect}"
    );
    let ready = wire.frame().await.expect("rowcast:ready");
    assert!(ready.contains("rowcast:ready"), "the first event: {ready}");
    (connect, wire)
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// That a connection is in no room: what is written there does not come, what is written where it joins does.
async fn is_in_no_room(scene: &Scene, wire: &mut Wire) {
    scene.database.say("42", "not for you").await;
    let answer = wire.ask("join:conversation", &json!(["fence"]), 7).await;
    assert_eq!(answer["ok"], true, "{answer}");
    scene.database.say("fence", "for you").await;
    loop {
        let frame = wire.frame().await.expect("an event");
        assert!(!frame.contains("not for you"), "{frame}");
        if frame.contains("for you") {
            return;
        }
    }
}

#[tokio::test]
async fn a_pid_that_nobody_had_is_given_a_fresh_session() {
    let scene = Scene::new().await;
    let (pid, offset, _wire) = joined(&scene.server).await;
    let mut other = pid.clone();
    let last = other.pop().expect("a character");
    other.push(if last == 'A' { 'B' } else { 'A' });
    let odd = [
        json!(other),
        json!(pid.to_uppercase() + "x"),
        json!(pid[..pid.len() / 2]),
        json!(""),
        json!("' or true --"),
        json!("x".repeat(5_000)),
        json!(42),
        json!(null),
        json!([pid]),
        json!({"pid": pid}),
    ];
    for invented in odd {
        let auth = json!({"pid": invented, "offset": offset});
        let (connect, mut wire) = connected(&scene.server, &auth).await;
        assert_ne!(connect["pid"], invented, "nobody may choose a pid");
        assert_ne!(connect["pid"], json!(pid), "{invented}");
        is_in_no_room(&scene, &mut wire).await;
    }
    scene.server.readiness(200).await;
}

#[tokio::test]
async fn a_pid_with_a_tampered_offset_is_told_to_resync() {
    let scene = Scene::new().await;
    let (_, good, _) = joined(&scene.server).await;
    let mut flipped = good.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).expect("ASCII");
    let odd = [
        json!(flipped),
        json!(good[1..]),
        json!(format!("{good}AAAA")),
        json!(""),
        json!("0"),
        json!("not an offset"),
        json!("A".repeat(5_000)),
    ];
    for tampered in odd {
        let (pid, _, wire) = joined(&scene.server).await;
        drop(wire);
        scene.database.say("42", "missed").await;
        let auth = json!({"pid": pid, "offset": tampered});
        let (connect, mut wire) = connected(&scene.server, &auth).await;
        assert_ne!(connect["pid"], json!(pid), "{tampered}");
        let resync = wire.frame().await.expect("rowcast:resync");
        assert!(
            resync.contains("rowcast:resync") && resync.contains("42"),
            "{tampered}: {resync}"
        );
        is_in_no_room(&scene, &mut wire).await;
    }
    scene.server.readiness(200).await;
}

/// No stock client does this: `rowcast:ready` gave it an offset.
#[tokio::test]
async fn a_pid_without_an_offset_is_given_a_fresh_session() {
    let scene = Scene::new().await;
    for offset in [json!(null), json!(7), json!({"after": 1}), json!([])] {
        let (pid, _, wire) = joined(&scene.server).await;
        drop(wire);
        let auth = json!({"pid": pid, "offset": offset});
        let (connect, mut wire) = connected(&scene.server, &auth).await;
        assert_ne!(connect["pid"], json!(pid), "{offset}");
        is_in_no_room(&scene, &mut wire).await;
    }
}

#[tokio::test]
async fn a_pid_whose_client_said_good_bye_is_worth_nothing() {
    let scene = Scene::new().await;
    let (pid, offset, mut wire) = joined(&scene.server).await;
    wire.send("41").await;
    // Its connection stays until then: one that is cut takes along what the server has not read yet.
    scene
        .server
        .counted("rowcast_disconnects_total", &["client_disconnect"], 1.0)
        .await;
    drop(wire);
    let auth = json!({"pid": pid, "offset": offset});
    let (connect, mut wire) = connected(&scene.server, &auth).await;
    assert_ne!(connect["pid"], json!(pid), "it ended its session itself");
    is_in_no_room(&scene, &mut wire).await;
}

#[tokio::test]
async fn pids_are_stored_as_hashes_and_logged_nowhere() {
    let scene = Scene::with(&[("ROWCAST_LOG", "trace")]).await;
    let (pid, offset, wire) = joined(&scene.server).await;
    drop(wire);
    let auth = json!({"pid": pid, "offset": offset});
    let (_, _wire) = connected(&scene.server, &auth).await;
    let dump = "select coalesce(string_agg(s::text, ' '), '') from rowcast.sessions s";
    let dump = scene.database.value(dump).await;
    assert!(dump.contains("42"), "the session is stored: {dump}");
    let hex: String = pid.bytes().map(|byte| format!("{byte:02x}")).collect();
    assert!(!dump.contains(&pid) && !dump.contains(&hex), "{dump}");
    let told = scene
        .server
        .lines()
        .into_iter()
        .find(|line| line.contains(&pid));
    assert_eq!(told, None);
}
