//! `GET /api/conversations/{contactId}/events`, `/api/rooms/{room}/events`: the events that a socket gets, for clients that poll
//! over HTTP.
//!
//! Every answer is read from the database, so an offset means the same here as on a socket. A long-poll holds no database
//! connection while it waits: the broadcast wakes it (`RoomNotifier`), and it reads again.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, State};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use tokio::time::{Instant, sleep_until};

use super::api::{Api, PathName, check_room, room, tagged};
use super::api_limits::{Caller, LongPoll};
use super::etag::{self, ETag};
use super::query::Query;
use crate::auth::Identity;
use crate::db;
use crate::delivery::RoomWatch;
use crate::event::{Event, Reload, Room};
use crate::http_error::Error;
use crate::metrics::Limit;
use crate::offset::{BadOffset, Epoch, Offset, ReadRange, ReplayPage, RoomRange, Seen};

#[derive(Serialize)]
struct Body<'a> {
    events: Vec<Item<'a>>,
    offset: String,
    more: bool,
}

#[derive(Serialize)]
struct Item<'a> {
    event: &'a str,
    data: &'a RawValue,
    offset: String,
}

/// Events after an offset.
struct Page {
    /// Each with what is delivered once it is.
    events: Vec<(Arc<Event>, Seen)>,
    epoch: Epoch,
    durable: bool,
    /// Where to go on.
    end: Seen,
    more: bool,
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
    let query = Query::parse(&uri, &["after", "limit", "wait"])?;
    let limit = query.number("limit", 500, 1..=2000)?.into();
    let wait = query.number("wait", 0, 0..=25)?;
    // It begins before the right is looked at, so that its end is either seen or announced.
    let mut standing = api.watch_standing(&identity);
    api.check_still_stands(&identity, &room)?;
    let Some(after) = query.text("after") else {
        let page = api.present().await?;
        return Ok(api.respond(&page, &uri, &headers, &identity).0);
    };
    api.limits.may_read(&caller)?;
    let after = api.unpack(after).await?;
    let deadline = Instant::now() + Duration::from_secs(wait.into());
    // It watches before it reads, so that an event is either in the read or announced.
    let mut waiting = match wait {
        0 => None,
        _ => Some(api.begin_wait(&caller, &room)?),
    };
    loop {
        let page = api.read(&room, &after, limit).await?;
        api.limits.charge_read(&caller, page.events.len());
        api.check_still_stands(&identity, &room)?;
        let (response, known) = api.respond(&page, &uri, &headers, &identity);
        // A page of nothing but what other rooms are to reload has more behind it.
        let news = (page.more || !page.events.is_empty()) && !known;
        drop(page);
        let Some((watch, _)) = &mut waiting else {
            return Ok(response);
        };
        if news {
            // The right to read the room may have ended while it waited, or while it read.
            check_room(&api, &room, &identity).await?;
            return Ok(response);
        }
        // All of what it has already is read again for each event: whoever has used up what it may read waits no longer.
        if api.limits.may_read(&caller).is_err() {
            return Ok(response);
        }
        tokio::select! {
            () = watch.next() => {}
            () = standing.shaken() => api.check_still_stands(&identity, &room)?,
            () = sleep_until(deadline) => return Ok(response),
            () = api.closing_clients.cancelled() => return Ok(response),
        }
    }
}

impl Api {
    /// What wakes a long poll, and its place among them.
    fn begin_wait(&self, caller: &Caller, room: &Room) -> Result<(RoomWatch, LongPoll), Error> {
        let place = self.limits.begin_long_poll(caller)?;
        let watch = self.notifier.watch(room).map_err(|_| {
            self.metrics.limits(Limit::AllLongPolls);
            Error::Crowded
        })?;
        Ok((watch, place))
    }

    /// An empty page that ends where the database is.
    async fn present(&self) -> Result<Page, Error> {
        let page = self.replay_page(&[], 0).await?;
        Ok(Page {
            events: Vec::new(),
            epoch: page.state.epoch,
            durable: page.durable,
            end: Seen::All(page.state.snapshot),
            more: false,
        })
    }

    async fn replay_page(&self, ranges: &[RoomRange], limit: usize) -> Result<ReplayPage, Error> {
        let page = db::replay_page(&self.pool, ranges, limit, self.max_payload)
            .await
            .map_err(|error| self.failed(&error))?;
        let value = page.state.epoch.value;
        *self.epoch.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        Ok(page)
    }

