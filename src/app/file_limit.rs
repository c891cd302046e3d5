//! How many connections the process may have open, by the system's limit of files.
//!
//! Each connection is a file. Without a place left for it, the database can't be reached either, and nothing says why: so the last
//! files are kept for the server itself.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that are no clients' connections: those to the database, the listeners, libraries.
const KEPT: u64 = 100;

/// The connections that there may be, of `wanted`. Raises the limit as far as it may be, and says what it allows.
pub(super) fn connections(wanted: usize) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = rustix::process::Rlimit {
            current: limit.maximum,
            maximum: limit.maximum,
        };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            limit = raised;
        }
    }
    let Some(files) = limit.current else {
        return wanted;
    };
    let possible = usize::try_from(files.saturating_sub(KEPT).max(files / 2)).unwrap_or(usize::MAX);
    if possible < wanted {
        tracing::warn!(
            files,
            "at most {possible} connections are taken, and not ROWCAST_MAX_CONNECTIONS={wanted}: the process may open {files} \
             files (ulimit -n)"
        );
    }
    let most = wanted.min(possible);
    tracing::info!(
        files,
        connections = most,
        "the process may open {files} files: {most} connections are taken at a time"
    );
    most
}
