//! Who signs tokens: npm's `jose` and Python's `PyJWT`, with keys of their own making.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use super::stock::install;
use super::wait::within_for;

/// A shared secret that is long enough.
pub(crate) const SECRET: &str = "a secret of the tests, and long enough";

/// A pair of keys, as PEM and as a JSON Web Key.
#[derive(Clone, Debug)]
pub(crate) struct KeyPair {
    pub(crate) algorithm: String,
    pub(crate) private: String,
    pub(crate) public: String,
    pub(crate) jwk: Value,
}

/// Seconds since 1970, so many from now.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.expect("after 1970").as_secs() as i64 + seconds
}

/// Claims of a subject, which are good for an hour.
pub(crate) fn claims(subject: &str) -> Value {
    json!({ "sub": subject, "exp": in_seconds(3600), "conversations": "*", "rooms": ["*"] })
}

/// One pair of keys for each algorithm.
pub(crate) async fn key_pairs(algorithms: &[&str]) -> Vec<KeyPair> {
    let made = issue("node", "issuer.mjs", &json!({ "keys": algorithms })).await;
    let text = |key: &Value, name: &str| key[name].as_str().expect("a text").to_owned();
    let keys = made.as_array().expect("a list").iter();
    keys.map(|key| KeyPair {
        algorithm: text(key, "alg"),
        private: text(key, "private"),
        public: text(key, "public"),
        jwk: key["jwk"].clone(),
    })
    .collect()
}

/// Tokens made by `jose`: of each an `alg`, a `key`, `claims`, and perhaps a `header`.
pub(crate) async fn tokens(asked: &[Value]) -> Vec<String> {
    texts(&issue("node", "issuer.mjs", &json!({ "tokens": asked })).await)
}

/// The same made by `PyJWT`.
pub(crate) async fn tokens_of_python(asked: &[Value]) -> Vec<String> {
    texts(&issue("python3", "issuer.py", &json!({ "tokens": asked })).await)
}

/// A token of these claims, signed with [`SECRET`].
pub(crate) async fn token(claims: Value) -> String {
    secret_tokens(&[claims]).await.remove(0)
}

/// Tokens of these claims, signed with [`SECRET`].
pub(crate) async fn secret_tokens(claims: &[Value]) -> Vec<String> {
    let signed = |claims: &Value| json!({ "alg": "HS256", "key": SECRET, "claims": claims });
    tokens(&claims.iter().map(signed).collect::<Vec<_>>()).await
}

impl KeyPair {
    /// What `jose` is to sign with it, under its name in the key set.
    pub(crate) fn signs(&self, claims: &Value) -> Value {
        json!({
            "alg": self.algorithm, "key": self.private, "claims": claims, "header": { "kid": self.jwk["kid"] },
        })
    }
}

fn texts(made: &Value) -> Vec<String> {
    let texts = made.as_array().expect("a list").iter();
    texts
        .map(|text| text.as_str().expect("a token").to_owned())
        .collect()
}

async fn issue(program: &str, script: &str, asked: &Value) -> Value {
    install();
    let mut command = crate::guide::tools::program(
        program,
        &Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop"),
    );
    command.arg(script);
    let asked = asked.to_string();
    let made = tokio::task::spawn_blocking(move || run(command, &asked));
    within_for(Duration::from_secs(60), "an issuer of tokens", made)
        .await
        .expect("it is waited for")
}

fn run(mut command: Command, asked: &str) -> Value {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("it is installed");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(asked.as_bytes()).expect("it reads");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("JSON")
}
