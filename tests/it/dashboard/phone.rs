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
async fn on_a_small_phone_nothing_overflows_and_the_composer_is_above_the_keyboard() {
    let stage = Stage::new().await;
    let contact = "a contact with quite a long name@example.com";
    let fill = format!(
        "insert into messages (contact_id, direction, body, status, created_at)
        select '{contact}', (array['inbound', 'outbound'])[1 + n % 2], 'row ' || n || ' ' || repeat('x', n * 7), 'sent',
            now() - interval '1 hour' + n * interval '1 minute' from generate_series(1, 55) n"
    );
    stage.database.run(&fill).await;
    let view = stage.load(Look::SMALL, "").await;
    view.page
        .until(
            "the list",
            "() => document.querySelector('nav a')",
            Value::Null,
        )
        .await;
    fits(&view, "the list").await;
    view.choose(contact).await;
    view.badge("connected").await;
    view.counts(50).await;
    fits(&view, "a conversation").await;

    // A late message, and one that could not be sent.
    let late = "insert into messages (contact_id, body, created_at)
        select contact_id, 'late', created_at + interval '1 second' from messages where body like 'row 9 %'";
    stage.database.run(late).await;
    let refuse =
        "() => { window.fetch = () => Promise.resolve(new Response('{}', { status: 403 })); }";
    let real = "() => { window.realFetch = window.fetch; }";
    view.page.evaluate(real, Value::Null).await;
    view.page.evaluate(refuse, Value::Null).await;
    view.page
        .fill("textbox", "Mensaje", &"word ".repeat(40))
        .await;
    view.page.click("button", "Enviar").await;
    let both = "() => document.querySelector('.unsent') && document.querySelector('.earlier')";
    view.page.until("both", both, Value::Null).await;
    fits(&view, "a late message and a failed one").await;
    let restore = "() => { window.fetch = window.realFetch; }";
    view.page.evaluate(restore, Value::Null).await;
    view.page.click("button", "Reintentar").await;
    let gone = "() => !document.querySelector('.unsent')";
    view.page.until("it to be sent", gone, Value::Null).await;

    // The keyboard takes 300 pixels: the page's own `interactive-widget` makes the window smaller.
    view.page.focus("textbox", "Mensaje").await;
    for text in ["", "one\ntwo\nthree\nfour\nfive\nsix\nseven\neight"] {
        view.page.fill("textbox", "Mensaje", text).await;
        view.page.resize(375, 367).await;
        let reachable = "() => {
            const isIn = (element) => {
                const { top, bottom, left, right } = element.getBoundingClientRect();
                const at = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
                return top >= 0 && bottom <= innerHeight && (element === at || element.contains(at));
            };
            const last = [...document.querySelectorAll('[role=log] li')].at(-1).getBoundingClientRect();
            return innerHeight === 367 && document.activeElement.matches('textarea')
                && isIn(document.querySelector('main textarea')) && isIn(document.querySelector('.send'))
                && last.bottom <= document.querySelector('.composer').getBoundingClientRect().top;
        }";
        view.page
            .until("the composer above the keyboard", reachable, Value::Null)
            .await;
        fits(&view, "a keyboard").await;
    }
    view.page.click("button", "Enviar").await;
    view.shows("one\ntwo\nthree\nfour\nfive\nsix\nseven\neight")
        .await;
    view.page.resize(375, 667).await;
    fits(&view, "the end").await;
    view.settles_newest(&stage.database, contact).await;
    view.clean().await;
}

/// Checks that nothing sticks out at the sides, and that a finger can hit every button.
async fn fits(view: &View, when: &str) {
    let script = "() => {
        const found = document.documentElement.scrollWidth > innerWidth ? ['the page'] : [];
        for (const element of document.querySelectorAll('body *')) {
            if (element.closest('.visually-hidden, .skip, svg') || !element.checkVisibility({ visibilityProperty: true })) continue;
            if (getComputedStyle(element).clipPath !== 'none' || element.parentElement.closest('[data-view] .placeholder')) continue;
            const { left, right, width, height } = element.getBoundingClientRect();
            const name = `${element.tagName} ${element.className} ${left}..${right} ${width}x${height}`;
            if (width && height && (left < -0.5 || right > innerWidth + 0.5)) found.push(name);
            if (element.matches('button, .back') && width && (width < 39.5 || height < 39.5)) found.push(`small: ${name}`);
        }
        return found;
    }";
    let found = view.page.evaluate(script, Value::Null).await;
    assert_eq!(found, json!([]), "{when}");
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
