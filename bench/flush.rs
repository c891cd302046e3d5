//! A slower flush: what a network disk takes, on a machine that has none.
//!
//! Owns the library (`flush.c`) that the C compiler makes and Postgres is started with. Guarantees that every flush of the log is done,
//! and takes [`DELAY`] longer than the disk does; nothing else is slowed.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

pub(crate) const DELAY: Duration = Duration::from_millis(1);

/// Compiles the library into that folder.
pub(crate) fn build(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("flush.so");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("bench/flush.c");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-o"])
        .arg(&library)
        .arg(format!("-DDELAY_NS={}", DELAY.as_nanos()))
        .arg(source)
        .arg("-ldl")
        .output()
        .context("cannot run cc")?;
    ensure!(
        output.status.success(),
        "cc failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(library)
}
