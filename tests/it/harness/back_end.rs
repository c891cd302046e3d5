//! A back end that goes on writing while something is amiss with a server: none of its statements may fail, or wait for a lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// What it does, over and over. Each is one message, and so one transaction: nothing of it stays on a pooler's connection.
const WRITES: [&str; 4] = [
    "insert into messages (contact_id, body) values ('a back end', 'new')",
    "update messages set body = 'changed' where contact_id = 'a back end'",
    "insert into messages (contact_id, body) select 'a back end', n::text from generate_series(1, 5) n; rollback",
    "delete from messages where contact_id = 'a back end'",
];
/// A wait that a person would notice.
const WAIT: &str = "set local lock_timeout = '1s'";

/// A back end at work.
pub(crate) struct BackEnd {
    stop: Arc<AtomicBool>,
    work: JoinSet<Result<u64, String>>,
}

impl BackEnd {
    /// Starts writing.
    pub(crate) fn on(url: &str) -> Self {
        let options: PgConnectOptions = url.parse().expect("a database URL");
        let options = options.application_name("back end");
        let stop = Arc::new(AtomicBool::new(false));
        let mut work = JoinSet::new();
        work.spawn(write(options.extra_float_digits(None), Arc::clone(&stop)));
        Self { stop, work }
    }

    /// Ends it, and says how many statements it has run. Panics if one failed, or waited.
    pub(crate) async fn unharmed(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.work.join_next().await.expect("it works");
        match ended.expect("no panic") {
            Ok(statements) => {
                assert!(statements > 0, "a back end that never wrote");
                eprintln!("a back end's statements: {statements}, failed or waited: 0");
                statements
            }
            Err(failed) => panic!("a statement of a back end failed, or waited: {failed}"),
        }
    }
}

async fn write(options: PgConnectOptions, stop: Arc<AtomicBool>) -> Result<u64, String> {
    let connected = PgConnection::connect_with(&options).await;
    let mut connection = connected.map_err(|error| error.to_string())?;
    let mut statements = 0;
    while !stop.load(Ordering::Relaxed) || statements == 0 {
        for write in WRITES {
            let message = AssertSqlSafe(format!("{WAIT}; {write}"));
            let written = sqlx::raw_sql(message).execute(&mut connection).await;
            written.map_err(|error| format!("{write}: {error}"))?;
            statements += 1;
        }
        sleep(Duration::from_millis(10)).await;
    }
    let closed = connection.close().await;
    closed.map_err(|error| error.to_string())?;
    Ok(statements)
}
