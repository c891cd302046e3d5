//! The clients that people have: versions of socket.io-client, and python-socketio, each by every transport.

use serde_json::json;

use crate::guide::program;
use crate::harness::{Client, Database, Proxy, Server, Stock};

/// How a client may connect.
const WAYS: [&[&str]; 3] = [&["polling"], &["websocket"], &["polling", "websocket"]];

async fn open(stock: &Stock, address: &str, library: Option<&str>, ways: &[&str]) -> Client {
    let mut options = json!({"transports": ways});
    if let Some(library) = library {
        options["library"] = json!(library);
    }
    let mut client = stock.open(address, &options, &[]).0;
    client.connected().await;
    client.event("rowcast:ready").await;
    client
}

async fn next_body(client: &mut Client) -> String {
    client.event("message:new").await.body().to_owned()
}

/// What any client does: it joins, is answered and told, loses its connection, and comes back.
async fn story(stock: &Stock, library: Option<&str>, resumes: bool) {
    let database = Database::chat().await;
    // The WebSocket library of Python sends an origin: the address that it connects to, here the proxy's.
    let any = [("FRONTEND_URL", "*")];
    let server = Server::with(&database, &any).await;
    let proxy = Proxy::to(server.address()).await;
    let mut clients = Vec::new();
    for (number, ways) in WAYS.iter().enumerate() {
        let mut client = open(stock, proxy.address(), library, ways).await;
        let contact = format!("é {number}/+34 600");
        client.join(&contact).await;
        let unknown = client.ask("no \"such\" event", json!([1])).await;
        assert_eq!(
            unknown["error"]["code"], "bad_request",
            "{library:?} {ways:?}"
        );
        database.say(&contact, "first ñ 🦀").await;
        assert_eq!(
            next_body(&mut client).await,
            "first ñ 🦀",
            "{library:?} {ways:?}"
        );
        clients.push((client, contact));
    }

    // The network is lost, and what is said meanwhile comes when it is back.
    proxy.close(true);
    for (client, contact) in &mut clients {
        client.disconnected().await;
        database.say(contact, "meanwhile").await;
    }
    proxy.close(false);
    for (client, contact) in &mut clients {
        let recovered = client.connected().await;
        assert_eq!(recovered, resumes, "{library:?} {contact}");
        if !resumes {
            client.event("rowcast:ready").await;
            client.join(contact).await;
            database.say(contact, "joined anew").await;
        }
        let expected = if resumes { "meanwhile" } else { "joined anew" };
        assert_eq!(next_body(client).await, expected, "{library:?} {contact}");
    }

    // An orderly stop, and the next server at the same address.
    server.stop().await;
    let next = Server::with(&database, &any).await;
    proxy.lead(next.address());
    for (client, contact) in &mut clients {
        client.disconnected().await;
        client.connected().await;
        client.join(contact).await;
        database.say(contact, "from the next").await;
        assert_eq!(
            next_body(client).await,
            "from the next",
            "{library:?} {contact}"
        );
    }
    next.stop().await;
}

#[tokio::test]
async fn socket_io_client_3_1() {
    story(&Stock::start(), Some("socket.io-client-3.1"), false).await;
}

#[tokio::test]
async fn socket_io_client_4_0() {
    story(&Stock::start(), Some("socket.io-client-4.0"), false).await;
}

#[tokio::test]
async fn socket_io_client_4_5() {
    story(&Stock::start(), Some("socket.io-client-4.5"), false).await;
}

#[tokio::test]
async fn socket_io_client_4_6() {
    story(&Stock::start(), Some("socket.io-client-4.6"), true).await;
}

#[tokio::test]
async fn socket_io_client_4_8() {
    story(&Stock::start(), None, true).await;
}

#[tokio::test]
async fn python_socketio() {
    let mut python = program("python3", std::path::Path::new("."));
    python.arg("client.py");
    story(&Stock::drive(python), None, false).await;
}
