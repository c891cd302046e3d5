//! `GET /api/conversations/{contactId}/messages`, `/api/rooms/{room}/messages`: a room's messages, and the offset from which its
//! events go on.
//!
//! Messages and offset are of one snapshot. A client that joins with that offset misses nothing and gets nothing twice.

use std::sync::Arc;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;

use super::api::{Api, PathName, room, tagged};
use super::api_limits::Caller;
use super::etag::ETag;
use super::query::{Query, quoted};
use crate::auth::Identity;
use crate::db::{self, HistoryError};
use crate::http_error::Error;
use crate::offset::Offset;

#[derive(Serialize)]
struct Body {
    messages: Vec<Box<RawValue>>,
    offset: String,
    more: bool,
    key: Vec<String>,
    order: Vec<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    incomplete: bool,
}

pub(super) async fn answer(
    State(api): State<Arc<Api>>,
    Extension(identity): Extension<Identity>,
    Extension(caller): Extension<Caller>,
    path: PathName,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let room = room(&api, path, &identity).await?;
    let query = Query::parse(&uri, &["limit", "before"])?;
    let limit = query.number("limit", 50, 1..=200)?;
    let before = query.text("before");
    api.limits.may_read(&caller)?;
    let page = db::history(&api.pool, &room, before, limit.into(), api.max_payload)
        .await
        .map_err(|error| match error {
            HistoryError::Unattached(_) => Error::NothingThere(error.to_string()),
            HistoryError::UnknownId | HistoryError::AmbiguousId => Error::BadRequest(format!(
                "before={}: {error}",
                quoted(before.unwrap_or_default())
            )),
            error => api.failed(&error),
        })?;
    api.limits.charge_read(&caller, page.messages.len());
    api.check_still_stands(&identity, &room)?;
    for error in &page.left_out {
        api.complain("history is read without a table", error);
    }
    let incomplete = !page.left_out.is_empty();
    let mut tag = ETag::new(&uri, &identity.name(), page.state.epoch, api.retention);
    for message in &page.messages {
        tag.cover(message.get().as_bytes());
    }
    tag.cover(&[u8::from(page.more), u8::from(incomplete)]);
    tag.cover(format!("{:?}", (&page.key, &page.order)).as_bytes());
    Ok(tagged(&tag.finish(), &headers, || {
        let offset = Offset::all(page.state.epoch, page.durable, page.state.snapshot);
        let body = Body {
            messages: page.messages,
            offset: offset.pack(),
            more: page.more,
            key: page.key,
            order: page.order,
            incomplete,
        };
        serde_json::to_string(&body).expect("its parts are JSON")
    }))
}
