//! One stock client: what a test makes it do, and what it saw.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot};

use super::stock::Pipe;
use super::wait::{PATIENCE, within_for};

/// One stock client.
pub(crate) struct Client {
    number: u64,
    pipe: Arc<Pipe>,
    inbox: mpsc::UnboundedReceiver<Value>,
    /// Reports that were read past while another was waited for.
    aside: VecDeque<Value>,
}

/// An event as the client's listener got it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Event {
    pub(crate) name: String,
    pub(crate) arguments: Vec<Value>,
}

impl Event {
    /// The first argument.
    pub(crate) fn payload(&self) -> &Value {
        self.arguments.first().unwrap_or(&Value::Null)
    }

    /// The offset: the last argument, where that is a text.
    pub(crate) fn offset(&self) -> Option<&str> {
        self.arguments.last().and_then(Value::as_str)
    }

    /// The body of the message that the payload carries.
    pub(crate) fn body(&self) -> &str {
        self.payload()["message"]["body"]
            .as_str()
            .unwrap_or_default()
    }
}

impl Client {
    pub(super) fn new(number: u64, pipe: Arc<Pipe>, inbox: mpsc::UnboundedReceiver<Value>) -> Self {
        Self {
            number,
            pipe,
            inbox,
            aside: VecDeque::new(),
        }
    }

    /// What it is made of, for who reads all its reports.
    pub(super) fn into_parts(self) -> (u64, Arc<Pipe>, mpsc::UnboundedReceiver<Value>) {
        (self.number, self.pipe, self.inbox)
    }

    /// Emits without an ack.
    pub(crate) fn emit(&self, event: &str, arguments: Value) {
        self.command("emit", json!({"event": event}), arguments);
    }

    /// Emits with an ack, and returns where its answer (the array of its arguments) will be.
    pub(crate) fn ask_later(&self, event: &str, arguments: Value) -> oneshot::Receiver<Value> {
        let (ack, answer) = self.pipe.expect_ack();
        self.command("emit", json!({"event": event, "ack": ack}), arguments);
        answer
    }

    /// Emits with an ack, and returns the answer's only argument.
    pub(crate) async fn ask(&self, event: &str, arguments: Value) -> Value {
        let answer = self.ask_later(event, arguments.clone());
        only(within_for(PATIENCE, format!("the ack of {event} {arguments}"), answer).await)
    }

    /// Joins a conversation, which must succeed, and returns the answer.
    pub(crate) async fn join(&self, contact: &str) -> Value {
        let answer = self.ask("join:conversation", json!([contact])).await;
        assert_eq!(answer["ok"], true, "joining {contact}: {answer}");
        answer
    }

    /// Leaves a conversation, which must succeed.
    pub(crate) async fn leave(&self, contact: &str) {
        let answer = self.ask("leave:conversation", json!([contact])).await;
        assert_eq!(answer, json!({"ok": true}), "leaving {contact}");
    }

    /// The next event of that name; others stay for later.
    pub(crate) async fn event(&mut self, name: &str) -> Event {
        self.event_for(PATIENCE, name).await
    }

    /// The same with a bound of its own.
    pub(crate) async fn event_for(&mut self, patience: Duration, name: &str) -> Event {
        let report = self
            .report(patience, &format!("the event {name}"), |report| {
                report["saw"] == "event" && report["event"] == name
            })
            .await;
        event(&report)
    }

    /// The next event, whatever its name.
    pub(crate) async fn next(&mut self) -> Event {
        self.next_for(PATIENCE).await
    }

    /// The same with a bound of its own.
    pub(crate) async fn next_for(&mut self, patience: Duration) -> Event {
        let report = self
            .report(patience, "any event", |report| report["saw"] == "event")
            .await;
        event(&report)
    }

    /// The next `count` events in the order in which they came.
    pub(crate) async fn take(&mut self, count: usize) -> Vec<Event> {
        let mut events = Vec::with_capacity(count);
        while events.len() < count {
            events.push(self.next().await);
        }
        events
    }

