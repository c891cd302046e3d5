//! Messages that come late, and messages that move: each where it belongs, before a reader who keeps the place.

use serde_json::{Value, json};

use super::{Stage, View};

/// Sixty messages, one a minute, of which the page loads the newest fifty.
const FILL: &str = "insert into messages (contact_id, direction, body, status, created_at)
    select '42', 'outbound', 'row ' || n, 'sent', now() - interval '1 day' + n * interval '1 minute'
    from generate_series(1, 60) n";

#[tokio::test]
async fn a_late_message_stands_where_it_belongs_and_is_told_of_without_a_jump() {
    let stage = Stage::new().await;
    stage.database.run(FILL).await;
    let view = stage.open("42").await;
    view.shows("row 60").await;
    // At the end the end stays in view.
    late(&stage, "late at 30", 30).await;
    pill(&view, "1 mensaje anterior").await;
    assert_eq!(place(&view, "row 60").await["isEnd"], true);
    view.page.click("button", "1 mensaje anterior").await;
    in_view(&view, "late at 30").await;
    pill(&view, "").await;

    // In the middle it is the topmost message in view that stays where it is.
    scroll_to(&view, "row 40").await;
    let before = place(&view, "row 40").await;
    late(&stage, "late at 35", 35).await;
    late(&stage, "late at 20", 20).await;
    pill(&view, "2 mensajes anteriores").await;
    view.shows("late at 20").await;
    stays(&before, &place(&view, "row 40").await);
    // One that belongs before what is loaded comes with its page.
    late(&stage, "late at 5", 5).await;
    stage.database.say("42", "fence").await;
    view.shows("fence").await;
    pill(&view, "2 mensajes anteriores").await;
    for body in ["late at 35", "late at 20"] {
        scroll_to(&view, body).await;
    }
    for _ in 0..2 {
        view.page.click("button", "2 mensajes anteriores").await;
    }
    view.settles_to_the_oldest(&stage.database, "42").await;
    view.calm().await;
}

/// Two contacts become one.
#[tokio::test]
async fn messages_that_move_here_are_no_news() {
    let stage = Stage::new().await;
    stage.database.run(FILL).await;
    let other = "insert into messages (contact_id, direction, body, status, created_at)
        select '41', 'outbound', 'other ' || n, 'sent', now() - interval '1 day' + n * interval '1 minute' + interval '30 seconds'
        from generate_series(15, 55, 10) n";
    stage.database.run(other).await;
    let view = stage.open("42").await;
    view.shows("row 60").await;
    scroll_to(&view, "row 40").await;
    let before = place(&view, "row 40").await;
    let merge = "update messages set contact_id = '42' where contact_id = '41'";
    stage.database.run(merge).await;
    view.shows("other 55").await;
    view.shows("other 15").await;
    let news = "() => [...document.querySelectorAll('.earlier, .newest')].map((button) => button.textContent).join()";
    let news = view.page.evaluate(news, Value::Null).await;
    assert_eq!(news, "", "nothing is counted as late or as new");
    stays(&before, &place(&view, "row 40").await);
    let title = view
        .page
        .evaluate("() => document.title", Value::Null)
        .await;
    assert_eq!(title, "42 · Rowcast", "nothing is unread");
    view.settles_newest(&stage.database, "42").await;
    // Away again: they go from here, each once.
    let part = "update messages set contact_id = '41' where body like 'other%'";
    let ids = "select string_agg(id::text, ' ') from messages where body like 'other%'";
    let ids = stage.database.value(ids).await;
    stage.database.run(part).await;
    view.settles_newest(&stage.database, "42").await;
    let ids: Vec<_> = ids.split(' ').map(str::to_owned).collect();
    view.clean_without(&ids).await;
}

/// Writes a message with the time of another minute.
async fn late(stage: &Stage, body: &str, minute: u32) {
    let insert = format!(
        "insert into messages (contact_id, direction, body, status, created_at)
        select '42', 'outbound', '{body}', 'sent', created_at + interval '1 second' from messages where body = 'row {minute}'"
    );
    stage.database.run(&insert).await;
}

/// Waits until the button that tells of late messages says that; with an empty text, until there is none.
async fn pill(view: &View, text: &str) {
    let script =
        "(text) => (document.querySelector('.earlier')?.textContent.trim() ?? '') === text";
    let what = format!("the button {text:?}");
    view.page.until(&what, script, json!(text)).await;
}

/// Checks that a message is where it was, but for the fraction of a pixel that scrolling has not.
fn stays(before: &Value, after: &Value) {
    let top = |place: &Value| place["top"].as_f64().expect("a place");
    let moved = top(before) - top(after);
    assert!(moved.abs() < 1.5, "it was {before} and is {after}");
}

/// How far a message is below the upper edge, and whether the end of the list is in view.
async fn place(view: &View, body: &str) -> Value {
    let script = "(body) => {
        const log = document.querySelector('[role=log]');
        const message = [...log.querySelectorAll('li')].find((li) => li.querySelector('.body').textContent === body);
        return {
            top: message.getBoundingClientRect().top - log.getBoundingClientRect().top,
            isEnd: log.scrollHeight - log.scrollTop - log.clientHeight < 2,
        };
    }";
    view.page.evaluate(script, json!(body)).await
}

/// Scrolls so that a message is at the upper edge, and waits until the page has noticed.
async fn scroll_to(view: &View, body: &str) {
    let script = "async (body) => {
        const log = document.querySelector('[role=log]');
        const message = [...log.querySelectorAll('li')].find((li) => li.querySelector('.body').textContent === body);
        const scrolled = new Promise((done) => log.addEventListener('scroll', () => requestAnimationFrame(() => done(true)), { once: true }));
        const before = log.scrollTop;
        log.scrollTop += message.getBoundingClientRect().top - log.getBoundingClientRect().top;
        return log.scrollTop === before || scrolled;
    }";
    view.page.evaluate(script, json!(body)).await;
}

/// Waits until a message is in view.
async fn in_view(view: &View, body: &str) {
    let script = "(body) => {
        const log = document.querySelector('[role=log]').getBoundingClientRect();
        const message = [...document.querySelectorAll('[role=log] li')].find((li) => li.querySelector('.body').textContent === body);
        const { top, bottom } = message.getBoundingClientRect();
        return top >= log.top && bottom <= log.bottom;
    }";
    let what = format!("{body:?} to be in view");
    view.page.until(&what, script, json!(body)).await;
}
