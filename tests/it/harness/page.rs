//! One page of the browser: what a test makes it do, and what it did by itself.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use super::browser::Driver;
use super::wait::PATIENCE;

/// An open page.
pub(crate) struct Page {
    number: u64,
    driver: Arc<Driver>,
}

/// What a page did, from its first request on. Times are Unix milliseconds, by Node's clock.
#[derive(Debug, Deserialize)]
pub(crate) struct Record {
    pub(crate) requests: Vec<Request>,
    /// What was sent over websockets.
    pub(crate) frames: Vec<String>,
    pub(crate) console: Vec<Said>,
    /// Exceptions that nobody caught.
    pub(crate) errors: Vec<String>,
    /// What `recorder.mjs` saw in the conversation.
    pub(crate) saw: Vec<Saw>,
}

/// A request, or the opening of a websocket.
#[derive(Debug, Deserialize)]
pub(crate) struct Request {
    pub(crate) at: u64,
    pub(crate) url: String,
    pub(crate) kind: String,
    /// `None` while there is no answer, 0 if there is to be none.
    pub(crate) status: Option<u16>,
}

/// A line of the console.
#[derive(Debug, Deserialize)]
pub(crate) struct Said {
    pub(crate) level: String,
    pub(crate) text: String,
}

/// A message got this status before a person's eyes, or something odd happened to it.
#[derive(Debug, Deserialize)]
pub(crate) struct Saw {
    pub(crate) contact: Option<String>,
    pub(crate) id: String,
    pub(crate) status: Option<String>,
    pub(crate) odd: Option<String>,
}

impl Page {
    pub(super) fn new(number: u64, driver: Arc<Driver>) -> Self {
        Self { number, driver }
    }

    /// Loads an address.
    pub(crate) async fn goto(&self, url: &str) {
        self.must("goto", json!({"url": url})).await;
    }

    /// Loads the page again, as the reload button does.
    pub(crate) async fn reload(&self) {
        self.must("reload", json!({})).await;
    }

    /// The same, whatever becomes of it: there may be no server.
    pub(crate) async fn try_reload(&self) -> bool {
        self.ask("reload", json!({})).await.is_ok()
    }

    /// Closes it, and what it stored is gone.
    pub(crate) async fn close(self) {
        self.must("close", json!({})).await;
    }

    /// What a function's source answers for `argument`, in the page.
    pub(crate) async fn evaluate(&self, script: &str, argument: Value) -> Value {
        let evaluate = json!({"script": script, "arg": argument});
        self.must("evaluate", evaluate).await
    }

    /// Waits until a function's source answers something true for `argument`, and returns that.
    pub(crate) async fn until(&self, what: &str, script: &str, argument: Value) -> Value {
        self.until_for(PATIENCE, what, script, argument).await
    }

    /// The same with a bound of its own.
    pub(crate) async fn until_for(
        &self,
        patience: Duration,
        what: &str,
        script: &str,
        argument: Value,
    ) -> Value {
        match self.seen_within(patience, script, argument).await {
            Ok(value) => value,
            Err(instead) => panic!("waited {patience:?} for {what}; {instead}"),
        }
    }

    /// The same, or what the page shows instead.
    pub(crate) async fn seen_within(
        &self,
        patience: Duration,
        script: &str,
        argument: Value,
    ) -> Result<Value, String> {
        let ms = u64::try_from(patience.as_millis()).expect("a wait of a test");
        let wait = json!({"script": script, "arg": argument, "ms": ms});
        self.ask("wait", wait).await
    }

    /// Waits for an element of that role whose accessible name begins so, and clicks it.
    pub(crate) async fn click(&self, role: &str, name: &str) {
        self.act("click", role, name, "").await;
    }

    /// Waits for a field, and replaces what is in it.
    pub(crate) async fn fill(&self, role: &str, name: &str, text: &str) {
        self.act("fill", role, name, text).await;
    }

    /// Waits for an element, and gives it the focus.
    pub(crate) async fn focus(&self, role: &str, name: &str) {
        self.act("focus", role, name, "").await;
    }

    /// Types into what has the focus, a key at a time.
    pub(crate) async fn type_text(&self, text: &str) {
        self.must("type", json!({"text": text})).await;
    }

    /// Presses a key, by Playwright's name for it.
    pub(crate) async fn press(&self, key: &str) {
        self.must("press", json!({"key": key})).await;
    }

    /// Takes the page's network away; or gives it back.
    pub(crate) async fn offline(&self, offline: bool) {
        self.must("offline", json!({"offline": offline})).await;
    }

    /// Gives its window another size, in pixels: a keyboard comes up, or goes.
    pub(crate) async fn resize(&self, width: u32, height: u32) {
        self.must("resize", json!({"width": width, "height": height}))
            .await;
    }

    /// From the next address on, the page's time is one that [`Self::skip`] can move.
    pub(crate) async fn take_clock(&self) {
        self.must("clock", json!({})).await;
    }

    /// Moves the page's time on. A timer that is due in between is called, once, however often it was: as in a tab in the background,
    /// whose timers Chromium calls once a minute.
    pub(crate) async fn skip(&self, time: Duration) {
        let ms = u64::try_from(time.as_millis()).expect("a time of a test");
        self.must("skip", json!({"ms": ms})).await;
    }

    /// Tells the page that its tab went to the background, or came back. A headless Chromium shows every tab always, so
    /// `document.visibilityState` is overridden and the event is sent by hand; nothing is throttled.
    pub(crate) async fn hide(&self, hidden: bool) {
        let script = "hidden => {
            const state = hidden ? 'hidden' : 'visible';
            Object.defineProperty(document, 'visibilityState', { configurable: true, get: () => state });
            Object.defineProperty(document, 'hidden', { configurable: true, get: () => hidden });
            document.dispatchEvent(new Event('visibilitychange', { bubbles: true }));
            dispatchEvent(new Event(hidden ? 'blur' : 'focus'));
        }";
        self.evaluate(script, json!(hidden)).await;
    }

    /// Writes what a person sees to a file, and returns its size in bytes.
    pub(crate) async fn screenshot(&self, path: &Path) -> u64 {
        let size = self.must("screenshot", json!({"path": path})).await;
        size.as_u64().expect("a size")
    }

    /// What axe finds wrong with it as it stands, each as one line.
    pub(crate) async fn axe(&self) -> Vec<String> {
        let found = self.must("axe", json!({})).await;
        serde_json::from_value(found).expect("what browser.mjs answers")
    }

    /// What it did so far.
    pub(crate) async fn record(&self) -> Record {
        let record = self.must("record", json!({})).await;
        serde_json::from_value(record).expect("what browser.mjs records")
    }

    async fn act(&self, op: &str, role: &str, name: &str, text: &str) {
        let ms = u64::try_from(PATIENCE.as_millis()).expect("a wait of a test");
        let what = json!({"role": role, "name": name, "text": text, "ms": ms});
        self.must(op, what).await;
    }

    async fn must(&self, op: &str, command: Value) -> Value {
        match self.ask(op, command.clone()).await {
            Ok(value) => value,
            Err(error) => panic!("{op} {command}: {error}"),
        }
    }

    async fn ask(&self, op: &str, mut command: Value) -> Result<Value, String> {
        command["op"] = json!(op);
        command["page"] = json!(self.number);
        self.driver.ask(command).await
    }
}
