//! The server at a glance: checks, clients, figures, and the other servers on the database.
//!
//! Counters are given as they stand, as `/metrics` has them; the page makes rates of two of them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Value, json};

use super::Inspector;
use crate::db::{cause_of, servers};
use crate::metrics::{Buckets, Transport};
use crate::socketio::inspection::Crowd;

/// `GET /api/overview`
pub(super) async fn answer(State(inspector): State<Arc<Inspector>>) -> Response {
    let crowd = inspector.crowd().await;
    let asked = async {
        let listed = servers(&inspector.parts.pool).await;
        listed.map_err(|error| cause_of(&error))
    };
    let servers = inspector.servers.get(asked).await;
    let (metrics, health) = (&inspector.parts.metrics, &inspector.parts.health);
    let buckets = Buckets::of(&metrics.commit_to_broadcast).0;
    let bounded: Vec<_> = buckets
        .iter()
        .filter(|(bound, _)| bound.is_finite())
        .collect();
    super::answer(&json!({
        "uptimeMs": millis(inspector.begun.elapsed()),
        "checks": health.report(),
        "sockets": sockets(&crowd),
        "deliveries": metrics.deliveries.get(),
        "eventsRead": metrics.events_read.get(),
        "replayed": metrics.replayed.get(),
        "slowConsumers": metrics.slow_consumers.get(),
        "captureErrors": metrics.capture_errors.get(),
        "lagEvents": metrics.lag_events.get(),
        "lagMs": health.lag().map(millis),
        "commitToBroadcast": {
            "boundsMs": bounded.iter().map(|(bound, _)| bound * 1000.0).collect::<Vec<_>>(),
            "counts": bounded.iter().map(|(_, count)| count).collect::<Vec<_>>(),
            "count": buckets.last().map_or(0, |(_, count)| *count),
        },
        "outbox": { "rows": metrics.outbox_rows.get(), "bytes": metrics.outbox_bytes.get() },
        "notifyQueue": metrics.notify_queue.get(),
        "servers": servers.as_ref().as_ref().ok(),
        "serversUnknown": servers.as_ref().as_ref().err(),
    }))
}

fn sockets(crowd: &Crowd) -> Value {
    let of = |kind| {
        crowd
            .sockets
            .iter()
            .filter(|socket| socket.transport == kind)
            .count()
    };
    json!({
        "total": crowd.total,
        "looked": crowd.sockets.len(),
        "websocket": of(Transport::Websocket),
        "polling": of(Transport::Polling),
        "behind": crowd.sockets.iter().filter(|socket| socket.is_behind).count(),
        "waitingBytes": crowd.sockets.iter().map(|socket| socket.waiting_bytes).sum::<usize>(),
        "rooms": crowd.rooms.len(),
    })
}

fn millis(duration: std::time::Duration) -> u64 {
    duration.as_millis().try_into().unwrap_or(u64::MAX)
}
