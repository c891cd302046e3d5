//! Which life of the database this is, whether it crashed, and what was pruned: what an offset is checked against.
//!
//! An offset names transactions. In another database, or in an older state of this one, the same numbers name other
//! transactions. So the row `rowcast.epoch` has a random value, and remembers for which cluster (system identifier), timeline,
//! database and table it was drawn. A restored dump, a copy or a rewind brings the row along but differs in one of these, or has
//! events of transactions that are yet to come; then the reader draws a new value, and offsets with the old one are answered
//! with a resync. What is not told (a managed service may refuse `pg_control_system()`) is not compared.
//! A crash can undo transactions whose commit did not wait for the disk. Postgres empties unlogged tables after a crash, so an
//! empty `rowcast.uncrashed` says that there was one. The reader notes it when it connects, and until then nobody is given an
//! answer (`ReadError::Recovering`).

use std::sync::Arc;

use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{Postgres, Row as _};

use crate::db::backend::Backend;
use crate::db::link::{Link, STANDBY, Settings, scoped};
use crate::db::read_error::ReadError;
use crate::db::retry::is_refused_for_good;
use crate::offset::{DatabaseState, Epoch, EpochKey, Snapshot};

const SYSTEM: &str = "select system_identifier from pg_control_system()";
/// From the name of the log file that is being written, because the control file has a new timeline only after the next checkpoint.
const TIMELINE: &str =
    "select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int";
const LOG: &str = "select pg_current_wal_insert_lsn() >= pg_current_wal_flush_lsn()";

/// For a row that somebody deleted.
const INSERT: &str = "
insert into rowcast.epoch (value)
select ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint
where not exists (select from rowcast.epoch)";

/// Draws a new epoch if the row was drawn for another database, or has seen what is yet to come: `$1` is the system identifier,
/// `$2` the timeline, where they are known.
const REBIND: &str = "
update rowcast.epoch e
set value = ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
    system_identifier = $1, timeline = $2, database = d.oid, relation = 'rowcast.epoch'::regclass,
    recovered = '{}', pruned = null, removed = null
from (select oid, pg_snapshot_xmax(pg_current_snapshot()) as next from pg_database where datname = current_database()) d
where e.system_identifier <> $1 or e.timeline <> $2 or e.database is distinct from d.oid
   or e.relation <> 'rowcast.epoch'::regclass::oid
   or pg_snapshot_xmax(e.pruned) > d.next or pg_snapshot_xmax(e.removed) > d.next
   or exists (select from rowcast.events where xid >= d.next)";

/// Fills in what whoever wrote the row was not told.
const FILL: &str = "
update rowcast.epoch e
set system_identifier = coalesce(e.system_identifier, $1), timeline = coalesce(e.timeline, $2),
    relation = coalesce(e.relation, 'rowcast.epoch'::regclass)
where e.system_identifier is null and $1 is not null or e.timeline is null and $2 is not null or e.relation is null";

/// Removes events of transactions that are yet to come: a copy brought them along, and they would be taken for later ones'.
const SWEEP: &str = "
delete from rowcast.events e
using (
    select id from rowcast.events
    where (select set_config('rowcast.pruning', 'on', true) = 'on') and xid >= pg_snapshot_xmax(pg_current_snapshot())
    limit 20000
) foreign_event
where e.id = foreign_event.id";

