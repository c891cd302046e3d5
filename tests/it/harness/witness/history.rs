//! A conversation's history over HTTP, as a page loads it before it joins.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::super::http;
use super::super::ledger::{Key, rank};
use super::Pass;

/// How often a page is asked for again, and what is waited before each time.
const ATTEMPTS: usize = 20;
const PAUSE: Duration = Duration::from_millis(300);

/// Each message's status, and whether it may be newer than the history's offset.
pub(super) type Base = HashMap<u128, (u8, bool)>;

/// The whole history with its offset, or why it can't be had.
pub(super) type Loaded = Result<(Base, String), String>;

/// Loads all of it, and counts the pages.
pub(super) async fn load(
    address: &str,
    contact: &str,
    pass: Option<&Pass>,
    pages: &AtomicU64,
) -> Loaded {
    let mut base = HashMap::new();
    let mut offset = None;
    let mut before = String::new();
    loop {
        let path = format!("/api/conversations/{contact}/messages?limit=200{before}");
        let page = load_page_patiently(address, &path, pass)
            .await
            .map_err(|status| format!("can't load {contact} after {}: {status:?}", base.len()))?;
        pages.fetch_add(1, Ordering::Relaxed);
        let older = offset.is_some();
        offset = offset.or_else(|| page["offset"].as_str().map(str::to_owned));
        let odd = || format!("an odd page of {contact}: {page}");
        let messages = page["messages"].as_array().ok_or_else(odd)?;
        for message in messages {
            let (id, status) = message["id"]
                .as_str()
                .zip(message["status"].as_str())
                .ok_or_else(odd)?;
            base.entry(Key::new(id).message)
                .or_insert((rank(status), older));
        }
        match messages.first().and_then(|oldest| oldest["id"].as_str()) {
            Some(oldest) if page["more"] == true => before = format!("&before={oldest}"),
            _ => return offset.map(|offset| (base, offset)).ok_or_else(odd),
        }
    }
}

/// One page. It is asked for again, a few times, where it can come yet: a long history takes longer than a token is good, so another one
/// is shown, though a revocation concerns the tokens of its own second, too; and the server may be too busy for a moment.
async fn load_page_patiently(
    address: &str,
    path: &str,
    pass: Option<&Pass>,
) -> Result<Value, Option<u16>> {
    let mut page = load_page(address, path, pass).await;
    for _ in 0..ATTEMPTS {
        match (pass, &page) {
            (Some(pass), Err(Some(401))) => {
                pass.renew();
            }
            (_, Err(Some(429 | 503))) => {}
            _ => break,
        }
        sleep(PAUSE).await;
        page = load_page(address, path, pass).await;
    }
    page
}

/// One page, or the status of what came instead, if anything came.
async fn load_page(address: &str, path: &str, pass: Option<&Pass>) -> Result<Value, Option<u16>> {
    let bearer = pass.map(|pass| format!("Bearer {}", pass.token()));
    let headers: Vec<_> = bearer.iter().map(|it| ("authorization", &**it)).collect();
    let answer = http::attempt(address, "GET", path, &headers, "");
    let answer = timeout(Duration::from_secs(10), answer).await;
    let answer = answer.ok().flatten().ok_or(None)?;
    if answer.status != 200 {
        return Err(Some(answer.status));
    }
    serde_json::from_str(&answer.body).map_err(|_not_json| Some(answer.status))
}
