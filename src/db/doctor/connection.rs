//! Whether the database can be reached and used at all: connection, pooler, version, role, writes, schema and migrations.

use std::io::ErrorKind;

use serde::Deserialize;
use sqlx::postgres::PgConnection;
use sqlx::{Connection as _, Row as _};
use tokio::time::{Instant, timeout};

use super::{Answer, Doctor, Finding, PATIENCE, Unanswered, open};
use crate::db::cause_of;
use crate::db::fault::is_refused;
use crate::db::link::{Link, is_standby};
use crate::db::migrate::{Pending, pending};

/// The majors that the tests run on.
const OLDEST: i64 = 14;
const NEWEST: i64 = 18;

/// What it means that there is no connection.
fn unconnected(error: &sqlx::Error) -> &'static str {
    match error {
        error if cause_of(error).contains("startup parameter") => {
            "A pooler stands there that takes no such setting: leave it out of DATABASE_URL and PGOPTIONS. Better: let \
             DATABASE_URL lead to Postgres itself."
        }
        error if is_refused(error) => {
            "Postgres is there and lets nobody in by this URL: the role, the password or the database is another, or \
             pg_hba.conf has no line for it. A server exits at once."
        }
        error if is_standby(error) => {
            "What is behind the address can't be written to. A server waits until it leads to the primary."
        }
        sqlx::Error::Tls(_) => {
            "Something answers there, and TLS can't be had as the URL asks for it: there is none (leave sslmode out), or the \
             certificate is not the one that sslmode and sslrootcert want."
        }
        sqlx::Error::Protocol(_) => {
            "Something answers there that does not speak as Postgres does: the port is another service's."
        }
        sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
            "The machine answers, and no Postgres listens there: it is stopped, or could not start again (the end of its own log \
             says why, such as \"No space left on device\"), or the host or the port is another. A server waits and tries again."
        }
        _ => {
            "Nothing answers there: the host, the port or a firewall. A server waits and tries again."
        }
    }
}

impl Doctor {
    /// Connects. Without a connection nothing else can be looked at.
    pub(super) async fn connected(&mut self) -> bool {
        let begun = Instant::now();
        match open(&self.database).await {
            Ok(connection) => {
                self.connection = Some(connection);
                let said = format!(
                    "{} answers in {} ms",
                    self.database.describe(),
                    begun.elapsed().as_millis()
                );
                self.add(Finding::ok("connection", said));
                true
            }
            Err(error) => {
                let said = format!("{}: {}", self.database.describe(), cause_of(&error));
                let means = unconnected(&error);
                let look = match &error {
                    sqlx::Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused => {
                        "systemctl status 'postgresql*'; df -h # where Postgres runs"
                    }
                    _ => "psql \"$DATABASE_URL\" -c 'select 1'",
                };
                self.add(Finding::failure("connection", said, means).paste(look));
                false
            }
        }
    }

    /// Whether one client's statements run on several backends.
    pub(super) async fn pooler(&mut self) {
        let found = match timeout(PATIENCE, self.shares_backends()).await {
            Ok(Ok(shared)) => {
                self.shared = shared;
                Ok(vec![pooler_finding(shared)])
            }
            Ok(Err(error)) => Err(Unanswered(cause_of(&error))),
            Err(_) => Err(Unanswered("no answer in time".to_owned())),
        };
        self.conclude("pooler", found);
    }

    /// A server takes each pooler for one that does. One in transaction mode gives the backend that one connection has just used to
    /// the next one that asks.
    async fn shares_backends(&mut self) -> sqlx::Result<bool> {
        let mut first = open(&self.database).await?;
        let mut second = open(&self.database).await?;
        let before = backend(&mut first).await?;
        sqlx::raw_sql("begin").execute(&mut second).await?;
        let other = backend(&mut second).await?;
        let after = backend(&mut first).await?;
        sqlx::raw_sql("rollback").execute(&mut second).await?;
        first.close().await?;
        second.close().await?;
        let link = self.database.link().await;
        Ok(before == other || before != after || link.is_ok_and(|link| link == Link::Pooled))
    }

    pub(super) async fn version(&mut self) {
        #[derive(Deserialize)]
        struct Version {
            number: i64,
            version: String,
        }
        let asked = self
            .row("select current_setting('server_version_num')::int8 as number, current_setting('server_version') as version")
            .await;
        let found = asked.map(|Version { number, version }| {
            let major = number / 10_000;
            let said = format!("Postgres {version}");
            vec![if major < OLDEST {
                let means = format!("Rowcast needs Postgres {OLDEST} or later.");
                Finding::failure("version", said, means)
            } else if major > NEWEST {
                let means = format!("It is tested on {OLDEST} to {NEWEST}.");
                Finding::warning("version", said, means)
            } else {
                Finding::ok("version", said)
            }]
        });
        self.conclude("version", found);
    }

