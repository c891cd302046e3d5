//! The page as its developers see it: from its sources, in React's strict mode, with modules replaced while it is open.

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::{Stage, View};
use crate::guide::tools::{Running, program, write};
use crate::harness::{Look, Scratch};

/// What is different of the demo's own settings: the server, and where files are, of which most are outside of the test's folder.
const CONFIG: &str = r#"
import base from "./vite.config.ts";
const server = { target: "http://SERVER", changeOrigin: false, ws: true };
const proxy = { "/api/": server, "/demo/": server, "/socket.io/": server };
export default { ...base, cacheDir: "./.vite", server: { proxy, fs: { strict: false } } };
"#;

/// Vite, over a copy of the demo's sources.
struct Sources {
    address: String,
    _vite: Running,
    folder: Scratch,
}

impl Sources {
    async fn serve(server: &str) -> Self {
        let repository = Path::new(env!("CARGO_MANIFEST_DIR"));
        let folder = Scratch::folder();
        symlink(
            repository.join("node_modules"),
            folder.path().join("node_modules"),
        )
        .expect("a link");
        copy(&repository.join("demo/src"), &folder.path().join("src"));
        for name in [
            "index.html",
            "package.json",
            "tsconfig.json",
            "vite.config.ts",
        ] {
            let text = fs::read_to_string(repository.join("demo").join(name)).expect("a file");
            write(&folder, name, &text);
        }
        write(&folder, "test.config.ts", &CONFIG.replace("SERVER", server));
        let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = free.local_addr().expect("an address").to_string();
        drop(free);
        let port = address.rsplit(':').next().expect("a port");
        let mut vite = program("node", folder.path());
        vite.args(["node_modules/vite/bin/vite.js", "--host", "127.0.0.1"]);
        vite.args(["--strictPort", "--port", port, "--config", "test.config.ts"]);
        let vite = Running::start(vite);
        vite.says("Local:").await;
        Self {
            address,
            _vite: vite,
            folder,
        }
    }

    /// The page, with a conversation open.
    async fn open(&self, stage: &Stage, contact: &str) -> View {
        let page = stage.browser.open(Look::DESKTOP).await;
        let view = View::new(page, &self.address);
        view.page
            .goto(&format!("http://{}/#/{contact}", self.address))
            .await;
        view.badge("connected").await;
        view
    }

    /// Changes a source.
    fn change(&self, name: &str, from: &str, to: &str) {
        let file = self.folder.path().join("src").join(name);
        let text = fs::read_to_string(&file).expect("a source");
        assert!(text.contains(from), "{name} has {from:?}");
        fs::write(file, text.replace(from, to)).expect("a source");
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a file");
        }
    }
}

/// React's strict mode mounts all twice, in a build for development.
#[tokio::test]
async fn in_strict_mode_a_conversation_is_joined_once_and_a_message_written_once() {
    let stage = Stage::new().await;
    let sources = Sources::serve(stage.server.address()).await;
    stage.database.say("42", "before").await;
    let view = sources.open(&stage, "42").await;
    let strict = "() => document.querySelector('script[src*=\"/@vite/client\"]') !== null";
    assert_eq!(view.page.evaluate(strict, Value::Null).await, true);
    view.page.fill("textbox", "Mensaje", "hello").await;
    view.page.press("Enter").await;
    view.shows("hello").await;
    stage.database.say("42", "after").await;
    view.shows("after").await;
    view.visit("43").await;
    view.badge("connected").await;
    view.visit("42").await;
    view.badge("connected").await;
    view.settles(&stage.database, "42").await;
    assert_eq!(stage.rooms().await, "conversation:42 inbox:all");
    let record = view.calm().await;
    let joined: Vec<_> = record
        .joins()
        .iter()
        .map(|join| join["contactId"].clone())
        .collect();
    assert_eq!(joined, ["42", "43", "42"]);
    assert_eq!(record.reads("42", "messages").len(), 1);
    let sockets = stage.server.metric("rowcast_sockets", &[]).await;
    assert_eq!(sockets, 1.0);
}

#[tokio::test]
async fn a_module_that_is_replaced_leaves_what_is_shown_and_joined_as_it_is() {
    let stage = Stage::new().await;
    let sources = Sources::serve(stage.server.address()).await;
    stage.database.say("42", "before").await;
    let view = sources.open(&stage, "42").await;
    view.page
        .evaluate("() => { window.mark = 'the first'; }", Value::Null)
        .await;
    view.page.fill("textbox", "Mensaje", "half a word").await;
    // The component that has the hooks, what shows a message, and a hook.
    let panes = [(
        "aria-labelledby=\"contact\"",
        "aria-labelledby=\"contact\" data-hot=\"1\"",
    )];
    sources.change("ConversationPane.tsx", panes[0].0, panes[0].1);
    hot(&view, "main[data-hot='1']").await;
    sources.change(
        "MessageItem.tsx",
        "className=\"bubble\"",
        "className=\"bubble\" data-hot=\"2\"",
    );
    hot(&view, ".bubble[data-hot='2']").await;
    sources.change("useOutgoing.ts", "author: \"agent\"", "author: \"hot\"");
    sources.change("ConversationPane.tsx", "data-hot=\"1\"", "data-hot=\"3\"");
    hot(&view, "main[data-hot='3']").await;

    let kept = "() => [window.mark, document.querySelector('main textarea').value]";
    let kept = view.page.evaluate(kept, Value::Null).await;
    assert_eq!(kept, json!(["the first", "half a word"]));
    let delivered = stage.server.metric("rowcast_deliveries_total", &[]).await;
    stage
        .database
        .run("select rowcast.emit('conversation:42', 'fence', '{}')")
        .await;
    stage
        .server
        .counted("rowcast_deliveries_total", &[], delivered + 1.0)
        .await;
    view.page.press("Enter").await;
    view.shows("half a word").await;
    view.settles(&stage.database, "42").await;
    assert_eq!(stage.rooms().await, "conversation:42 inbox:all");
    let record = view.calm().await;
    assert_eq!(record.joins().len(), 1, "{:?}", record.joins());
    assert_eq!(record.reads("42", "messages").len(), 1, "the history once");
    let is_socket = |url: &str| url.contains("/socket.io/");
    let sockets = record.requests.iter().filter(|each| is_socket(&each.url));
    assert_eq!(sockets.count(), 1, "one connection");
}

/// Waits until a replaced module shows.
async fn hot(view: &View, selector: &str) {
    let script = "(selector) => document.querySelector(selector) !== null";
    let what = format!("{selector} of the replaced module");
    view.page.until(&what, script, json!(selector)).await;
}
