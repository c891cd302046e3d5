//! Who is here, before the eyes of those who are.

use std::time::Duration;

use serde_json::{Value, json};

use super::view::RECOVERY;
use super::{Stage, View};
use crate::harness::{Database, Look, Proxy, Server};

const ON: [(&str, &str); 2] = [("ROWCAST_DEMO", "on"), ("ROWCAST_PRESENCE", "on")];

/// Whoever goes may come back for 5 s; and then a machine may have other work.
const LEFT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn two_browsers_see_each_other_come_and_go() {
    let stage = Stage::with(Database::inbox().await, &ON[1..]).await;
    let ada = stage.open("42").await;
    here(&ada, 1, RECOVERY).await;
    count(&ada).await;
    let bob = stage.open("42").await;
    for view in [&ada, &bob] {
        here(view, 2, RECOVERY).await;
    }
    // Another conversation has its own.
    bob.visit("43").await;
    here(&bob, 1, RECOVERY).await;
    here(&ada, 1, LEFT).await;
    bob.visit("42").await;
    for view in [&ada, &bob] {
        here(view, 2, RECOVERY).await;
    }
    bob.calm().await;
    bob.page.close().await;
    here(&ada, 1, LEFT).await;
    assert_eq!(counts(&ada).await, json!([1, 2, 1, 2, 1]));
    ada.calm().await;
}

/// Each browser has a server of its own, and one of them is killed.
#[tokio::test]
async fn whoever_was_on_a_server_that_crashed_has_left_and_comes_back_on_another() {
    let stage = Stage::with(Database::inbox().await, &ON[1..]).await;
    let second = Server::with(&stage.database, &ON).await;
    let network = Proxy::to(second.address()).await;
    let ada = stage.open("42").await;
    here(&ada, 1, RECOVERY).await;
    count(&ada).await;
    let bob = View::new(stage.browser.open(Look::DESKTOP).await, network.address());
    let url = format!("http://{}/#/42", network.address());
    bob.page.goto(&url).await;
    bob.badge("connected").await;
    for view in [&ada, &bob] {
        here(view, 2, RECOVERY).await;
    }
    second.crash().await;
    bob.badge("offline").await;
    here(&ada, 1, LEFT).await;
    let third = Server::with(&stage.database, &ON).await;
    network.lead(third.address());
    bob.badge("connected").await;
    for view in [&ada, &bob] {
        here(view, 2, RECOVERY).await;
    }
    assert_eq!(counts(&ada).await, json!([1, 2, 1, 2]));
    let rows = "select string_agg(connections::text, ' ') from rowcast.presence where room = 'conversation:42'";
    assert_eq!(stage.database.value(rows).await, "1 1");
    for view in [&ada, &bob] {
        stage.database.say("42", "fence").await;
        view.settles(&stage.database, "42").await;
        view.clean().await;
    }
}

#[tokio::test]
async fn a_server_without_presence_shows_nobody() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    stage.database.say("42", "fence").await;
    view.shows("fence").await;
    let nobody = "() => document.querySelector('[data-here]') === null";
    assert_eq!(view.page.evaluate(nobody, Value::Null).await, true);
    view.calm().await;
}

/// Waits until the page says that so many are here.
async fn here(view: &View, many: u64, patience: Duration) {
    let script = "([many, text]) => {
        const here = document.querySelector('[data-here]');
        return here?.dataset.here === String(many) && here.textContent === text;
    }";
    let text = match many {
        1 => "1 persona aquí".to_owned(),
        many => format!("{many} personas aquí"),
    };
    view.page
        .until_for(patience, &text, script, json!([many, text]))
        .await;
}

/// Remembers each number that the page has from now on.
async fn count(view: &View) {
    let script = "() => {
        const read = () => Number(document.querySelector('[data-here]')?.dataset.here ?? 0);
        window.counts = [read()];
        new MutationObserver(() => {
            if (window.counts.at(-1) !== read()) window.counts.push(read());
        }).observe(document, { childList: true, subtree: true, attributes: true });
    }";
    view.page.evaluate(script, Value::Null).await;
}

async fn counts(view: &View) -> Value {
    view.page.evaluate("() => window.counts", Value::Null).await
}
