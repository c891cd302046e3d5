//! A real Chromium, driven by Playwright in one Node process per test.
//!
//! `tests/interop/browser.mjs` does what it is told and answers each command once. Chromium is heavy, so only a few tests
//! have one at a time, whatever runs them. With the value goes every process and file that it came with.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use super::page::Page;
use super::scratch::Scratch;
use super::stock::install;
use super::wait::{until_for, within_for};

/// Tests that have a browser at the same time. `.config/nextest.toml` has the same number, so that none waits here.
const AT_ONCE: usize = 2;
/// How long Node and Chromium may take for anything that they do not bound themselves.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running Chromium. Fields end in this order.
pub(crate) struct Browser {
    driver: Arc<Driver>,
    node: Child,
    chromium: Pid,
    /// Profiles and whatever else they leave.
    _files: Scratch,
    _slot: File,
}

/// The way to Node and back.
pub(super) struct Driver {
    stdin: Mutex<Option<ChildStdin>>,
    answers: Mutex<HashMap<u64, oneshot::Sender<Value>>>,
    next: AtomicU64,
}

/// What a page looks like to whoever opens it.
#[derive(Clone, Copy)]
pub(crate) struct Look {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) locale: &'static str,
    pub(crate) dark: bool,
    /// It has a finger instead of a mouse.
    pub(crate) touch: bool,
}

impl Look {
    /// A Spanish desktop in daylight.
    pub(crate) const DESKTOP: Self = Self {
        width: 1280,
        height: 800,
        locale: "es-ES",
        dark: false,
        touch: false,
    };
    /// The same on a phone.
    pub(crate) const PHONE: Self = Self {
        width: 390,
        height: 844,
        ..Self::DESKTOP
    };
    /// A small phone, and a finger.
    pub(crate) const SMALL: Self = Self {
        width: 375,
        height: 667,
        touch: true,
        ..Self::DESKTOP
    };
}

impl Browser {
    /// Starts one, once it is this test's turn.
    pub(crate) async fn start() -> Self {
        install();
        let slot = slot().await;
        let files = Scratch::folder();
        let mut node = Command::new("node")
            .arg("browser.mjs")
            .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop"))
            .env("CHROMIUM", chromium())
            .env("TMPDIR", files.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("node is installed");
        let stdout = node.stdout.take().expect("stdout is piped");
        let driver = Arc::new(Driver {
            stdin: Mutex::new(node.stdin.take()),
            answers: Mutex::default(),
            next: AtomicU64::new(1),
        });
        let (tell, started) = oneshot::channel::<Option<i32>>();
        let answers = Arc::clone(&driver);
        std::thread::spawn(move || {
            let mut tell = Some(tell);
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                match serde_json::from_str::<Value>(&line) {
                    Ok(line) if line["saw"] == "browser" => {
                        let pid = line["pid"].as_i64().and_then(|pid| pid.try_into().ok());
                        let _once = tell.take().map(|tell| tell.send(pid));
                    }
                    Ok(line) => answers.route(line),
                    // Node was killed in the middle of a line.
                    Err(error) if error.is_eof() => break,
                    Err(error) => panic!("the driver speaks JSON: {error}: {line}"),
                }
            }
        });
        let pid = within_for(PATIENCE, "Chromium to start", started).await;
        let pid = pid.expect("it starts; else browser.mjs says why");
        Self {
            driver,
            node,
            chromium: pid.and_then(Pid::from_raw).expect("a process id"),
            _files: files,
            _slot: slot,
        }
    }

    /// An empty page with nothing in common with another one.
    pub(crate) async fn open(&self, look: Look) -> Page {
        let number = self.driver.number();
        let options = json!({
            "viewport": {"width": look.width, "height": look.height},
            "locale": look.locale,
            "colorScheme": if look.dark { "dark" } else { "light" },
            "hasTouch": look.touch,
            "isMobile": look.touch,
        });
        let open = json!({"op": "open", "page": number, "options": options});
        self.driver.ask(open).await.expect("a page opens");
        Page::new(number, Arc::clone(&self.driver))
    }

    /// Stops all of Chromium where it is, as the lid of a laptop does; or lets it go on.
    pub(crate) fn sleep(&self, asleep: bool) {
        let signal = if asleep { Signal::STOP } else { Signal::CONT };
        kill_process_group(self.chromium, signal).expect("Chromium runs");
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // Node takes Chromium with it when its stdin ends.
        drop(self.driver.stdin.lock().map(|mut stdin| stdin.take()));
        for _ in 0..500 {
            if self.node.try_wait().is_ok_and(|ended| ended.is_some()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _it_may_have_ended = kill_process_group(self.chromium, Signal::KILL);
        let _it_may_have_too = kill_process_group(Pid::from_child(&self.node), Signal::KILL);
        let _status = self.node.wait();
    }
}

impl Driver {
    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Has a command done, and returns what it answers, or why it could not be done.
    pub(super) async fn ask(&self, mut command: Value) -> Result<Value, String> {
        let number = self.number();
        let (sender, answer) = oneshot::channel();
        self.answers
            .lock()
            .expect("unpoisoned")
            .insert(number, sender);
        command["ask"] = json!(number);
        {
            let mut stdin = self.stdin.lock().expect("unpoisoned");
            writeln!(stdin.as_mut().expect("not over"), "{command}").expect("node runs");
        }
        let answer = within_for(PATIENCE, format!("the answer to {command}"), answer).await;
        let mut answer = answer.expect("node runs");
        match answer["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(answer["value"].take()),
        }
    }

    fn route(&self, answer: Value) {
        let waiting = answer["ask"]
            .as_u64()
            .and_then(|ask| self.answers.lock().expect("unpoisoned").remove(&ask));
        let _nobody_waits_any_more = waiting.map(|waiting| waiting.send(answer));
    }
}

/// A lock that holds while the file is open: this test's turn.
async fn slot() -> File {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let slots: Vec<File> = (0..AT_ONCE)
        .map(|number| File::create(folder.join(format!("browser.{number}.lock"))))
        .collect::<Result<_, _>>()
        .expect("a lock file can be made");
    let free = until_for(PATIENCE * 30, "other tests' browsers to end", async || {
        slots.iter().position(|slot| slot.try_lock().is_ok())
    })
    .await;
    slots.into_iter().nth(free).expect("it was found there")
}

/// `CHROMIUM`, or what `PATH` has by that name.
#[expect(
    clippy::disallowed_methods,
    reason = "which browser is a matter of the machine"
)]
fn chromium() -> PathBuf {
    let said = std::env::var_os("CHROMIUM").filter(|name| !name.is_empty());
    let name = said.unwrap_or_else(|| "chromium".into());
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .map(|folder| folder.join(&name))
        .find(|file| file.is_file())
        .expect("Chromium is installed: `scripts/setup browser`, or CHROMIUM=<its path>")
}
