//! Keys are replaced while the server runs, and what can't be had or used never takes the place of keys that can.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::{admitted, open, turned_away};
use crate::harness::issuer::{self, KeyPair, SECRET, claims, key_pairs};
use crate::harness::key_server::{Answer, KeyServer};
use crate::harness::wait::{until, until_for};
use crate::harness::{Database, Launch, Scratch, Server, Stock};

async fn signed(pair: &KeyPair) -> String {
    let mut claims = claims("user-7");
    claims["aud"] = json!("rowcast");
    issuer::tokens(&[pair.signs(&claims)]).await.remove(0)
}

async fn with_jwks(database: &Database, place: &str, refresh: &str) -> Server {
    Launch::serve()
        .database(&database.url)
        .env("ROWCAST_AUTH", "jwt")
        .env("ROWCAST_JWT_JWKS", place)
        .env("ROWCAST_JWT_JWKS_REFRESH", refresh)
        .env("ROWCAST_JWT_AUDIENCE", "rowcast")
        .start()
        .await
}

/// Connects with this token again and again until it is let in.
async fn comes_in(stock: &Stock, server: &Server, token: &str) {
    until_for(
        std::time::Duration::from_secs(20),
        "the token to be taken",
        async || {
            let Err(refusal) = open(stock, server, token).outcome().await else {
                return Some(());
            };
            // Also right after the keys were fetched: the key may be newer than that.
            assert_eq!(refusal["message"], "unavailable", "{refusal}");
            assert_eq!(refusal["data"]["retryable"], true);
            None
        },
    )
    .await;
}

#[tokio::test]
async fn a_key_set_is_fetched_anew_when_a_token_has_an_unknown_key() {
    let database = Database::chat().await;
    let (stock, pairs) = (
        Stock::start(),
        key_pairs(&["RS256", "ES256", "EdDSA"]).await,
    );
    let keys = KeyServer::start(Answer::Keys(vec![pairs[0].jwk.clone()])).await;
    let server = with_jwks(&database, &keys.url(), "10s").await;
    server.readiness(200).await;
    let (first, second) = (signed(&pairs[0]).await, signed(&pairs[1]).await);
    admitted(&stock, &server, &first).await;
    keys.set(Answer::Keys(vec![
        pairs[0].jwk.clone(),
        pairs[1].jwk.clone(),
    ]));
    comes_in(&stock, &server, &second).await;
    // The first is withdrawn: it is refused after the next round.
    keys.set(Answer::Keys(vec![pairs[1].jwk.clone()]));
    until_for(
        std::time::Duration::from_secs(25),
        "the first key to be forgotten",
        async || {
            open(&stock, &server, &first)
                .outcome()
                .await
                .err()
                .map(drop)
        },
    )
    .await;
    comes_in(&stock, &server, &second).await;
}

#[tokio::test]
async fn a_key_that_appears_right_after_a_fetch_is_waited_for_and_a_stranger_is_refused() {
    let database = Database::chat().await;
    let (stock, pairs) = (
        Stock::start(),
        key_pairs(&["ES256", "ES256", "ES256"]).await,
    );
    let keys = KeyServer::start(Answer::Keys(vec![pairs[0].jwk.clone()])).await;
    // The least time between two fetches is a tenth of that.
    let server = with_jwks(&database, &keys.url(), "50s").await;
    server.readiness(200).await;
    let (fresh, stranger) = (signed(&pairs[1]).await, signed(&pairs[2]).await);
    keys.set(Answer::Keys(vec![
        pairs[0].jwk.clone(),
        pairs[1].jwk.clone(),
    ]));
    let told = turned_away(&stock, &server, &fresh).await;
    assert_eq!(told["message"], "unavailable", "{told}");
    comes_in(&stock, &server, &fresh).await;
    // A fetch that was begun after it was asked for has not brought the stranger's.
    until("the stranger to be refused", async || {
        let told = turned_away(&stock, &server, &stranger).await;
        (told["message"] == "unauthorized").then_some(())
    })
    .await;
    assert!(keys.asked() <= 5, "it was asked {} times", keys.asked());
}

