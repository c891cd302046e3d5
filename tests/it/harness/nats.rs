//! A server of NATS: killed, paused, and back at the same address.
//!
//! `NATS_SERVER` names another binary than the one of scripts/setup.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::scratch::Scratch;
use super::wait::until;

/// A running nats-server. Gone with the value.
pub(crate) struct Nats {
    process: Child,
    port: u16,
    folder: Scratch,
}

impl Nats {
    /// With every default.
    pub(crate) async fn start() -> Self {
        Self::with("").await
    }

    /// With these settings.
    pub(crate) async fn with(settings: &str) -> Self {
        let folder = Scratch::folder();
        fs::write(folder.path().join("nats.conf"), settings).expect("a file can be written");
        let process = spawn(folder.path(), -1);
        let ports = format!("nats-server_{}.ports", process.id());
        let ports = folder.path().join(ports);
        let port = until("NATS to say its port", async || {
            let text = fs::read_to_string(&ports).ok()?;
            let said: serde_json::Value = serde_json::from_str(&text).ok()?;
            let url = said["nats"][0].as_str()?.to_owned();
            url.rsplit(':').next()?.parse().ok()
        })
        .await;
        Self {
            process,
            port,
            folder,
        }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What `ROWCAST_RELAY` is given.
    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address())
    }

    /// Kills it, as a crash would.
    pub(crate) fn crash(&mut self) {
        self.signal(Signal::KILL);
        let _status = self.process.wait();
    }

    /// Starts it again at the same address.
    pub(crate) fn restart(&mut self) {
        self.process = spawn(self.folder.path(), i32::from(self.port));
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let _it_may_have_ended = kill_process(Pid::from_child(&self.process), signal);
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        self.crash();
    }
}

fn spawn(folder: &Path, port: i32) -> Child {
    Command::new(binary())
        .args(["-a", "127.0.0.1", "-p", &port.to_string(), "-c"])
        .arg(folder.join("nats.conf"))
        .arg("--ports_file_dir")
        .arg(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("nats-server starts: scripts/setup relay")
}

#[expect(
    clippy::disallowed_methods,
    reason = "which server of NATS is a setting of the suite"
)]
fn binary() -> PathBuf {
    if let Some(named) = std::env::var_os("NATS_SERVER") {
        return named.into();
    }
    let unpacked = Path::new(env!("CARGO_MANIFEST_DIR")).join(".cache/guide/bin/nats-server");
    [Path::new("/usr/sbin/nats-server"), &unpacked]
        .into_iter()
        .find(|path| path.exists())
        .map_or_else(|| "nats-server".into(), Path::to_owned)
}
