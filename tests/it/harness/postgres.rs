//! A Postgres of a test's own, for what no other test should live through: restarts, crashes, absence.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection, PgConnection};

use super::database::Database;
use super::launch::Launch;
use super::scratch::Scratch;
use super::wait::until;

/// A private cluster, running or not.
pub(crate) struct Postgres {
    postmaster: Option<Child>,
    binaries: PathBuf,
    /// Who runs it: Postgres refuses root.
    user: Option<(u32, u32)>,
    /// Beside the defaults of the tests.
    settings: Vec<String>,
    folder: Scratch,
}

impl Postgres {
    /// A running cluster with nothing in it.
    pub(crate) async fn start() -> Self {
        Self::start_in(Scratch::folder(), &[]).await
    }

    /// The same in this folder, with these settings.
    pub(crate) async fn start_in(folder: Scratch, settings: &[&str]) -> Self {
        let mut postgres = Self::in_folder(folder, settings);
        let made = postgres
            .program("initdb")
            .args([
                "-U",
                "postgres",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--locale=C",
                "-N",
                "-D",
            ])
            .arg(postgres.folder.path().join("data"))
            .output()
            .expect("initdb starts");
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        postgres.up().await;
        postgres
    }

    fn in_folder(folder: Scratch, settings: &[&str]) -> Self {
        let user = geteuid().is_root().then(unprivileged);
        if let Some((uid, gid)) = user {
            chown(folder.path(), Some(uid), Some(gid)).expect("root may chown");
        }
        Self {
            postmaster: None,
            binaries: binaries(),
            user,
            settings: settings.iter().map(ToString::to_string).collect(),
            folder,
        }
    }

    /// A standby of this one as it is now, in recovery for as long as it runs. This one is stopped meanwhile.
    pub(crate) async fn standby(&mut self) -> Self {
        self.down(Signal::INT).await;
        let mut standby = Self::in_folder(Scratch::folder(), &[]);
        let copied = standby
            .program("cp")
            .arg("-R")
            .args([self.folder.path(), standby.folder.path()].map(|folder| folder.join("data")))
            .status()
            .expect("cp starts");
        assert!(copied.success(), "{copied}");
        let signal = standby.folder.path().join("data/standby.signal");
        fs::write(signal, "").expect("a file");
        self.up().await;
        standby.up().await;
        standby
    }

    /// The same with the schema, the chat tables and a handle for the test's writes.
    pub(crate) async fn with_chat() -> (Self, Database) {
        let postgres = Self::start().await;
        let database = postgres.chat().await;
        (postgres, database)
    }

    /// Makes the schema and the chat tables.
    pub(crate) async fn chat(&self) -> Database {
        Launch::command(["migrate", "--chat"])
            .database(&self.url())
            .succeed()
            .await;
        Database::at(self.url())
    }

