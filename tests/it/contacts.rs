//! Contact ids as people have them: each can be joined, told, read over HTTP, and resumed.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::harness::api::encoded;
use crate::harness::{Client, Scene};

fn contacts() -> Vec<String> {
    let mut ids: Vec<String> = [
        // Numbers and telephones.
        "1",
        "0",
        "-1",
        "007",
        "9007199254740993",
        "18446744073709551616",
        "1.5",
        "1e3",
        "+34600123456",
        "+34 600 12 34 56",
        "(0034) 600-123",
        "600.123.456",
        "00 34",
        "tel:+34600",
        "34600123456@s.whatsapp.net",
        "34600123456-1418@g.us",
        "status@broadcast",
        "34600:12@s.whatsapp.net",
        // Addresses and keys of other systems.
        "ana@example.com",
        "\"ana maria\"@example.com",
        "ana+news@example.com",
        "https://example.com/a?b=c&d=e#f",
        "b3b1f3f0-5a0b-4b7e-9d6c-3f2a1b0c9d8e",
        "{b3b1f3f0-5a0b}",
        "urn:isbn:0451450523",
        "cus_NffrFeUfNV2Hib",
        "ObjectId(\"507f191e\")",
        "a:b:c",
        "conversation:42",
        "#general",
        "@ana",
        "~ana",
        "ana|web|7",
        // Paths and what looks like them.
        "a/b",
        "/",
        "//",
        "a//b",
        "a/",
        "/a",
        ".",
        "..",
        "../..",
        "../messages",
        "a/../b",
        "a\\b",
        "\\",
        "events",
        "messages",
        "a?b",
        "a&b=c",
        "a;b",
        "a#b",
        // Percent signs, as they are and as escapes.
        "%",
        "%%",
        "100%",
        "%2F",
        "%2f",
        "a%20b",
        "%00",
        "%zz",
        "%u00e9",
        "+",
        "a+b",
        // Spaces of all kinds.
        " ",
        "  ",
        " a",
        "a ",
        "a b",
        "a\tb",
        "a\nb",
        "a\r\nb",
        "a\u{a0}b",
        "a\u{2003}b",
        "\u{200b}",
        "\u{feff}a",
        // Quotes and what languages take for theirs.
        "'",
        "\"",
        "`",
        "o'neill",
        "\"quoted\"",
        "'; drop table messages; --",
        "$1",
        "$$",
        "${x}",
        "{{x}}",
        "<b>",
        "</script>",
        "null",
        "undefined",
        "true",
        "[]",
        "{}",
        "*",
        "_",
        "a_b",
        "a*",
        "%s",
        // Other alphabets, composed and not, right to left, joined and beyond the first plane.
        "é",
        "e\u{301}",
        "ñandú",
        "Ærøskøbing",
        "straße",
        "İstanbul",
        "Привет",
        "日本語",
        "한국어",
        "ไทย",
        "हिन्दी",
        "שלום",
        "مرحبا",
        "a\u{202e}b",
        "\u{200f}x",
        "🦀",
        "👩‍👩‍👧‍👦",
        "🇪🇸",
        "\u{10ffff}",
        "\u{1}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}",
        "\u{fffd}",
    ]
    .map(str::to_owned)
    .into();
    ids.extend([
        "x".repeat(500),
        "é".repeat(250),
        format!("{}@s.whatsapp.net", "9".repeat(480)),
    ]);
    ids
}

/// The next message of each of so many contacts.
async fn bodies(client: &mut Client, count: usize) -> BTreeMap<String, String> {
    let mut bodies = BTreeMap::new();
    for _ in 0..count {
        let event = client.event("message:new").await;
        let contact = event.payload()["contactId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let twice = bodies.insert(contact.clone(), event.body().to_owned());
        assert_eq!(twice, None, "{contact:?} had it already");
    }
    bodies
}

#[tokio::test]
async fn whatever_a_contact_is_called_it_is_joined_told_read_and_resumed() {
    let contacts = contacts();
    assert!(contacts.len() >= 90);
    let rooms = contacts.len().to_string();
    let scene = Scene::with(&[
        ("ROWCAST_MAX_ROOMS", &rooms),
        ("ROWCAST_MAX_EVENT_RATE", "1000"),
        ("ROWCAST_MAX_HTTP_RATE", "1000"),
    ])
    .await;
    let mut clients = Vec::new();
    for transport in ["websocket", "polling"] {
        let client = scene.stock.connect_by(transport, &scene.server).await;
        for contact in &contacts {
            let answer = client.join(contact).await;
            assert_eq!(answer["room"], format!("conversation:{contact}"));
        }
        clients.push(client);
    }
    let all = |round: &str| -> BTreeMap<String, String> {
        let body = |contact: &String| (contact.clone(), format!("{round} {contact}"));
        contacts.iter().map(body).collect()
    };
    let say = async |round: &str| {
        for contact in &contacts {
            scene
                .database
                .say(contact, &format!("{round} {contact}"))
                .await;
        }
    };
    say("live").await;
    for client in &mut clients {
        assert_eq!(bodies(client, contacts.len()).await, all("live"));
    }
    for client in &mut clients {
        client.cut();
    }
    say("away").await;
    for client in &mut clients {
        assert!(client.connected().await, "it resumes");
        assert_eq!(bodies(client, contacts.len()).await, all("away"));
    }
    for contact in &contacts {
        let read = async |what: &str| {
            let path = format!("/api/conversations/{}/{what}", encoded(contact));
            let answer = scene.server.get(&path).await;
            assert_eq!(answer.status, 200, "{contact:?}: {answer:?}");
            answer.json()
        };
        let history = read("messages").await;
        let bodies = history["messages"].as_array().expect("messages");
        let bodies: Vec<&Value> = bodies.iter().map(|message| &message["body"]).collect();
        assert_eq!(
            bodies,
            [&format!("live {contact}"), &format!("away {contact}")]
        );
        let after = history["offset"].as_str().expect("an offset");
        let events = read(&format!("events?after={after}")).await;
        assert_eq!(events["events"], Value::Array(Vec::new()), "{contact:?}");
    }
}
