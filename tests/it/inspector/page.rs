//! The page in a real Chromium: each tab shows a fact that the test made, in both languages and both schemes, on a desk and on a phone,
//! without anything that axe finds wrong, and without a request to somebody else.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::crowd::{gather, server, size};
use super::{Stage, TOKEN};
use crate::harness::http;
use crate::harness::{Browser, Database, Look, Page, Server};

/// What is odd on a phone: something that is wider than it.
const WIDE: &str = "() => document.documentElement.scrollWidth > innerWidth";

/// An open inspector.
struct View {
    page: Page,
    address: String,
}

impl View {
    async fn open(browser: &Browser, server: &Server, look: Look) -> Self {
        let page = browser.open(look).await;
        let address = server.admin().to_owned();
        page.goto(&format!("http://{address}/")).await;
        Self { page, address }
    }

    async fn go(&self, place: &str) {
        let script = "(place) => { location.hash = place; }";
        self.page
            .evaluate(script, json!(format!("#/{place}")))
            .await;
        let tab = place.split('/').next().unwrap_or_default();
        let there = "(tab) => document.querySelector('main')?.dataset.tab === tab";
        self.page.until(place, there, json!(tab)).await;
    }

    /// Waits until the page says so.
    async fn says(&self, words: &str) {
        let script = "(words) => document.querySelector('main')?.innerText.includes(words)";
        self.page.until(words, script, json!(words)).await;
    }

    /// Nothing is wrong with it for who uses other eyes or hands, and nothing is wider than the screen.
    async fn is_fine(&self, what: &str) {
        let found = self.page.axe().await;
        assert!(found.is_empty(), "{what}: {found:#?}");
        assert_eq!(
            self.page.evaluate(WIDE, Value::Null).await,
            false,
            "{what} is too wide"
        );
    }

    /// What it did: no request to anybody else, none refused, nothing in the console.
    async fn ends(self) {
        let record = self.page.record().await;
        let own = format!("http://{}/", self.address);
        let foreign: Vec<_> = record
            .requests
            .iter()
            .filter(|it| !it.url.starts_with(&own))
            .collect();
        assert!(foreign.is_empty(), "{foreign:?}");
        let failed: Vec<_> = record
            .requests
            .iter()
            .filter(|it| it.status.is_some_and(|status| status >= 400))
            .collect();
        assert!(failed.is_empty(), "{failed:?}");
        assert!(record.errors.is_empty(), "{:?}", record.errors);
        let complaints: Vec<_> = record
            .console
            .iter()
            .filter(|said| said.level != "debug" && said.level != "info")
            .collect();
        assert!(complaints.is_empty(), "{complaints:?}");
        self.page.close().await;
    }
}

/// Where screenshots go.
fn shots() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for them");
    folder
}

/// Tables, sockets, rooms and events, and a table with a problem.
async fn furnished(variables: &[(&str, &str)]) -> (Stage, Vec<crate::harness::Client>) {
    let stage = Stage::with(variables).await;
    let broken = "create table orders (id bigint primary key, place text);
        select rowcast.attach('public.orders', room => 'place:{place}', on_insert => 'order:new');
        alter table orders rename to purchases";
    stage.database.run(broken).await;
    let clients = vec![
        stage
            .client("ana.lopez@example.com", &["34600123123", "34611222333"])
            .await,
        stage.client("ben", &["34600123123"]).await,
    ];
    for body in ["¿Está abierto hoy?", "Sí, hasta las 20:00", "Gracias"] {
        stage.database.say("34600123123", body).await;
    }
    (stage, clients)
}

/// Each tab, with words that are there in Spanish and in English once it shows what there is.
const TABS: [(&str, &str, &str); 8] = [
    (
        "overview",
        "renamed to public.purchases",
        "renamed to public.purchases",
    ),
    ("sources", "Qué lo arregla", "What mends it"),
    (
        "rooms",
        "conversation:34600123123",
        "conversation:34600123123",
    ),
    (
        "rooms/conversation%3A34600123123",
        "Últimos eventos",
        "Last events",
    ),
    ("sockets", "ana.lopez@example.com", "ana.lopez@example.com"),
    ("sockets/1", "34611222333", "34611222333"),
    ("events", "message:new", "message:new"),
    ("doctor", "Ejecutar el diagnóstico", "Run the doctor"),
];

