//! The list of conversations: the newest first, and how many messages nobody has read.

use serde_json::{Value, json};

use super::{Stage, View};
use crate::harness::Look;
use crate::harness::wait::until;

#[tokio::test]
async fn unread_messages_are_counted_until_the_conversation_is_opened() {
    let stage = Stage::new().await;
    for (contact, body) in [("ana", "one"), ("ana", "two"), ("berta", "three")] {
        stage.database.say(contact, body).await;
    }
    let view = stage.load(Look::DESKTOP, "").await;
    listed(&view, json!([["berta", "1", null], ["ana", "2", null]])).await;
    stage.database.say("ana", "four").await;
    listed(&view, json!([["ana", "3", null], ["berta", "1", null]])).await;

    view.choose("ana").await;
    listed(&view, json!([["ana", null, "page"], ["berta", "1", null]])).await;
    // What comes while it is looked at is read at once.
    stage.database.say("ana", "five").await;
    view.shows("five").await;
    until("all of ana's messages to be read", async || {
        let left = "select count(*) from messages where contact_id = 'ana' and status <> 'read'";
        (stage.database.value(left).await == "0").then_some(())
    })
    .await;
    listed(&view, json!([["ana", null, "page"], ["berta", "1", null]])).await;
    let unread = "select string_agg(distinct status, ' ') from messages where contact_id = 'berta'";
    assert_eq!(stage.database.value(unread).await, "sent");
    view.settles(&stage.database, "ana").await;
    view.calm().await;
}

/// Nobody looks at a tab in the background.
#[tokio::test]
async fn what_a_hidden_tab_shows_is_unread() {
    let stage = Stage::new().await;
    let view = stage.open("ana").await;
    stage.database.say("ana", "seen").await;
    listed(&view, json!([["ana", null, "page"]])).await;
    view.page.hide(true).await;
    let message = stage.database.say("ana", "unseen").await;
    view.shows("unseen").await;
    // The list looks every 5 s while nobody does.
    listed(&view, json!([["ana", "1", "page"]])).await;
    view.page.hide(false).await;
    listed(&view, json!([["ana", null, "page"]])).await;
    let status = format!("select status from messages where id = '{message}'");
    assert_eq!(stage.database.value(&status).await, "read");
    view.calm().await;
}

#[tokio::test]
async fn a_conversation_is_opened_by_its_id() {
    let stage = Stage::new().await;
    let view = stage.load(Look::DESKTOP, "").await;
    for contact in ["+34 600/123", "¿quién?", "100%"] {
        view.page.fill("textbox", "Id de contacto", contact).await;
        view.page.press("Enter").await;
        view.opened(contact).await;
        view.badge("connected").await;
        stage.database.say(contact, &format!("to {contact}")).await;
        view.settles(&stage.database, contact).await;
    }
    let places: Vec<&str> = "¿quién?|100%|+34 600/123".split('|').collect();
    // Back and forth, as the browser's buttons do it.
    view.page
        .evaluate("() => history.back()", Value::Null)
        .await;
    view.opened(places[0]).await;
    view.page
        .evaluate("() => history.forward()", Value::Null)
        .await;
    view.opened(places[1]).await;
    view.choose(places[2]).await;
    view.settles(&stage.database, places[2]).await;
    view.calm().await;
}

/// Waits until the list has these conversations: the id, the unread messages and `aria-current`.
async fn listed(view: &View, wanted: Value) {
    let script =
        "(wanted) => JSON.stringify([...document.querySelectorAll('nav a')].map((link) => [
        decodeURIComponent(link.hash.slice(2)),
        link.querySelector('[data-unread]')?.textContent ?? null,
        link.getAttribute('aria-current'),
    ])) === JSON.stringify(wanted)";
    let what = format!("the list {wanted}");
    view.page.until(&what, script, wanted).await;
}
