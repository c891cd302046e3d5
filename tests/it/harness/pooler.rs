//! PgBouncer in front of a private Postgres.
//!
//! `PGBOUNCER` names another binary than the one of scripts/setup. It listens on a socket in a folder of its own.

use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use sqlx::{Connection, PgConnection};

use super::postgres::{Postgres, unprivileged};
use super::scratch::Scratch;
use super::wait::until;

/// A running PgBouncer.
pub(crate) struct Pooler {
    process: Child,
    folder: Scratch,
}

impl Pooler {
    /// In this mode, with that many connections to Postgres, and further settings.
    pub(crate) async fn start(postgres: &Postgres, mode: &str, size: u32, settings: &str) -> Self {
        let folder = Scratch::folder();
        let (path, behind) = (folder.path(), postgres.folder());
        let configuration = format!(
            "[databases]\n* = host={} port=5432 user=postgres\n[pgbouncer]\nlisten_port = 6432\nlisten_addr =\n\
             unix_socket_dir = {}\nauth_type = any\npool_mode = {mode}\ndefault_pool_size = {size}\n{settings}\n",
            behind.display(),
            path.display()
        );
        let file = path.join("pgbouncer.ini");
        fs::write(&file, configuration).expect("a file can be written");
        let mut command = Command::new(binary());
        command.arg("-q").arg(&file).stdin(Stdio::null());
        command.stdout(Stdio::null()).stderr(Stdio::null());
        if geteuid().is_root() {
            let (uid, gid) = unprivileged();
            chown(path, Some(uid), Some(gid)).expect("root may chown");
            command.uid(uid).gid(gid);
        }
        let pooler = Self {
            process: command.spawn().expect("pgbouncer starts"),
            folder,
        };
        let url = pooler.url();
        until("the pooler to answer", async || {
            PgConnection::connect(&url).await.ok()?.close().await.ok()
        })
        .await;
        pooler
    }

    /// Where its socket is.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The database behind it. sqlx's own parameter is named, which poolers refuse.
    pub(crate) fn url(&self) -> String {
        format!(
            "postgres://postgres@localhost:6432/postgres?host={}",
            self.folder.path().display()
        )
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _it_may_have_ended = kill_process(Pid::from_child(&self.process), Signal::KILL);
        let _status = self.process.wait();
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "which pooler is a setting of the suite"
)]
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("PGBOUNCER") {
        return named.into();
    }
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/guide/bin/pgbouncer");
    [Path::new("/usr/sbin/pgbouncer"), &unpacked]
        .into_iter()
        .find(|path| path.exists())
        .map_or_else(|| "pgbouncer".into(), Path::to_owned)
}
