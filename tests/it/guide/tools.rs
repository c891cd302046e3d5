//! The programs that the guide's blocks are for: found where `scripts/setup guide` looks, run, and gone with the test.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use std::{env, fs};

use super::page::repository;
use crate::harness::wait::{PATIENCE, until_for, within_for};
use crate::harness::{Database, Scratch};

/// A folder with the npm packages of this repository beside the files of a test.
pub(super) fn folder() -> Scratch {
    let folder = Scratch::folder();
    symlink(
        repository("node_modules"),
        folder.path().join("node_modules"),
    )
    .expect("a link");
    folder
}

/// Writes a file into a folder.
pub(crate) fn write(folder: &Scratch, name: &str, text: &str) {
    let path = folder.path().join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// A program of the guide, with the folders of `scripts/setup guide` in PATH.
#[expect(
    clippy::disallowed_methods,
    reason = "the guide's programs are added to the test's PATH"
)]
pub(crate) fn program(name: &str, folder: &Path) -> Command {
    let guide = repository(".cache/guide");
    let own = env::var("PATH").expect("a PATH");
    let python = guide.join("python/bin");
    let path = format!(
        "{}:{own}:/usr/sbin:/sbin:{}",
        python.display(),
        guide.join("bin").display()
    );
    // PATH is searched by the shell, since Rust would search the test's own.
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", "exec \"$0\" \"$@\"", name])
        .current_dir(folder)
        .env("PATH", path)
        // Many colour what they write wherever `CI` is set, and a colour parts a word from what follows it.
        .env("NO_COLOR", "1")
        .stdin(Stdio::null());
    command
}

/// What a program printed that ends well and knows this database.
pub(crate) async fn output(mut command: Command, database: &Database) -> String {
    command.env("DATABASE_URL", &database.url);
    ended(command).await.expect("it ends well")
}

/// What a program printed, to stdout or, if it failed, to both.
pub(super) async fn ended(mut command: Command) -> Result<String, String> {
    let running = tokio::task::spawn_blocking(move || command.output().expect("it starts"));
    let ended = within_for(Duration::from_secs(180), "a program", running);
    let output = ended.await.expect("it is waited for");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let stdout = text(&output.stdout);
    if output.status.success() {
        Ok(stdout)
    } else {
        Err(format!(
            "{}: {stdout}\n{}",
            output.status,
            text(&output.stderr)
        ))
    }
}

/// A program that runs until the test ends, and the lines that it writes.
pub(crate) struct Running {
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Running {
    /// Starts it.
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = Arc::<Mutex<Vec<String>>>::default();
        collect(child.stdout.take().expect("piped"), Arc::clone(&lines));
        collect(child.stderr.take().expect("piped"), Arc::clone(&lines));
        Self {
            child: Mutex::new(child),
            lines,
        }
    }

    /// Writes a line to its stdin, which was piped.
    pub(crate) fn writes(&self, line: &str) {
        let mut child = self.child.lock().expect("unpoisoned");
        let stdin = child.stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{line}").expect("it runs");
    }

    /// Has it not ended?
    pub(super) fn runs(&self) -> bool {
        let mut child = self.child.lock().expect("unpoisoned");
        child.try_wait().expect("a child of ours").is_none()
    }

    /// Every line so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("unpoisoned").clone()
    }

    /// Waits for a line with this in it, and returns it.
    pub(crate) async fn says(&self, what: &str) -> String {
        until_for(
            Duration::from_secs(60),
            format!("a line with {what:?}"),
            async || self.lines().into_iter().find(|line| line.contains(what)),
        )
        .await
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let child = self.child.get_mut().expect("unpoisoned");
        // Who is spoken to ends when there is no more to hear, and ends what it has started.
        if child.stdin.take().is_some() {
            let deadline = Instant::now() + PATIENCE;
            while matches!(child.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::sleep(Duration::from_millis(10));
            }
        }
        let _it_may_have_ended = child.kill();
        let _status = child.wait();
        if std::thread::panicking() {
            eprintln!("--- a program's lines\n{}", self.lines().join("\n"));
        }
    }
}

fn collect(from: impl std::io::Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().expect("unpoisoned").push(line);
        }
    });
}

/// Builds the client package, unless it is; by one test at a time.
pub(crate) async fn build_client() {
    let built = tokio::task::spawn_blocking(|| {
        let lock = Path::new(env!("CARGO_TARGET_TMPDIR")).join("client.lock");
        let lock = fs::File::create(lock).expect("a lock file can be made");
        lock.lock().expect("flock");
        let mut make = program("make", &repository("."));
        make.args(["--silent", "client"]).output()
    });
    let output = built.await.expect("it is waited for").expect("make");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}