#[tokio::test]
async fn a_storm_of_unknown_keys_is_no_storm_of_fetches() {
    let database = Database::chat().await;
    let (stock, pairs) = (Stock::start(), key_pairs(&["ES256", "ES256"]).await);
    let keys = KeyServer::start(Answer::Keys(vec![pairs[0].jwk.clone()])).await;
    let server = with_jwks(&database, &keys.url(), "10m").await;
    server.readiness(200).await;
    let (good, stranger) = (signed(&pairs[0]).await, signed(&pairs[1]).await);
    for _ in 0..200 {
        let refusal = turned_away(&stock, &server, &stranger).await;
        let message = refusal["message"].as_str().unwrap_or_default().to_owned();
        assert!(
            ["unauthorized", "unavailable"].contains(&&*message),
            "{refusal}"
        );
    }
    assert!(keys.asked() <= 3, "it was asked {} times", keys.asked());
    admitted(&stock, &server, &good).await;
}

#[tokio::test]
async fn keys_stay_while_a_key_server_fails_grows_or_lies() {
    let database = Database::chat().await;
    let (stock, pair) = (Stock::start(), key_pairs(&["ES256"]).await.remove(0));
    let token = signed(&pair).await;
    let good = Answer::Keys(vec![pair.jwk.clone()]);
    let keys = KeyServer::start(Answer::Status(503, "busy".to_owned())).await;
    let server = Launch::serve()
        .database(&database.url)
        .env("ROWCAST_AUTH", "jwt")
        .env("ROWCAST_JWT_JWKS", &keys.url())
        .env("ROWCAST_JWT_JWKS_REFRESH", "1s")
        .env("ROWCAST_JWT_AUDIENCE", "rowcast")
        .start()
        .await;
    let unready = server.readiness(503).await;
    let cause = unready.json()["failing"]["keys"].to_string();
    assert!(
        cause.contains("503") && cause.contains("ROWCAST_JWT_JWKS"),
        "{cause}"
    );
    let refusal = turned_away(&stock, &server, &token).await;
    assert_eq!(refusal["message"], "unavailable");
    assert_eq!(
        refusal["data"],
        json!({ "retryable": true, "refresh": false })
    );
    keys.set(good.clone());
    comes_in(&stock, &server, &token).await;
    server.readiness(200).await;
    let secret = json!({ "kty": "oct", "k": "c2VjcmV0", "kid": "x" });
    let bad = [
        Answer::Status(500, String::new()),
        Answer::Status(200, "<html>sign in</html>".to_owned()),
        Answer::Status(200, r#"{"keys":[]}"#.to_owned()),
        Answer::Keys(vec![secret]),
        Answer::Keys(vec![pair.jwk.clone(); 60]),
        Answer::Redirect(keys.url()),
        Answer::Grow,
        Answer::BreakOff,
    ];
    for answer in bad {
        let failed = server.metric("rowcast_key_reads_total", &["failed"]).await;
        keys.set(answer.clone());
        server
            .counted("rowcast_key_reads_total", &["failed"], failed + 2.0)
            .await;
        admitted(&stock, &server, &token).await;
        let told: Value = server.get("/readyz").await.json();
        assert_eq!(told["status"], "degraded", "{answer:?}: {told}");
        keys.set(good.clone());
        until("it to be mended", async || {
            let told: Value = server.get("/readyz").await.json();
            (told["status"] == "ready").then_some(())
        })
        .await;
    }
    assert!(server.peak_memory_bytes() < 200_000_000);
}

#[tokio::test]
async fn a_key_server_that_hangs_holds_nobody_up() {
    let database = Database::chat().await;
    let (stock, pair) = (Stock::start(), key_pairs(&["EdDSA"]).await.remove(0));
    let token = signed(&pair).await;
    let keys = KeyServer::start(Answer::Keys(vec![pair.jwk.clone()])).await;
    let server = with_jwks(&database, &keys.url(), "1s").await;
    comes_in(&stock, &server, &token).await;
    keys.set(Answer::Hang);
    let asked = keys.asked();
    until("a fetch to hang", async || {
        (keys.asked() > asked).then_some(())
    })
    .await;
    let begun = tokio::time::Instant::now();
    for _ in 0..5 {
        admitted(&stock, &server, &token).await;
    }
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        begun.elapsed()
    );
    server.stop().await;
}

