//! A server of key sets on 127.0.0.1, which rotates, fails, hangs, grows and lies as it is told.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

/// What it answers.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// A set of these keys.
    Keys(Vec<Value>),
    /// This status and body.
    Status(u16, String),
    /// A redirect to another place.
    Redirect(String),
    /// Nothing, and the connection stays.
    Hang,
    /// A body that never ends.
    Grow,
    /// A body that ends before it is whole.
    BreakOff,
}

/// The server.
pub(crate) struct KeyServer {
    port: u16,
    state: Arc<Mutex<(Answer, usize)>>,
    /// Ends when it is dropped.
    _task: JoinSet<()>,
}

impl KeyServer {
    /// Serves on a free port.
    pub(crate) async fn start(answer: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let state = Arc::new(Mutex::new((answer, 0)));
        let shared = Arc::clone(&state);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut answers = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let answer = {
                    let mut state = shared.lock().expect("unpoisoned");
                    state.1 += 1;
                    state.0.clone()
                };
                answers.spawn(respond(stream, answer));
                while answers.try_join_next().is_some() {}
            }
        });
        Self {
            port,
            state,
            _task: task,
        }
    }

    /// Where the keys are.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/keys", self.port)
    }

    /// Answers otherwise from now on.
    pub(crate) fn set(&self, answer: Answer) {
        self.state.lock().expect("unpoisoned").0 = answer;
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> usize {
        self.state.lock().expect("unpoisoned").1
    }
}

async fn respond(mut stream: TcpStream, answer: Answer) {
    let mut request = [0; 4096];
    let _whatever_was_asked = stream.read(&mut request).await;
    let head = |status: u16, more: &str| {
        format!(
            "HTTP/1.1 {status} Told\r\nconnection: close\r\ncontent-type: application/json\r\n{more}\r\n"
        )
    };
    let whole = |status: u16, body: &str| {
        head(status, &format!("content-length: {}\r\n", body.len())) + body
    };
    let text = match answer {
        Answer::Keys(keys) => whole(200, &json!({ "keys": keys }).to_string()),
        Answer::Status(status, body) => whole(status, &body),
        Answer::Redirect(place) => {
            head(302, &format!("location: {place}\r\ncontent-length: 0\r\n"))
        }
        Answer::Hang => {
            return std::future::pending().await;
        }
        Answer::BreakOff => head(200, "content-length: 5000\r\n") + "{\"keys\":[",
        Answer::Grow => {
            let mut sent = stream.write_all(head(200, "").as_bytes()).await;
            while sent.is_ok() {
                sent = stream.write_all(&[b' '; 16 * 1024]).await;
            }
            return;
        }
    };
    let _it_may_have_gone = stream.write_all(text.as_bytes()).await;
}
