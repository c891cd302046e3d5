//! One client of either kind behind the same face: commands go in as JSON, what it saw comes out as JSON.
//!
//! The words are those of `tests/interop/client.mjs`. The raw client resumes as a client in another language would:
//! it keeps the pid of CONNECT and the last offset, and sends both when it comes back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::raw::Wire;
use super::stock::{Pipe, Stock};
use super::witness::Pass;

/// How a client gets its events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The stock client on a websocket from the beginning.
    Websocket,
    /// The stock client on long polls only.
    Polling,
    /// The stock client as it comes: polling, then upgraded.
    Upgraded,
    /// Frames by hand.
    Raw,
}

impl Kind {
    /// All of them.
    pub(crate) const ALL: [Self; 4] = [Self::Websocket, Self::Polling, Self::Upgraded, Self::Raw];
}

/// A client that comes back by itself.
pub(super) struct Line {
    way: Way,
    pub(super) reports: UnboundedReceiver<Value>,
}

enum Way {
    Stock(u64, Arc<Pipe>),
    Raw(
        UnboundedSender<Value>,
        #[expect(dead_code, reason = "it ends with the value")] JoinSet<()>,
    ),
}

impl Line {
    /// A client that is about to connect, with the tokens of its pass.
    pub(super) fn open(stock: &Stock, address: &str, kind: Kind, pass: Option<&Pass>) -> Self {
        let transports = match kind {
            Kind::Websocket => json!(["websocket"]),
            Kind::Polling => json!(["polling"]),
            Kind::Upgraded => json!(["polling", "websocket"]),
            Kind::Raw => return Self::raw(address, pass),
        };
        let mut options = json!({"transports": transports});
        if let Some(pass) = pass {
            options["token"] = json!(pass.token());
        }
        let (number, pipe, reports) = stock.open(address, &options, &[]).0.into_parts();
        Self {
            way: Way::Stock(number, pipe),
            reports,
        }
    }

    fn raw(address: &str, pass: Option<&Pass>) -> Self {
        let (commands, orders) = mpsc::unbounded_channel();
        let (reporter, reports) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        let memory = Memory {
            pass: pass.cloned(),
            ..Memory::default()
        };
        task.spawn(wander(address.to_owned(), memory, orders, reporter));
        Self {
            way: Way::Raw(commands, task),
            reports,
        }
    }

    /// Tells it what to do.
    pub(super) fn send(&self, mut command: Value) {
        match &self.way {
            Way::Stock(number, pipe) => {
                command["client"] = json!(number);
                pipe.send(&command);
            }
            Way::Raw(commands, _) => {
                let _it_ends_with_the_test = commands.send(command);
            }
        }
    }

    /// Shows this token from the next connection on. Whoever was refused for good tries again.
    pub(super) fn present(&self, token: &str, reconnect: bool) {
        self.send(json!({"op": "token", "token": token}));
        if reconnect {
            self.send(json!({"op": "reconnect"}));
        }
    }

    /// Emits, unless it is not connected. The answer is a report.
    pub(super) fn emit(&self, event: &str, argument: &Value, ack: u64) {
        let live = true;
        self.send(
            json!({"op": "emit", "event": event, "args": [argument], "ack": ack, "live": live}),
        );
    }
}

/// What a raw client remembers from one connection to the next.
#[derive(Default)]
struct Memory {
    pass: Option<Pass>,
    pid: Option<String>,
    offset: Option<String>,
}

async fn wander(
    address: String,
    mut memory: Memory,
    mut orders: UnboundedReceiver<Value>,
    reports: UnboundedSender<Value>,
) {
    while !reports.is_closed() {
        if let Some(wire) = reach(&address, &memory).await {
            let ended = live(wire, &mut memory, &mut orders, &reports).await;
            // For a client this has ended only if it knew that it was connected.
            if let Some(reason) = ended {
                let _the_test_is_over =
                    reports.send(json!({"saw": "disconnect", "reason": reason}));
            }
        }
        sleep(Duration::from_millis(20)).await;
        // Like the stock client's, they were for a connection that is gone.
        while orders.try_recv().is_ok() {}
    }
}

/// A websocket that said CONNECT.
async fn reach(address: &str, memory: &Memory) -> Option<Wire> {
    let dialled = timeout(Duration::from_secs(5), Wire::attempt(address, &[])).await;
    let mut wire = dialled.ok()?.ok()?;
    let mut auth = match (&memory.pid, &memory.offset) {
        (Some(pid), Some(offset)) => json!({"pid": pid, "offset": offset}),
        (Some(pid), None) => json!({"pid": pid}),
        _ => json!({}),
    };
    if let Some(pass) = &memory.pass {
        auth["token"] = json!(pass.token());
    }
    wire.send(&format!("40{auth}")).await;
    Some(wire)
}

/// Serves one connection to its end, and says why it ended if it was one.
async fn live(
    mut wire: Wire,
    memory: &mut Memory,
    orders: &mut UnboundedReceiver<Value>,
    reports: &UnboundedSender<Value>,
) -> Option<&'static str> {
    let mut connected = None;
    loop {
        let frame = tokio::select! {
            frame = wire.frame_whenever() => match frame {
                Some(frame) => frame,
                None => return connected.map(|()| "transport close"),
            },
            order = orders.recv() => {
                let order = order?;
                if order["op"] == "cut" {
                    return connected.map(|()| "transport close");
                }
                let ack = &order["ack"];
                let Some(arguments) = order["args"].as_array() else {
                    // The next connection shows its token by itself.
                    continue;
                };
                let packet: Vec<_> = [&order["event"]].into_iter().chain(arguments).collect();
                if connected.is_some() {
                    wire.send(&format!("42{ack}{}", json!(packet))).await;
                }
                continue;
            }
        };
        let body = frame.find(['{', '[']).map_or("null", |at| &frame[at..]);
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        let report = match frame.get(..2) {
            Some("40") => {
                let pid = body["pid"].as_str().map(str::to_owned);
                let recovered = pid.is_some() && pid == memory.pid;
                if pid != memory.pid {
                    memory.offset = None;
                }
                memory.pid = pid;
                connected = Some(());
                json!({"saw": "connect", "recovered": recovered})
            }
            Some("42") => {
                let arguments = body.as_array_mut().expect("an event");
                let event = arguments.remove(0);
                if let Some(Value::String(offset)) = arguments.last() {
                    memory.offset = Some(offset.clone());
                }
                json!({"saw": "event", "event": event, "args": arguments})
            }
            Some("43") => {
                let digits = frame[2..].split('[').next().expect("a first part");
                let ack: u64 = digits.parse().expect("an ack's number");
                json!({"saw": "ack", "ack": ack, "args": body})
            }
            Some("44") => {
                let refusal = json!({"saw": "connect_error", "message": body["message"]});
                let _the_test_is_over = reports.send(refusal);
                return None;
            }
            Some("41") => return connected.map(|()| "io server disconnect"),
            _ => continue,
        };
        let _the_test_is_over = reports.send(report);
    }
}
