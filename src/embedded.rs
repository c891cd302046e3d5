//! A Postgres of our own, for whoever has none at hand.
//!
//! Owns the start and the stop of installed binaries, on a folder that stays between runs.
//! Refuses to download, to listen on the network, to run as root, and to trade durability for speed: fsync stays on.
//! Guarantees one Rowcast per folder, a database named `rowcast` in it, and no process left behind: where this
//! process dies, by `kill -9` too, Postgres shuts down (on Linux; elsewhere the next start stops it).
//! Relies on `main` calling [`exec_postgres`] before anything else when [`is_exec_postgres`] says so.

mod address;
mod binaries;
mod datadir;
mod leftovers;
mod lock;
mod log;
mod process;
mod user;

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use sqlx::{
    ConnectOptions, Connection, Executor,
    postgres::{PgConnectOptions, PgSslMode},
};

use self::{datadir::DataDir, log::Log, process::Process};

/// The role that initdb makes; the socket's folder decides who may be it.
const SUPERUSER: &str = "postgres";
const DATABASE: &str = "rowcast";
const PORT: u16 = 5432;
/// How long Postgres may take until it answers. After a crash it first replays its log.
const START_BOUND: Duration = Duration::from_secs(300);

/// Where the launcher looks for binaries and puts its data.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    /// `ROWCAST_DATA_DIR`: the folder to keep everything in, absolute.
    pub data_dir: PathBuf,
    /// `ROWCAST_PG_BINDIR`: where `postgres` and `initdb` are; nothing else is searched then.
    pub bindir: Option<PathBuf>,
    /// The folders of `PATH`: where binaries are looked for first.
    pub search_path: Vec<PathBuf>,
}

/// A Postgres that runs, for as long as this value and this process live.
#[derive(Debug)]
pub(crate) struct Embedded {
    process: Process,
    url: String,
    psql: PathBuf,
    folder: PathBuf,
    log: PathBuf,
    /// Last, so that the folder is given up after the process.
    _lock: File,
}

impl Embedded {
    /// Starts Postgres, on first use after making its data, and waits until it answers.
    ///
    /// # Errors
    /// One line that says what to do: no binaries, none of the data's major, a folder that is in use, can't be
    /// written or can't be entered by the user that Postgres runs as.
    pub(crate) async fn start(options: Options) -> anyhow::Result<Self> {
        let root = rustix::process::geteuid().is_root();
        let mut dir = DataDir::locate(&options.data_dir)?;
        let user = user::choose(&dir.data())?;
        let user = user.as_ref();
        let major = dir.major()?;
        let binaries = binaries::find(options.bindir.as_deref(), &options.search_path, major)
            .with_context(|| {
                format!(
                    "can't start the embedded Postgres in {}",
                    dir.root().display()
                )
            })?;
        user::reaches(
            user,
            &binaries.dir,
            "set ROWCAST_PG_BINDIR to binaries that all may run",
        )?;
        dir.make(root)?;
        let lock = lock::take(dir.root())?;
        user::reaches(
            user,
            dir.root(),
            "open that folder (chmod a+x), or set ROWCAST_DATA_DIR to another",
        )?;
        dir.prepare(user).await?;
        if major.is_none() {
            tracing::info!(folder = %dir.root().display(), major = binaries.major, "creating the embedded database");
            dir.initdb(&binaries, user).await?;
        }

        let log = Log::open(dir.root())?;
        let process = Process::start(
            &binaries.dir.join("postgres"),
            &arguments(&dir),
            user,
            log.file(),
        )
        .await?;
        if let Err(error) = answer(&dir, &process, &log).await {
            process.stop().await;
            return Err(error.context("the embedded Postgres did not start"));
        }
        let psql = binaries.dir.join("psql");
        Ok(Self {
            process,
            url: address::url(&dir.sockets()),
            psql: if binaries::has_psql(&options.search_path) || !psql.exists() {
                "psql".into()
            } else {
                psql
            },
            folder: dir.root().to_path_buf(),
            log: log.path().to_path_buf(),
            _lock: lock,
        })
    }

