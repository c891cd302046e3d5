use std::process::Command;

use super::block;
use crate::guide::frontend::shows_all;
use crate::guide::tools::{Running, folder, program, write};
use crate::harness::{Proxy, Scene, Scratch};

/// The page's program in a folder of its own, where it keeps its offsets.
fn page() -> Scratch {
    let folder = folder();
    write(&folder, "page.py", &block("Python", "python"));
    folder
}

fn python(folder: &Scratch, address: &str) -> Command {
    let mut python = program("python3", folder.path());
    python
        .arg("page.py")
        .env("ROWCAST_URL", format!("http://{address}"));
    python
}

#[tokio::test]
async fn a_program_in_python_shows_a_conversation() {
    let scene = Scene::new().await;
    let network = Proxy::to(scene.server.address()).await;
    let before = scene.database.say("42", "before").await;
    let page = page();
    let running = Running::start(python(&page, network.address()));
    shows_all(&scene, &network, &running, &before).await;
}

#[tokio::test]
async fn a_program_that_starts_again_is_told_what_it_missed_and_no_more() {
    let scene = Scene::new().await;
    let before = scene.database.say("42", "before").await;
    let page = page();
    let running = Running::start(python(&page, scene.server.address()));
    running.says(&before).await;
    scene
        .server
        .counted("rowcast_joins_total", &["joined"], 1.0)
        .await;
    let live = scene.database.say("42", "live").await;
    running.says(&live).await;
    // The offset is kept after the line is printed; a status that was printed is after the offset of the message.
    scene.database.report(&before, "delivered").await;
    running.says(&format!("{before} delivered")).await;
    drop(running);
    let missed = scene.database.say("42", "missed").await;
    let again = Running::start(python(&page, scene.server.address()));
    again.says(&missed).await;
    let lines = again.lines();
    for id in [&before, &live] {
        let is_shown =
            |line: &String| line.starts_with(id.as_str()) && !line.ends_with("delivered");
        assert!(!lines.iter().any(is_shown), "{id} again: {lines:?}");
    }
}

#[tokio::test]
async fn a_program_whose_offset_is_none_loads_the_history() {
    let scene = Scene::new().await;
    let before = scene.database.say("42", "before").await;
    let page = page();
    write(
        &page,
        "offsets.json",
        r#"{"42": "an offset of another database"}"#,
    );
    let running = Running::start(python(&page, scene.server.address()));
    running.says(&before).await;
    let live = scene.database.say("42", "live").await;
    running.says(&live).await;
}
