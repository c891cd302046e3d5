//! The history: a line of JSON for each run, beside those of earlier runs, for `bench/compare`.
//!
//! Owns the file `bench/history/load.jsonl` and what a line holds: when, which revision, on what machine, and each figure of the table with
//! its rounds. Refuses to judge: that is for who compares.
//! Guarantees that a line is written whole or not at all, and that a run whose work tree differs from its revision says so.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use crate::table::Line;

/// What is known before the first measurement.
pub(crate) struct History {
    began: SystemTime,
    /// How many processes wanted a processor in the minute before: more than a few, and others worked on the machine.
    load: Option<f64>,
}

impl History {
    pub(crate) fn begin() -> Self {
        let load = fs::read_to_string("/proc/loadavg").ok();
        Self {
            began: SystemTime::now(),
            load: load.and_then(|text| text.split(' ').next()?.parse().ok()),
        }
    }

    /// Appends the line of this run and says where.
    pub(crate) fn record(&self, postgres: &str, rounds: u32, lines: &[Line]) -> Result<PathBuf> {
        let figures = lines
            .iter()
            .map(|line| (line.what.clone(), figure(line)))
            .collect::<Map<_, _>>();
        let entry = json!({
            "date": humantime::format_rfc3339_seconds(self.began).to_string(),
            "revision": git(&["describe", "--always", "--dirty", "--abbrev=10"]),
            "machine": machine(),
            "load": self.load,
            "postgres": postgres,
            "rounds": rounds,
            "figures": figures,
        });
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/history");
        fs::create_dir_all(&folder)?;
        let path = folder.join("load.jsonl");
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .with_context(|| format!("cannot write {}", path.display()))?;
        file.write_all(format!("{entry}\n").as_bytes())?;
        Ok(path)
    }
}

fn figure(line: &Line) -> Value {
    let rounded = |value: f64| {
        // As many digits as the table shows, and two more for who calculates with them.
        let scale = 10_f64.powi(i32::try_from(line.decimals).unwrap_or(0) + 2);
        (value * scale).round() / scale
    };
    let list = |values: &[f64]| values.iter().copied().map(rounded).collect::<Vec<_>>();
    let mut figure = json!({ "ours": line.ours.map(rounded), "rounds": list(&line.rounds) });
    if let Some(peer) = line.peer {
        figure["peer"] = json!(rounded(peer));
        figure["peerRounds"] = json!(list(&line.peer_rounds));
        if let Some(ours) = line.ours.filter(|_| peer != 0.0) {
            figure["ratio"] = json!((ours / peer * 1e4).round() / 1e4);
        }
    }
    figure
}

/// What a figure depends on, and what `bench/compare` tells machines apart by.
fn machine() -> Value {
    let value = |path: &str, key: &str| {
        let text = fs::read_to_string(path).ok()?;
        let line = text.lines().find_map(|line| line.strip_prefix(key))?;
        Some(line.trim_start_matches([' ', '\t', ':']).trim().to_owned())
    };
    let memory_kib = value("/proc/meminfo", "MemTotal:");
    let memory_kib = memory_kib.and_then(|text| text.split(' ').next()?.parse::<f64>().ok());
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").ok();
    json!({
        "cpu": value("/proc/cpuinfo", "model name").unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
        "cores": std::thread::available_parallelism().map_or(0, usize::from),
        "memoryGb": memory_kib.map(|kib| (kib / 1024.0 / 1024.0).round()),
        "kernel": kernel.map(|text| text.trim().to_owned()),
    })
}

fn git(arguments: &[&str]) -> Option<String> {
    let mut git = Command::new("git");
    git.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments);
    let output = git.output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
