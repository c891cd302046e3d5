//! `GET /demo/conversations`: the list of conversations, and the wait for a change of it.
//!
//! The list is read from the database each time. A request that waits holds no database connection; an event of any room wakes
//! it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use tokio::time::{Instant, sleep, sleep_until};

use super::Demo;
use crate::db::Conversation;
use crate::http::Caller;
use crate::http::api::tagged;
use crate::http::etag::{self, ETag};
use crate::http::query::Query;
use crate::http_error::Error;
use crate::metrics::Limit;

/// Between two reads of one request: an event of each room wakes it, and most change nothing in so short a time.
const LOOK_PAUSE: Duration = Duration::from_millis(100);

#[derive(Serialize)]
struct Body {
    conversations: Vec<Conversation>,
}

pub(super) async fn answer(
    State(demo): State<Arc<Demo>>,
    Extension(caller): Extension<Caller>,
    uri: Uri,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let query = Query::parse(&uri, &["wait"])?;
    let wait = query.number("wait", 0, 0..=25)?;
    let deadline = Instant::now() + Duration::from_secs(wait.into());
    let api = &demo.api;
    // It watches before it reads, so that a change is either in the read or announced.
    let (mut watch, _place) = match wait {
        0 => (None, None),
        _ => {
            let place = api.limits.begin_long_poll(&caller)?;
            let watch = api.notifier.watch_any().map_err(|_| {
                api.metrics.limits(Limit::AllLongPolls);
                Error::Crowded
            })?;
            (Some(watch), Some(place))
        }
    };
    loop {
        let body = demo.list().await?;
        let tag = ETag::of(body.as_bytes());
        let known = etag::is_known(&headers, &tag);
        let response = tagged(&tag, &headers, || body);
        let Some(watch) = watch.as_mut().filter(|_| known) else {
            return Ok(response);
        };
        let woken = async {
            sleep(LOOK_PAUSE).await;
            watch.next().await;
        };
        tokio::select! {
            () = woken => {}
            () = sleep_until(deadline) => return Ok(response),
            () = api.closing_clients.cancelled() => return Ok(response),
        }
    }
}

impl Demo {
    async fn list(&self) -> Result<String, Error> {
        let conversations = self.chat.conversations(self.api.max_payload).await;
        let body = Body {
            conversations: conversations.map_err(|error| self.failed(&error))?,
        };
        Ok(serde_json::to_string(&body).expect("its parts are JSON"))
    }
}
