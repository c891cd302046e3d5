//! A server as the guide sets it up, and a client's whole life through what stands before it.

use std::time::{Duration, Instant};

use serde_json::json;

use super::front::Front;
use super::page::block;
use super::tools::{folder, write};
use crate::harness::{Database, Launch, Scratch, Server, Stock};

/// A server with the settings of the guide.
pub(super) struct Production {
    pub(super) server: Server,
    stock: Stock,
    pub(super) database: Database,
    _folder: Scratch,
}

impl Production {
    /// With a database that has the chat tables.
    pub(super) async fn start() -> Self {
        let database = Database::chat().await;
        let folder = folder();
        let settings = block("Settings", "env").replace(
            "postgres://rowcast:secret@localhost/app",
            &format!("'{}'", database.url),
        );
        write(&folder, ".env", &settings);
        let server = Launch::serve().folder(folder.path()).start().await;
        Self {
            server,
            stock: Stock::start(),
            database,
            _folder: folder,
        }
    }

    /// Through this proxy goes all that a client does.
    pub(super) async fn carried_by(&self, front: &Front) {
        // Every way to connect, and to come back.
        for transports in [
            json!(["websocket"]),
            json!(["polling"]),
            json!(["polling", "websocket"]),
        ] {
            let page = json!({"origin": "https://app.example.com"});
            let options =
                json!({"transports": transports, "ca": front.authority, "extraHeaders": page});
            let mut client = self.stock.open(&front.url, &options, &[]).0;
            assert!(!client.connected().await, "a fresh session");
            client.join("42").await;
            self.database.say("42", "here").await;
            assert_eq!(client.event("message:new").await.body(), "here");
            client.cut();
            self.database.say("42", "missed").await;
            client.disconnected().await;
            assert!(client.connected().await, "resumed on {transports}");
            assert_eq!(client.event("message:new").await.body(), "missed");
            client.disconnect();
        }
        let websockets = self
            .server
            .metric("rowcast_connects_total", &["resumed"])
            .await;
        assert!(websockets >= 3.0, "{websockets}");

        // Who may come from where.
        let strange = json!({"transports": ["websocket"], "ca": front.authority,
            "extraHeaders": {"origin": "https://elsewhere.example"}});
        let refusal = self.stock.open(&front.url, &strange, &[]).0.refused().await;
        assert_eq!(refusal["message"], "origin_not_allowed");
        let cors = [
            "-i",
            "-H",
            "Origin: https://app.example.com",
            "/api/conversations/42/events",
        ];
        let cors = front.curl(&cors).await.expect("it works").to_lowercase();
        assert!(
            cors.contains("access-control-allow-origin: https://app.example.com"),
            "{cors}"
        );
        assert!(
            cors.contains("access-control-allow-credentials: true"),
            "{cors}"
        );

        // A long-poll, empty and answered.
        let after = self.server.offset("42").await;
        let events = format!("/api/conversations/42/events?after={after}&wait=");
        let begun = Instant::now();
        let empty = front
            .curl(&[&format!("{events}2")])
            .await
            .expect("it works");
        assert!(empty.contains(r#""events":[]"#), "{empty}");
        assert!(begun.elapsed() >= Duration::from_secs(2), "it waited");
        let path = format!("{events}25");
        let path = [path.as_str()];
        let (answer, ()) = tokio::join!(front.curl(&path), async {
            self.server.counted("rowcast_long_polls", &[], 1.0).await;
            self.database.say("42", "at last").await;
        });
        assert!(answer.expect("it works").contains("at last"));
        assert!(begun.elapsed() < Duration::from_secs(20), "at once");
    }
}
