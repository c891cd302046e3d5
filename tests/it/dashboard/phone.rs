//! A phone's width, and a keyboard without a mouse.

use serde_json::{Value, json};

use super::{Stage, View};
use crate::harness::Look;

#[tokio::test]
async fn a_phone_shows_the_list_or_a_conversation() {
    let stage = Stage::new().await;
    for contact in ["ana", "berta"] {
        stage.database.say(contact, &format!("of {contact}")).await;
    }
    let view = stage.load(Look::PHONE, "").await;
    visible(&view, true, false).await;
    for contact in ["ana", "berta"] {
        view.choose(contact).await;
        visible(&view, false, true).await;
        view.shows(&format!("of {contact}")).await;
        view.page.fill("textbox", "Mensaje", "hola").await;
        view.page.click("button", "Enviar").await;
        view.shows("hola").await;
        view.settles(&stage.database, contact).await;
        let wide = "() => document.documentElement.scrollWidth > innerWidth";
        assert_eq!(
            view.page.evaluate(wide, Value::Null).await,
            false,
            "nothing is wider than the phone"
        );
        view.page.click("link", "Conversaciones").await;
        visible(&view, true, false).await;
    }
    view.choose("ana").await;
    visible(&view, false, true).await;
    view.page
        .evaluate("() => history.back()", Value::Null)
        .await;
    visible(&view, true, false).await;
    view.calm().await;
}

#[tokio::test]
async fn a_desktop_shows_both() {
    let stage = Stage::new().await;
    stage.database.say("ana", "hola").await;
    let view = stage.open("ana").await;
    visible(&view, true, true).await;
    view.calm().await;
}

#[tokio::test]
async fn a_keyboard_is_enough() {
    let stage = Stage::new().await;
    for contact in ["ana", "berta"] {
        stage.database.say(contact, &format!("of {contact}")).await;
    }
    let view = stage.load(Look::DESKTOP, "").await;
    view.page
        .until(
            "the list",
            "() => document.querySelector('nav a')",
            Value::Null,
        )
        .await;
    tab_to(&view, "nav a[href='#/ana']").await;
    view.page.press("Enter").await;
    view.opened("ana").await;
    tab_to(&view, "main textarea").await;
    view.page.type_text("sin ratón").await;
    view.page.press("Enter").await;
    view.shows("sin ratón").await;
    tab_to(&view, "main button.bot").await;
    view.page.press("Space").await;
    view.counts(3).await;
    view.settles(&stage.database, "ana").await;
    tab_to(&view, "nav a[href='#/berta']").await;
    view.page.press("Enter").await;
    view.settles(&stage.database, "berta").await;
    view.calm().await;
}

/// Whether a person sees the list, and the conversation.
async fn visible(view: &View, list: bool, conversation: bool) {
    let script = "([list, conversation]) => {
        const isVisible = (selector) => document.querySelector(selector)?.checkVisibility({ visibilityProperty: true }) ?? false;
        return isVisible('nav') === list && isVisible('main[data-contact]') === conversation;
    }";
    let what = format!("list {list}, conversation {conversation}");
    view.page
        .until(&what, script, json!([list, conversation]))
        .await;
}

/// Presses Tab until that element has the focus, which has to be seen.
async fn tab_to(view: &View, selector: &str) {
    let focused = "(selector) => document.activeElement?.matches(selector) ?? false";
    for _ in 0..40 {
        if view.page.evaluate(focused, json!(selector)).await == true {
            let seen = "() => {
                const { outlineStyle, boxShadow } = getComputedStyle(document.activeElement);
                return outlineStyle !== 'none' || boxShadow !== 'none' || document.activeElement.matches('textarea');
            }";
            let seen = view.page.evaluate(seen, Value::Null).await;
            assert_eq!(seen, true, "{selector} shows that it has the focus");
            return;
        }
        view.page.press("Tab").await;
    }
    panic!("forty times Tab, and {selector} was not reached");
}