#[tokio::test]
async fn each_tab_is_fine_in_both_languages_and_schemes_on_a_desk_and_on_a_phone() {
    let browser = Browser::start().await;
    let (stage, _clients) = furnished(&[("ROWCAST_ADMIN_WRITE", "on")]).await;
    let folder = shots();
    for (device, look) in [("desktop", Look::DESKTOP), ("phone", Look::PHONE)] {
        for (scheme, dark, locale) in [("light", false, "es-ES"), ("dark", true, "en-GB")] {
            let view = View::open(
                &browser,
                &stage.server,
                Look {
                    dark,
                    locale,
                    ..look
                },
            )
            .await;
            for (place, spanish, english) in TABS {
                view.go(place).await;
                let words = if locale == "es-ES" { spanish } else { english };
                view.says(words).await;
                if place == "overview" {
                    let spanish = locale == "es-ES";
                    // The server reaches the database by its socket.
                    view.says(if spanish {
                        "la máquina de la base de datos"
                    } else {
                        "the database's own machine"
                    })
                    .await;
                }
                let name = place.replace(['/', '%'], "-");
                let what = format!("inspector-{device}-{scheme}-{locale}-{name}");
                view.is_fine(&what).await;
                let file = folder.join(format!("{what}.png"));
                assert!(view.page.screenshot(&file).await > 4_000, "{what}");
            }
            let language = view
                .page
                .evaluate("() => document.documentElement.lang", Value::Null)
                .await;
            assert_eq!(language, &locale[..2]);
            let ground = "() => getComputedStyle(document.body).backgroundColor.match(/\\d+/g).slice(0, 3).every((it) => it < 128)";
            assert_eq!(
                view.page.evaluate(ground, Value::Null).await,
                dark,
                "the ground"
            );
            view.ends().await;
        }
    }
}

#[tokio::test]
async fn figures_move_while_one_looks() {
    let browser = Browser::start().await;
    let (stage, mut clients) = furnished(&[]).await;
    let view = View::open(&browser, &stage.server, Look::DESKTOP).await;
    view.says("2 WebSocket, 0 por polling").await;
    for number in 0..20 {
        stage
            .database
            .say("34600123123", &format!("{number}"))
            .await;
    }
    // Two are in the room, and three events came before.
    view.says("46 desde el arranque").await;
    view.says("en el último minuto").await;
    clients.pop().expect("two").disconnect();
    view.says("1 WebSocket, 0 por polling").await;
    let pill = "() => document.querySelector('.pill')?.textContent === 'Con avisos'";
    view.page.until("the state", pill, Value::Null).await;
    view.ends().await;
}

#[tokio::test]
async fn events_come_live_are_filtered_and_show_their_payload_when_asked() {
    let browser = Browser::start().await;
    let (stage, _clients) = furnished(&[]).await;
    let view = View::open(&browser, &stage.server, Look::DESKTOP).await;
    view.go("events").await;
    view.says("conversation:34600123123").await;
    stage
        .database
        .run("select rowcast.emit('inbox:7', 'note:added', '{\"text\":\"hidden at first\"}')")
        .await;
    view.says("note:added").await;
    let hidden = "() => document.body.innerText.includes('hidden at first')";
    assert_eq!(view.page.evaluate(hidden, Value::Null).await, false);
    view.page
        .fill("searchbox", "El nombre contiene", "note")
        .await;
    let alone = "() => document.querySelectorAll('tbody tr').length === 1";
    view.page.until("the note alone", alone, Value::Null).await;
    view.page.click("button", "Mostrar el contenido").await;
    view.says("hidden at first").await;
    view.is_fine("a payload").await;
    // Paused, nothing comes; and then everything does.
    view.page.click("button", "Pausar").await;
    stage
        .database
        .run("select rowcast.emit('inbox:7', 'note:second', '{}')")
        .await;
    let events = http::get(stage.server.admin(), "/api/events?name=note", &[]).await;
    assert!(events.status == 200);
    let second = "() => document.body.innerText.includes('note:second')";
    assert_eq!(view.page.evaluate(second, Value::Null).await, false);
    view.page.click("button", "Seguir").await;
    view.says("note:second").await;
    view.ends().await;
}

#[tokio::test]
async fn the_doctor_runs_and_shows_what_to_paste() {
    let browser = Browser::start().await;
    let (stage, _clients) = furnished(&[]).await;
    let view = View::open(&browser, &stage.server, Look::PHONE).await;
    view.go("doctor").await;
    view.page.click("button", "Ejecutar el diagnóstico").await;
    view.says("renamed to public.purchases").await;
    view.says("call rowcast.attach('public.purchases'").await;
    view.is_fine("findings").await;
    view.page
        .screenshot(&shots().join("inspector-phone-light-doctor-findings.png"))
        .await;
    view.ends().await;
}

