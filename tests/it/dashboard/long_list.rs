//! The list of conversations when it is long, and when it changes fifty times a second.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{MissedTickBehavior, interval};

use super::{Stage, View};
use crate::harness::Look;

/// As many elements as may be there, however long the list is.
const MOST: u64 = 60;

/// Where a conversation is shown: how far below the top of the list, in pixels.
const PLACE: &str = "(contact) => {
    const link = [...document.querySelectorAll('nav a')].find(({ hash }) => hash === '#/' + contact);
    return link ? Math.round(link.getBoundingClientRect().top - document.querySelector('nav').getBoundingClientRect().top) : null;
}";

async fn ten_thousand(stage: &Stage) {
    let write = "insert into messages (contact_id, body, created_at) select 'c' || n, 'x', now() - n * interval '1 m' from generate_series(1, 10000) n";
    stage.database.run(write).await;
}

/// Scrolls down until a conversation is there, however often more of them are loaded.
async fn browse_to(view: &View, contact: &str) {
    let script = "(wanted) => {
        const there = [...document.querySelectorAll('nav a')].some(({ hash }) => hash === '#/' + wanted);
        if (!there) document.querySelector('nav').scrollTop += 1500;
        return there;
    }";
    view.page.until(contact, script, json!(contact)).await;
}

async fn elements(view: &View) -> u64 {
    let count = "() => document.querySelectorAll('nav li').length";
    let count = view.page.evaluate(count, Value::Null).await;
    count.as_u64().expect("a number")
}

#[tokio::test]
async fn ten_thousand_conversations_are_few_elements_and_what_is_looked_at_stays_in_place() {
    let stage = Stage::new().await;
    ten_thousand(&stage).await;
    let view = stage.load(Look::DESKTOP, "").await;
    let first = "(wanted) => document.querySelector('nav a')?.hash === '#/' + wanted";
    view.page.until("the list", first, json!("c1")).await;
    assert!(elements(&view).await <= MOST);
    browse_to(&view, "c300").await;
    assert!(elements(&view).await <= MOST);

    // It is scrolled to the top of what is seen.
    let script = "(contact) => [...document.querySelectorAll('nav a')].find(({ hash }) => hash === '#/' + contact).scrollIntoView()";
    view.page.evaluate(script, json!("c300")).await;
    view.page.until("c310", PLACE, json!("c310")).await;
    let place = view.page.evaluate(PLACE, json!("c310")).await;
    // One that was not loaded, one above, one that is seen, and one that goes.
    for contact in ["c9999", "c20", "c302"] {
        stage.database.say(contact, "again").await;
    }
    stage
        .database
        .run("delete from messages where contact_id = 'c30'")
        .await;
    // c302 is above then, so those below it are one row higher: the first one that is seen stays where it is.
    view.page
        .until(
            "c302 to be above",
            "() => ![...document.querySelectorAll('nav a')].some(({ hash }) => hash === '#/c302')",
            Value::Null,
        )
        .await;
    let stays = "([contact, place]) => {
        const link = [...document.querySelectorAll('nav a')].find(({ hash }) => hash === '#/' + contact);
        const top = link && Math.round(link.getBoundingClientRect().top - document.querySelector('nav').getBoundingClientRect().top);
        return Math.abs(top - place) <= 1;
    }";
    let higher = place.as_i64().expect("a place") - 72;
    view.page
        .until("c310", stays, json!(["c310", higher]))
        .await;

    let top = "(wanted) => { document.querySelector('nav').scrollTop = 0; return document.querySelector('nav a')?.hash === '#/' + wanted; }";
    view.page.until("the newest", top, json!("c302")).await;
    view.calm().await;
}

/// What is read of the list at each change of it.
const WATCH: &str = "() => {
    const nav = document.querySelector('nav');
    const seen = (window.seen = { changes: 0, fewest: Infinity, twice: [], remade: [] });
    const elements = new Map();
    const look = () => {
        const links = [...nav.querySelectorAll('li a')];
        const contacts = links.map(({ hash }) => hash);
        seen.changes += 1;
        seen.fewest = Math.min(seen.fewest, links.length);
        if (new Set(contacts).size !== contacts.length) seen.twice.push(contacts.join(' '));
        links.forEach((link) => {
            if (elements.has(link.hash) && elements.get(link.hash) !== link) seen.remade.push(link.hash);
            elements.set(link.hash, link);
        });
    };
    look();
    new MutationObserver(look).observe(nav, { subtree: true, childList: true, attributes: true, characterData: true });
}";

/// The whole list as the page has it.
const SHOWN: &str = "(wanted) => {
    const list = [...document.querySelectorAll('nav a')].map((link) =>
        decodeURIComponent(link.hash.slice(2)) + ' ' + (link.querySelector('[data-unread]')?.textContent ?? 0) + ' ' + link.querySelector('.link-preview').textContent);
    return list.join(', ') === wanted;
}";

#[tokio::test]
async fn fifty_messages_a_second_leave_two_browsers_with_the_list_that_the_database_has() {
    let stage = Stage::new().await;
    stage
        .database
        .run("insert into messages (contact_id, body) select n, 'first' from generate_series(1, 20) n")
        .await;
    let views = [
        stage.load(Look::DESKTOP, "").await,
        stage.load(Look::PHONE, "").await,
    ];
    let all = "() => document.querySelectorAll('nav a').length === 20";
    for view in &views {
        view.page.until("the list", all, Value::Null).await;
        view.page.evaluate(WATCH, Value::Null).await;
    }
    let mut pace = interval(Duration::from_millis(20));
    pace.set_missed_tick_behavior(MissedTickBehavior::Skip);
    for number in 0..300 {
        pace.tick().await;
        let contact = number * 7 % 20 + 1;
        let sql = match number % 10 {
            3 => format!(
                "update messages set status = 'read' where contact_id = '{contact}' and direction = 'inbound' and status <> 'read'"
            ),
            6 => format!(
                "insert into messages (contact_id, body, direction) values ('{contact}', 'answer {number}', 'outbound')"
            ),
            _ => {
                format!("insert into messages (contact_id, body) values ('{contact}', 'm{number}')")
            }
        };
        stage.database.run(&sql).await;
    }
    let wanted = "select string_agg(contact_id || ' ' || unread || ' ' || (last_message ->> 'body'), ', ' order by last_message_at desc) from conversations";
    let wanted = stage.database.value(wanted).await;
    let counted = "select string_agg(contact_id || ' ' || unread, ', ' order by at desc) from (select contact_id, max(created_at) as at, count(*) filter (where direction = 'inbound' and status <> 'read') as unread from messages group by 1) m";
    let counted = stage.database.value(counted).await;
    let of_rows: Vec<String> = wanted
        .split(", ")
        .map(|row| row.split(' ').take(2).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(of_rows.join(", "), counted);
    for view in &views {
        view.page.until(&wanted, SHOWN, json!(wanted)).await;
        let seen = view.page.evaluate("() => window.seen", Value::Null).await;
        // No row goes or is made anew meanwhile, and no change is drawn twice.
        assert_eq!(seen["fewest"], 20, "{seen}");
        assert_eq!([&seen["twice"], &seen["remade"]], [&json!([]), &json!([])]);
        assert!(seen["changes"].as_u64() <= Some(301), "{seen}");
        view.calm().await;
    }
}
