//! Tokens as the page has back ends sign them, and the server that takes them.

use std::path::Path;
use std::process::Stdio;

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error as SignatureError, Signer};
use jsonwebtoken::{Algorithm, EncodingKey};
use ring::hmac;

use super::{block, guarded, joins, proves, signing};
use crate::guide::tools::{Running, ended, folder, program, write};
use crate::harness::token::SECRET;
use crate::harness::{Database, Launch, Stock};

#[tokio::test]
async fn what_is_to_be_tried_shows_what_the_page_says() {
    let database = Database::chat().await;
    let port = {
        let free = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        free.local_addr().expect("bound").port()
    };
    let binary = Path::new(env!("CARGO_BIN_EXE_rowcast"))
        .parent()
        .expect("a folder");
    let script = block("Try it", "sh").replace("localhost:3001", &format!("localhost:{port}"));
    // The server ends with what is written to the shell.
    let script = format!(
        "PATH={}:$PATH\n{script}\necho the end\ncat\nkill $!\nwait\n",
        binary.display()
    );
    let folder = folder();
    let mut bash = program("bash", folder.path());
    bash.args(["-c", &script])
        .stdin(Stdio::piped())
        .env("DATABASE_URL", &database.url)
        .env("PORT", port.to_string())
        .env("ROWCAST_ADMIN", "127.0.0.1:0")
        .env("ROWCAST_LOG", "off");
    let shell = Running::start(bash);
    shell.says("the end").await;
    let said = shell.lines().concat();
    let mut rest = said.as_str();
    for line in block("Try it", "sh")
        .lines()
        .filter(|line| line.contains("   # "))
    {
        let (_, shown) = line.rsplit_once("# ").expect("a comment");
        let shown = shown.trim_end_matches("...");
        let at = rest.find(shown);
        rest = &rest[at.unwrap_or_else(|| panic!("{shown} in {said}"))..];
    }
}

#[tokio::test]
async fn node_signs() {
    let scene = guarded(&[]).await;
    let folder = folder();
    write(&folder, "package.json", r#"{"type": "module"}"#);
    write(&folder, "lib/realtime-token.js", &block("Node", "js"));
    let driver = "import { realtimeToken } from './lib/realtime-token.js';\n\
        console.log(await realtimeToken('user-7', ['42']));\n";
    write(&folder, "sign.js", driver);
    let mut node = program("node", folder.path());
    node.arg("sign.js").env("ROWCAST_JWT_SECRET", SECRET);
    proves(&scene, &ended(node).await.expect("it signs")).await;
}

#[tokio::test]
async fn python_signs() {
    let scene = guarded(&[]).await;
    let folder = folder();
    write(&folder, "realtime.py", &block("Python", "python"));
    let mut python = program("python3", folder.path());
    let driver = "import realtime; print(realtime.realtime_token('user-7', ['42']))";
    python
        .args(["-c", driver])
        .env("ROWCAST_JWT_SECRET", SECRET);
    proves(&scene, &ended(python).await.expect("it signs")).await;
}

#[tokio::test]
async fn rust_signs() {
    let source = include_str!("signing.rs");
    let code = source.split_once("\n\n").expect("a header").1;
    assert_eq!(
        block("Rust", "rust"),
        code,
        "the page shows what is compiled here"
    );
    // What the features of `jsonwebtoken` bring, which this build goes without.
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: hs256,
        verifier_factory: |_, _| Err(ErrorKind::InvalidAlgorithm.into()),
        key_utils: KeyUtils::new_unimplemented(),
    };
    let _by_nobody_else = PROVIDER.install_default();
    let scene = guarded(&[]).await;
    let token = signing::realtime_token(SECRET, "user-7", &["42"]);
    proves(&scene, &token.expect("it signs")).await;
}

struct Hs256(hmac::Key);

fn hs256(algorithm: &Algorithm, key: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    assert_eq!(*algorithm, Algorithm::HS256);
    let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
    Ok(Box::new(Hs256(key)))
}

impl Signer<Vec<u8>> for Hs256 {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, SignatureError> {
        Ok(hmac::sign(&self.0, message).as_ref().to_vec())
    }
}

impl JwtSigner for Hs256 {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

#[tokio::test]
async fn a_private_key_signs_and_the_public_one_is_enough_for_the_server() {
    let (database, stock) = (Database::chat().await, Stock::start());
    let folder = folder();
    let mut bash = program("bash", folder.path());
    bash.args(["-euc", &block("By a private key", "sh")]);
    ended(bash).await.expect("two files");
    write(&folder, ".env", &block("By a private key", "env"));
    let server = Launch::serve()
        .database(&database.url)
        .folder(folder.path())
        .start()
        .await;
    write(&folder, "sign.mjs", &block("By a private key", "js"));
    let driver = "import { realtimeToken } from './sign.mjs';\n\
        console.log(await realtimeToken('user-7', ['42']));\n";
    write(&folder, "driver.mjs", driver);
    let mut node = program("node", folder.path());
    node.arg("driver.mjs");
    let token = ended(node).await.expect("it signs");
    let joined = joins(&stock, &server, token.trim(), &["42", "43"]).await;
    assert_eq!(joined, ["ok", "forbidden"]);
}
