//! Rows: what is inserted, at what pace, and how a delivered one is recognised.
//!
//! Owns the message's body: a marker, the row's number, and words up to the length at which a `message:new` frame has
//! about 330 bytes. Guarantees an even pace that does not wait for the server under test, and for each row the moment
//! before its INSERT was sent and the moment after its commit was acknowledged.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use sqlx::PgPool;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Connections that the pool needs.
pub(crate) const WRITERS: u32 = 8;
/// Start of every body; the row's number follows in eight digits.
pub(crate) const MARKER: &str = "bench-";
const WORDS: &str = "it left the depot";
const INSERT: &str = "insert into messages (contact_id, author, body) values ($1, 'Ana', $2)";

/// All rows of one room, in one statement.
pub(crate) const MANY: &str = "insert into messages (contact_id, author, body) \
    select $1, 'Ana', body from unnest($2::text[]) as body";

/// As many numbered rows of one room, with what stands before and after the number.
pub(crate) const AT_ONCE: &str = "insert into messages (contact_id, author, body) \
    select $1, 'Ana', $3 || lpad(row::text, 8, '0') || $4 from generate_series(0, $2 - 1) as row order by row";

/// Each row of the next room, all in one statement.
const SPREAD: &str = "insert into messages (contact_id, author, body) \
    select room, 'Ana', body from unnest($1::text[], $2::text[]) as row (room, body)";

/// When one row was written.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    pub(crate) row: u32,
    pub(crate) sent: Instant,
    pub(crate) committed: Instant,
}

/// Text of a row's body.
pub(crate) fn body(row: u32) -> String {
    format!("{MARKER}{row:08} {WORDS}")
}

/// What stands before and after the number in a body.
pub(crate) fn around() -> (&'static str, String) {
    (MARKER, format!(" {WORDS}"))
}

/// The number of the row that a `message:new` frame carries.
pub(crate) fn row_in(frame: &str) -> Option<u32> {
    let after = frame.strip_prefix(r#"42["message:new","#)?;
    let (_, number) = after.split_once(MARKER)?;
    number.get(..8)?.parse().ok()
}

/// Inserts those rows one by one at that rate, row by row into the next room, and returns them in order.
pub(crate) async fn paced(
    pool: &PgPool,
    rows: Range<u32>,
    rate: u32,
    rooms: u32,
) -> Result<Vec<Written>> {
    paced_until(
        pool,
        rows,
        rate,
        move |row| row % rooms,
        &CancellationToken::new(),
    )
    .await
}

/// The same with each row in the room that `room_of` says, and none after the stop.
pub(crate) async fn paced_until(
    pool: &PgPool,
    rows: Range<u32>,
    rate: u32,
    room_of: impl Fn(u32) -> u32 + Copy + Send + 'static,
    stop: &CancellationToken,
) -> Result<Vec<Written>> {
    let begin = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (pool, rows, stop) = (pool.clone(), rows.clone(), stop.clone());
        writers.spawn(async move {
            let mut connection = pool.acquire().await?;
            let mut written = Vec::new();
            for row in rows.clone().skip(writer as usize).step_by(WRITERS as usize) {
                let due =
                    begin + Duration::from_secs_f64(f64::from(row - rows.start) / f64::from(rate));
                tokio::select! {
                    () = tokio::time::sleep_until(due.into()) => {}
                    () = stop.cancelled() => break,
                }
                let (room, body) = (room_of(row).to_string(), body(row));
                let sent = Instant::now();
                sqlx::query(INSERT)
                    .bind(room)
                    .bind(body)
                    .execute(&mut *connection)
                    .await?;
                written.push(Written {
                    row,
                    sent,
                    committed: Instant::now(),
                });
            }
            Ok::<_, sqlx::Error>(written)
        });
    }
    all_in_order(writers).await
}

/// Inserts those rows at that rate in transactions of `at_once` rows, row by row into the next room, and returns them in order.
pub(crate) async fn paced_batches(
    pool: &PgPool,
    rows: Range<u32>,
    rate: u32,
    at_once: u32,
    rooms: u32,
) -> Result<Vec<Written>> {
    let begin = Instant::now();
    let batches = rows.len().div_ceil(at_once as usize);
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS as usize {
        let (pool, rows) = (pool.clone(), rows.clone());
        writers.spawn(async move {
            let mut connection = pool.acquire().await?;
            let mut written = Vec::new();
            for batch in (writer..batches).step_by(WRITERS as usize) {
                let from = rows.start + u32::try_from(batch).unwrap_or(u32::MAX) * at_once;
                let batch = from..rows.end.min(from + at_once);
                let due =
                    begin + Duration::from_secs_f64(f64::from(from - rows.start) / f64::from(rate));
                tokio::time::sleep_until(due.into()).await;
                let in_rooms = batch.clone().map(|row| (row % rooms).to_string());
                let bodies = batch.clone().map(body);
                let (in_rooms, bodies) = (in_rooms.collect::<Vec<_>>(), bodies.collect::<Vec<_>>());
                let sent = Instant::now();
                sqlx::query(SPREAD)
                    .bind(in_rooms)
                    .bind(bodies)
                    .execute(&mut *connection)
                    .await?;
                let committed = Instant::now();
                written.extend(batch.map(|row| Written {
                    row,
                    sent,
                    committed,
                }));
            }
            Ok::<_, sqlx::Error>(written)
        });
    }
    all_in_order(writers).await
}

/// What all writers have written, by the number of the row.
async fn all_in_order(mut writers: JoinSet<sqlx::Result<Vec<Written>>>) -> Result<Vec<Written>> {
    let mut all = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written?.context("an insert failed")?);
    }
    all.sort_unstable_by_key(|written| written.row);
    Ok(all)
}