/// Notes a crash that no server has noted yet. The row is locked first, so that only one of several servers notes it.
/// What is noted is the first transaction id after the recovery: every id from there on was handed out again. That id is in
/// the checkpoint that ended the recovery; if there was another checkpoint since, the id is unknown, and 0 is noted, which
/// means that no transaction is certain to have survived.
macro_rules! find_crash {
    ($next:expr) => {
        concat!(
            "
with epoch as materialized (
    select from rowcast.epoch for update
), mended as (
    insert into rowcast.uncrashed select true from epoch on conflict do nothing returning 1
)
update rowcast.epoch set recovered = recovered || (",
            $next,
            ") where exists (select from mended)"
        )
    };
}
macro_rules! next_after {
    ($checkpoints:literal) => {
        concat!(
            "
    select case when (",
            $checkpoints,
            ") <= 1 and c.checkpoint_time >= date_trunc('second', pg_postmaster_start_time())
        then split_part(c.next_xid, ':', 1)::bigint << 32 | split_part(c.next_xid, ':', 2)::bigint else 0 end
    from pg_control_checkpoint() c"
        )
    };
}

/// A recovery resets the statistics, so these count the checkpoints since then.
const FIND_CRASH: &str = find_crash!(next_after!(
    "select num_timed + num_requested from pg_stat_checkpointer"
));
const FIND_CRASH_BEFORE_17: &str = find_crash!(next_after!(
    "select checkpoints_timed + checkpoints_req from pg_stat_bgwriter"
));
/// Where the checkpoint is not told.
const FIND_CRASH_BLINDLY: &str = find_crash!("select 0::bigint");

/// What is said where events are hidden: what is read then is not all there is.
pub(super) const HIDDEN: &str = "row security hides rows of rowcast.events from the server's role; `rowcast doctor` prints the policy";

/// What [`database_state`] reads, as one row of a subquery.
macro_rules! database_state_columns {
    () => {
        concat!(
            "select pg_current_snapshot()::text as snapshot, rowcast.is_flushed() as durable,
               value as epoch, rowcast.server_secret() as secret, recovered, pruned::text as pruned, removed::text as removed,
               exists (select from rowcast.uncrashed) as sound, pg_is_in_recovery() as standby,
               ",
            crate::db::rights::hides_rows!("'rowcast.events'::regclass"),
            " as hidden
        from rowcast.epoch"
        )
    };
}
pub(in crate::db) use database_state_columns;

/// Reads the columns of [`database_state_columns!`]. The second value says whether everything that was visible was on disk.
///
/// # Errors
/// The database has recovered from a crash, and the reader has not noted it yet; or it is a standby, or hides events from us.
pub(in crate::db) fn database_state(row: &PgRow) -> Result<(DatabaseState, bool), ReadError> {
    if row.try_get("standby")? {
        return Err(sqlx::Error::Protocol(STANDBY.to_owned()).into());
    }
    if row.try_get("hidden")? {
        return Err(sqlx::Error::Protocol(HIDDEN.to_owned()).into());
    }
    if !row.try_get::<bool, _>("sound")? {
        return Err(ReadError::Recovering);
    }
    let recovered: Vec<i64> = row.try_get("recovered")?;
    let state = DatabaseState {
        epoch: Epoch {
            value: EpochKey::derive(row.try_get("secret")?, row.try_get("epoch")?),
            crashes: recovered.len(),
        },
        snapshot: Arc::new(row.try_get::<String, _>("snapshot")?.parse()?),
        pruned: removed_events(row)?.map(Arc::new),
        recovered: recovered.into_iter().map(i64::cast_unsigned).collect(),
    };
    Ok((state, row.try_get("durable")?))
}

/// The columns `pruned` and `removed`: a snapshot that sees every event which was ever removed, by a server or by hand.
pub(super) fn removed_events(row: &PgRow) -> Result<Option<Snapshot>, ReadError> {
    let column = |name| -> Result<Option<Snapshot>, ReadError> {
        let text: Option<String> = row.try_get(name)?;
        Ok(text.map(|text| text.parse()).transpose()?)
    };
    Ok(match (column("pruned")?, column("removed")?) {
        (Some(pruned), Some(removed)) => Some(pruned.union(&removed)),
        (one, other) => one.or(other),
    })
}

/// What a reader finds when it connects.
pub(super) struct Current {
    pub(super) epoch: Epoch,
    /// The epoch's value, as the row has it.
    pub(super) value: i64,
    /// The next transaction id after each crash that is known of.
    pub(super) recovered: Vec<u64>,
    /// Whether the database says how far its log is on disk.
    pub(super) tells_log: bool,
    /// What it does not tell, by function.
    pub(super) refused: Vec<&'static str>,
}

/// Statements on one connection, each in a transaction of its own.
struct Statements<'a> {
    connection: &'a mut PgConnection,
    link: Link,
    settings: Settings,
}

impl Statements<'_> {
    async fn execute(
        &mut self,
        query: sqlx::query::Query<'_, Postgres, sqlx::postgres::PgArguments>,
    ) -> sqlx::Result<u64> {
        let run = async |connection: &mut Backend<'_>| query.execute(connection).await;
        let done = scoped(self.connection, self.link, self.settings, run).await?;
        Ok(done.rows_affected())
    }

    /// One value; none where the database refuses to say.
    async fn told<T>(&mut self, sql: &'static str) -> sqlx::Result<Option<T>>
    where
        T: Send + Unpin + sqlx::Type<Postgres> + for<'r> sqlx::Decode<'r, Postgres>,
    {
        let run = async |connection: &mut Backend<'_>| {
            sqlx::query_scalar(sql).fetch_one(connection).await
        };
        match scoped(self.connection, self.link, self.settings, run).await {
            Ok(value) => Ok(Some(value)),
            Err(error) if is_refused_for_good(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether this is another database than the epoch's: then a new one is drawn, and what came from elsewhere is removed.
    async fn rebind(&mut self, system: Option<i64>, timeline: Option<i32>) -> sqlx::Result<bool> {
        let bound = |sql| sqlx::query(sql).bind(system).bind(timeline);
        let redrawn = self.execute(bound(REBIND)).await? > 0;
        if redrawn {
            while self.execute(sqlx::query(SWEEP)).await? > 0 {}
        } else {
            self.execute(bound(FILL)).await?;
        }
        Ok(redrawn)
    }

    async fn find_crash(&mut self) -> sqlx::Result<(bool, bool)> {
        let before_17 = self
            .connection
            .server_version_num()
            .is_some_and(|version| version < 170_000);
        let find = if before_17 {
            FIND_CRASH_BEFORE_17
        } else {
            FIND_CRASH
        };
        match self.execute(sqlx::query(find)).await {
            Ok(crashed) => Ok((crashed > 0, true)),
            Err(error) if is_refused_for_good(&error) => {
                let crashed = self.execute(sqlx::query(FIND_CRASH_BLINDLY)).await?;
                Ok((crashed > 0, false))
            }
            Err(error) => Err(error),
        }
    }
}

/// The epoch of the database behind `connection`. Draws a new one if this is another database, and notes a crash.
pub(super) async fn current(
    connection: &mut PgConnection,
    link: Link,
    settings: Settings,
) -> sqlx::Result<Current> {
    let mut on = Statements {
        connection,
        link,
        settings,
    };
    let system: Option<i64> = on.told(SYSTEM).await?;
    let timeline: Option<i32> = on.told(TIMELINE).await?;
    let tells_log = on.told::<bool>(LOG).await?.is_some();
    let read = "select value, rowcast.server_secret(), recovered from rowcast.epoch";
    let has_row = on.told::<i64>("select count(*) from rowcast.epoch").await? != Some(0);
    if !has_row {
        on.execute(sqlx::query(INSERT)).await?;
    }
    if on.rebind(system, timeline).await? {
        tracing::warn!(
            "this database is a copy, was restored or was rewound: older offsets are answered with resync"
        );
    }
    let (crashed, tells_checkpoint) = on.find_crash().await?;
    if crashed {
        tracing::warn!("the database has recovered from a crash");
    }
    let run = async |connection: &mut Backend<'_>| sqlx::query_as(read).fetch_one(connection).await;
    let (value, secret, recovered): (i64, Vec<u8>, Vec<i64>) =
        scoped(on.connection, link, settings, run).await?;
    let refused = [
        ("pg_control_system()", system.is_some()),
        ("pg_current_wal_lsn()", timeline.is_some()),
        ("pg_current_wal_flush_lsn()", tells_log),
        ("pg_control_checkpoint()", tells_checkpoint),
    ];
    Ok(Current {
        value,
        epoch: Epoch {
            value: EpochKey::derive(&secret, value),
            crashes: recovered.len(),
        },
        recovered: recovered.into_iter().map(i64::cast_unsigned).collect(),
        tells_log,
        refused: refused
            .into_iter()
            .filter_map(|(name, told)| (!told).then_some(name))
            .collect(),
    })
}
