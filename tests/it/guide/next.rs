//! The guide's page in an application of Next.js, as Chromium shows it.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};

use super::page::{block, blocks, quoted, repository, rows};
use super::tools::{Running, build_client, ended, folder, program, write};
use crate::harness::{Database, Proxy, Scratch, Server, Stock};

#[tokio::test]
async fn a_page_of_next_shows_what_sql_inserts() {
    // The page's address comes first: the server must know it, and the page is built with the server's.
    let origin = Proxy::to("127.0.0.1:9").await;
    let database = Database::chat().await;
    let page = format!("http://{}", origin.address());
    let server = Server::with(&database, &[("FRONTEND_URL", &page)]).await;
    database.say("a/42", "before").await;

    let app = Application::build(server.address()).await;
    let mut next = app.next();
    let next = Running::start({
        next.args(["start", "-H", "127.0.0.1", "-p", "0"]);
        next
    });
    let line = next.says("Local:").await;
    let address = line.rsplit("http://").next().expect("an address").trim();
    let itself = address.replace("localhost", "127.0.0.1");
    origin.lead(&itself);

    let (_script, browser) = look(&format!("{page}/conversations/a%2F42"));
    browser
        .says("Tiempo real|connected / before|sent /  / rgb(21, 128, 61)")
        .await;
    let message = database.say("a/42", "from SQL").await;
    browser.says("from SQL|sent").await;
    database.report(&message, "delivered").await;
    browser.says("from SQL|delivered").await;
    database.run("select rowcast.typing('a/42')").await;
    browser.says("from SQL|delivered / Escribiendo... /").await;

    // What the agent types is told to others in the room.
    let stock = Stock::start();
    let mut other = stock.joined(&server, "a/42").await;
    browser.writes("Hola");
    assert_eq!(
        other.event("typing:start").await.payload()["contactId"],
        "a/42"
    );
    let red = |line: &String| line.starts_with("red:");
    let complaints: Vec<_> = browser.lines().into_iter().filter(red).collect();
    assert!(complaints.is_empty(), "{complaints:?}");

    // What the table of troubles says about pages.
    let table = rows("Troubleshooting");
    let told = |place: &str| {
        table
            .iter()
            .find(|row| row[0].contains(place))
            .expect("a row")
    };
    let [built, console] = ["NEXT_PUBLIC", "console"].map(told);
    let [messages, typing, cors] = ["frames", "contactId`", "CORS"].map(told);
    let grep = quoted(&built[1])
        .remove(0)
        .replace("localhost:3001", server.address());
    let mut bash = program("bash", &app.folder);
    bash.args(["-c", &grep]);
    let address = quoted(&built[2])
        .remove(0)
        .replace("localhost:3001", server.address());
    assert!(
        ended(bash).await.expect("it is found").contains(&address),
        "{grep}"
    );
    for row in [messages, typing] {
        let frame = quoted(&row[2]).remove(0).replace(r#""42""#, r#""a/42""#);
        browser.says(&format!("frame: {frame}")).await;
    }
    let (_script, stranger) = look(&format!("http://{itself}/conversations/42"));
    stranger.says(&quoted(&cors[3]).remove(0)).await;
    stranger.says(" / origin_not_allowed").await;
    server.crash().await;
    let [failed, how] = [0, 1].map(|at| quoted(&console[3])[at].clone());
    assert!(browser.says(&failed).await.contains(&how));
    browser.says("Sin conexión|offline").await;
}

/// Chromium at that address, and the folder that its script is in.
fn look(url: &str) -> (Scratch, Running) {
    let folder = folder();
    let script = fs::read_to_string(repository("tests/guide-next/look.mjs")).expect("a script");
    write(&folder, "look.mjs", &script);
    let mut node = program("node", folder.path());
    node.arg("look.mjs").arg(url).stdin(Stdio::piped());
    (folder, Running::start(node))
}

/// An application of Next.js with the guide's files in it. One at a time: its packages are there once.
struct Application {
    folder: std::path::PathBuf,
    _lock: fs::File,
}

impl Application {
    /// Sets it up by the guide's own commands, for a server at that address, and builds it.
    async fn build(server: &str) -> Self {
        build_client().await;
        let folder = repository(".cache/guide/next");
        assert!(
            folder.join("done").exists(),
            "scripts/setup guide installs Next.js"
        );
        let lock = fs::File::create(folder.join("lock")).expect("a lock file can be made");
        let lock = tokio::task::spawn_blocking(|| lock.lock().map(|()| lock)).await;
        let app = Self {
            folder,
            _lock: lock.expect("it is waited for").expect("flock"),
        };
        for left in ["app", ".next", ".env.local"] {
            let left = app.folder.join(left);
            let _there_may_be_none = fs::remove_dir_all(&left).or_else(|_| fs::remove_file(&left));
        }
        let source = repository("tests/guide-next");
        for file in [
            "package.json",
            "package-lock.json",
            "next.config.mjs",
            "tsconfig.json",
            "app/layout.tsx",
        ] {
            app.write(
                file,
                &fs::read_to_string(source.join(file)).expect("a file"),
            );
        }
        // The clone is beside the application.
        let clone = app.folder.with_file_name("rowcast");
        let _from_last_time = fs::remove_file(&clone);
        symlink(repository("."), clone).expect("a link");

        let route = "app/conversations/[contactId]";
        let [page] = blocks("Next.js, App Router", "tsx")
            .try_into()
            .expect("one");
        app.write(&format!("{route}/page.tsx"), &page);
        app.write("app/guide.css", &block("The hook", "css"));
        app.write(
            &format!("{route}/conversation.tsx"),
            &block("The hook", "tsx"),
        );
        let mut bash = program("bash", &app.folder);
        bash.args(["-euc", &block("Install", "sh")]);
        ended(bash).await.expect("the package is installed");
        let env = fs::read_to_string(app.folder.join(".env.local")).expect("it was copied");
        assert_eq!(env, block("Install", "env"), "what the package has");
        let env = env.replace("localhost:3001", server);
        assert!(env.contains(server), "the address was in it");
        app.write(".env.local", &env);
        let mut build = app.next();
        build.arg("build");
        ended(build).await.expect("the application is built");
        app
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.folder.join(name);
        fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs::write(path, text).expect("a file");
    }

    fn next(&self) -> Command {
        let mut next = program("node", &self.folder);
        next.arg(Path::new("node_modules/next/dist/bin/next"));
        next.env("NEXT_TELEMETRY_DISABLED", "1").env("CI", "1");
        next
    }
}
