//! A Postgres cluster of the benchmark's own, with Postgres's defaults: fsync on, on a real disk.
//!
//! Owns the data folder, the socket folder and the postmaster, and removes all three when dropped.
//! Refuses no user: as root, Postgres runs as `postgres`, else `nobody`, because it won't run as root.
//! Guarantees a fresh database to each measurement. Listens on a Unix socket in a closed folder only.

use std::fmt;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::postgres::PgConnectOptions;
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use crate::database::Database;
use crate::writers::Pgbench;
use crate::{environment, flush, statements};

const START_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(20);

/// A running cluster.
pub(crate) struct Cluster {
    bindir: PathBuf,
    postmaster: Child,
    databases: AtomicU32,
    socket_folder: Folder,
    _data: Folder,
}

/// How a cluster differs from one with Postgres's defaults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Flush {
    /// In nothing.
    Plain,
    /// Each flush of the log takes a millisecond longer: see [`crate::flush`].
    Delayed,
}

impl fmt::Display for Flush {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain => Ok(()),
            Self::Delayed => write!(f, ", flush {} ms longer", flush::DELAY.as_millis()),
        }
    }
}

impl Cluster {
    pub(crate) async fn start(folder: &Path, flush: Flush) -> Result<Self> {
        let bindir = find_bindir()?;
        let owner = unprivileged_owner()?;
        let kind = match flush {
            Flush::Plain => "cluster",
            Flush::Delayed => "cluster-flush",
        };
        let data = folder.join(kind);
        let run = |program: &str| {
            let mut command = Command::new(bindir.join(program));
            command.current_dir("/").stdin(Stdio::null());
            environment::scrub(&mut command);
            if let Some((uid, gid)) = owner {
                command.uid(uid).gid(gid);
            }
            command
        };

        if data.exists() {
            // A run that was killed leaves its cluster behind. It may still be up, and must not write into the folder that we
            // remove.
            run("pg_ctl")
                .args(["stop", "-m", "immediate", "-w", "-D"])
                .arg(&data)
                .output()?;
            fs::remove_dir_all(&data)?;
        }
        let data = Folder::create(data, owner)?;
        // A socket's path has about 100 bytes, fewer than a target folder may need.
        let name = format!("rowcast-bench-{}-{kind}", std::process::id());
        let socket_folder = Folder::create(std::env::temp_dir().join(name), owner)?;
        let initdb = run("initdb")
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-D",
            ])
            .arg(&data.0)
            .output()
            .context("cannot run initdb")?;
        ensure!(
            initdb.status.success(),
            "initdb failed in {}: {} (a folder that the user of Postgres can reach is given with --folder)",
            data.0.display(),
            String::from_utf8_lossy(&initdb.stderr).trim()
        );
        let log = fs::File::create(folder.join(format!("{kind}.log")))?;
        let mut postgres = run("postgres");
        if flush == Flush::Delayed {
            let library = flush::build(&socket_folder.0)?;
            postgres.env("LD_PRELOAD", library);
        }
        if statements::are_there(&bindir) {
            postgres.args(statements::SETTINGS);
        }
        let postmaster = postgres
            .arg("-D")
            .arg(&data.0)
            .arg("-k")
            .arg(&socket_folder.0)
            .args(["-c", "listen_addresses=", "-c", "max_connections=300"])
            .process_group(0)
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .context("cannot start postgres")?;
        let cluster = Self {
            bindir,
            postmaster,
            databases: AtomicU32::new(0),
            socket_folder,
            _data: data,
        };
        let deadline = Instant::now() + START_WITHIN;
        while let Err(error) = PgConnection::connect_with(&cluster.options("postgres")).await {
            ensure!(
                Instant::now() < deadline,
                "postgres does not answer: {error}"
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(cluster)
    }

    /// The postmaster's process id.
    pub(crate) fn pid(&self) -> u32 {
        self.postmaster.id()
    }

    pub(crate) async fn version(&self) -> Result<String> {
        let mut connection = PgConnection::connect_with(&self.options("postgres")).await?;
        Ok(sqlx::query_scalar("show server_version")
            .fetch_one(&mut connection)
            .await?)
    }

    /// `pgbench`, where it was installed with the server.
    pub(crate) fn pgbench(&self) -> Option<Pgbench> {
        let path = Some(self.bindir.join("pgbench")).filter(|path| path.is_file());
        path.map(Pgbench)
    }

    /// Creates an empty database. A checkpoint follows, so that a measurement doesn't pay for the dirty pages of the one
    /// before.
    pub(crate) async fn create(&self) -> Result<Database> {
        let name = format!("bench_{}", self.databases.fetch_add(1, Ordering::Relaxed));
        let mut connection = PgConnection::connect_with(&self.options("postgres")).await?;
        sqlx::query(AssertSqlSafe(format!("create database {name}")))
            .execute(&mut connection)
            .await?;
        sqlx::query("checkpoint").execute(&mut connection).await?;
        let url = format!(
            "postgres://postgres@localhost/{name}?host={}",
            self.socket_folder.0.display()
        );
        let options = self.options(&name);
        Ok(Database::new(name, url, options))
    }

    pub(crate) async fn remove(&self, database: Database) -> Result<()> {
        let mut connection = PgConnection::connect_with(&self.options("postgres")).await?;
        let statement = AssertSqlSafe(format!("drop database {} with (force)", database.name()));
        sqlx::query(statement).execute(&mut connection).await?;
        Ok(())
    }

    /// A connection to the database in which nothing is measured.
    pub(crate) async fn connection(&self) -> Result<PgConnection> {
        Ok(PgConnection::connect_with(&self.options("postgres")).await?)
    }

    /// Whether the cluster can count statements.
    pub(crate) fn counts_statements(&self) -> bool {
        statements::are_there(&self.bindir)
    }

    /// A client program of Postgres, told which database it works on.
    pub(crate) fn client(&self, program: &Path, database: &Database) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        environment::scrub(command.as_std_mut());
        command
            .args(["-U", "postgres", "-h"])
            .arg(&self.socket_folder.0)
            .arg(database.name());
        command
    }

    fn options(&self, database: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(&self.socket_folder.0)
            .username("postgres")
            .database(database)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let pid = i32::try_from(self.postmaster.id())
            .ok()
            .and_then(Pid::from_raw);
        // Its data goes away with it, so it may stop without a last checkpoint.
        if let Some(pid) = pid
            && kill_process(pid, Signal::QUIT).is_ok()
        {
            let deadline = Instant::now() + STOP_WITHIN;
            while matches!(self.postmaster.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

/// A closed folder of the owner's, removed when dropped.
struct Folder(PathBuf);

impl Folder {
    fn create(path: PathBuf, owner: Option<(u32, u32)>) -> Result<Self> {
        fs::create_dir(&path).with_context(|| format!("cannot create {}", path.display()))?;
        let folder = Self(path);
        fs::set_permissions(&folder.0, fs::Permissions::from_mode(0o700))?;
        if let Some((uid, gid)) = owner {
            chown(&folder.0, Some(uid), Some(gid))?;
        }
        Ok(folder)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            eprintln!("cannot remove {}: {error}", self.0.display());
        }
    }
}

fn find_bindir() -> Result<PathBuf> {
    let on_path = environment::path_folders()
        .into_iter()
        .filter_map(|folder| {
            Some(
                fs::canonicalize(folder.join("postgres"))
                    .ok()?
                    .parent()?
                    .to_path_buf(),
            )
        });
    let mut installed = fs::read_dir("/usr/lib/postgresql")
        .map(|entries| {
            entries
                .flatten()
                .map(|entry| entry.path().join("bin"))
                .collect::<Vec<_>>()
        })
        .unwrap_or_default();
    installed.sort();
    environment::named_bindir()
        .into_iter()
        .chain(on_path)
        .chain(installed.into_iter().rev())
        .find(|folder| folder.join("postgres").is_file() && folder.join("initdb").is_file())
        .context(
            "no Postgres binaries found: install them, or name their folder in ROWCAST_PG_BINDIR",
        )
}

/// Whom Postgres runs as when we are root.
fn unprivileged_owner() -> Result<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    for wanted in ["postgres", "nobody"] {
        for line in users.lines() {
            let mut fields = line.split(':');
            if fields.next() == Some(wanted)
                && let (Some(Ok(uid)), Some(Ok(gid))) =
                    (fields.nth(1).map(str::parse), fields.next().map(str::parse))
            {
                return Ok(Some((uid, gid)));
            }
        }
    }
    bail!("Postgres won't run as root, and there is neither a user postgres nor a user nobody");
}
