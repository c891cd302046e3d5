//! How it looks, in two languages and two schemes, and what it asks of whom.

use std::path::Path;

use serde_json::{Value, json};

use super::Stage;
use crate::harness::{Database, Look};

/// Whose conversation has a bit of everything.
const BUSY: &str = "+34 600 123 123";

#[tokio::test]
async fn it_looks_as_the_screenshots_show() {
    let stage = Stage::new().await;
    conversation(&stage).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for them");
    for (device, look) in [("desktop", Look::DESKTOP), ("phone", Look::PHONE)] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            let view = stage.load(Look { dark, ..look }, "").await;
            for (what, contact) in [("list", ""), ("conversation", BUSY), ("empty", "nobody")] {
                if !contact.is_empty() {
                    view.visit(contact).await;
                    view.badge("connected").await;
                }
                let listed = "() => document.querySelectorAll('nav a').length === 3";
                view.page.until("the list", listed, Value::Null).await;
                let file = folder.join(format!("{device}-{scheme}-{what}.png"));
                let bytes = view.page.screenshot(&file).await;
                assert!(bytes > 4_000, "{} has {bytes} bytes", file.display());
            }
            view.calm().await;
            view.page.close().await;
        }
    }
}

/// What comes late, and what is sent and what is not.
#[tokio::test]
async fn late_messages_and_drafts_look_as_the_screenshots_show() {
    let presence = [("ROWCAST_PRESENCE", "on")];
    let stage = Stage::with(Database::inbox().await, &presence).await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for them");
    for (device, look) in [("desktop", Look::DESKTOP), ("small", Look::SMALL)] {
        for (scheme, dark) in [("light", false), ("dark", true)] {
            let contact = format!("{device} {scheme}");
            let fill = format!(
                "insert into messages (contact_id, direction, body, status, created_at)
                select '{contact}', (array['inbound', 'outbound'])[1 + n % 2], 'Mensaje número ' || n, 'sent',
                    now() - interval '1 hour' + n * interval '1 minute' from generate_series(1, 20) n"
            );
            stage.database.run(&fill).await;
            let view = stage.open_as(Look { dark, ..look }, &contact).await;
            view.counts(20).await;
            let away = "() => {
                window.fetch = (url) => url.includes('/messages') && window.away
                    ? Promise.reject(new TypeError('no network'))
                    : Promise.resolve(new Response('{}', { status: 403 }));
            }";
            view.page.evaluate(away, Value::Null).await;
            let send = async |body: &str| {
                view.page.fill("textbox", "Mensaje", body).await;
                view.page.press("Enter").await;
            };
            send("Este mensaje no lo quiere el servidor").await;
            let failed = "() => document.querySelector('.unsent')";
            view.page.until("the failure", failed, Value::Null).await;
            let now_away = "() => { window.away = true; }";
            view.page.evaluate(now_away, Value::Null).await;
            send("Y este todavía no ha salido").await;
            let late = format!(
                "insert into messages (contact_id, body, created_at)
                select contact_id, n || ': esto llegó tarde', created_at + interval '1 second'
                from messages, unnest('{{3,19}}'::int[]) n where contact_id = '{contact}' and body = 'Mensaje número ' || n"
            );
            stage.database.run(&late).await;
            let told = "() => document.querySelector('.earlier') && document.querySelector('[data-here]') && document.querySelectorAll('li:not([data-id])').length > 1";
            view.page.until("all of it", told, Value::Null).await;
            let file = folder.join(format!("{device}-{scheme}-sending.png"));
            let bytes = view.page.screenshot(&file).await;
            assert!(bytes > 4_000, "{} has {bytes} bytes", file.display());
            view.page.close().await;
        }
    }
}

