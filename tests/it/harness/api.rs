//! The reads over HTTP, as a client would make them.

use std::fmt::Write as _;

use serde_json::Value;

use super::http::{self, Response};
use super::server::Server;

/// A contact id, or anything else, as a part of a URL.
pub(crate) fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            out.push(byte.into());
        } else {
            let _infallible = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// The rows of a page of history, or the events of an answer, by one of their members.
pub(crate) fn column(list: &Value, pointer: &str) -> Vec<String> {
    let list = list
        .as_array()
        .unwrap_or_else(|| panic!("an array: {list}"));
    let member = |item: &Value| {
        item.pointer(pointer)
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    list.iter()
        .map(|item| member(item).unwrap_or_else(|| panic!("no {pointer} in {item}")))
        .collect()
}

impl Server {
    /// `GET /api/conversations/<contact>/<what>`, whatever the answer.
    pub(crate) async fn ask(
        &self,
        contact: &str,
        what: &str,
        headers: &[(&str, &str)],
    ) -> Response {
        let path = format!("/api/conversations/{}/{what}", encoded(contact));
        http::get(self.address(), &path, headers).await
    }

    /// The same, which must succeed.
    pub(crate) async fn read(&self, contact: &str, what: &str) -> Value {
        let answer = self.ask(contact, what, &[]).await;
        assert_eq!(answer.status, 200, "{contact}/{what}: {answer:?}");
        answer.json()
    }

    /// The same, which must fail with this status and code; returns the message.
    pub(crate) async fn refused(
        &self,
        contact: &str,
        what: &str,
        status: u16,
        code: &str,
    ) -> String {
        let answer = self.ask(contact, what, &[]).await;
        assert_eq!(answer.status, status, "{contact}/{what}: {answer:?}");
        assert_eq!(
            answer.header("cache-control"),
            Some("no-store"),
            "{answer:?}"
        );
        let error = &answer.json()["error"];
        assert_eq!(error["code"], code, "{contact}/{what}: {answer:?}");
        assert_eq!(
            answer.header("retry-after").is_some(),
            matches!(status, 429 | 503),
            "{answer:?}"
        );
        error["message"].as_str().expect("a message").to_owned()
    }

    /// The offset of the present, in a conversation.
    pub(crate) async fn offset(&self, contact: &str) -> String {
        let now = self.read(contact, "events").await;
        assert_eq!(now["events"], Value::Array(Vec::new()), "{now}");
        assert_eq!(now["more"], false, "{now}");
        now["offset"].as_str().expect("an offset").to_owned()
    }

    /// Every page of a conversation's history, from the newest back to the oldest; each with at most `limit` rows.
    pub(crate) async fn pages(&self, contact: &str, limit: usize, key: &str) -> Vec<Value> {
        let mut pages: Vec<Value> = Vec::new();
        let mut before = String::new();
        loop {
            let page = self
                .read(contact, &format!("messages?limit={limit}{before}"))
                .await;
            let more = page["more"].as_bool().expect("more");
            let ids = column(&page["messages"], key);
            if more {
                assert_eq!(
                    ids.len(),
                    limit,
                    "a page that is not the last is full: {page}"
                );
                before = format!("&before={}", encoded(&ids[0]));
            }
            pages.push(page);
            if !more {
                return pages;
            }
        }
    }
}