#[tokio::test]
async fn files_of_keys_are_read_again_when_they_change() {
    let database = Database::chat().await;
    let (stock, folder) = (Stock::start(), Scratch::folder());
    let pairs = key_pairs(&["RS256", "EdDSA"]).await;
    let (pem, set, secret) = (
        folder.path().join("key.pem"),
        folder.path().join("keys.json"),
        folder.path().join("secret"),
    );
    let write = |path: &Path, text: &str| std::fs::write(path, text).expect("a file");
    write(&pem, &pairs[0].public);
    write(&set, &json!({ "keys": [pairs[0].jwk] }).to_string());
    write(&secret, SECRET);
    let later = SECRET.replace("secret", "later secret");
    let hs = |key: &str| json!({ "alg": "HS256", "key": key, "claims": claims("user-7") });
    let secrets = issuer::tokens(&[hs(SECRET), hs(&later)]).await;
    let (first, second) = (signed(&pairs[0]).await, signed(&pairs[1]).await);
    let both_pem = format!("{}{}", pairs[0].public, pairs[1].public);
    let both_set = json!({ "keys": [pairs[0].jwk, pairs[1].jwk] }).to_string();
    let cases = [
        (
            "ROWCAST_JWT_PUBLIC_KEY",
            &pem,
            &both_pem,
            &first,
            &second,
            true,
        ),
        ("ROWCAST_JWT_JWKS", &set, &both_set, &first, &second, true),
        (
            "ROWCAST_JWT_SECRET_FILE",
            &secret,
            &later,
            &secrets[0],
            &secrets[1],
            false,
        ),
    ];
    for (name, path, content, first, second, stays) in cases {
        let server = Launch::serve()
            .database(&database.url)
            .env("ROWCAST_AUTH", "jwt")
            .env(name, path.to_str().expect("UTF-8"))
            .env("ROWCAST_JWT_AUDIENCE", if stays { "rowcast" } else { "" })
            .start()
            .await;
        admitted(&stock, &server, first).await;
        turned_away(&stock, &server, second).await;
        write(path, "broken");
        server
            .counted("rowcast_key_reads_total", &["failed"], 1.0)
            .await;
        admitted(&stock, &server, first).await;
        write(path, content);
        until("the new key to be taken", async || {
            open(&stock, &server, second).outcome().await.ok()
        })
        .await;
        let is_in = open(&stock, &server, first).outcome().await.is_ok();
        assert_eq!(is_in, stays, "{name}");
    }
}

#[tokio::test]
async fn keys_that_cannot_be_used_stop_the_start() {
    let folder = Scratch::folder();
    let file = folder.path().join("key.pem");
    let path = file.to_str().expect("UTF-8").to_owned();
    let serve = || {
        let launch = Launch::command(["serve"])
            .env("ROWCAST_AUTH", "jwt")
            .database("postgres://nowhere.invalid/x");
        launch
            .env("PORT", "0")
            .env("ROWCAST_ADMIN", "")
            .env("ROWCAST_JWT_PUBLIC_KEY", &path)
    };
    serve()
        .refuse(&["ROWCAST_JWT_PUBLIC_KEY", &path, "No such file"])
        .await;
    for text in [
        "",
        "hello",
        "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
    ] {
        std::fs::write(&file, text).expect("a file");
        serve()
            .refuse(&["ROWCAST_JWT_PUBLIC_KEY", "BEGIN PUBLIC KEY"])
            .await;
    }
}

#[tokio::test]
async fn a_key_set_comes_over_https_from_whom_the_system_trusts_alone() {
    let database = Database::chat().await;
    let (stock, folder) = (Stock::start(), Scratch::folder());
    let pair = key_pairs(&["ES256"]).await.remove(0);
    let token = signed(&pair).await;
    let path = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let (certificate, key) = (path("certificate"), path("key"));
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=keys",
        ])
        .args([
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .args(["-keyout", &key, "-out", &certificate])
        .output()
        .expect("openssl is installed");
    assert!(made.status.success(), "{made:?}");
    let body = json!({ "keys": [pair.jwk] }).to_string();
    let mut node = Command::new("node")
        .args(["tests/interop/https.mjs", &certificate, &key, &body])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("node is installed");
    let mut port = String::new();
    let stdout = node.stdout.take().expect("piped");
    BufReader::new(stdout).read_line(&mut port).expect("a port");
    let url = format!("https://127.0.0.1:{}/keys", port.trim());
    let launch = || {
        Launch::serve()
            .database(&database.url)
            .env("ROWCAST_AUTH", "jwt")
            .env("ROWCAST_JWT_JWKS", &url)
            .env("ROWCAST_JWT_AUDIENCE", "rowcast")
    };
    let distrusts = launch().start().await;
    let unready = distrusts.readiness(503).await;
    let cause = unready.json()["failing"]["keys"].to_string();
    assert!(cause.contains("certificate"), "{cause}");
    drop(distrusts);
    let trusts = launch().env("SSL_CERT_FILE", &certificate).start().await;
    comes_in(&stock, &trusts, &token).await;
    drop(trusts);
    node.kill().expect("it runs");
    node.wait().expect("it has ended");
}
