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

/// Connections that the pool needs.
pub(crate) const WRITERS: u32 = 8;
/// Start of every body; the row's number follows in eight digits.
pub(crate) const MARKER: &str = "bench-";
const WORDS: &str = "it left the depot";
const INSERT: &str = "insert into messages (contact_id, author, body) values ($1, 'Ana', $2)";

/// All rows of one room, in one statement.
pub(crate) const MANY: &str = "insert into messages (contact_id, author, body) \
    select $1, 'Ana', body from unnest($2::text[]) as body";

/// When one row was written.
#[derive(Clone, Copy)]
pub(crate) struct Written {
    row: u32,
    pub(crate) sent: Instant,
    pub(crate) committed: Instant,
}

/// Text of a row's body.
pub(crate) fn body(row: u32) -> String {
    format!("{MARKER}{row:08} {WORDS}")
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
    let begin = Instant::now();
    let mut writers = JoinSet::new();
    for writer in 0..WRITERS {
        let (pool, rows) = (pool.clone(), rows.clone());
        writers.spawn(async move {
            let mut connection = pool.acquire().await?;
            let mut written = Vec::new();
            for row in rows.clone().skip(writer as usize).step_by(WRITERS as usize) {
                let due =
                    begin + Duration::from_secs_f64(f64::from(row - rows.start) / f64::from(rate));
                tokio::time::sleep_until(due.into()).await;
                let (room, body) = ((row % rooms).to_string(), body(row));
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
    let mut all = Vec::new();
    while let Some(written) = writers.join_next().await {
        all.extend(written?.context("an insert failed")?);
    }
    all.sort_unstable_by_key(|written| written.row);
    Ok(all)
}