    /// Reads an offset. The epoch may be that of a while ago: [`Api::read`] compares it with the database's.
    async fn unpack(&self, text: &str) -> Result<Offset, Error> {
        let known = *self.epoch.lock().unwrap_or_else(PoisonError::into_inner);
        let unpacked = match known.map(|value| Offset::unpack(text, value)) {
            Some(Ok(offset)) => Ok(offset),
            Some(Err(BadOffset::Malformed)) => Err(BadOffset::Malformed),
            Some(Err(BadOffset::Foreign)) | None => {
                Offset::unpack(text, self.present().await?.epoch.value)
            }
        };
        unpacked.map_err(|error| match error {
            BadOffset::Malformed => Error::BadRequest(format!("after is {error}")),
            BadOffset::Foreign => Error::OffsetExpired(error.to_string()),
        })
    }

    /// What the room got after an offset. A batch that was begun is finished first, under its own snapshot.
    async fn read(&self, room: &Room, after: &Offset, limit: usize) -> Result<Page, Error> {
        let mut seen = after.seen_in(room).clone();
        let mut events = Vec::new();
        loop {
            let (before, batch, id) = match &seen {
                Seen::All(snapshot) => (snapshot, None, i64::MIN),
                Seen::Part { before, batch, id } => (before, Some(batch), *id),
            };
            let range = |room| RoomRange {
                room,
                before: before.clone(),
                batch: batch.cloned(),
                after: id,
                upto: i64::MAX,
            };
            let ranges = [range(room.clone()), range(Room::of_reloads())];
            let ends_here = batch.is_none();
            let left = limit - events.len();
            // With nothing left it only looks whether there is more.
            let mut found = self.replay_page(&ranges, left.max(1)).await?;
            check(after, &seen, &found)?;
            take_reloads(&mut found, room)?;
            let page = |events, end, more| Page {
                events,
                epoch: found.state.epoch,
                durable: found.durable,
                end,
                more,
            };
            if left == 0 && (!found.events.is_empty() || found.upto.is_some()) {
                return Ok(page(events, seen, true));
            }
            let range = ReadRange::following(&seen, &found.state.snapshot);
            let placed = range.place(found.events.iter().cloned(), found.upto);
            events.extend(placed.events);
            if ends_here || found.upto.is_some() {
                return Ok(page(events, placed.end, found.upto.is_some()));
            }
            seen = placed.end;
        }
    }

    /// The answer, and whether the client has it already.
    fn respond(
        &self,
        page: &Page,
        uri: &Uri,
        headers: &HeaderMap,
        identity: &Identity,
    ) -> (Response, bool) {
        let offset = |seen: &Seen| {
            let offset = Offset {
                epoch: page.epoch,
                durable: page.durable,
                seen: seen.clone(),
                joining_room: None,
            };
            offset.pack()
        };
        let mut tag = ETag::new(uri, &identity.name(), page.epoch, self.retention);
        for (event, _) in &page.events {
            tag.cover(event.name.as_bytes());
            tag.cover(event.payload.get().as_bytes());
        }
        tag.cover(&[u8::from(page.more)]);
        let tag = tag.finish();
        let response = tagged(&tag, headers, || {
            let items = page.events.iter().map(|(event, seen)| Item {
                event: &event.name,
                data: &event.payload,
                offset: offset(seen),
            });
            let body = Body {
                events: items.collect(),
                offset: offset(&page.end),
                more: page.more,
            };
            serde_json::to_string(&body).expect("its parts are JSON")
        });
        (response, etag::is_known(headers, &tag))
    }
}

/// Takes out the events that have rooms reloaded: whether this one is to be.
fn take_reloads(found: &mut ReplayPage, room: &Room) -> Result<(), Error> {
    let mut reloads = found.events.iter().filter_map(|event| Reload::of(event));
    if reloads.any(|reload| reload.concerns(room)) {
        return Err(Error::OffsetExpired(Reload::REASON.to_owned()));
    }
    found.events.retain(|event| !event.room.is_of_reloads());
    Ok(())
}

/// Whether what was missed since the offset can be told.
fn check(after: &Offset, seen: &Seen, found: &ReplayPage) -> Result<(), Error> {
    if found.state.epoch.value != after.epoch.value {
        return Err(Error::OffsetExpired(BadOffset::Foreign.to_string()));
    }
    after
        .check_continuity(seen, &found.state)
        .map_err(|error| Error::OffsetExpired(error.to_string()))
}
