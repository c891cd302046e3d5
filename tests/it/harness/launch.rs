//! Command lines of the real `rowcast` binary: run to their end, or started as a server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use super::server::Server;

/// A command line and its environment, before it runs. Nothing of the test's own environment reaches it.
pub(crate) struct Launch {
    command: Command,
}

/// What a command that ran to its end left.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Launch {
    /// `rowcast` with these arguments.
    #[expect(
        clippy::disallowed_methods,
        reason = "a few of the test's variables are passed on"
    )]
    pub(crate) fn command<const N: usize>(arguments: [&str; N]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rowcast"));
        command
            .args(arguments)
            .env_clear()
            // A folder without an `.env`.
            .current_dir(env!("CARGO_TARGET_TMPDIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for inherited in [
            "PATH",
            "HOME",
            "LANG",
            "TMPDIR",
            "ROWCAST_PG_BINDIR",
            "RUST_BACKTRACE",
        ] {
            if let Some(value) = std::env::var_os(inherited) {
                command.env(inherited, value);
            }
        }
        Self { command }
    }

    /// `rowcast serve` on free ports, with a log that the tests can read.
    pub(crate) fn serve() -> Self {
        Self::command(["serve"])
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "127.0.0.1:0")
            .env("ROWCAST_LOG_FORMAT", "json")
    }

    /// Sets a variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.command.env(name, value);
        self
    }

    /// Adds a flag or an argument.
    pub(crate) fn arg(mut self, argument: &str) -> Self {
        self.command.arg(argument);
        self
    }

    /// Runs it in another folder.
    pub(crate) fn folder(mut self, folder: &Path) -> Self {
        self.command.current_dir(folder);
        self
    }

    /// Names the database by its URL.
    pub(crate) fn database(self, url: &str) -> Self {
        self.env("DATABASE_URL", url)
    }

    /// Passes it these sockets as socket activation does, from descriptor 3 on; `names` is `LISTEN_FDNAMES`. The shell is there because
    /// `LISTEN_PID` is the pid of who reads it.
    pub(crate) fn passed(
        self,
        socket: std::os::fd::OwnedFd,
        descriptors: &str,
        names: &str,
    ) -> Self {
        let script =
            format!("exec {descriptors} </dev/null; export LISTEN_PID=$$; exec \"$0\" \"$@\"");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script])
            .arg(self.command.get_program())
            .args(self.command.get_args())
            .env_clear()
            .envs(
                self.command
                    .get_envs()
                    .filter_map(|(name, value)| Some((name, value?))),
            )
            .env(
                "LISTEN_FDS",
                descriptors.split_whitespace().count().to_string(),
            )
            .env("LISTEN_FDNAMES", names)
            .stdin(Stdio::from(socket))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if let Some(folder) = self.command.get_current_dir() {
            command.current_dir(folder);
        }
        Self { command }
    }

    /// Nobody reads what it prints: the pipe is closed at the other end.
    pub(crate) fn unread(mut self) -> Self {
        let (_closed, writer) = std::io::pipe().expect("a pipe");
        self.command.stdout(writer);
        self
    }

    /// Starts it and waits until it says that it is ready.
    pub(crate) async fn start(self) -> Server {
        let server = self.spawn();
        server.ready().await;
        server
    }

    /// Starts it and waits for nothing.
    pub(crate) fn spawn(mut self) -> Server {
        Server::of(self.command.spawn().expect("the rowcast binary starts"))
    }

    /// Runs it to its end, for at most 30 s.
    pub(crate) async fn end(mut self) -> Ended {
        let child = self.command.spawn().expect("the rowcast binary starts");
        let pid = Pid::from_child(&child);
        let ended = tokio::task::spawn_blocking(move || child.wait_with_output());
        let output = match tokio::time::timeout(Duration::from_secs(30), ended).await {
            Ok(output) => output.expect("not cancelled").expect("readable output"),
            Err(_) => {
                let _it_may_have_ended_now = kill_process(pid, Signal::KILL);
                panic!("waited 30s for {:?} to end", self.command);
            }
        };
        Ended {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs it to its end, which must be a success.
    pub(crate) async fn succeed(self) -> Ended {
        let ended = self.end().await;
        assert_eq!(ended.code, Some(0), "{ended:#?}");
        ended
    }

    /// Runs it to its end, which must be a failure with one line that holds every one of these words.
    pub(crate) async fn refuse(self, words: &[&str]) -> Ended {
        let ended = self.end().await;
        assert!(ended.code.is_some_and(|code| code != 0), "{ended:#?}");
        let explained = ended
            .stderr
            .lines()
            .any(|line| words.iter().all(|word| line.contains(word)));
        assert!(explained, "no line of stderr names {words:?}: {ended:#?}");
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        ended
    }
}
