//! A page with the dashboard, as the person before it sees it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::truth::{Row, difference, truth};
use crate::harness::api::encoded;
use crate::harness::wait::PATIENCE;
use crate::harness::{Database, Page};

/// What the open conversation shows, the oldest first.
const ROWS: &str = "() => [...document.querySelectorAll('[role=log] li[data-id]')].map((li) => ({
    id: li.dataset.id,
    direction: li.dataset.direction,
    status: li.dataset.status,
    body: li.querySelector('.body')?.textContent,
}))";

/// Faults last long where the page can't see that they are over: Socket.IO waits up to 5 s between attempts.
pub(super) const RECOVERY: Duration = Duration::from_secs(30);

/// An open dashboard.
pub(super) struct View {
    pub(super) page: Page,
    /// Where its server is: `host:port`.
    pub(super) address: String,
}

impl View {
    pub(super) fn new(page: Page, address: &str) -> Self {
        let address = address.to_owned();
        Self { page, address }
    }

    /// Goes to a conversation by its link in the list.
    pub(super) async fn choose(&self, contact: &str) {
        self.page.click("link", contact).await;
        self.opened(contact).await;
    }

    /// Goes to a conversation by its address, whether it is in the list or not.
    pub(super) async fn visit(&self, contact: &str) {
        let script = "(path) => { location.hash = path; }";
        let path = format!("#/{}", encoded(contact));
        self.page.evaluate(script, json!(path)).await;
        self.opened(contact).await;
    }

    /// Waits until that conversation is the open one.
    pub(super) async fn opened(&self, contact: &str) {
        let script = "(contact) => document.querySelector('main')?.dataset.contact === contact";
        let what = format!("conversation {contact} to be open");
        self.page.until(&what, script, json!(contact)).await;
    }

    /// Waits until a message with that body is shown.
    pub(super) async fn shows(&self, body: &str) {
        self.shows_within(PATIENCE, body).await;
    }

    /// The same with a bound of its own.
    pub(super) async fn shows_within(&self, patience: Duration, body: &str) {
        let script = format!("(body) => ({ROWS})().some((row) => row.body === body)");
        let what = format!("the message {body:?}");
        self.page
            .until_for(patience, &what, &script, json!(body))
            .await;
    }

    /// How many messages are shown, once there are so many.
    pub(super) async fn counts(&self, least: usize) {
        let script =
            "(least) => document.querySelectorAll('[role=log] li[data-id]').length >= least";
        let what = format!("{least} messages");
        self.page.until(&what, script, json!(least)).await;
    }

    /// Waits until the badge of the connection has that status, and the Spanish words for it.
    pub(super) async fn badge(&self, status: &str) {
        let text = match status {
            "connected" => "Tiempo real",
            "connecting" => "Conectando...",
            "polling" => "Actualizando cada pocos segundos",
            "offline" => "Sin conexión",
            other => panic!("no status of the client: {other}"),
        };
        let script = "([status, text]) => {
            const badge = document.querySelector('[role=status][data-status]');
            return badge?.dataset.status === status && badge.textContent === text;
        }";
        let what = format!("the badge {text:?}");
        self.page
            .until_for(RECOVERY, &what, script, json!([status, text]))
            .await;
    }

    /// Waits until the other side types, or does not, for at most so long.
    pub(super) async fn typing(&self, typing: bool, patience: Duration) {
        let script = "([typing, text]) => {
            const badge = document.querySelector('[data-typing]');
            return badge?.dataset.typing === String(typing) && badge.textContent === text;
        }";
        let text = if typing { "Escribiendo..." } else { "" };
        let what = format!("the badge of typing to say {text:?}");
        self.page
            .until_for(patience, &what, script, json!([typing, text]))
            .await;
    }

    /// Waits until a message has that tick, by what a screen reader says.
    pub(super) async fn tick(&self, body: &str, text: &str) {
        let script = "([body, text]) => [...document.querySelectorAll('[role=log] li[data-id]')].some((li) => {
            const tick = li.querySelector('[data-tick]');
            const says = tick?.getAttribute('aria-label') ?? tick?.textContent;
            return li.querySelector('.body')?.textContent === body && says?.trim() === text;
        })";
        let what = format!("the tick {text:?} of {body:?}");
        self.page.until(&what, script, json!([body, text])).await;
    }

    /// The messages shown.
    pub(super) async fn rows(&self) -> Vec<Row> {
        let rows = self.page.evaluate(ROWS, Value::Null).await;
        serde_json::from_value(rows).expect("rows of the page")
    }

    /// Waits until the conversation shows exactly the database's rows, in order, whoever writes more of them meanwhile.
    pub(super) async fn settles(&self, database: &Database, contact: &str) {
        self.settle(database, contact, false).await;
    }

    /// The same for the newest rows, as many as are shown.
    pub(super) async fn settles_newest(&self, database: &Database, contact: &str) {
        self.settle(database, contact, true).await;
    }

    async fn settle(&self, database: &Database, contact: &str, newest: bool) {
        self.opened(contact).await;
        let script = format!(
            "([truth, newest]) => {{
                const shown = ({ROWS})();
                const wanted = newest && shown.length ? truth.slice(-shown.length) : truth;
                const text = (rows) => JSON.stringify(rows.map((row) => [row.id, row.direction, row.status, row.body]));
                return text(shown) === text(wanted);
            }}"
        );
        let deadline = Instant::now() + RECOVERY;
        loop {
            let truth = truth(database, contact).await;
            let wanted = json!([truth, newest]);
            let seen = self
                .page
                .seen_within(Duration::from_secs(1), &script, wanted)
                .await;
            let Err(instead) = seen else { return };
            if Instant::now() > deadline {
                let mut truth: Vec<Row> = serde_json::from_value(truth).expect("rows");
                let shown = self.rows().await;
                if newest {
                    truth.drain(..truth.len().saturating_sub(shown.len()));
                }
                let difference = difference(&shown, &truth);
                panic!(
                    "waited {RECOVERY:?} for the rows of {contact}: {}\n{instead}",
                    difference.as_deref().unwrap_or("the same by now")
                );
            }
        }
    }

    /// Loads older messages until there are no more, then settles.
    pub(super) async fn settles_to_the_oldest(&self, database: &Database, contact: &str) {
        self.opened(contact).await;
        let button = "() => [...document.querySelectorAll('button')].map((button) => button.textContent.trim())";
        let idle = format!("() => !({button})().includes('Cargando mensajes anteriores...')");
        let more = format!("() => ({button})().includes('Mensajes anteriores')");
        loop {
            let what = "no page of older messages to be on its way";
            self.page.until(what, &idle, Value::Null).await;
            if self.page.evaluate(&more, Value::Null).await == false {
                break;
            }
            self.page.click("button", "Mensajes anteriores").await;
        }
        self.settles(database, contact).await;
    }
}
