//! Starts the programs of Postgres as children that do not outlive us, and stops them.
//!
//! Owns the child: its user, its environment, its signals, its reaping.
//! Refuses the caller's environment: a stray `PGPORT` or `PGDATA` must not reach Postgres.
//! Guarantees, on Linux, that the child is told to stop when we die, by `kill -9` too. The kernel ties that to the
//! *thread* that started the child, so that thread is one of our own and waits until the child is gone.
//! Relies on `main` calling [`exec`] first: the child begins as our own program, which asks the kernel for the signal
//! and then becomes Postgres. The usual place, between fork and exec, is out of reach without `unsafe`.

use std::{
    ffi::{OsStr, OsString},
    fs::File,
    io,
    os::unix::process::CommandExt,
    path::Path,
    process::{Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use anyhow::Context;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    sync::{oneshot, watch},
    time::timeout,
};

use super::user::User;

/// The first argument that makes our program call [`exec`].
pub(super) const HIDDEN_ARGUMENT: &str = "__postgres";
/// How long Postgres may take to write everything down after SIGINT, its "fast" shutdown.
const FAST_SHUTDOWN: Duration = Duration::from_secs(10);
/// How long it may take to end after SIGQUIT, which leaves the rest to crash recovery.
const IMMEDIATE_SHUTDOWN: Duration = Duration::from_secs(5);

/// A child that runs or ran.
#[derive(Debug)]
pub(super) struct Process {
    pid: Pid,
    exit: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts `program` as `user`, with its output at the end of `log`.
    pub(super) async fn start(
        program: &Path,
        args: &[OsString],
        user: Option<&User>,
        log: &File,
    ) -> anyhow::Result<Self> {
        let mut command = command(program)?;
        command
            .args(args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LC_ALL", "C")
            .current_dir("/")
            // A Ctrl-C at the terminal is for us; Postgres stops when we say so.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log.try_clone()?);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let (started, pid) = oneshot::channel();
        let (exited, exit) = watch::channel(None);
        thread::Builder::new()
            .name("postgres".to_owned())
            .spawn(move || supervise(command, started, &exited))
            .context("can't start a thread")?;
        let pid = pid
            .await
            .context("the thread that starts Postgres ended")?
            .with_context(|| match user {
                Some(user) => format!("can't start {} as {}", program.display(), user.name),
                None => format!("can't start {}", program.display()),
            })?;
        Ok(Self { pid, exit })
    }

    /// Resolves when the child has ended; `None` when the system lost its status.
    pub(super) async fn exited(&self) -> Option<ExitStatus> {
        // An error means that the thread is gone, and it goes after the child.
        let mut exit = self.exit.clone();
        exit.wait_for(Option::is_some)
            .await
            .ok()
            .and_then(|status| *status)
    }

    /// Whether the child has ended.
    pub(super) fn has_exited(&self) -> bool {
        self.exit.borrow().is_some() || self.exit.has_changed().is_err()
    }

    /// Stops the child: SIGINT, then SIGQUIT, then SIGKILL, each with its bound.
    pub(super) async fn stop(&self) {
        for (signal, bound) in [
            (Signal::INT, FAST_SHUTDOWN),
            (Signal::QUIT, IMMEDIATE_SHUTDOWN),
            (Signal::KILL, IMMEDIATE_SHUTDOWN),
        ] {
            self.signal(signal);
            if timeout(bound, self.exited()).await.is_ok() {
                return;
            }
        }
    }

    fn signal(&self, signal: Signal) {
        if !self.has_exited() {
            // The one error possible is that it has just ended.
            let _ = kill_process(self.pid, signal);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.signal(Signal::INT);
    }
}

/// The life of the thread: start, report, wait.
fn supervise(
    mut command: Command,
    started: oneshot::Sender<io::Result<Pid>>,
    exited: &watch::Sender<Option<ExitStatus>>,
) {
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => {
            let _ = started.send(Err(error));
            return;
        }
    };
    let pid = Pid::from_child(&child);
    if started.send(Ok(pid)).is_err() {
        // Whoever asked has gone: nobody else would stop it.
        let _ = kill_process(pid, Signal::INT);
    }
    exited.send_replace(child.wait().ok());
}

#[cfg(target_os = "linux")]
fn command(program: &Path) -> anyhow::Result<Command> {
    // The link works where the user whom we become can't enter the folder of our program.
    let mut command = Command::new("/proc/self/exe");
    command
        .arg(HIDDEN_ARGUMENT)
        .arg(std::process::id().to_string())
        .arg(program);
    Ok(command)
}

/// Elsewhere no signal follows our death; the next start stops what is left.
#[cfg(not(target_os = "linux"))]
fn command(program: &Path) -> anyhow::Result<Command> {
    Ok(Command::new(program))
}

/// Becomes the program that [`Process::start`] wanted; returns only to say why it could not.
///
/// `args`: our parent's process id, the program, its arguments.
pub(super) fn exec(args: impl IntoIterator<Item = OsString>) -> anyhow::Error {
    let mut args = args.into_iter();
    let parent = args.next();
    let Some(program) = args.next() else {
        return anyhow::anyhow!("{HIDDEN_ARGUMENT} is for Rowcast's own use");
    };
    if let Err(error) = follow_parent(parent.as_deref()) {
        return error;
    }
    let error = Command::new(&program).args(args).exec();
    anyhow::Error::new(error).context(format!("can't run {}", program.display()))
}

#[cfg(target_os = "linux")]
fn follow_parent(parent: Option<&OsStr>) -> anyhow::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(Signal::INT))
        .context("can't ask for a signal at the parent's death")?;
    // A parent that died before that call sends nothing any more.
    let expected = parent
        .and_then(OsStr::to_str)
        .and_then(|id| id.parse().ok());
    let actual = rustix::process::getppid().map(Pid::as_raw_pid);
    anyhow::ensure!(
        expected.is_some() && expected == actual,
        "the Rowcast that wanted this Postgres has gone"
    );
    Ok(())
}

#[cfg(not(target_os = "linux"))]
fn follow_parent(_: Option<&OsStr>) -> anyhow::Result<()> {
    Ok(())
}
