//! A database of its own for each test, and what a back end writes into it.
//!
//! Made from a template that the real `rowcast migrate --chat` built once per set of migrations. Dropped when the test
//! ends well, kept when it panics.

use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection, Executor, PgConnection, PgPool, Postgres, Row,
    ValueRef,
};

use super::cluster::Cluster;
use super::template;
use super::wait::within_for;

/// How long Postgres may take for anything that a test asks of it.
const PATIENCE: Duration = Duration::from_secs(60);

/// One test's database.
pub(crate) struct Database {
    /// For the server under test.
    pub(crate) url: String,
    /// For the test's own writes and questions.
    pub(crate) pool: PgPool,
    name: String,
    /// The URL by which this database is dropped; none when its cluster goes as a whole.
    maintenance: Option<String>,
}

impl Database {
    /// A database with the `rowcast` schema and the chat tables.
    pub(crate) async fn chat() -> Self {
        let cluster = Cluster::shared();
        let template = template::of(cluster).await;
        Self::create(cluster, Some(&template)).await
    }

    /// The same with the inbox of the chat tables attached, as `rowcast migrate --chat` leaves it.
    pub(crate) async fn inbox() -> Self {
        let database = Self::chat().await;
        database
            .run("select rowcast.create_inbox(); select rowcast.settle_conversations()")
            .await;
        database
    }

    /// A database in which nobody made anything.
    pub(crate) async fn empty() -> Self {
        Self::create(Cluster::shared(), None).await
    }

    /// A database that someone else made and will remove.
    pub(crate) fn at(url: String) -> Self {
        let options = PgConnectOptions::from_str(&url).expect("a database URL");
        let pool = PgPoolOptions::new()
            .max_connections(40)
            .connect_lazy_with(options.application_name("test"));
        Self {
            url,
            pool,
            name: String::new(),
            maintenance: None,
        }
    }

    async fn create(cluster: &Cluster, template: Option<&str>) -> Self {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "test_{}_{}",
            std::process::id(),
            MADE.fetch_add(1, Ordering::Relaxed)
        );
        let maintenance = cluster.url_of("postgres");
        let mut postgres = connect(&maintenance).await;
        let source = match template {
            // Copying files beats the log by half; the keyword came with Postgres 15.
            Some(template) if major(&mut postgres).await >= 15 => {
                format!("template {template} strategy file_copy")
            }
            Some(template) => format!("template {template}"),
            None => String::new(),
        };
        run(&mut postgres, &format!("create database {name} {source}")).await;
        postgres.close().await.expect("the connection closes");
        let mut database = Self::at(cluster.url_of(&name));
        database.name = name;
        database.maintenance = Some(maintenance);
        database
    }

    /// The URL of this database as another role sees it.
    pub(crate) fn url_as(&self, role: &str) -> String {
        let rest = self.url.split_once("://").expect("a URL").1;
        let host = rest.split_once('@').map_or(rest, |(_, host)| host);
        format!("postgres://{role}@{host}")
    }

    /// Runs SQL that answers nothing.
    pub(crate) async fn run(&self, sql: &str) {
        run(&self.pool, sql).await;
    }

    /// The first column of the only row, as text.
    pub(crate) async fn value(&self, sql: &str) -> String {
        value(&self.pool, sql).await
    }

    /// A connection outside the pool, for a transaction that stays open or a session that changes its settings.
    pub(crate) async fn connection(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// A connection whose commits wait for no disk.
    pub(crate) async fn careless(&self) -> PgConnection {
        let mut connection = self.connection().await;
        run(&mut connection, "set synchronous_commit = off").await;
        connection
    }

    /// Writes an inbound message, as a back end does, and returns its id.
    pub(crate) async fn say(&self, contact: &str, body: &str) -> String {
        say(&self.pool, contact, body).await
    }

    /// Reports a status, as a provider's webhook does.
    pub(crate) async fn report(&self, message: &str, status: &str) {
        let report = format!(
            "insert into message_statuses (message_id, status) values ('{message}', '{status}')"
        );
        self.run(&report).await;
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        let Some(maintenance) = self.maintenance.take() else {
            return;
        };
        if std::thread::panicking() {
            eprintln!("kept for you: {}", self.url);
            return;
        }
        let drop = format!("drop database if exists {} with (force)", self.name);
        // A thread with a runtime of its own, because the test's may be gone by now.
        let dropped = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()?;
            runtime.block_on(async {
                let mut postgres = PgConnection::connect(&maintenance).await?;
                postgres.execute(AssertSqlSafe(drop)).await?;
                anyhow::Ok(())
            })
        });
        if let Err(error) = dropped.join().expect("the dropping thread ends") {
            eprintln!("{} stays: {error:#}", self.name);
        }
    }
}

/// Writes an inbound message over any connection, in a transaction or not, and returns its id.
pub(crate) async fn say<'c>(
    to: impl Executor<'c, Database = Postgres>,
    contact: &str,
    body: &str,
) -> String {
    let insert = "insert into messages (contact_id, body) values ($1, $2) returning id::text";
    let insert = sqlx::query_scalar(insert).bind(contact).bind(body);
    let written = within_for(PATIENCE, "a message to be written", insert.fetch_one(to)).await;
    written.expect("a message can be written")
}

/// Runs SQL that answers nothing over any connection.
pub(crate) async fn run<'c>(on: impl Executor<'c, Database = Postgres>, sql: &str) {
    let done = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(on);
    if let Err(error) = within_for(PATIENCE, sql, done).await {
        panic!("{sql}: {error}");
    }
}

/// The first column of the only row, as text, over any connection.
pub(crate) async fn value<'c>(on: impl Executor<'c, Database = Postgres>, sql: &str) -> String {
    // The simple protocol, in which Postgres itself says everything as text.
    let answer = sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).fetch_one(on);
    let row = match within_for(PATIENCE, sql, answer).await {
        Ok(row) => row,
        Err(error) => panic!("{sql}: {error}"),
    };
    let first = row.try_get_raw(0).expect("a column");
    if first.is_null() {
        String::new()
    } else {
        first.as_str().expect("text").to_owned()
    }
}

/// A connection of whoever the URL names.
pub(crate) async fn connection(url: &str) -> PgConnection {
    connect(url).await
}

pub(super) async fn connect(url: &str) -> PgConnection {
    PgConnectOptions::from_str(url)
        .expect("a database URL")
        .application_name("test")
        .connect()
        .await
        .expect("the test's Postgres answers")
}

async fn major(on: &mut PgConnection) -> u32 {
    let number = value(on, "select current_setting('server_version_num')").await;
    number.parse::<u32>().expect("a version number") / 10_000
}
