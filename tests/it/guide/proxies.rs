//! Behind nginx and behind Caddy everything is as it is without them, over TLS.

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::front::Front;
use super::frontend::{node, typescript};
use super::page::block;
use super::production::Production;
use super::tools::{Running, folder, program, write};
use crate::harness::wait::{until, within};
use crate::harness::{Launch, http};

#[tokio::test]
async fn nginx_carries_all_that_a_client_needs() {
    let scene = Production::start().await;
    let front = Front::nginx(scene.server.address()).await;
    scene.carried_by(&front).await;
}

#[tokio::test]
async fn caddy_carries_all_that_a_client_needs() {
    let scene = Production::start().await;
    let front = Front::caddy(scene.server.address()).await;
    scene.carried_by(&front).await;
}

#[tokio::test]
async fn the_core_reaches_a_proxy_by_wss() {
    let scene = Production::start().await;
    let front = Front::nginx(scene.server.address()).await;
    scene.database.say("42", "before").await;
    let address = front.url.replace("https://", "");
    let wss = block("The pages' address", "env").replace("chat.example.com", &address);
    let wss = wss.split('"').nth(1).expect("a value");
    let code = block("Without React", "ts").replace("ws://localhost:3001", wss);
    assert!(code.contains("\"wss://localhost:"), "{code}");
    let page = typescript(&[("page.ts", &code)]).await;
    write(&page, "authority.pem", &front.authority);
    let mut node = node(&page, "page.js");
    node.env("NODE_EXTRA_CA_CERTS", page.path().join("authority.pem"));
    let page = Running::start(node);
    page.says("Tiempo real").await;
    scene.database.say("42", "at once").await;
    page.says("at once (sent)").await;
}

#[tokio::test]
async fn nginx_passes_each_byte_on_as_it_comes() {
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = Front::nginx(&slow.local_addr().unwrap().to_string()).await;
    passes_on(slow, &front).await;
}

#[tokio::test]
async fn caddy_passes_each_byte_on_as_it_comes() {
    let slow = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let front = Front::caddy(&slow.local_addr().unwrap().to_string()).await;
    passes_on(slow, &front).await;
}

#[tokio::test]
async fn nginx_waits_longer_than_a_quiet_client_and_a_long_poll() {
    let scene = Production::start().await;
    let open = crate::harness::http::get(
        scene.server.address(),
        "/socket.io/?EIO=4&transport=polling",
        &[],
    );
    let open = open.await.body;
    let open: serde_json::Value = serde_json::from_str(&open[1..]).unwrap();
    let [interval, timeout] =
        ["pingInterval", "pingTimeout"].map(|key| open[key].as_u64().unwrap());
    let nginx = block("nginx", "nginx");
    let wait = nginx
        .split("proxy_read_timeout ")
        .nth(1)
        .and_then(|rest| rest.split("s;").next());
    let wait: u64 = wait.expect("a timeout").parse().expect("seconds");
    assert!(wait * 1000 > interval + timeout, "{wait} s against {open}");
    assert!(wait > 25, "the longest long-poll");
}

#[tokio::test]
async fn nginx_counts_the_requests_of_each_address() {
    let scene = Production::start().await;
    let front = Front::nginx(scene.server.address()).await;
    let (codes, urls) = ("%{http_code}\n", "/api/conversations/42/events?[1-300]");
    let answers = front
        .curl(&["-Z", "-o", "/dev/null", "-w", codes, urls])
        .await
        .unwrap();
    let count = |code| answers.lines().filter(|line| *line == code).count();
    // 400: the server does not know such a parameter, so it was asked.
    assert!(
        count("400") >= 101,
        "a burst of 100 goes through: {answers}"
    );
    assert!(count("429") > 0, "and no more at once: {answers}");
    assert_eq!(
        scene
            .server
            .metric("rowcast_limits_total", &["http_rate"])
            .await,
        0.0
    );
}

#[tokio::test]
async fn health_is_asked_as_the_guide_says() {
    let scene = Production::start().await;
    let folder = folder();
    let script = block("Health checks", "sh").replace("localhost:3001", scene.server.address());
    let mut bash = program("bash", folder.path());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_rowcast"));
    let path = format!("{}:/usr/bin:/bin", binary.parent().unwrap().display());
    let port = scene.server.address().rsplit(':').next().unwrap();
    bash.args(["-euc", &script])
        .env("PATH", path)
        .env("PORT", port);
    let said = super::tools::ended(bash).await.unwrap();
    assert!(said.contains(r#"{"status":"ready"}"#), "{said}");
}

#[tokio::test]
async fn a_server_without_its_database_says_what_the_guide_shows() {
    let shown = block("Health checks", "json");
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = nobody.local_addr().expect("it is bound").port();
    drop(nobody);
    let url = format!("postgres://app@127.0.0.1:{port}/app");
    let server = Launch::serve().database(&url).spawn();
    let (address, _) = server.listening().await;
    until(format!("/readyz to say {shown}"), async || {
        let answer = http::get(&address, "/readyz", &[]).await;
        (answer.status == 503 && answer.body.trim() == shown.trim()).then_some(())
    })
    .await;
}

/// Half of an answer comes through before the other half is written.
async fn passes_on(slow: TcpListener, front: &Front) {
    let (half, rest) = (
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello",
        b"world",
    );
    let folder = folder();
    write(&folder, "authority.pem", &front.authority);
    let mut curl = program("curl", folder.path());
    curl.args([
        "-sN",
        "--cacert",
        "authority.pem",
        &format!("{}/x", front.url),
        "-o",
        "got",
    ]);
    let _curl = Running::start(curl);
    let serve = async {
        loop {
            let (mut stream, _) = slow.accept().await.expect("it works");
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.expect("it works");
            // What asked whether the proxy is up has gone.
            if String::from_utf8_lossy(&request[..read]).contains("/x ") {
                stream.write_all(half).await.expect("it works");
                return stream;
            }
        }
    };
    let mut stream = within("the proxy to ask", serve).await;
    let got = |all: &'static str| {
        let file = folder.path().join("got");
        async move {
            crate::harness::wait::until(format!("{all:?} to come through"), async || {
                std::fs::read_to_string(&file)
                    .ok()
                    .filter(|text| text == all)
            })
            .await
        }
    };
    got("hello").await;
    stream.write_all(rest).await.expect("it works");
    got("helloworld").await;
}
