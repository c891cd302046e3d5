//! The two servers under test, as child processes.
//!
//! Owns their start, their readiness and their end. Knows nothing of what they do: both say on standard error, as one
//! line of JSON, that they are ready and where. Guarantees that neither reads this machine's settings (`.env`,
//! `ROWCAST_*`) and that neither outlives the run.

use std::fmt;
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::database::Database;
use crate::environment;

const READY_WITHIN: Duration = Duration::from_secs(30);
const STOP_WITHIN: Duration = Duration::from_secs(15);

/// Who is measured.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Contender {
    Rowcast,
    Node,
}

/// Where their programs are, and where they log to.
pub(crate) struct Programs {
    rowcast: PathBuf,
    peer: PathBuf,
    logs: PathBuf,
}

/// One of them, running.
pub(crate) struct Server {
    child: Child,
    /// Its process id.
    pub(crate) pid: u32,
    /// Where its clients connect.
    pub(crate) address: SocketAddr,
    log: PathBuf,
}

impl Contender {
    /// Both, unless one alone was asked for; the first changes from round to round, so that neither always has the
    /// warmer machine.
    pub(crate) fn in_turn(round: u32, only: Option<Self>) -> impl Iterator<Item = Self> {
        let turn = if round.is_multiple_of(2) {
            [Self::Rowcast, Self::Node]
        } else {
            [Self::Node, Self::Rowcast]
        };
        turn.into_iter()
            .filter(move |contender| only.is_none_or(|only| only == *contender))
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rowcast => "rowcast",
            Self::Node => "node",
        })
    }
}

impl Programs {
    pub(crate) fn find(rowcast: &Path, logs: &Path) -> Result<Self> {
        let peer = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/peer");
        let rowcast = fs::canonicalize(rowcast)
            .with_context(|| format!("no rowcast at {}", rowcast.display()))?;
        Ok(Self {
            rowcast,
            peer,
            logs: logs.to_path_buf(),
        })
    }

    /// Gives the database the chat tables with Rowcast's capture on them.
    pub(crate) async fn migrate(&self, database: &Database) -> Result<()> {
        let mut command = command(&self.rowcast);
        command.args(["migrate", "--chat", "--database-url", &database.url]);
        let output = timeout(READY_WITHIN, command.output())
            .await
            .context("rowcast migrate takes too long")??;
        ensure!(
            output.status.success(),
            "rowcast migrate --chat failed: {}",
            String::from_utf8_lossy(&output.stderr).trim()
        );
        Ok(())
    }

    /// The same tables, with what the contender needs on them: its own capture and nobody else's.
    pub(crate) async fn prepare(&self, contender: Contender, database: &Database) -> Result<()> {
        self.migrate(database).await?;
        if contender == Contender::Node {
            database.execute(WITHOUT_CAPTURE).await?;
            database.execute(include_str!("peer/peer.sql")).await?;
        }
        Ok(())
    }

    /// Starts the contender on that database and waits until it says that it is ready.
    pub(crate) async fn start(&self, contender: Contender, database: &Database) -> Result<Server> {
        self.start_at(contender, database, 0, &[]).await
    }

    /// Rowcast beside others of its kind, with these variables set and a log of that name.
    pub(crate) async fn start_beside(
        &self,
        name: &str,
        database: &Database,
        variables: &[(&str, &str)],
    ) -> Result<Server> {
        self.launch(name, Contender::Rowcast, database, 0, variables)
            .await
    }

    /// The same at that port, with these variables set.
    pub(crate) async fn start_at(
        &self,
        contender: Contender,
        database: &Database,
        port: u16,
        variables: &[(&str, &str)],
    ) -> Result<Server> {
        let name = contender.to_string();
        self.launch(&name, contender, database, port, variables)
            .await
    }

    /// As many of them on one database, one after another.
    pub(crate) async fn start_many(
        &self,
        contender: Contender,
        database: &Database,
        servers: u32,
    ) -> Result<Vec<Server>> {
        let mut started = Vec::new();
        for number in 1..=servers {
            let name = format!("{contender}-{number}");
            started.push(self.launch(&name, contender, database, 0, &[]).await?);
        }
        Ok(started)
    }

    async fn launch(
        &self,
        name: &str,
        contender: Contender,
        database: &Database,
        port: u16,
        variables: &[(&str, &str)],
    ) -> Result<Server> {
        let mut command = match contender {
            Contender::Rowcast => {
                let mut command = command(&self.rowcast);
                command.arg("serve").envs([
                    ("HOST", "127.0.0.1"),
                    ("ROWCAST_ADMIN", ""),
                    ("ROWCAST_AUTH", "none"),
                    ("ROWCAST_LOG_FORMAT", "json"),
                ]);
                command
            }
            Contender::Node => {
                ensure!(
                    self.peer.join("node_modules/socket.io").is_dir(),
                    "the peer's packages are not installed: run bench/run, or npm ci in {}",
                    self.peer.display()
                );
                let mut command = command(Path::new("node"));
                command
                    .arg(self.peer.join("server.mjs"))
                    .env("NODE_ENV", "production");
                command
            }
        };
        let log = self.logs.join(format!("{name}.log"));
        let mut child = command
            .env("DATABASE_URL", &database.url)
            .env("PORT", port.to_string())
            .envs(variables.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start {contender}"))?;
        let deadline = Instant::now() + READY_WITHIN;
        loop {
            let text = fs::read_to_string(&log)?;
            if let Some(address) = text.lines().find_map(ready) {
                let pid = child.id().context("it ended at once")?;
                return Ok(Server {
                    child,
                    pid,
                    address,
                    log,
                });
            }
            let last = text.lines().last().unwrap_or("it printed nothing");
            if let Some(status) = child.try_wait()? {
                bail!("{contender} ended before it was ready ({status}): {last}");
            }
            ensure!(
                Instant::now() < deadline,
                "{contender} is not ready after {READY_WITHIN:?}: {last}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Writes a file for a program to read, beside the logs.
    pub(crate) fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.logs.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// A program away from the checkout: a developer's `.env` and variables are not part of the measurement.
fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    environment::scrub(command.as_std_mut());
    command.current_dir("/").kill_on_drop(true);
    command
}

/// Takes Rowcast's triggers off the table of the chat and leaves all else as it is, indexes included.
pub(crate) const WITHOUT_CAPTURE: &str = "select rowcast.detach('public.messages')";

impl Server {
    /// Ends it as a crash would.
    pub(crate) async fn kill(mut self) -> Result<()> {
        Ok(self.child.kill().await?)
    }

    /// Ends it, and fails if it had ended by itself.
    pub(crate) async fn stop(mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!(
                "the server ended during the measurement ({status}), see {}",
                self.log.display()
            );
        }
        if let Some(pid) = i32::try_from(self.pid).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM)?;
        }
        if timeout(STOP_WITHIN, self.child.wait()).await.is_err() {
            self.child.kill().await?;
        }
        Ok(())
    }
}

fn ready(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    // The `tracing` crate's JSON puts an event's fields one level down.
    let fields = line.get("fields").unwrap_or(&line);
    (fields.get("message")? == "ready").then(|| fields.get("address")?.as_str()?.parse().ok())?
}
