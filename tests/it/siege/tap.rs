//! A line to a server on which somebody listens in: whatever the server sends is kept, byte by byte.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::harness::Server;

/// A port of its own that leads to a server. Gone with the value.
pub(super) struct Tap {
    address: String,
    heard: Arc<Mutex<Vec<u8>>>,
    _accepting: JoinSet<()>,
}

impl Tap {
    /// A line to that server's public port.
    pub(super) async fn on(server: &Server) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound").to_string();
        let (server, heard) = (server.address().to_owned(), Arc::default());
        let into = Arc::clone(&heard);
        let mut accepting = JoinSet::new();
        accepting.spawn(async move {
            let mut lines = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                lines.spawn(carry(client, server.clone(), Arc::clone(&into)));
                while lines.try_join_next().is_some() {}
            }
        });
        Self {
            address,
            heard,
            _accepting: accepting,
        }
    }

    /// Where it begins: `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.address
    }

    /// How many bytes came.
    pub(super) fn bytes(&self) -> usize {
        self.heard.lock().expect("unpoisoned").len()
    }

    /// Whether this came, in a frame, a body or a header; with what stood around it.
    pub(super) fn heard(&self, text: &str) -> Option<String> {
        let heard = self.heard.lock().expect("unpoisoned");
        let heard = String::from_utf8_lossy(&heard);
        let at = heard.find(text)?;
        let before: String = heard[..at].chars().rev().take(200).collect();
        let before: String = before.chars().rev().collect();
        let from: String = heard[at..].chars().take(200).collect();
        Some(format!("{before}{from}"))
    }
}

async fn carry(client: TcpStream, server: String, heard: Arc<Mutex<Vec<u8>>>) {
    let Ok(server) = TcpStream::connect(server).await else {
        return;
    };
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let up = async {
        let _ended = tokio::io::copy(&mut from_client, &mut to_server).await;
        let _gone = to_server.shutdown().await;
    };
    let down = async {
        let mut bytes = [0; 16 * 1024];
        while let Ok(count @ 1..) = from_server.read(&mut bytes).await {
            heard.lock().expect("unpoisoned").extend(&bytes[..count]);
            if to_client.write_all(&bytes[..count]).await.is_err() {
                break;
            }
        }
        let _gone = to_client.shutdown().await;
    };
    tokio::join!(up, down);
}