    /// Where the database `rowcast` is, for sqlx and psql alike, whatever `PG*` variables are set.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder that holds the data and `postgres.log`.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command line that runs `sql`, ready to paste into a shell.
    pub(crate) fn psql(&self, sql: &str) -> String {
        address::psql(&self.psql, &self.url, sql)
    }

    /// Resolves when Postgres has ended without being asked to.
    pub(crate) async fn exited(&self) {
        self.process.exited().await;
    }

    /// Stops Postgres and waits: a shutdown that writes everything down, after 10 s one that leaves it to recovery.
    ///
    /// # Errors
    /// When it had to be stopped by force, or had failed before.
    pub(crate) async fn stop(self) -> anyhow::Result<()> {
        self.process.stop().await;
        match self.process.exited().await {
            Some(status) if status.success() => Ok(()),
            Some(status) => bail!(
                "the embedded Postgres did not stop cleanly ({status}): see {}",
                self.log.display()
            ),
            None => bail!("the embedded Postgres ended unseen"),
        }
    }
}

/// What there is of an embedded Postgres.
pub(crate) enum Found {
    /// It runs, and this is its URL.
    Running(String),
    /// Its data is there.
    Stopped,
    /// There is none yet.
    Nowhere,
}

/// Looks for the embedded Postgres of this folder. Starts and makes nothing.
///
/// # Errors
/// The folder is none that can be used.
pub(crate) fn found(folder: &Path) -> anyhow::Result<Found> {
    let dir = DataDir::locate(folder)?;
    let socket = dir.sockets().join(format!(".s.PGSQL.{PORT}"));
    // A socket that a crashed one left refuses.
    if UnixStream::connect(socket).is_ok() {
        return Ok(Found::Running(address::url(&dir.sockets())));
    }
    Ok(match dir.major()? {
        Some(_) => Found::Stopped,
        None => Found::Nowhere,
    })
}

/// Whether this is the hidden start of [`exec_postgres`], by the first argument after the program's name.
pub(crate) fn is_exec_postgres(argument: Option<&OsStr>) -> bool {
    argument == Some(OsStr::new(process::HIDDEN_ARGUMENT))
}

/// Becomes Postgres: takes the arguments after the hidden one, and returns only if that failed, with the reason.
pub(crate) fn exec_postgres(args: impl IntoIterator<Item = OsString>) -> anyhow::Error {
    process::exec(args)
}

fn arguments(dir: &DataDir) -> Vec<OsString> {
    let mut args: Vec<OsString> = vec![
        "-D".into(),
        dir.data().into(),
        "-c".into(),
        address::socket_setting(&dir.sockets()),
    ];
    for setting in [
        "listen_addresses=",
        "unix_socket_permissions=0700",
        "port=5432",
        "logging_collector=off",
        "log_destination=stderr",
        "jit=off",
        "cluster_name=rowcast",
    ] {
        args.extend(["-c".into(), setting.into()]);
    }
    args
}

/// Waits until Postgres takes connections, then sees to the database.
async fn answer(dir: &DataDir, process: &Process, log: &Log) -> anyhow::Result<()> {
    let end = Instant::now() + START_BOUND;
    // The last line of this file is Postgres's own word; asking by connecting would fill its log with refusals.
    let state = dir.data().join("postmaster.pid");
    while !fs::read_to_string(&state)
        .is_ok_and(|text| text.lines().any(|line| line.starts_with("ready")))
    {
        if process.has_exited() {
            bail!("{}", log.complaint());
        }
        if Instant::now() > end {
            bail!(
                "it did not answer within {} s (see {})",
                START_BOUND.as_secs(),
                log.path().display()
            );
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let mut connection = PgConnectOptions::new_without_pgpass()
        .socket(dir.sockets())
        .port(PORT)
        .username(SUPERUSER)
        .database("postgres")
        .ssl_mode(PgSslMode::Disable)
        .connect()
        .await?;
    let exists: bool =
        sqlx::query_scalar("select exists (select from pg_database where datname = $1)")
            .bind(DATABASE)
            .fetch_one(&mut connection)
            .await?;
    if !exists {
        connection.execute("create database rowcast").await?;
    }
    connection.close().await?;
    Ok(())
}
