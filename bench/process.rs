//! What the kernel says about a process: processor time and memory.
//!
//! Owns the reading of `/proc` (proc(5)). Guesses nothing: a process that is gone is an error.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Ticks a second in `/proc/<pid>/stat`: the kernel's USER_HZ, 100 on every architecture that Postgres is built for.
const TICKS_PER_SECOND: u64 = 100;
/// Open files that the largest measurement needs, and some.
const WANTED_FILES: u64 = 32_768;

/// Memory of one process, in bytes.
#[derive(Clone, Copy)]
pub(crate) struct Memory {
    /// Resident pages.
    pub(crate) rss: u64,
    /// The same, with shared pages split among those who share them.
    pub(crate) pss: u64,
}

struct Stat {
    parent: u32,
    own: Duration,
    reaped_children: Duration,
}

/// Processor time, user and system, that the process has used with all its threads.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    Ok(stat(pid)?.own)
}

/// The same for a process, its living children and those it has waited for: a Postgres cluster from its postmaster.
pub(crate) fn cpu_with_children(pid: u32) -> Result<Duration> {
    let root = stat(pid)?;
    let mut total = root.own + root.reaped_children;
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(child) = name.to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end between the listing and the read; its time is then the parent's.
        if let Ok(stat) = stat(child)
            && stat.parent == pid
        {
            total += stat.own;
        }
    }
    Ok(total)
}

/// Memory of the process now, summed over its mappings: exact, where `VmRSS` lags behind by some pages per thread.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let bytes = |key: &str| {
        text.lines()
            .find_map(|line| {
                line.strip_prefix(key)?
                    .trim()
                    .strip_suffix("kB")?
                    .trim()
                    .parse::<u64>()
                    .ok()
            })
            .map(|kib| kib * 1024)
            .with_context(|| format!("{path} has no {key}"))
    };
    Ok(Memory {
        rss: bytes("Rss:")?,
        pss: bytes("Pss:")?,
    })
}

/// Begins a new [`peak`] of the process.
pub(crate) fn reset_peak(pid: u32) -> Result<()> {
    let path = format!("/proc/{pid}/clear_refs");
    fs::write(&path, "5").with_context(|| format!("cannot write {path}"))
}

/// The most that was resident since [`reset_peak`], in bytes: what the kernel counts at each page, not what a sample happens to see.
pub(crate) fn peak(pid: u32) -> Result<u64> {
    let path = format!("/proc/{pid}/status");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    let kib = text.lines().find_map(|line| {
        let kib = line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?;
        kib.trim().parse::<u64>().ok()
    });
    Ok(kib.with_context(|| format!("{path} has no VmHWM"))? * 1024)
}

/// Lets this process, and the servers it starts, hold as many sockets as the hard limit allows; says how many those are.
/// Root may have more than that.
pub(crate) fn raise_file_limit() -> Result<u64> {
    let to = |limit| Rlimit {
        current: Some(limit),
        maximum: Some(limit),
    };
    let allowed = getrlimit(Resource::Nofile).maximum.unwrap_or(WANTED_FILES);
    if allowed < WANTED_FILES && setrlimit(Resource::Nofile, to(WANTED_FILES)).is_ok() {
        return Ok(WANTED_FILES);
    }
    setrlimit(Resource::Nofile, to(allowed))?;
    Ok(allowed)
}

fn stat(pid: u32) -> Result<Stat> {
    let path = format!("/proc/{pid}/stat");
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {path}"))?;
    // The command name stands in parentheses and may hold spaces: count from the last closing one.
    let fields = text
        .rsplit(')')
        .next()
        .unwrap_or_default()
        .split_whitespace()
        .collect::<Vec<_>>();
    let field = |number: usize| {
        fields
            .get(number - 3)
            .and_then(|field| field.parse::<u64>().ok())
            .with_context(|| format!("{path} has no field {number}"))
    };
    let time = |ticks: u64| Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
    Ok(Stat {
        parent: u32::try_from(field(4)?)?,
        own: time(field(14)? + field(15)?),
        reaped_children: time(field(16)? + field(17)?),
    })
}
