//! The real `rowcast` binary as a child process: started, watched, stopped.
//!
//! Its log lines are collected as they come; a test that panics prints them. A server that is dropped is killed.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::database::Database;
use super::http::{self, Response};
use super::launch::Launch;
use super::wait::{PATIENCE, until, until_for};

/// A running `rowcast serve`.
pub(crate) struct Server {
    child: Mutex<Child>,
    lines: Arc<Mutex<Vec<String>>>,
    addresses: OnceLock<(String, String)>,
}

impl Server {
    /// Watches a child that was just started.
    pub(super) fn of(mut child: Child) -> Self {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let stderr = child.stderr.take().expect("stderr is piped");
        let stdout = child.stdout.take().expect("stdout is piped");
        collect(stderr, Arc::clone(&lines));
        collect(stdout, Arc::clone(&lines));
        Self {
            child: Mutex::new(child),
            lines,
            addresses: OnceLock::new(),
        }
    }

    /// Serves `database`, with every default.
    pub(crate) async fn on(database: &Database) -> Self {
        Self::with(database, &[]).await
    }

    /// Serves `database`, with these variables set.
    pub(crate) async fn with(database: &Database, variables: &[(&str, &str)]) -> Self {
        let mut launch = Launch::serve().database(&database.url);
        for (name, value) in variables {
            launch = launch.env(name, value);
        }
        launch.start().await
    }

    /// Where Socket.IO and the API are: `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.addresses.get().expect("the server is ready").0
    }

    /// Where the metrics are: `host:port`.
    pub(crate) fn admin(&self) -> &str {
        &self.addresses.get().expect("the server is ready").1
    }

    /// Waits for the line `ready`, which names the addresses.
    pub(crate) async fn ready(&self) {
        let ready = self
            .log("the server to be ready", |line| line["message"] == "ready")
            .await;
        let text = |field: &str| ready[field].as_str().unwrap_or_default().to_owned();
        assert!(
            text("address").contains(':'),
            "`ready` names its address: {ready}"
        );
        self.addresses
            .set((text("address"), text("admin")))
            .expect("ready once");
    }

    /// Waits until the ports are open, and says where the public and the admin listener are. The server may not be ready yet.
    pub(crate) async fn listening(&self) -> (String, String) {
        let open = self
            .log("the ports to be open", |line| {
                line["message"] == "listening, not ready yet"
            })
            .await;
        let text = |field: &str| open[field].as_str().unwrap_or_default().to_owned();
        (text("address"), text("admin"))
    }

    /// Every log line so far, as it was written.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().expect("no panic while locked").clone()
    }

    /// Waits for a log line, as JSON with its fields at the top level.
    pub(crate) async fn log(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        until_for(Duration::from_secs(30), what, async || {
            let found = self
                .lines()
                .iter()
                .filter_map(|line| fields(line))
                .find(&wanted);
            if found.is_none()
                && let Some(status) = self.exited()
            {
                let again = self
                    .lines()
                    .iter()
                    .filter_map(|line| fields(line))
                    .find(&wanted);
                assert!(again.is_some(), "{status} while a test waited for {what}");
                return again;
            }
            found
        })
        .await
    }

    /// `GET path` from the public listener.
    pub(crate) async fn get(&self, path: &str) -> Response {
        http::get(self.address(), path, &[]).await
    }

    /// The sum of a metric's samples whose labels hold every one of `labels`; 0 when there is none.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = http::get(self.admin(), "/metrics", &[]).await.body;
        page.lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.rsplit_once(' '))
            .filter(|(series, _)| series.split('{').next() == Some(name))
            .filter(|(series, _)| labels.iter().all(|label| series.contains(label)))
            .filter_map(|(_, sample)| sample.parse::<f64>().ok())
            .sum()
    }

    /// Waits until that sum is at least `least`.
    pub(crate) async fn counted(&self, name: &str, labels: &[&str], least: f64) {
        until(format!("{name}{labels:?} to reach {least}"), async || {
            (self.metric(name, labels).await >= least).then_some(())
        })
        .await;
    }

    /// Waits until `/readyz` answers with `status`, and returns that answer.
    pub(crate) async fn readiness(&self, status: u16) -> Response {
        until(format!("/readyz to answer {status}"), async || {
            let answer = self.get("/readyz").await;
            (answer.status == status).then_some(answer)
        })
        .await
    }

    /// Has [`Server::peak_memory_bytes`] begin anew.
    pub(crate) fn forget_peak_memory(&self) {
        let file = format!("/proc/{}/clear_refs", self.pid().as_raw_nonzero());
        // The kernel's word for it: proc(5).
        std::fs::write(file, "5").expect("the server runs");
    }

    /// The most memory that the process ever held, in bytes.
    pub(crate) fn peak_memory_bytes(&self) -> u64 {
        let status = PathBuf::from(format!("/proc/{}/status", self.pid().as_raw_nonzero()));
        let status = std::fs::read_to_string(status).expect("the server runs");
        let line = status.lines().find(|line| line.starts_with("VmHWM:"));
        let kilobytes = line
            .and_then(|line| line.split_whitespace().nth(1))
            .expect("VmHWM");
        kilobytes.parse::<u64>().expect("a number") * 1024
    }

    /// The process.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child.lock().expect("no panic while locked"))
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).expect("the server runs");
    }

    /// Stops it where it is, until SIGCONT, and waits until the kernel says so.
    pub(crate) async fn freeze(&self) {
        self.signal(Signal::STOP);
        let stat = format!("/proc/{}/stat", self.pid().as_raw_nonzero());
        until("the server to be stopped", async || {
            let text = std::fs::read_to_string(&stat).expect("it runs");
            text.contains(") T ").then_some(())
        })
        .await;
    }

    /// How it ended, if it did.
    pub(crate) fn exited(&self) -> Option<ExitStatus> {
        let mut child = self.child.lock().expect("no panic while locked");
        child.try_wait().expect("a child of ours")
    }

    /// Waits until it has ended.
    pub(crate) async fn ended(&self) -> ExitStatus {
        until_for(PATIENCE * 2, "the server to end", async || self.exited()).await
    }

    /// Sends SIGTERM, waits, and expects a clean end.
    pub(crate) async fn stop(&self) {
        self.signal(Signal::TERM);
        let status = self.ended().await;
        assert_eq!(
            status.code(),
            Some(0),
            "a drained server ends well: {status}"
        );
    }

    /// Kills it as a crash would, and waits until it is gone.
    pub(crate) async fn crash(&self) {
        self.signal(Signal::KILL);
        self.ended().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let mut child = self
            .child
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let _it_may_have_ended = child.kill();
        let status = child.wait();
        let lines = self.lines();
        if std::thread::panicking() {
            eprintln!("--- the server's log ({status:?}), last lines\n");
            for line in lines.iter().skip(lines.len().saturating_sub(60)) {
                eprintln!("{line}");
            }
        } else if let Some(line) = lines.iter().find(|line| line.contains("panicked at")) {
            panic!("the server panicked: {line}");
        }
    }
}

/// A JSON log line with its fields lifted to the top.
fn fields(line: &str) -> Option<Value> {
    let mut line: Value = serde_json::from_str(line).ok()?;
    if let Some(Value::Object(fields)) = line.get_mut("fields").map(Value::take) {
        let line = line.as_object_mut()?;
        line.extend(fields);
    }
    Some(line)
}

fn collect(from: impl std::io::Read + Send + 'static, into: Arc<Mutex<Vec<String>>>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            into.lock().expect("no panic while locked").push(line);
        }
    });
}