#[tokio::test]
async fn dark_is_dark_and_light_is_light() {
    let stage = Stage::new().await;
    for dark in [false, true] {
        let view = stage
            .open_as(
                Look {
                    dark,
                    ..Look::DESKTOP
                },
                "42",
            )
            .await;
        let script = "() => {
            const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
            const luminance = (colour) => {
                canvas.fillStyle = colour;
                canvas.fillRect(0, 0, 1, 1);
                const [red, green, blue] = canvas.getImageData(0, 0, 1, 1).data;
                return (red * 0.2126 + green * 0.7152 + blue * 0.0722) / 255;
            };
            const { color } = getComputedStyle(document.querySelector('main'));
            return [luminance(getComputedStyle(document.body).backgroundColor), luminance(color)];
        }";
        let found = view.page.evaluate(script, Value::Null).await;
        let of = |index: usize| found[index].as_f64().expect("a luminance");
        let (ground, text) = (of(0), of(1));
        assert_eq!(ground < 0.25, dark, "the ground's luminance is {ground}");
        assert!((ground - text).abs() > 0.5, "text {text} on {ground}");
        view.calm().await;
    }
}

#[tokio::test]
async fn an_english_browser_gets_english() {
    let stage = Stage::new().await;
    for (locale, badge, language) in [("en-GB", "Live", "en"), ("fr-FR", "Tiempo real", "es")] {
        let view = stage
            .load(
                Look {
                    locale,
                    ..Look::DESKTOP
                },
                "42",
            )
            .await;
        let script = "([badge, language]) => document.documentElement.lang === language
            && document.querySelector('[role=status][data-status=connected]')?.textContent === badge";
        view.page
            .until(badge, script, json!([badge, language]))
            .await;
        view.calm().await;
    }
}

/// The page, its files, the API and the websocket: one origin, as its policy has it.
#[tokio::test]
async fn no_request_leaves_the_pages_origin() {
    let stage = Stage::new().await;
    conversation(&stage).await;
    let view = stage.open(BUSY).await;
    view.page.fill("textbox", "Mensaje", "hola").await;
    view.page.press("Enter").await;
    view.shows("hola").await;
    // A message is text, whatever it looks like.
    let evil = "<img src=http://127.0.0.1:9/x onerror=document.title=1> http://127.0.0.1:9/y <script>window.evil = 1</script>";
    stage.database.say(BUSY, evil).await;
    view.shows(evil).await;
    let run = view
        .page
        .evaluate("() => window.evil ?? null", Value::Null)
        .await;
    assert_eq!(run, Value::Null);
    view.settles(&stage.database, BUSY).await;
    let record = view.calm().await;
    assert!(
        record
            .requests
            .iter()
            .any(|request| request.kind == "websocket")
    );

    // The policy holds, not only good manners.
    let broken = "() => new Promise((resolve) => {
        document.addEventListener('securitypolicyviolation', (event) => resolve(event.effectiveDirective));
        fetch('http://127.0.0.1:9/').catch(() => {});
    })";
    let broken = view.page.evaluate(broken, Value::Null).await;
    assert_eq!(broken, "connect-src");
}

/// A conversation with a bit of everything, and a few others.
async fn conversation(stage: &Stage) {
    let fill = "insert into messages (contact_id, direction, author, body, status, created_at)
        select c, d, a, b, s, now() - interval '2 hours' + n * interval '3 minutes'
        from (values
            (1, '+34 600 123 123', 'inbound', null, '¡Hola! ¿Está abierto hoy?', 'read'),
            (2, '+34 600 123 123', 'outbound', 'bot', 'Sí, hasta las 20:00. ¿En qué le puedo ayudar?', 'read'),
            (3, '+34 600 123 123', 'inbound', null, 'Quería cambiar mi cita del jueves.', 'read'),
            (4, '+34 600 123 123', 'outbound', 'agent', E'Claro. Tengo libre:\\n- viernes a las 10\\n- lunes a las 16', 'delivered'),
            (5, '+34 600 123 123', 'outbound', 'agent', 'Este no ha llegado', 'failed'),
            (6, '+34 600 123 123', 'outbound', 'agent', 'Dígame cuál prefiere', 'sent'),
            (7, '+34 600 123 123', 'outbound', 'agent', 'y se lo apunto', 'queued'),
            (8, '+34 611 222 333', 'inbound', null, 'Gracias por todo, hasta la semana que viene', 'read'),
            (9, 'maria.lopez@example.com', 'inbound', null, 'Le adjunto la factura', 'sent'),
            (10, 'maria.lopez@example.com', 'inbound', null, 'y el recibo', 'sent')
        ) as v (n, c, d, a, b, s)";
    stage.database.run(fill).await;
}
