//! Which life of the database this is.
//!
//! The epoch is bound to the cluster (system identifier) and its timeline: a dump restored elsewhere
//! or a rewind brings the row of another life along, and offsets of that life must not be believed.
//! The timeline is that of the log as it is written now: `pg_control_checkpoint()` learns of a promotion at the first
//! checkpoint after it only, minutes too late.

use sqlx::postgres::PgConnection;

use crate::offset::Epoch;

const REBIND: &str = "
update rowcast.epoch e
set value = ('x' || left(replace(gen_random_uuid()::text, '-', ''), 16))::bit(64)::bigint,
    system_identifier = c.system_identifier,
    timeline = t.id
from pg_control_system() c,
     (select ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int as id) t
where (e.system_identifier, e.timeline) is distinct from (c.system_identifier, t.id)";

/// The epoch of the database behind `conn`, drawn anew when the database is not the one it was drawn for.
pub(super) async fn current(conn: &mut PgConnection) -> sqlx::Result<Epoch> {
    let redrawn = sqlx::query(REBIND)
        .execute(&mut *conn)
        .await?
        .rows_affected();
    if redrawn > 0 {
        tracing::warn!(
            "this database is a copy or was rewound: older offsets are answered with resync"
        );
    }
    let value: i64 = sqlx::query_scalar("select value from rowcast.epoch")
        .fetch_one(conn)
        .await?;
    Ok(Epoch(value.cast_unsigned()))
}
