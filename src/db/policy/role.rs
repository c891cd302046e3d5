//! As whom the policy runs: as `rowcast_policy`, which can read nothing of ours, or, where that can't be had, with the server's rights.
//!
//! A server whose role may neither call `rowcast.ask_may_join`, which belongs to that role, nor become it (`migrations/0020_policy.sql`),
//! asks as itself, says so once, and looks again from time to time: the right may have been given
//! meanwhile.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use sqlx::Row as _;
use sqlx::postgres::PgConnection;
use tokio::time::Instant;

/// Between two looks for a right that is not there.
const PAUSE: Duration = Duration::from_secs(60);

/// Whether the current role may become `rowcast_policy`, and whether it may ask as that role without becoming it: one row.
pub(in crate::db) const MAY_BECOME: &str = "
select coalesce((
    select pg_catalog.pg_has_role(r.oid, case when pg_catalog.current_setting('server_version_num')::int >= 160000 then 'set' else 'member' end)
    from pg_catalog.pg_roles r where r.rolname = 'rowcast_policy'), false) as may_become,
  exists (
    select from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
    where n.nspname = 'rowcast' and p.proname = 'ask_may_join' and p.prosecdef
      and pg_catalog.pg_get_userbyid(p.proowner) = 'rowcast_policy' and pg_catalog.has_function_privilege(p.oid, 'execute')
  ) as is_confined";

/// As whom it is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum As {
    /// As the policy's role, which what it calls can't leave.
    Confined,
    /// As the policy's role, which it can leave.
    Policy,
    /// As the server.
    Server,
}

/// What is known of it.
#[derive(Default)]
pub(super) struct Role(Mutex<State>);

#[derive(Clone, Copy, Default)]
struct State {
    known: Option<As>,
    looked: Option<Instant>,
    told: Option<As>,
}

impl Role {
    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// As whom the policy is asked now. Looked up if that is not known, or may have got better.
    ///
    /// # Errors
    /// The database's own.
    pub(super) async fn as_whom(&self, connection: &mut PgConnection) -> sqlx::Result<As> {
        let State { known, looked, .. } = *self.state();
        let is_fresh = looked.is_some_and(|looked| looked.elapsed() < PAUSE);
        if let Some(known) = known.filter(|known| *known == As::Confined || is_fresh) {
            return Ok(known);
        }
        let row = sqlx::raw_sql(MAY_BECOME).fetch_one(connection).await?;
        let found = match (row.try_get("is_confined")?, row.try_get("may_become")?) {
            (true, _) => As::Confined,
            (false, true) => As::Policy,
            (false, false) => As::Server,
        };
        self.found(found);
        Ok(found)
    }

    fn found(&self, found: As) {
        let mut state = self.state();
        (state.known, state.looked) = (Some(found), Some(Instant::now()));
        let is_news = state.told.replace(found) != Some(found);
        drop(state);
        match found {
            As::Server if is_news => tracing::warn!(
                "the policy rowcast.may_join runs with the server's own rights, because the server's role may not become rowcast_policy; \
                 to change that, run what `rowcast grant ROLE` prints"
            ),
            As::Policy if is_news => tracing::warn!(
                "what the policy rowcast.may_join calls can leave its role, because rowcast.ask_may_join does not belong to rowcast_policy; \
                 to change that, run what `rowcast grant ROLE` prints"
            ),
            _ => {}
        }
    }

    /// It could not be asked like this, perhaps because the role is gone, or a right.
    pub(super) fn forget(&self) {
        self.state().known = None;
    }
}
