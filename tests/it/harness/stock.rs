//! The official `socket.io-client` from npm, in one Node process per test.
//!
//! `tests/interop/client.mjs` runs the clients and reports what they saw. A thread of ours reads those reports at once
//! whatever the test does, so that a slow test never makes a slow consumer.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Once};

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::client::Client;
use super::server::Server;
use super::tls;

/// A Node process with stock clients in it.
pub(crate) struct Stock {
    pipe: Arc<Pipe>,
    node: Child,
}

/// The way to Node and back.
pub(super) struct Pipe {
    stdin: Mutex<Option<ChildStdin>>,
    clients: Mutex<HashMap<u64, mpsc::UnboundedSender<Value>>>,
    acks: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
}

impl Stock {
    /// Starts Node.
    pub(crate) fn start() -> Self {
        install();
        let mut node = Command::new("node");
        node.arg("client.mjs");
        Self::drive(node)
    }

    /// Starts a program that speaks as `client.mjs` does.
    pub(crate) fn drive(mut program: Command) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop");
        let mut node = program
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("it is installed");
        let stdout = node.stdout.take().expect("stdout is piped");
        let pipe = Arc::new(Pipe {
            stdin: Mutex::new(node.stdin.take()),
            clients: Mutex::default(),
            acks: Mutex::default(),
            next: AtomicU64::new(1),
        });
        let reports = Arc::clone(&pipe);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str(&line) {
                    Ok(report) => reports.route(report),
                    // Node was killed in the middle of a line.
                    Err(error) if error.is_eof() => break,
                    Err(error) => panic!("the driver speaks JSON: {error}: {line}"),
                }
            }
        });
        Self { pipe, node }
    }

    /// A client of an address or a URL, not waited for. `first` is emitted without waiting for the connection either: pairs of an event and
    /// its arguments, each with an ack, whose answers come as the receivers.
    pub(crate) fn open(
        &self,
        address: &str,
        options: &Value,
        first: &[(&str, Value)],
    ) -> (Client, Vec<oneshot::Receiver<Value>>) {
        let number = self.pipe.number();
        let (sender, inbox) = mpsc::unbounded_channel();
        self.pipe
            .clients
            .lock()
            .expect("unpoisoned")
            .insert(number, sender);
        let (emits, answers): (Vec<_>, Vec<_>) = first
            .iter()
            .map(|(event, arguments)| {
                let (ack, answer) = self.pipe.expect_ack();
                (
                    json!({"event": event, "args": arguments, "ack": ack}),
                    answer,
                )
            })
            .unzip();
        let (url, options) = tls::stock_of(address, options);
        self.pipe.send(&json!({
            "op": "connect", "client": number, "url": url, "options": options, "emit": emits,
        }));
        (Client::new(number, Arc::clone(&self.pipe), inbox), answers)
    }

    /// A connected client on a websocket, past its `rowcast:ready`.
    pub(crate) async fn connect(&self, server: &Server) -> Client {
        self.connect_by("websocket", server).await
    }

    /// A connected client on one transport, past its `rowcast:ready`.
    pub(crate) async fn connect_by(&self, transport: &str, server: &Server) -> Client {
        let options = json!({"transports": [transport]});
        let mut client = self.open(server.address(), &options, &[]).0;
        client.connected().await;
        client.event("rowcast:ready").await;
        client
    }

    /// A connected client that has joined a conversation.
    pub(crate) async fn joined(&self, server: &Server, contact: &str) -> Client {
        let client = self.connect(server).await;
        client.join(contact).await;
        client
    }
}

impl Drop for Stock {
    fn drop(&mut self) {
        let _it_may_have_ended = self.node.kill();
        let _status = self.node.wait();
    }
}

impl Pipe {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn expect_ack(&self) -> (u64, oneshot::Receiver<Value>) {
        let number = self.number();
        let (sender, answer) = oneshot::channel();
        self.acks.lock().expect("unpoisoned").insert(number, sender);
        (number, answer)
    }

    pub(super) fn send(&self, command: &Value) {
        let mut stdin = self.stdin.lock().expect("unpoisoned");
        let stdin = stdin.as_mut().expect("stdin is piped");
        writeln!(stdin, "{command}").expect("node runs");
    }

    fn route(&self, mut report: Value) {
        let waiting = report["ack"]
            .as_u64()
            .and_then(|ack| self.acks.lock().expect("unpoisoned").remove(&ack));
        if let Some(waiting) = waiting {
            let _nobody_waits_any_more = waiting.send(report["args"].take());
        } else if let Some(number) = report["client"].as_u64()
            && let Some(client) = self.clients.lock().expect("unpoisoned").get(&number)
        {
            let _the_test_dropped_it = client.send(report);
        }
    }
}

/// Installs the npm packages as the lock file pins them, once.
pub(super) fn install() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let lock = File::create(Path::new(env!("CARGO_TARGET_TMPDIR")).join("npm.lock"))
            .expect("a lock file can be made");
        lock.lock().expect("flock");
        let last = [
            "node_modules/playwright-core",
            "node_modules/socket.io-client-4.6",
            "node_modules/jose",
            "node_modules/axe-core",
        ];
        if last.iter().all(|package| root.join(package).exists()) {
            return;
        }
        let status = Command::new("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(root)
            .status();
        assert!(status.expect("npm is installed").success(), "npm ci");
    });
}
