//! The front end's blocks without a browser: type-checked where they have types, and run.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::page::{block, repository};
use super::tools::{Running, ended, folder, program, write};
use crate::harness::database::run;
use crate::harness::wait::within;
use crate::harness::{Proxy, Scene, Scratch};

#[tokio::test]
async fn the_core_shows_a_conversation() {
    let scene = Scene::new().await;
    let message = scene.database.say("42", "before").await;
    let code = block("Without React", "ts").replace("localhost:3001", scene.server.address());
    let page = typescript(&[("page.ts", &code)]).await;
    let page = Running::start(node(&page, "page.js"));
    page.says("Tiempo real").await;
    page.says("before (sent)").await;
    scene.database.say("42", "at once").await;
    page.says("at once (sent)").await;
    scene.database.run("select rowcast.typing('42')").await;
    page.says("Escribiendo...").await;
    scene.database.report(&message, "read").await;
    page.says("before (read)").await;
    page.says(&format!("{message} read")).await;
}

#[tokio::test]
async fn the_types_know_rows_of_ones_own_table() {
    let code = block("Rows of your own table", "tsx");
    let _page = typescript(&[("ticks.tsx", &code)]).await;
}

#[tokio::test]
async fn the_cores_token_goes_with_each_request() {
    let mut site = Site::start(
        |request| match request.starts_with("POST /api/realtime-token") {
            true => Some("t0k3n".to_owned()),
            false => None,
        },
    )
    .await;
    let code = block("A token", "ts")
        .replace("wss://chat.example.com", &format!("ws://{}", site.address))
        .replace(
            "https://app.example.com",
            &format!("http://{}", site.address),
        );
    let driver = "import { socket } from './socket.js';\nsocket.join('42');\n";
    let page = typescript(&[("socket.ts", &code), ("page.ts", driver)]).await;
    let _page = Running::start(node(&page, "page.js"));
    let asked = site.asked("GET /api/conversations/42/").await;
    assert!(asked.contains("authorization: Bearer t0k3n"), "{asked}");
}

