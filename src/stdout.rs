//! Standard output, where a command's answer goes: a leaf.
//!
//! Guarantees that nobody's exit code changes because whoever reads has seen enough (`rowcast doctor | head`). What can't be written
//! for another reason, a full disk for one, is an error, never a panic.

use std::fmt::Display;
use std::io::{ErrorKind, Write as _};

use anyhow::Context as _;

/// Writes a line, or several.
///
/// # Errors
/// It can't be written, and not because nobody reads on.
pub(crate) fn print_line(text: impl Display) -> anyhow::Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = writeln!(stdout, "{text}").and_then(|()| stdout.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("the answer can't be written to the standard output"),
    }
}