    /// Its only database.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost/postgres?host={}",
            self.folder.path().display()
        )
    }

    /// Starts it again and waits until it answers.
    pub(crate) async fn up(&mut self) {
        let data = self.folder.path().join("data");
        let child = self
            .program("postgres")
            .arg("-D")
            .arg(&data)
            .arg("-k")
            .arg(self.folder.path())
            .args([
                "-c",
                "listen_addresses=",
                "-c",
                "max_connections=100",
                "-c",
                "jit=off",
            ])
            .args(self.settings.iter().flat_map(|setting| ["-c", setting]))
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.path().join("log")).expect("a log can be made"))
            .spawn()
            .expect("postgres starts");
        self.postmaster = Some(child);
        let url = self.url();
        until("the private cluster to answer", async || {
            PgConnection::connect(&url).await.ok()?.close().await.ok()
        })
        .await;
    }

    /// Stops it and waits: SIGINT is a fast shutdown, SIGQUIT one without a checkpoint.
    pub(crate) async fn down(&mut self, signal: Signal) {
        let postmaster = self.postmaster.as_ref().expect("it runs");
        kill_process(Pid::from_child(postmaster), signal).expect("it runs");
        self.ended().await;
    }

    /// Kills all of it at once. What it had not handed to the kernel is lost.
    pub(crate) async fn crash(&mut self) {
        let postmaster = Pid::from_child(self.postmaster.as_ref().expect("it runs"));
        // Its processes would write on if they saw their postmaster gone first.
        let children = children(postmaster);
        self.kill(&[postmaster], Signal::KILL);
        self.kill(&children, Signal::KILL);
        self.ended().await;
        until("the last process to be gone", async || {
            let gone = |pid: &Pid| !Path::new(&format!("/proc/{}", pid.as_raw_nonzero())).exists();
            children.iter().all(gone).then_some(())
        })
        .await;
    }

    /// Its own processes of a kind, by a condition over `pg_stat_activity`.
    pub(crate) async fn processes(&self, database: &Database, condition: &str) -> Vec<Pid> {
        let find =
            format!("select string_agg(pid::text, ' ') from pg_stat_activity where {condition}");
        let found = database.value(&find).await;
        let pids = found
            .split(' ')
            .filter_map(|pid| pid.parse().ok().and_then(Pid::from_raw));
        pids.collect()
    }

    /// Nothing is written to disk any more but what a commit waits for, since these processes are stopped.
    pub(crate) async fn stop_flushing(&self, database: &Database) -> Vec<Pid> {
        let writers = "backend_type in ('walwriter', 'background writer', 'checkpointer')";
        let writers = self.processes(database, writers).await;
        self.kill(&writers, Signal::STOP);
        writers
    }

    /// Does its postmaster live?
    pub(crate) fn runs(&mut self) -> bool {
        let child = self.postmaster.as_mut().expect("it was started");
        child.try_wait().expect("a child of ours").is_none()
    }

    /// The postmaster and everything that it has started.
    pub(crate) fn family(&self) -> Vec<Pid> {
        let postmaster = Pid::from_child(self.postmaster.as_ref().expect("it runs"));
        let mut family = children(postmaster);
        family.push(postmaster);
        family
    }

    /// Where its files are.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sends a signal to processes of it.
    pub(crate) fn kill(&self, processes: &[Pid], signal: Signal) {
        for pid in processes {
            let _it_may_have_ended = kill_process(*pid, signal);
        }
    }

    async fn ended(&mut self) {
        let mut child = self.postmaster.take().expect("it ran");
        until("the private cluster to stop", async || {
            child.try_wait().expect("a child of ours")
        })
        .await;
    }

    fn program(&self, name: &str) -> Command {
        let program = self.binaries.join(name);
        let mut command = Command::new(if program.exists() {
            program
        } else {
            name.into()
        });
        command.current_dir("/").stdin(Stdio::null()).env_clear();
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        if let Some(mut child) = self.postmaster.take() {
            let _it_may_have_ended = kill_process(Pid::from_child(&child), Signal::QUIT);
            let _status = child.wait();
        }
    }
}

/// The processes that a process has started.
fn children(of: Pid) -> Vec<Pid> {
    let parent = format!("PPid:\t{}", of.as_raw_nonzero());
    let all = fs::read_dir("/proc").expect("a list of processes");
    all.flatten()
        .filter(|process| {
            let status = fs::read_to_string(process.path().join("status"));
            status.is_ok_and(|status| status.lines().any(|line| line == parent))
        })
        .filter_map(|process| process.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

/// The folder of the binaries that the shared cluster uses too.
pub(crate) fn binaries() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/find-postgres");
    let found = Command::new(script)
        .output()
        .expect("scripts/find-postgres starts");
    assert!(
        found.status.success(),
        "no Postgres: see the README's section on development"
    );
    PathBuf::from(String::from_utf8_lossy(&found.stdout).trim())
}

/// Its psql: beside the binaries, which npm's have not, or Debian's of any major.
pub(crate) fn psql() -> Option<PathBuf> {
    let beside = binaries().join("psql");
    [beside, PathBuf::from("/usr/bin/psql")]
        .into_iter()
        .find(|file| file.is_file())
}

/// Somebody who is not root.
pub(super) fn unprivileged() -> (u32, u32) {
    let passwd = fs::read_to_string("/etc/passwd").expect("a list of users");
    let find = |name: &str| {
        let line = passwd
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line
            .split(':')
            .skip(2)
            .map_while(|field| field.parse().ok());
        Some((numbers.next()?, numbers.next()?))
    };
    find("postgres")
        .or_else(|| find("nobody"))
        .expect("a user who is not root")
}