#[tokio::test]
async fn without_a_server_the_fetcher_brings_the_messages() {
    let (mut bodies, calls) = (vec!["first"], std::sync::atomic::AtomicU32::new(0));
    bodies.push("second");
    let site = Site::start(move |request| {
        assert!(
            request.starts_with("GET /api/contacts/42/messages"),
            "{request}"
        );
        let known = calls
            .fetch_add(1, std::sync::atomic::Ordering::Relaxed)
            .min(1) as usize;
        let rows: Vec<_> = bodies[..=known]
            .iter()
            .map(|body| json!({"id": body, "body": body}))
            .collect();
        Some(json!(rows).to_string())
    })
    .await;
    // The default, said so that a reader sees it; a test has no five seconds.
    let code = block("Without a server", "ts")
        .replace(
            "https://app.example.com",
            &format!("http://{}", site.address),
        )
        .replace("5_000", "50");
    let driver = "import { socket } from './socket.js';\nconst conversation = socket.join('42');\n\
        conversation.subscribe(() => console.log(JSON.stringify(conversation.state)));\n";
    let page = typescript(&[("socket.ts", &code), ("page.ts", driver)]).await;
    let page = Running::start(node(&page, "page.js"));
    let first = page.says(r#"[{"body":"first","id":"first"}]"#).await;
    assert!(!first.contains("connected"), "{first}");
    page.says(r#""status":"polling""#).await;
    page.says(r#"{"body":"second","id":"second"}]"#).await;
}

#[tokio::test]
async fn the_stock_client_alone_shows_a_conversation() {
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let before = scene.database.say("42", "before").await;
    let folder = folder();
    let code = block("The stock client alone", "js").replace("localhost:3001", network.address());
    write(&folder, "client.mjs", &code);
    write(
        &folder,
        "page.mjs",
        "import { view } from './client.mjs';\nview('42');\n",
    );
    let page = Running::start(node(&folder, "page.mjs"));
    shows_all(&scene, &network, &page, &before).await;
    scene.database.run("select rowcast.typing('42')").await;
    page.says("42 Escribiendo...").await;
    scene
        .database
        .run("select rowcast.typing('42', false)")
        .await;
    page.says("42 ...").await;
    let database = &scene.database;
    let gone = database.say("42", "for a moment").await;
    database
        .run("update messages set body = 'corrected' where body = 'before'")
        .await;
    page.says(&format!("{before} corrected")).await;
    database
        .run(&format!("delete from messages where id = '{gone}'"))
        .await;
    page.says(&format!("{gone} is gone")).await;
    // What no event told is there after a reload, and what is not there is gone.
    let silent = "set session_replication_role = replica";
    let mut silently = database.connection().await;
    run(&mut silently, silent).await;
    run(
        &mut silently,
        "update messages set body = 'unheard' where body = 'corrected'; delete from messages where body = 'live'",
    )
    .await;
    let live = page
        .lines()
        .into_iter()
        .find(|line| line.ends_with(" live"));
    let live = live.expect("it was shown").replace(" live", " is gone");
    database.run("select rowcast.reload('messages')").await;
    page.says(&format!("{before} unheard")).await;
    page.says(&live).await;
}

/// History, events, what was missed while away, and none of it twice.
pub(super) async fn shows_all(scene: &Scene, network: &Proxy, page: &Running, before: &str) {
    page.says(before).await;
    scene
        .server
        .counted("rowcast_joins_total", &["joined"], 1.0)
        .await;
    let live = scene.database.say("42", "live").await;
    page.says(&live).await;
    network.close(true);
    scene
        .server
        .counted("rowcast_disconnects_total", &[], 1.0)
        .await;
    let missed = scene.database.say("42", "missed").await;
    network.close(false);
    page.says(&missed).await;
    scene.database.report(before, "delivered").await;
    page.says(&format!("{before} delivered")).await;
    for id in [before, &live, &missed] {
        let lines = page.lines().into_iter();
        let times = lines
            .filter(|line| line.starts_with(id) && !line.ends_with("delivered"))
            .count();
        assert_eq!(times, 1, "{id} once in {:?}", page.lines());
    }
}

/// A folder with these files, checked strictly against the client package and compiled.
pub(super) async fn typescript(files: &[(&str, &str)]) -> Scratch {
    typescript_with(files, &json!({})).await
}

/// The same with these options of the compiler beside.
pub(super) async fn typescript_with(files: &[(&str, &str)], options: &Value) -> Scratch {
    super::tools::build_client().await;
    let folder = folder();
    for (name, text) in files {
        write(&folder, name, text);
    }
    write(&folder, "package.json", r#"{"type": "module"}"#);
    let config = repository("client/tsconfig.json");
    let mut config =
        json!({"extends": config, "compilerOptions": {"types": ["node"]}, "include": ["**/*"]});
    for (name, value) in options.as_object().expect("an object") {
        config["compilerOptions"][name] = value.clone();
    }
    write(&folder, "tsconfig.json", &config.to_string());
    let compiled = ended(node(&folder, "node_modules/typescript/bin/tsc")).await;
    compiled.unwrap_or_else(|errors| panic!("the types hold: {errors}"));
    folder
}

pub(super) fn node(folder: &Scratch, script: &str) -> Command {
    let mut node = program("node", folder.path());
    node.arg(Path::new(script));
    node
}

/// An application's own server: what it was asked, and its answers.
pub(super) struct Site {
    pub(super) address: String,
    requests: mpsc::UnboundedReceiver<String>,
    _answering: JoinSet<()>,
}

impl Site {
    /// Answers each request with a text, or by hanging up.
    pub(super) async fn start(answer: impl Fn(&str) -> Option<String> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let (sender, requests) = mpsc::unbounded_channel();
        let mut answering = JoinSet::new();
        answering.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = vec![0; 8192];
                let read = stream.read(&mut request).await.unwrap_or(0);
                let request = String::from_utf8_lossy(&request[..read]).into_owned();
                if let Some(body) = answer(&request) {
                    let length = body.len();
                    let text = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}");
                    let _whoever_asked_may_be_gone = stream.write_all(text.as_bytes()).await;
                }
                let _the_test_may_be_over = sender.send(request);
            }
        });
        Self {
            address,
            requests,
            _answering: answering,
        }
    }

    /// The next request that begins so.
    pub(super) async fn asked(&mut self, beginning: &str) -> String {
        within(format!("{beginning} to be asked"), async {
            loop {
                let request = self.requests.recv().await.expect("it runs");
                if request.starts_with(beginning) {
                    return request;
                }
            }
        })
        .await
    }
}
