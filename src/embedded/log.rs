//! Postgres's own log, a file beside the data.
//!
//! Owns `postgres.log` and its bound: larger than 10 MiB at a start, it becomes `postgres.log.old`.
//! Refuses the terminal: what a database says about its own affairs is not for whoever started Rowcast.
//! Guarantees that a failed start can be told in Postgres's words.

use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Seek, SeekFrom},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::Context;
use rustix::fs::OFlags;

/// At a start, a log larger than this is moved aside.
const MAX_BYTES: u64 = 10 * 1024 * 1024;

/// The log, opened for a program to write to.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    file: File,
    start: u64,
}

impl Log {
    /// Opens the log of the folder `root` at its end.
    pub(super) fn open(root: &Path) -> anyhow::Result<Self> {
        let path = root.join("postgres.log");
        if fs::metadata(&path).is_ok_and(|metadata| metadata.len() > MAX_BYTES) {
            fs::rename(&path, root.join("postgres.log.old"))
                .with_context(|| format!("can't rename {}", path.display()))?;
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlags::NOFOLLOW.bits() as i32)
            .open(&path)
            .with_context(|| format!("can't write {}", path.display()))?;
        let start = file.seek(SeekFrom::End(0))?;
        Ok(Self { path, file, start })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What the program wrote about its failure, on one line that names the file.
    pub(super) fn complaint(&self) -> String {
        let mut bytes = Vec::new();
        if let Ok(mut file) = File::open(&self.path)
            && file.seek(SeekFrom::Start(self.start)).is_ok()
        {
            // What can't be read is missing from the message, no more.
            let _ = file.read_to_end(&mut bytes);
        }
        format!(
            "{} (see {})",
            last_lines(&String::from_utf8_lossy(&bytes)),
            self.path.display()
        )
    }
}

/// How Postgres's reports of mere progress begin.
const PROGRESS: [&str; 3] = [
    " LOG:  starting PostgreSQL",
    " LOG:  listening on",
    " LOG:  database system",
];

/// The last three lines that aren't mere progress.
fn last_lines(text: &str) -> String {
    let complaints = |line: &&str| {
        !line.trim().is_empty() && !PROGRESS.iter().any(|progress| line.contains(progress))
    };
    let mut lines: Vec<&str> = text.lines().rev().filter(complaints).take(3).collect();
    if lines.is_empty() {
        return "it said nothing".to_owned();
    }
    lines.reverse();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complaints_leave_progress_out() {
        let log = "x LOG:  starting PostgreSQL 15\nx LOG:  unrecognized parameter\nx FATAL:  errors\n\
                   x LOG:  database system is shut down\n";
        assert_eq!(
            last_lines(log),
            "x LOG:  unrecognized parameter; x FATAL:  errors"
        );
        assert_eq!(last_lines(""), "it said nothing");
    }
}
