//! Many revocations, and how long the last event slips through.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{everything, guarded};
use crate::harness::token::{JWT, token};
use crate::harness::{Server, Wire};

/// Sockets, half of them on each of two servers.
const SOCKETS: usize = 60;
/// Revocations a second.
const RATE: u64 = 200;

/// Reads until its connection ends, and says when it had its last event.
async fn last_event(mut wire: Wire) -> Option<Instant> {
    let mut last = None;
    while let Some(frame) = wire.frame_whenever().await {
        if frame.contains("tick") {
            last = Some(Instant::now());
        }
    }
    last
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_a_second_each_take_effect_within_a_second() {
    let scene = guarded().await;
    let other = Server::with(&scene.database, &JWT).await;
    let mut sockets = JoinSet::new();
    for number in 0..SOCKETS {
        let server = if number % 2 == 0 {
            &scene.server
        } else {
            &other
        };
        let auth = json!({ "token": token(&format!("user-{number}"), &everything()) });
        let (_, mut wire) = Wire::connect_with(server.address(), &auth).await;
        let answer: Value = wire.ask("join:conversation", &json!(["42"]), 1).await;
        assert_eq!(answer["ok"], true, "{answer}");
        sockets.spawn(async move { (number, last_event(wire).await) });
    }
    let mut ticking = scene.database.connection().await;
    let mut ticks = JoinSet::new();
    ticks.spawn(async move {
        loop {
            crate::harness::database::run(
                &mut ticking,
                "select rowcast.emit('conversation:42', 'tick', '{}')",
            )
            .await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    let mut revoking = scene.database.connection().await;
    let mut pause = tokio::time::interval(Duration::from_micros(1_000_000 / RATE));
    let mut revoked = Vec::with_capacity(SOCKETS);
    for number in 0..SOCKETS {
        pause.tick().await;
        let revoke = format!("select rowcast.revoke('user-{number}')");
        crate::harness::database::run(&mut revoking, &revoke).await;
        revoked.push(Instant::now());
    }
    let mut late: Vec<Duration> = Vec::with_capacity(SOCKETS);
    while let Some(ended) = sockets.join_next().await {
        let (number, last) = ended.expect("it reads to the end");
        late.push(last.map_or(Duration::ZERO, |at| {
            at.saturating_duration_since(revoked[number])
        }));
    }
    ticks.abort_all();
    late.sort_unstable();
    let worst = late[SOCKETS - 1];
    let summary = format!(
        "p50 {:?}, p99 {:?}, worst {worst:?} of {SOCKETS}",
        late[SOCKETS / 2],
        late[SOCKETS * 99 / 100]
    );
    assert!(worst < Duration::from_secs(1), "{summary}");
    tracing_summary(&summary);
    for server in [&scene.server, &other] {
        server
            .counted("rowcast_revocations", &[], SOCKETS as f64)
            .await;
    }
}

#[expect(clippy::print_stderr, reason = "a figure, for whoever measures")]
fn tracing_summary(summary: &str) {
    eprintln!("from a revocation to the last event that slips through: {summary}");
}
