//! Everything that can be wrong with a database that Rowcast serves, looked at one by one.
//!
//! Owns the questions and what each answer means; `rowcast doctor` prints them. In the order of what hurts: whether the database
//! can be reached and used, whether events are captured and heard, what grows.
//! Guarantees that nothing in the database is changed: each question runs in a transaction that is read only and rolled back, and
//! the one thing sent is a notification on the channel of probes. Guarantees an end: each question has a time limit, and one that
//! fails or hangs is reported and the others go on.
//! Leaves no setting behind, so that a pooler's connections are as they were.
//!
//! - `connection`: connection, pooler, version, role, writes, migrations; `access`: rights, locks, others' triggers and row security
//! - `hostile`: what other roles could do
//! - `wake`: LISTEN, the trigger that wakes, the servers; `sources`: the attached tables, each a `source_entry`, and the indexes that history needs
//! - `policy`: what says who may join which room
//! - `growth`: capture errors, outbox, sessions; `cluster`: held xmin, NOTIFY queue, disk, clock, connections

mod access;
mod cluster;
mod connection;
mod growth;
mod hostile;
mod policy;
mod source_entry;
mod sources;
mod units;
mod wake;

use std::time::Duration;

use serde::de::DeserializeOwned;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _};
use tokio::time::timeout;

use super::{CONNECT_PATIENCE, Database, cause_with};

pub(crate) use source_entry::{SourceEntry, list_sources};

/// How long one question may take, by the server's clock and, a little longer, by ours.
const STATEMENT_LIMIT: &str = "begin transaction read only; set local statement_timeout = '4s'; set local lock_timeout = '2s'; \
     set local jit = off; set local search_path = pg_catalog, pg_temp";
const PATIENCE: Duration = Duration::from_secs(6);

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Level {
    /// As it should be.
    Ok,
    /// It works, and will hurt.
    Warning,
    /// Something does not work.
    Failure,
}

/// What a check found.
#[derive(Clone, Debug, serde::Serialize)]
pub(crate) struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// How bad it is.
    pub level: Level,
    /// What there is.
    pub said: String,
    /// What that means; empty where all is well.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub means: String,
    /// What to run to mend it, in SQL or in a shell; empty where there is nothing to paste.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub paste: String,
}

impl Finding {
    /// All is well.
    pub(crate) fn ok(check: &'static str, said: impl Into<String>) -> Self {
        Self::new(check, Level::Ok, said, "")
    }

    /// It works, and will hurt.
    pub(crate) fn warning(
        check: &'static str,
        said: impl Into<String>,
        means: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Warning, said, means)
    }

    /// It does not work.
    pub(crate) fn failure(
        check: &'static str,
        said: impl Into<String>,
        means: impl Into<String>,
    ) -> Self {
        Self::new(check, Level::Failure, said, means)
    }

    fn new(
        check: &'static str,
        level: Level,
        said: impl Into<String>,
        means: impl Into<String>,
    ) -> Self {
        Self {
            check,
            level,
            said: said.into(),
            means: means.into(),
            paste: String::new(),
        }
    }

    /// With something to paste.
    pub(crate) fn paste(mut self, paste: impl Into<String>) -> Self {
        self.paste = paste.into();
        self
    }
}

/// What is looked at, for whom.
pub(crate) struct Doctor {
    database: Database,
    connection: Option<PgConnection>,
    /// `ROWCAST_RETENTION`.
    retention: Duration,
    findings: Vec<Finding>,
    /// The database is on this machine.
    local: bool,
    /// Clients have tokens, so the policy is asked (`ROWCAST_AUTH=jwt`).
    asks_policy: bool,
    /// A pooler shares the connections: nothing may be left on one.
    shared: bool,
}

/// Why a question has no answer.
struct Unanswered(String);

type Answer<T> = Result<T, Unanswered>;

