//! The attached tables, and what the doctor finds.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use serde_json::{Value, json};

use super::posted::Posted;
use super::{Inspector, answer};
use crate::db::{Doctor, Level, SourceEntry, list_sources};
use crate::http_error::Error;

/// A body that says nothing: `{}`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Empty {}

/// `GET /api/sources`
pub(super) async fn list(State(inspector): State<Arc<Inspector>>) -> Response {
    inspector.looked.notify_one();
    let asked = async {
        let listed = list_sources(&inspector.parts.database).await;
        listed.map_err(|error| format!("{error:#}"))
    };
    let listed = inspector.sources.get(asked).await;
    answer(&match &*listed {
        Ok(sources) => json!({ "sources": sources.iter().map(source).collect::<Vec<_>>() }),
        Err(why) => json!({ "sources": [], "unknown": why }),
    })
}

fn source(entry: &SourceEntry) -> Value {
    json!({
        "source": entry.source,
        "relation": entry.relation,
        "rooms": entry.rooms,
        "events": entry.events,
        "orderColumn": entry.order_column,
        "eventsPerSecond": entry.events_per_second,
        "problems": entry.mends(),
    })
}

/// `POST /api/doctor`. One examination at a time, whoever asks; it changes nothing, and takes two connections and some seconds.
pub(super) async fn examine(
    State(inspector): State<Arc<Inspector>>,
    _: Posted<Empty>,
) -> Result<Response, Error> {
    inspector.looked.notify_one();
    let parts = &inspector.parts;
    let doctor = Doctor::new(
        parts.database.clone(),
        parts.retention,
        parts.is_embedded,
        parts.asks_policy,
    );
    let findings = inspector.findings.get(doctor.examine()).await;
    let worst = findings.iter().map(|finding| finding.level).max();
    Ok(answer(
        &json!({ "status": worst.unwrap_or(Level::Ok), "findings": *findings }),
    ))
}
