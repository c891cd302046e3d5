//! Where events of the log go: each is one line on stderr, whatever stands in it.

use std::io::{self, Write};

use tracing_subscriber::fmt::MakeWriter;

use crate::one_line::one_line;

/// Writes events to stderr.
pub(super) struct Stderr;

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        Self
    }
}

impl Write for Stderr {
    /// The formatter writes each event at once, with the end of its line. It writes a terminal's colours by escapes, and has taken them
    /// out of what it was given.
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let (text, end) = match text.strip_suffix('\n') {
            Some(text) => (text, "\n"),
            None => (&*text, ""),
        };
        let line = one_line(text, |it| it == '\u{1b}');
        io::stderr()
            .lock()
            .write_all(format!("{line}{end}").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}
