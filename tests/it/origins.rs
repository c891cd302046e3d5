//! Origins as real clients send them, on both transports.

use serde_json::json;

use crate::harness::Scene;

const NAMED: &str = "https://app.example.com,https://*.preview.example,capacitor://localhost,tauri://localhost,file://,null";

/// What a stock client with this origin is told: nothing if it connects.
async fn told(scene: &Scene, transport: &str, origin: &str) -> Option<String> {
    let options = json!({"transports": [transport], "reconnection": false,
        "extraHeaders": {"origin": origin}});
    let mut client = scene.stock.open(scene.server.address(), &options, &[]).0;
    let refusal = client.outcome().await.err()?;
    Some(refusal["message"].as_str().expect("a message").to_owned())
}

#[tokio::test]
async fn apps_and_previews_connect_by_the_origin_that_they_send() {
    let scene = Scene::with(&[("FRONTEND_URL", NAMED)]).await;
    for transport in ["websocket", "polling"] {
        for origin in [
            "https://app.example.com",
            "https://pr-7.preview.example",
            "https://a.b.preview.example",
            "capacitor://localhost",
            "tauri://localhost",
            "file://",
            "null",
        ] {
            assert_eq!(
                told(&scene, transport, origin).await,
                None,
                "{transport} {origin}"
            );
        }
        for origin in [
            "https://preview.example",
            "http://pr-7.preview.example",
            "https://pr-7.preview.example.evil.example",
            "https://evilpreview.example",
            "ionic://localhost",
            "capacitor://evil",
        ] {
            let refused = told(&scene, transport, origin).await;
            assert_eq!(
                refused.as_deref(),
                Some("origin_not_allowed"),
                "{transport} {origin}"
            );
        }
    }
}

/// Many native clients send the address that they connect to.
#[tokio::test]
async fn a_native_clients_own_origin_is_this_very_servers() {
    let scene = Scene::new().await;
    let address = scene.server.address();
    let port = address.rsplit(':').next().expect("a port");
    for transport in ["websocket", "polling"] {
        for scheme in ["ws", "wss", "http", "https"] {
            let own = format!("{scheme}://{address}");
            assert_eq!(
                told(&scene, transport, &own).await,
                None,
                "{transport} {own}"
            );
            for other in [
                format!("{scheme}://127.0.0.1:1"),
                format!("{scheme}://127.0.0.2:{port}"),
                format!("{scheme}://evil.example:{port}"),
            ] {
                let refused = told(&scene, transport, &other).await;
                assert_eq!(
                    refused.as_deref(),
                    Some("origin_not_allowed"),
                    "{transport} {other}"
                );
            }
        }
    }
}
