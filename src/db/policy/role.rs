//! The role that the policy runs as, which can read nothing of ours: `rowcast_policy`, made by `migrations/0031_policy.sql`.
//!
//! A server whose role may not become that one asks as itself, says so once, and looks again from time to time: the role may
//! have been made meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

/// Between two looks for a role that is not there.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether the current role may become `rowcast_policy`: one row, `true` or `false`.
pub(in crate::db) const MAY_BECOME: &str = "
select coalesce((
    select pg_catalog.pg_has_role(r.oid, case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
    from pg_catalog.pg_roles r where r.rolname = 'rowcast_policy'), false) as may_become";

/// What is known of the role.
#[derive(Default)]
pub(super) struct Role(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    may_become: Option<bool>,
    looked: Option<Instant>,
    told: bool,
}

impl Role {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a transaction is to be the role's. Looked up if it is not known.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn may_become(&self, connection: &mut PgConnection) -> sqlx::Result<bool> {
        let State {
            may_become, looked, ..
        } = *self.state();
        let is_fresh = looked.is_some_and(|looked| looked.elapsed() < PAUSE);
        if let Some(may_become) = may_become.filter(|may_become| *may_become || is_fresh) {
            return Ok(may_become);
        }
        let row = sqlx::raw_sql(MAY_BECOME).fetch_one(connection).await?;
        let may_become = row.try_get("may_become")?;
        self.found(may_become);
        Ok(may_become)
    }

    fn found(&self, may_become: bool) {
        let mut state = self.state();
        (state.may_become, state.looked) = (Some(may_become), Some(Instant::now()));
        let is_news = !std::mem::replace(&mut state.told, !may_become);
        if is_news && !may_become {
            tracing::warn!(
                "the policy rowcast.may_join runs with the server's own rights, because the server's role may not become rowcast_policy; \
                 to change that, run what `rowcast grant ROLE` prints"
            );
        }
    }

    /// A transaction could not be begun, perhaps because the role is gone.
    pub(super) fn forget(&self) {
        self.state().may_become = None;
    }
}