    /// The events of this name that have come by now: all that were sent before an answer that was waited for.
    pub(crate) fn arrived(&mut self, name: &str) -> Vec<Event> {
        while let Ok(report) = self.inbox.try_recv() {
            self.aside.push_back(report);
        }
        let reports = std::mem::take(&mut self.aside);
        let (events, rest) = reports
            .into_iter()
            .partition(|report| report["saw"] == "event" && report["event"] == name);
        self.aside = rest;
        let events: VecDeque<Value> = events;
        events.iter().map(event).collect()
    }

    /// Waits for a connection, and says whether it was recovered.
    pub(crate) async fn connected(&mut self) -> bool {
        let report = self
            .report(PATIENCE, "the connection", |report| {
                report["saw"] == "connect"
            })
            .await;
        report["recovered"] == true
    }

    /// Waits for the loss of the connection, and returns the reason.
    pub(crate) async fn disconnected(&mut self) -> String {
        let report = self
            .report(PATIENCE, "a disconnect", |report| {
                report["saw"] == "disconnect"
            })
            .await;
        report["reason"].as_str().unwrap_or_default().to_owned()
    }

    /// Waits for a refused connection, and returns what the client was told.
    pub(crate) async fn refused(&mut self) -> Value {
        self.report(PATIENCE, "connect_error", |report| {
            report["saw"] == "connect_error"
        })
        .await
    }

    /// Waits until it is let in, or refused: then with what it was told.
    pub(crate) async fn outcome(&mut self) -> Result<(), Value> {
        let report = self
            .report(PATIENCE, "a connection or a refusal", |report| {
                report["saw"] == "connect" || report["saw"] == "connect_error"
            })
            .await;
        if report["saw"] == "connect" {
            Ok(())
        } else {
            Err(report)
        }
    }

    /// Closes the transport as a lost network does: the client will reconnect by itself.
    pub(crate) fn cut(&self) {
        self.command("cut", json!({}), Value::Null);
    }

    /// Disconnects for good.
    pub(crate) fn disconnect(&self) {
        self.command("disconnect", json!({}), Value::Null);
    }

    fn command(&self, op: &str, mut command: Value, arguments: Value) {
        command["args"] = arguments;
        command["op"] = json!(op);
        command["client"] = json!(self.number);
        self.pipe.send(&command);
    }

    /// What was read past, each cut to a length that a person reads.
    fn seen(&self) -> String {
        let cut = |report: &Value| report.to_string().chars().take(200).collect::<String>();
        self.aside
            .iter()
            .take(20)
            .map(cut)
            .collect::<Vec<_>>()
            .join("\n  ")
    }

    async fn report(
        &mut self,
        patience: Duration,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Value {
        if let Some(at) = self.aside.iter().position(&wanted) {
            return self.aside.remove(at).expect("it was just found");
        }
        let arrival = async {
            loop {
                let report = self.inbox.recv().await.expect("node runs");
                if wanted(&report) {
                    return report;
                }
                self.aside.push_back(report);
            }
        };
        match tokio::time::timeout(patience, arrival).await {
            Ok(report) => report,
            Err(_) => panic!(
                "waited {patience:?} for {what}; saw meanwhile: {}",
                self.seen()
            ),
        }
    }
}

fn event(report: &Value) -> Event {
    Event {
        name: report["event"].as_str().expect("a name").to_owned(),
        arguments: report["args"].as_array().expect("arguments").clone(),
    }
}

/// The only argument of an ack.
pub(crate) fn only(answer: Result<Value, oneshot::error::RecvError>) -> Value {
    let mut arguments = answer.expect("node runs");
    assert_eq!(
        arguments.as_array().map(Vec::len),
        Some(1),
        "an ack has one argument: {arguments}"
    );
    arguments[0].take()
}
