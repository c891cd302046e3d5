//! A message that is more than text, or of a kind that nobody knows, is something to read; no bubble is empty.

use std::path::Path;

use serde_json::{Value, json};

use super::Stage;
use crate::harness::Look;

/// What each bubble says, without the time of day and what only a screen reader hears.
const BUBBLES: &str =
    "() => [...document.querySelectorAll('[role=log] li[data-id] .bubble')].map((bubble) =>
    [...bubble.querySelectorAll('.kind, .body')].map((part) => part.textContent).join(' | '))";

#[tokio::test]
async fn every_kind_of_message_is_something_to_read() {
    let stage = Stage::new().await;
    let kinds = [
        (json!({"type": "text", "text": {"body": "Hola"}}), "Hola"),
        (json!({"type": "image", "image": {"id": "1"}}), "Foto"),
        (
            json!({"type": "image", "image": {"id": "1", "caption": "Mi perro"}}),
            "Foto | Mi perro",
        ),
        (json!({"type": "audio", "audio": {"id": "1"}}), "Audio"),
        (
            json!({"type": "document", "document": {"filename": "factura.pdf"}}),
            "Documento | factura.pdf",
        ),
        (
            json!({"type": "location", "location": {"latitude": 4.6, "longitude": -74.1}}),
            "Ubicación | 4.6, -74.1",
        ),
        (
            json!({"type": "reaction", "reaction": {"emoji": "👍"}}),
            "Reacción | 👍",
        ),
        (json!({"type": "button", "button": {"text": "Sí"}}), "Sí"),
        (
            json!({"type": "hologram", "hologram": {"depth": 3}}),
            "Mensaje desconocido (hologram)",
        ),
        (
            json!({"type": "constructor"}),
            "Mensaje desconocido (constructor)",
        ),
        (
            json!({"type": "unsupported"}),
            "Un mensaje que WhatsApp no entrega",
        ),
    ];
    let messages: Vec<_> = (1u32..)
        .zip(&kinds)
        .map(|(n, (message, _))| {
            let mut message = message.clone();
            message["id"] = json!(format!("wamid.{n}"));
            message["from"] = json!("42");
            message["timestamp"] = json!(1_760_000_000 + n);
            message
        })
        .collect();
    let body = json!({"entry": [{"changes": [{"value": {"messages": messages}}]}]}).to_string();
    sqlx::query("select rowcast.store_whatsapp($1)")
        .bind(body)
        .execute(&stage.database.pool)
        .await
        .expect("it is stored");
    // Rows that somebody else wrote: as a back end of its own might, and with nothing at all.
    let others = r#"insert into messages (contact_id, body, metadata, created_at) values
        ('42', '', '{"type": "video", "video": {"caption": "El gato"}}', to_timestamp(1760000100)),
        ('42', ' ', '{}', to_timestamp(1760000101)), ('42', '', '{"type": 7}', to_timestamp(1760000102))"#;
    stage.database.run(others).await;
    let mut wanted: Vec<_> = kinds.iter().map(|(_, text)| *text).collect();
    wanted.extend(["Vídeo | El gato", "Mensaje sin texto", "Mensaje sin texto"]);

    let view = stage.open("42").await;
    view.counts(wanted.len()).await;
    assert_eq!(
        view.page.evaluate(BUBBLES, Value::Null).await,
        json!(wanted)
    );
    let preview = "(text) => document.querySelector('.link-preview')?.textContent === text";
    view.page
        .until(
            "the newest in the list",
            preview,
            json!("Mensaje sin texto"),
        )
        .await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("screenshots");
    std::fs::create_dir_all(&folder).expect("a folder for them");
    view.page
        .screenshot(&folder.join("desktop-light-kinds.png"))
        .await;

    // The same while the page is open, and in the list with its caption.
    let live = r#"{"entry": [{"changes": [{"value": {"messages":
        [{"id": "L", "from": "42", "type": "image", "image": {"id": "1", "caption": "Ahora"}}]}}]}]}"#;
    let live = format!("select rowcast.store_whatsapp('{live}')");
    stage.database.run(&live).await;
    view.shows("Ahora").await;
    view.page
        .until("a picture in the list", preview, json!("Foto: Ahora"))
        .await;
    view.calm().await;

    let english = Look {
        locale: "en-GB",
        ..Look::DESKTOP
    };
    let view = stage.load(english, "42").await;
    view.counts(wanted.len() + 1).await;
    let bubbles = view.page.evaluate(BUBBLES, Value::Null).await;
    assert_eq!(bubbles[1], "Picture");
    assert_eq!(bubbles[8], "Unknown message (hologram)");
    view.calm().await;
}
