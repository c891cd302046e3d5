//! What a person writes is there at once, and is sent once, whatever becomes of the server and of its answers.

use serde_json::{Value, json};

use super::view::RECOVERY;
use super::{Stage, View};
use crate::harness::wait::until;

/// What was written and is not sent yet, the oldest first: its text and its tick.
const DRAFTS: &str =
    "() => [...document.querySelectorAll('[role=log] li:not([data-id])')].map((li) =>
    `${li.querySelector('.body').textContent}: ${li.querySelector('[data-tick]').textContent}`)";

#[tokio::test]
async fn what_is_written_while_the_server_is_away_is_sent_once_when_it_is_back() {
    let mut stage = Stage::new().await;
    let view = stage.open("42").await;
    count_copies(&view).await;
    // Its network is gone, and then the server itself.
    stage.network.close(true);
    write(&view, &["one", "two"]).await;
    drafts(&view, &["one: En cola", "two: En cola"]).await;
    view.badge("offline").await;
    drafts(&view, &["one: En cola", "two: En cola"]).await;
    stage.network.close(false);
    sent(&stage, &view, "one two").await;

    stage.server.crash().await;
    write(&view, &["three", "four", "five"]).await;
    let all = ["three: En cola", "four: En cola", "five: En cola"];
    drafts(&view, &all).await;
    stage.replace().await;
    sent(&stage, &view, "one two three four five").await;
    view.badge("connected").await;
    view.settles(&stage.database, "42").await;
    never_twice(&view).await;
    view.clean().await;
}

#[tokio::test]
async fn a_message_whose_answer_got_lost_is_not_sent_twice() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    count_copies(&view).await;
    stage.network.stall(true);
    write(&view, &["precious"]).await;
    until("the row", async || {
        let rows = stage.database.value("select count(*) from messages").await;
        (rows == "1").then_some(())
    })
    .await;
    drafts(&view, &["precious: En cola"]).await;
    stage.network.cut();
    stage.network.stall(false);
    sent(&stage, &view, "precious").await;
    view.badge("connected").await;
    // Another one comes after it, so that a second copy would be there by now.
    write(&view, &["next"]).await;
    sent(&stage, &view, "precious next").await;
    view.settles(&stage.database, "42").await;
    never_twice(&view).await;
    view.clean().await;
}

#[tokio::test]
async fn what_the_server_refuses_says_so_and_can_be_sent_again_or_discarded() {
    let stage = Stage::new().await;
    let view = stage.open("42").await;
    let refuse = "() => {
        const real = window.fetch;
        const body = JSON.stringify({ error: { code: 'forbidden', message: 'not now' } });
        window.fetch = (url, options) => (window.refusing && options?.method === 'POST'
            ? Promise.resolve(new Response(body, { status: 403 })) : real(url, options));
        window.refusing = true;
    }";
    view.page.evaluate(refuse, Value::Null).await;
    write(&view, &["keep", "drop"]).await;
    drafts(&view, &["keep: Fallido", "drop: Fallido"]).await;
    let alerts = "() => [...document.querySelectorAll('[role=log] [role=alert]')].filter((alert) =>
        alert.textContent === 'No se ha enviado: el servidor dice: not now').length === 2";
    view.page.until("two alerts", alerts, Value::Null).await;
    // It is there when one comes back.
    view.visit("43").await;
    view.badge("connected").await;
    view.visit("42").await;
    drafts(&view, &["keep: Fallido", "drop: Fallido"]).await;
    let press = "([body, button]) => [...document.querySelectorAll('[role=log] li')]
        .find((li) => li.querySelector('.body').textContent === body)
        .querySelectorAll('.unsent button')[button].click()";
    view.page.evaluate(press, json!(["drop", 1])).await;
    drafts(&view, &["keep: Fallido"]).await;
    let recover = "() => { window.refusing = false; }";
    view.page.evaluate(recover, Value::Null).await;
    view.page.click("button", "Reintentar").await;
    sent(&stage, &view, "keep").await;
    view.settles(&stage.database, "42").await;
    view.clean().await;
}

/// Writes messages as fast as one can.
async fn write(view: &View, bodies: &[&str]) {
    for body in bodies {
        view.page.fill("textbox", "Mensaje", body).await;
        view.page.press("Enter").await;
    }
    let empty = "() => document.querySelector('main textarea').value === ''";
    view.page
        .until("an empty composer", empty, Value::Null)
        .await;
}

/// Waits until these are shown as not sent.
async fn drafts(view: &View, wanted: &[&str]) {
    let script = format!("(wanted) => JSON.stringify(({DRAFTS})()) === JSON.stringify(wanted)");
    let what = format!("what is not sent to be {wanted:?}");
    view.page.until(&what, &script, json!(wanted)).await;
}

/// Waits until no draft is left, and checks that the rows are these, in the order in which they were written.
async fn sent(stage: &Stage, view: &View, bodies: &str) {
    let script = format!("() => ({DRAFTS})().length === 0");
    let what = format!("{bodies} to be sent");
    view.page
        .until_for(RECOVERY, &what, &script, Value::Null)
        .await;
    let rows = "select string_agg(body, ' ' order by created_at, id) from messages";
    assert_eq!(stage.database.value(rows).await, bodies);
}

/// Keeps an eye on texts that are shown twice at a time.
async fn count_copies(view: &View) {
    let script = "() => {
        window.copies = [];
        new MutationObserver(() => {
            const bodies = [...document.querySelectorAll('[role=log] .body')].map((body) => body.textContent);
            if (new Set(bodies).size < bodies.length) window.copies.push(bodies.join(' '));
        }).observe(document, { childList: true, subtree: true, characterData: true });
    }";
    view.page.evaluate(script, Value::Null).await;
}

async fn never_twice(view: &View) {
    let copies = view.page.evaluate("() => window.copies", Value::Null).await;
    assert_eq!(copies, json!([]), "no text was there twice at a time");
}
