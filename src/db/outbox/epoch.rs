//! Which life of the database this is, whether it crashed, and what was pruned: what an offset is checked against.
//!
//! An offset names transactions. In another database, or in an older state of this one, the same numbers name other
//! transactions. So the row `rowcast.epoch` has a random value, and remembers for which cluster (system identifier), timeline
//! and database it was drawn. A restored dump, a copy or a rewind brings the row along but differs in one of these; then the
//! reader draws a new value, and offsets with the old one are answered with a resync.
//! A crash can undo transactions whose commit did not wait for the disk. Postgres empties unlogged tables after a crash, so an
//! empty `rowcast.uncrashed` says that there was one. The reader notes it when it connects, and until then nobody is given an
//! answer (`ReadError::Recovering`).

use std::sync::Arc;

use sqlx::Row as _;
use sqlx::postgres::{PgConnection, PgRow};

use crate::db::read_error::ReadError;
use crate::offset::{DatabaseState, Epoch};

/// Draws a new epoch if the row was drawn for another database. The timeline comes from the name of the log file that is being
/// written, because the control file has a new timeline only after the next checkpoint.
const REBIND: &str = "
update rowcast.epoch e
set value = ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
    system_identifier = c.system_identifier,
    timeline = t.line,
    database = d.oid
from pg_control_system() c, (select oid from pg_database where datname = current_database()) d, (select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as line) t
where (e.system_identifier, e.timeline, e.database) is distinct from (c.system_identifier, t.line, d.oid)";

/// Notes a crash that no server has noted yet. The row is locked first, so that only one of several servers notes it.
/// What is noted is the first transaction id after the recovery: every id from there on was handed out again. That id is in
/// the checkpoint that ended the recovery; if there was another checkpoint since, the id is unknown, and 0 is noted, which
/// means that no transaction is certain to have survived.
macro_rules! find_crash {
    ($checkpoints:literal) => {
        concat!(
            "
with epoch as materialized (
    select from rowcast.epoch for update
), mended as (
    insert into rowcast.uncrashed select true from epoch on conflict do nothing returning 1
)
update rowcast.epoch set recovered = recovered || (
    select case when (",
            $checkpoints,
            ") <= 1 and c.checkpoint_time >= date_trunc('second', pg_postmaster_start_time())
        then split_part(c.next_xid, ':', 1)::bigint << 32 | split_part(c.next_xid, ':', 2)::bigint else 0 end
    from pg_control_checkpoint() c)
where exists (select from mended)"
        )
    };
}

/// A recovery resets the statistics, so these count the checkpoints since then.
const FIND_CRASH: &str = find_crash!("select num_timed + num_requested from pg_stat_checkpointer");
const FIND_CRASH_BEFORE_17: &str =
    find_crash!("select checkpoints_timed + checkpoints_req from pg_stat_bgwriter");

/// What [`database_state`] reads, as one row of a subquery.
macro_rules! database_state_columns {
    () => {
        "select pg_current_snapshot()::text as snapshot,
               pg_current_wal_insert_lsn() <= pg_current_wal_flush_lsn() as durable,
               value as epoch, recovered, pruned::text as pruned,
               exists (select from rowcast.uncrashed) as sound
        from rowcast.epoch"
    };
}
pub(in crate::db) use database_state_columns;

/// Reads the columns of [`database_state_columns!`]. The second value says whether everything that was visible was on disk.
///
/// # Errors
/// The database has recovered from a crash, and the reader has not noted it yet.
pub(in crate::db) fn database_state(row: &PgRow) -> Result<(DatabaseState, bool), ReadError> {
    if !row.try_get::<bool, _>("sound")? {
        return Err(ReadError::Recovering);
    }
    let recovered: Vec<i64> = row.try_get("recovered")?;
    let pruned: Option<String> = row.try_get("pruned")?;
    let state = DatabaseState {
        epoch: Epoch {
            value: row.try_get::<i64, _>("epoch")?.cast_unsigned(),
            crashes: recovered.len(),
        },
        snapshot: Arc::new(row.try_get::<String, _>("snapshot")?.parse()?),
        pruned: pruned.map(|text| text.parse().map(Arc::new)).transpose()?,
        recovered: recovered.into_iter().map(i64::cast_unsigned).collect(),
    };
    Ok((state, row.try_get("durable")?))
}

/// The epoch of the database behind `conn`, and the next transaction id after each crash that is known of. Draws a new epoch if
/// this is another database, and notes a crash.
pub(super) async fn current(conn: &mut PgConnection) -> sqlx::Result<(Epoch, Vec<u64>)> {
    let redrawn = sqlx::query(REBIND)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    if redrawn > 0 {
        tracing::warn!(
            "this database is a copy or was rewound: older offsets are answered with resync"
        );
    }
    let before_17 = conn
        .server_version_num()
        .is_some_and(|version| version < 170_000);
    let crashed = sqlx::query(if before_17 {
        FIND_CRASH_BEFORE_17
    } else {
        FIND_CRASH
    })
    .execute(&mut *conn)
    .await?
    .rows_affected();
    if crashed > 0 {
        tracing::warn!("the database has recovered from a crash");
    }
    let (value, recovered): (i64, Vec<i64>) =
        sqlx::query_as("select value, recovered from rowcast.epoch")
            .fetch_one(conn)
            .await?;
    let epoch = Epoch {
        value: value.cast_unsigned(),
        crashes: recovered.len(),
    };
    let recovered = recovered.into_iter().map(i64::cast_unsigned).collect();
    Ok((epoch, recovered))
}