#[tokio::test]
async fn an_action_asks_once_and_is_done() {
    let browser = Browser::start().await;
    let (stage, mut clients) = furnished(&[("ROWCAST_ADMIN_WRITE", "on")]).await;
    let view = View::open(
        &browser,
        &stage.server,
        Look {
            locale: "en-GB",
            ..Look::DESKTOP
        },
    )
    .await;
    view.go("rooms/conversation%3A34611222333").await;
    view.page.click("button", "Emit an event").await;
    view.page.fill("textbox", "Event", "note").await;
    view.page
        .fill("textbox", "Payload, as JSON", "{\"by\":\"hand\"")
        .await;
    view.page.click("button", "Go on").await;
    let refused =
        "() => document.querySelector('dialog [role=alert]')?.textContent === 'This is not JSON.'";
    view.page.until("the refusal", refused, Value::Null).await;
    view.page
        .fill("textbox", "Payload, as JSON", "{\"by\":\"hand\"}")
        .await;
    view.page.click("button", "Go on").await;
    let asks =
        "() => document.querySelector('dialog .question')?.textContent.startsWith('Store note')";
    view.page.until("the question", asks, Value::Null).await;
    view.is_fine("the question").await;
    view.page
        .screenshot(&shots().join("inspector-desktop-light-dialog.png"))
        .await;
    let none = "select count(*) from rowcast.events where event = 'note'";
    assert_eq!(
        stage.database.value(none).await,
        "0",
        "not before it was asked"
    );
    view.page.click("button", "Yes, do it").await;
    assert_eq!(
        clients[0].event("note").await.payload(),
        &json!({ "by": "hand" })
    );
    view.page.click("button", "Close").await;

    view.go("sockets/1").await;
    view.page.click("button", "Disconnect").await;
    view.page.click("button", "Yes, do it").await;
    clients[0].disconnected().await;
    assert!(clients[0].connected().await);
    view.page.close().await;
}

#[tokio::test]
async fn who_has_the_token_signs_in_and_out() {
    let browser = Browser::start().await;
    let (stage, _clients) = {
        let stage = Stage::with(&[("ROWCAST_ADMIN_TOKEN", TOKEN)]).await;
        let client = stage.client("ana", &["1"]).await;
        (stage, client)
    };
    let view = View::open(
        &browser,
        &stage.server,
        Look {
            dark: true,
            ..Look::PHONE
        },
    )
    .await;
    view.says("Iniciar sesión").await;
    view.is_fine("the door").await;
    view.page
        .screenshot(&shots().join("inspector-phone-dark-sign-in.png"))
        .await;
    view.page
        .fill(
            "textbox",
            "Token de administración",
            "a guess, which is long enough and wrong",
        )
        .await;
    view.page.click("button", "Entrar").await;
    view.says("El servidor no acepta este token.").await;
    view.page
        .fill("textbox", "Token de administración", TOKEN)
        .await;
    view.page.click("button", "Entrar").await;
    view.says("1 WebSocket").await;
    let stored =
        "() => [localStorage.length, document.cookie, Object.values(sessionStorage).length]";
    assert_eq!(
        view.page.evaluate(stored, Value::Null).await,
        json!([0, "", 1])
    );
    view.page.reload().await;
    view.says("1 WebSocket").await;
    view.page.click("button", "Salir").await;
    view.says("Iniciar sesión").await;
    view.page.close().await;
}

#[tokio::test]
async fn a_crowd_is_searched_and_leafed_through() {
    let browser = Browser::start().await;
    let database = Database::chat().await;
    let server = server(&database).await;
    let _crowd = gather(&server, size()).await;
    let view = View::open(
        &browser,
        &server,
        Look {
            locale: "en-GB",
            ..Look::DESKTOP
        },
    )
    .await;
    view.go("sockets").await;
    view.says("1 to 50 of ").await;
    view.page.click("button", "Next").await;
    view.says("51 to 100 of ").await;
    view.page.fill("searchbox", "Search", "#77").await;
    let alone = "() => document.querySelectorAll('tbody tr').length === 1 && document.querySelector('tbody a').textContent === '#77'";
    view.page.until("one socket", alone, Value::Null).await;
    view.go("rooms").await;
    view.page.fill("searchbox", "Search", "crowd-42").await;
    let alone = "() => document.querySelectorAll('tbody tr').length === 1";
    view.page.until("one room", alone, Value::Null).await;
    view.page.click("link", "conversation:crowd-42").await;
    view.says(&format!("Members ({})", size() / 100)).await;
    view.is_fine("a crowd").await;
    view.ends().await;
}