impl Doctor {
    /// Of this database, for a server with this retention. `embedded` says that its files are on this machine.
    pub(crate) fn new(
        database: Database,
        retention: Duration,
        embedded: bool,
        asks_policy: bool,
    ) -> Self {
        let host = database.options.get_host();
        let local = embedded
            || database.options.get_socket().is_some()
            || matches!(host, "localhost" | "127.0.0.1" | "::1")
            || host.starts_with('/');
        Self {
            database,
            connection: None,
            retention,
            findings: Vec::new(),
            local,
            asks_policy,
            shared: false,
        }
    }

    /// Looks at everything. Ends within a minute or two, whatever hangs.
    pub(crate) async fn examine(mut self) -> Vec<Finding> {
        if self.connected().await {
            self.pooler().await;
            self.version().await;
            self.role().await;
            self.writes().await;
            if self.schema().await {
                self.rights().await;
                self.confined().await;
                self.secret().await;
                self.locks().await;
                self.triggers().await;
                self.row_security().await;
                self.migrations().await;
                self.policy().await;
                self.listen().await;
                self.wake().await;
                self.sources().await;
                self.indexes().await;
                self.capture_errors().await;
                self.outbox().await;
                self.held_xmin().await;
                self.notify_queue().await;
                self.sessions().await;
            }
            self.disk().await;
            self.clock().await;
            self.connections().await;
            self.servers().await;
            if let Some(connection) = self.connection.take() {
                let _ = timeout(Duration::from_secs(1), connection.close()).await;
            }
        }
        self.findings
    }

    fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    /// Adds what a check found, or that it could not look.
    fn conclude(&mut self, check: &'static str, found: Answer<Vec<Finding>>) {
        match found {
            Ok(findings) => self.findings.extend(findings),
            Err(Unanswered(why)) => self.add(Finding::warning(
                check,
                format!("could not be looked at: {why}"),
                "Nothing is known of this.",
            )),
        }
    }

    /// The rows of a query, each read out of JSON. The simple protocol, which every pooler knows.
    async fn rows<T: DeserializeOwned>(&mut self, query: &str) -> Answer<Vec<T>> {
        self.rows_after("", query).await
    }

    /// The same, with a statement before it in the same transaction.
    async fn rows_after<T: DeserializeOwned>(
        &mut self,
        before: &'static str,
        query: &str,
    ) -> Answer<Vec<T>> {
        let answer = timeout(PATIENCE, self.ask(before, query)).await;
        let rows = match answer {
            Ok(Ok(rows)) => rows,
            Ok(Err(error)) => {
                if error.as_database_error().is_none() {
                    self.connection = None;
                }
                return Err(Unanswered(cause_with(&error, "")));
            }
            Err(_) => {
                // What answers later must not be taken for the answer to another question.
                self.connection = None;
                return Err(Unanswered(format!(
                    "no answer within {} s",
                    PATIENCE.as_secs()
                )));
            }
        };
        rows.iter()
            .map(|row| serde_json::from_str(row).map_err(|error| Unanswered(error.to_string())))
            .collect()
    }

    /// The only row of a query.
    async fn row<T: DeserializeOwned>(&mut self, query: &str) -> Answer<T> {
        let rows = self.rows(query).await?;
        rows.into_iter()
            .next()
            .ok_or_else(|| Unanswered("no answer".to_owned()))
    }

    async fn ask(&mut self, before: &'static str, query: &str) -> sqlx::Result<Vec<String>> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(open(&self.database).await?),
        };
        let asked = async {
            sqlx::raw_sql(STATEMENT_LIMIT)
                .execute(&mut *connection)
                .await?;
            sqlx::raw_sql(before).execute(&mut *connection).await?;
            let query = format!("select to_json(q)::text from ({query}) q");
            let rows = sqlx::raw_sql(AssertSqlSafe(query));
            let rows = rows.fetch_all(&mut *connection).await?;
            rows.iter().map(|row| row.try_get(0)).collect()
        };
        let answer = asked.await;
        sqlx::raw_sql("rollback").execute(&mut *connection).await?;
        answer
    }
}

/// A connection as a server's.
async fn open(database: &Database) -> sqlx::Result<PgConnection> {
    let options = database.named("rowcast doctor");
    timeout(CONNECT_PATIENCE, options.connect())
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)?
}
