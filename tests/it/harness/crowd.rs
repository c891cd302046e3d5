//! Hundreds of official clients in one Node process, which count by themselves what they lost (`tests/interop/crowd.mjs`).

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::stock;
use super::wait::{until_for, within_for};

/// The clients are told apart by nobody.
pub(crate) struct Crowd {
    node: Child,
    stdin: ChildStdin,
    answers: mpsc::UnboundedReceiver<Value>,
}

/// What became of them so far.
#[derive(Debug, Deserialize)]
pub(crate) struct CrowdState {
    pub(crate) connected: usize,
    /// The smallest number that one of them has come to.
    pub(crate) least: u64,
    /// The largest.
    pub(crate) most: u64,
    pub(crate) lost: u64,
    pub(crate) doubled: u64,
    pub(crate) unrecovered: u64,
    pub(crate) resyncs: u64,
    /// `connect_error`, by its message.
    pub(crate) errors: Value,
    /// For how long each was away that came back since the last look, in milliseconds.
    pub(crate) gaps: Vec<u64>,
    /// The same, of those that knock at once.
    pub(crate) quick: Vec<u64>,
}

impl Crowd {
    /// Connects them, and has each join one of `rooms` rooms: `r0`, `r1` and so on.
    pub(crate) async fn join(address: &str, clients: usize, rooms: usize) -> Self {
        stock::install();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut node = Command::new("node")
            .arg("crowd.mjs")
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let stdout = node.stdout.take().expect("stdout is piped");
        let stdin = node.stdin.take().expect("stdin is piped");
        let (sender, answers) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let answer = serde_json::from_str(&line).expect("crowd.mjs speaks JSON");
                let _the_test_is_over = sender.send(answer);
            }
        });
        let mut crowd = Self {
            node,
            stdin,
            answers,
        };
        let url = format!("http://{address}");
        let start = json!({"op": "start", "url": url, "clients": clients, "rooms": rooms});
        let joined = crowd.ask(&start).await;
        assert_eq!(joined["joined"], clients);
        crowd
    }

    async fn ask(&mut self, command: &Value) -> Value {
        writeln!(self.stdin, "{command}").expect("node runs");
        let answer = self.answers.recv();
        within_for(Duration::from_secs(60), "the crowd", answer)
            .await
            .expect("node runs")
    }

    /// How they are.
    pub(crate) async fn state(&mut self) -> CrowdState {
        let state = self.ask(&json!({"op": "state"})).await;
        serde_json::from_value(state).expect("its members")
    }

    /// Waits until so many have come back, and says for how long each was away, in milliseconds; those that knock at once apart.
    pub(crate) async fn returned(&mut self, clients: usize) -> [Vec<u64>; 2] {
        let (mut gaps, mut quick) = (Vec::new(), Vec::new());
        until_for(Duration::from_secs(30), "all to be back", async || {
            let state = self.state().await;
            gaps.extend(state.gaps);
            quick.extend(state.quick);
            let returned = gaps.len() + quick.len();
            (returned >= clients && state.connected == clients).then_some(())
        })
        .await;
        [gaps, quick]
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        let _it_may_have_ended = self.node.kill();
        let _status = self.node.wait();
    }
}