    pub(super) async fn role(&mut self) {
        #[derive(Deserialize)]
        struct Role {
            role: String,
            superuser: bool,
            owner: Option<String>,
            owns: Option<bool>,
        }
        let asked = self
            .row("select quote_ident(current_user) as role, rolsuper as superuser, pg_get_userbyid(n.nspowner) as owner, n.nspowner = r.oid as owns
                  from pg_roles r left join pg_namespace n on n.nspname = 'rowcast' where r.rolname = current_user")
            .await;
        let found = asked.map(|role: Role| {
            let what = match (role.superuser, role.owns, role.owner) {
                (true, ..) => ", a superuser".to_owned(),
                (_, Some(true), _) => ", which owns the schema rowcast".to_owned(),
                (_, _, Some(owner)) => format!(", with the rights that {owner} gave it"),
                _ => String::new(),
            };
            vec![Finding::ok("role", format!("{}{what}", role.role))]
        });
        self.conclude("role", found);
    }

    pub(super) async fn writes(&mut self) {
        #[derive(Deserialize)]
        struct Writes {
            standby: bool,
            read_only: bool,
            role: String,
        }
        let asked = self
            .row(
                "select pg_is_in_recovery() as standby, quote_ident(current_user) as role,
                         current_setting('default_transaction_read_only')::bool as read_only",
            )
            .await;
        let found = asked.map(|writes: Writes| {
            let means = "Joins are refused, because their sessions can't be stored, and old events stay.";
            vec![if writes.standby {
                Finding::failure("writes", "this is a standby, in recovery", means)
                    .paste("# let DATABASE_URL lead to the primary")
            } else if writes.read_only {
                let role = writes.role;
                Finding::failure("writes", "default_transaction_read_only is on", means).paste(
                    format!("alter role {role} set default_transaction_read_only = off; -- and look at the database's own setting: \\drds"),
                )
            } else {
                Finding::ok("writes", "the database takes writes")
            }]
        });
        self.conclude("writes", found);
    }

    /// Whether there is a schema `rowcast` at all.
    pub(super) async fn schema(&mut self) -> bool {
        #[derive(Deserialize)]
        struct Schema {
            there: bool,
        }
        let asked: Answer<Schema> = self
            .row("select exists (select from pg_namespace where nspname = 'rowcast') as there")
            .await;
        match asked {
            Ok(Schema { there: true }) => true,
            Ok(_) => {
                self.add(
                    Finding::failure(
                        "migrations",
                        "there is no schema rowcast in this database",
                        "Nothing is captured. Or DATABASE_URL names another database than the one that was migrated.",
                    )
                    .paste("rowcast migrate"),
                );
                false
            }
            Err(why) => {
                self.conclude("migrations", Err(why));
                false
            }
        }
    }

    pub(super) async fn migrations(&mut self) {
        #[derive(Deserialize)]
        struct Applied {
            version: i64,
            checksum: String,
            description: String,
        }
        let asked = self
            .rows("select version, encode(checksum, 'hex') as checksum, description from rowcast.migrations where success order by version")
            .await;
        let found = asked.map(|applied: Vec<Applied>| {
            let applied: Vec<_> = applied.into_iter().map(|a| (a.version, a.checksum, a.description)).collect();
            vec![match pending(&applied) {
                Pending::None => Finding::ok("migrations", format!("all {} are applied", applied.len())),
                Pending::Later(count) => Finding::ok(
                    "migrations",
                    format!("{} are applied, {count} of them by a later version, and this one serves on", applied.len()),
                ),
                Pending::Missing(count) => Finding::failure(
                    "migrations",
                    format!("{count} are not applied yet"),
                    "This binary is newer than the schema. `rowcast serve` applies them when it starts, if its role may.",
                )
                .paste("rowcast migrate"),
                Pending::Unknown(version) => Finding::failure(
                    "migrations",
                    format!("migration {version} is not one of this binary's"),
                    "A later version of Rowcast has migrated this database, or a development version made it. This binary doesn't start on it.",
                )
                .paste("# install the version that migrated it: rowcast --version says which one this is"),
            }]
        });
        self.conclude("migrations", found);
    }
}

async fn backend(connection: &mut PgConnection) -> sqlx::Result<i32> {
    let row = sqlx::raw_sql("select pg_catalog.pg_backend_pid()")
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

fn pooler_finding(shared: bool) -> Finding {
    if shared {
        Finding::warning(
            "pooler",
            "a pooler stands before Postgres",
            "LISTEN can't work through it, so events come with the poll (ROWCAST_POLL), typing by SQL does not come, and /readyz says `degraded`.",
        )
        .paste("# let DATABASE_URL lead to Postgres itself; writers may keep the pooler")
    } else {
        Finding::ok("pooler", "none that shares connections")
    }
}
