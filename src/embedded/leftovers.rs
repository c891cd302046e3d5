//! Clears away what a crash left: Postgres processes that still run, and their lock files.
//!
//! Owns the search for processes that work in our data folder.
//! Refuses to touch a process that is not a Postgres of that folder.
//! Guarantees that when it returns none is left, so that `postmaster.pid` and the socket are nobody's. Postgres itself
//! would refuse to start beside them: a stale pid may be somebody else's by now, or a zombie that nobody reaped.
//! Relies on the caller holding the folder's lock.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

/// How long each signal gets.
const PATIENCE: Duration = Duration::from_secs(10);

/// Stops every Postgres of `data`, then removes its lock file and the files in `sockets`.
pub(super) async fn clear(data: &Path, sockets: &Path) -> anyhow::Result<()> {
    stop(data).await?;
    remove(&data.join("postmaster.pid"))?;
    for entry in fs::read_dir(sockets)
        .with_context(|| format!("can't read {}", sockets.display()))?
        .flatten()
    {
        remove(&entry.path())?;
    }
    Ok(())
}

/// Stops every Postgres that works in `data`.
pub(super) async fn stop(data: &Path) -> anyhow::Result<()> {
    // SIGINT is for a postmaster. To processes that it left behind it means something else.
    let postmaster = fs::read_to_string(data.join("postmaster.pid"))
        .ok()
        .and_then(|text| {
            text.lines()
                .next()
                .and_then(|line| line.trim().parse().ok())
        })
        .and_then(Pid::from_raw);
    if let Some(postmaster) = postmaster
        && processes(data).contains(&postmaster)
    {
        // An error means that it has ended meanwhile.
        let _ = kill_process(postmaster, Signal::INT);
        if gone(data).await {
            return Ok(());
        }
    }
    for signal in [Signal::QUIT, Signal::KILL] {
        for pid in processes(data) {
            let _ = kill_process(pid, signal);
        }
        if gone(data).await {
            return Ok(());
        }
    }
    let left: Vec<String> = processes(data)
        .iter()
        .map(|pid| pid.as_raw_pid().to_string())
        .collect();
    bail!(
        "a Postgres left by an earlier run still works in {} and can't be stopped: process {}",
        data.display(),
        left.join(", ")
    )
}

async fn gone(data: &Path) -> bool {
    let end = Instant::now() + PATIENCE;
    while !processes(data).is_empty() {
        if Instant::now() > end {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

fn remove(path: &Path) -> anyhow::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("can't remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Postgres processes that work in `data`. A zombie works nowhere and isn't one.
#[cfg(target_os = "linux")]
fn processes(data: &Path) -> Vec<Pid> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| works_in(&entry.path(), data))
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}

#[cfg(target_os = "linux")]
fn works_in(process: &Path, data: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;

    if fs::read(process.join("comm")).is_ok_and(|comm| comm == b"postgres\n") {
        if let Ok(folder) = fs::read_link(process.join("cwd")) {
            return folder == data;
        }
        // A container's root may not see where others work, but everybody sees a command line.
        return fs::read(process.join("cmdline")).is_ok_and(|line| {
            line.split(|byte| *byte == 0)
                .any(|argument| argument == data.as_os_str().as_bytes())
        });
    }
    false
}

/// Elsewhere `ps` knows, from the command line.
#[cfg(not(target_os = "linux"))]
fn processes(data: &Path) -> Vec<Pid> {
    let Ok(output) = std::process::Command::new("ps")
        .args(["-axww", "-o", "pid=,stat=,command="])
        .output()
    else {
        return Vec::new();
    };
    let folder = format!("-D {} ", data.display());
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter(|line| line.contains("/postgres ") && line.contains(&folder))
        .filter_map(|line| line.split_whitespace().next()?.parse().ok())
        .filter_map(Pid::from_raw)
        .collect()
}
