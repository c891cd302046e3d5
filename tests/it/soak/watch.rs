//! Looks all the time whether a writer waits because of us: for a lock on an object of ours, or for a backend of ours.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use sqlx::{Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// A wait that is shorter is no wait: writers wait for each other's rows, too.
const BOUND: &str = "250 ms";
const PAUSE: Duration = Duration::from_millis(100);

/// Whoever is none of ours, has waited for a lock for longer than the bound, and waits for us.
const WAITS: &str = "
select format('%s waits for %s on %s, held by %s: %s', a.application_name, l.mode, coalesce(l.relation::regclass::text, l.locktype),
              (select string_agg(concat_ws(' ', b.application_name, b.query), '; ') from pg_stat_activity b where b.pid = any(pg_blocking_pids(l.pid))), a.query)
from pg_locks l join pg_stat_activity a using (pid)
where not l.granted and l.waitstart < clock_timestamp() - interval 'BOUND' and a.application_name not like 'rowcast%' and a.datname = current_database()
  and (l.locktype = 'advisory'
    or exists (select from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.oid = l.relation and n.nspname = 'rowcast')
    or exists (select from pg_stat_activity b where b.pid = any(pg_blocking_pids(l.pid)) and b.application_name like 'rowcast%'))";

/// The waits that were seen.
pub(super) struct Watch {
    seen: Arc<Mutex<(u64, Vec<String>)>>,
    _task: JoinSet<()>,
}

impl Watch {
    /// Begins to look.
    pub(super) fn start(url: &str) -> Self {
        let seen = Arc::new(Mutex::new((0, Vec::new())));
        let (url, into) = (url.to_owned(), Arc::clone(&seen));
        let query = WAITS.replace("BOUND", BOUND);
        let mut task = JoinSet::new();
        task.spawn(async move {
            loop {
                if let Ok(mut connection) = PgConnection::connect(&url).await {
                    look(&mut connection, &query, &into).await;
                }
                sleep(PAUSE).await;
            }
        });
        Self { seen, _task: task }
    }

    /// How often it has looked.
    pub(super) fn looks(&self) -> u64 {
        self.seen.lock().expect("unpoisoned").0
    }

    /// Who waited for what.
    pub(super) fn waits(&self) -> Vec<String> {
        self.seen.lock().expect("unpoisoned").1.clone()
    }
}

/// Looks for as long as the connection lives.
async fn look(connection: &mut PgConnection, query: &str, into: &Mutex<(u64, Vec<String>)>) {
    loop {
        let query = sqlx::query_scalar(sqlx::AssertSqlSafe(query.to_owned()));
        let Ok(found) = query.fetch_all(&mut *connection).await else {
            return;
        };
        {
            let mut seen = into.lock().expect("unpoisoned");
            seen.0 += 1;
            seen.1.extend(found);
        }
        sleep(PAUSE).await;
    }
}
