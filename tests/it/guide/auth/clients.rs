//! The stock client and that for Python, as the page has them, on a server that asks for tokens.

use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{block, blocks, guarded};
use crate::guide::frontend::{Site, node};
use crate::guide::tools::{Running, folder, program, write};
use crate::harness::issuer::in_seconds;
use crate::harness::token::token;

/// A token of user-7, who may see conversation 42, that is good for so many seconds.
fn short(seconds: i64) -> String {
    let ends = in_seconds(seconds);
    token("user-7", &json!({ "conversations": ["42"], "exp": ends }))
}

#[tokio::test]
async fn the_stock_client_gets_tokens_refreshes_them_and_comes_back() {
    let scene = guarded(&[("ROWCAST_JWT_LEEWAY", "0s")]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    // At first the application gives none, then one that has ended, then good ones.
    let site = Site::start(move |request| {
        assert!(request.starts_with("POST /api/realtime-token"), "{request}");
        match count.fetch_add(1, Ordering::Relaxed) {
            0 => None,
            1 => Some(short(-60)),
            _ => Some(short(4)),
        }
    })
    .await;
    let [client, history] = blocks("The stock client", "js")
        .try_into()
        .expect("two blocks");
    let here = |code: &str| {
        code.replace("localhost:3001", scene.server.address())
            .replace("localhost:3000", &site.address)
    };
    // A test has no seven minutes, and no five seconds.
    let quick = here(&client).replace("7 * 60_000", "1_000");
    assert!(quick.contains(", 1_000)"), "{quick}");
    let quick = quick.replace("5_000", "100");
    let folder = folder();
    write(&folder, "client.mjs", &quick);
    write(&folder, "history.mjs", &here(&history));
    let driver = "import { socket } from './client.mjs';\nimport { history } from './history.mjs';\n\
        socket.on('connect', async () => console.log('joined', JSON.stringify(await socket.emitWithAck('join:conversation', '42'))));\n\
        socket.on('message:new', ({ message }) => console.log('new', message.body));\n\
        const read = (id) => history(id).then(({ messages }) => messages.length, ({ message }) => message);\n\
        socket.once('connect', async () => console.log('history', await read('42'), await read('43')));\n";
    write(&folder, "page.mjs", driver);
    let page = Running::start(node(&folder, "page.mjs"));
    page.says("token_expired").await;
    page.says("joined {").await;
    page.says("history 0 forbidden").await;
    let first = asked.load(Ordering::Relaxed);
    // Well beyond the end of the token that it connected with.
    crate::harness::wait::until("six refreshes", async || {
        (asked.load(Ordering::Relaxed) >= first + 6).then_some(())
    })
    .await;
    scene.database.say("42", "later").await;
    page.says("new later").await;
    let expired = scene
        .server
        .metric("rowcast_expired_tokens_total", &[])
        .await;
    assert!(expired < 0.5, "{expired}: {:?}", page.lines());
    let revoke =
        "select rowcast.revoke('user-7', room => 'conversation:42', reason => 'reassigned')";
    scene.database.run(revoke).await;
    page.says("put out of conversation:42 reassigned").await;
}

#[tokio::test]
async fn a_client_in_python_shows_its_token() {
    let scene = guarded(&[]).await;
    let folder = folder();
    write(&folder, "page.py", &block("Python clients", "python"));
    for (token, says) in [
        (short(60), "'room': 'conversation:42'"),
        (short(-60), "refused: token_expired"),
    ] {
        let mut python = program("python3", folder.path());
        python
            .arg("page.py")
            .env("ROWCAST_URL", format!("http://{}", scene.server.address()))
            .env("TOKEN", token);
        Running::start(python).says(says).await;
    }
}
