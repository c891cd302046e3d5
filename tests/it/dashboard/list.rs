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

#[tokio::test]
async fn two_browsers_show_the_same_list_and_a_message_moves_its_row_up() {
    let stage = Stage::new().await;
    for (contact, body) in [("ana", "one"), ("berta", "two"), ("carla", "three")] {
        stage.database.say(contact, body).await;
    }
    let (one, other) = (
        stage.load(Look::DESKTOP, "").await,
        stage.load(Look::DESKTOP, "").await,
    );
    let all = json!([
        ["carla", "1", null],
        ["berta", "1", null],
        ["ana", "1", null]
    ]);
    listed(&one, all.clone()).await;
    listed(&other, all).await;
    stage.database.say("ana", "four").await;
    let moved = json!([
        ["ana", "2", null],
        ["carla", "1", null],
        ["berta", "1", null]
    ]);
    listed(&one, moved.clone()).await;
    listed(&other, moved).await;
    // What was written earlier counts, and moves nothing.
    let late = "insert into messages (contact_id, body, created_at) values ('berta', 'late', now() - interval '1 h')";
    stage.database.run(late).await;
    listed(
        &other,
        json!([
            ["ana", "2", null],
            ["carla", "1", null],
            ["berta", "2", null]
        ]),
    )
    .await;
    one.choose("ana").await;
    listed(
        &one,
        json!([
            ["ana", null, "page"],
            ["carla", "1", null],
            ["berta", "2", null]
        ]),
    )
    .await;
    listed(
        &other,
        json!([
            ["ana", null, null],
            ["carla", "1", null],
            ["berta", "2", null]
        ]),
    )
    .await;
    stage
        .database
        .run("delete from messages where contact_id = 'carla'")
        .await;
    listed(&other, json!([["ana", null, null], ["berta", "2", null]])).await;
    one.calm().await;
    other.calm().await;
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
pub(super) async fn listed(view: &View, wanted: Value) {
    let script =
        "(wanted) => JSON.stringify([...document.querySelectorAll('nav a')].map((link) => [
        decodeURIComponent(link.hash.slice(2)),
        link.querySelector('[data-unread]')?.textContent ?? null,
        link.getAttribute('aria-current'),
    ])) === JSON.stringify(wanted)";
    let what = format!("the list {wanted}");
    view.page.until(&what, script, wanted).await;
}
