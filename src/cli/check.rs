//! `rowcast check`: the configuration alone, with the files of the certificate. Connects to nothing.

use std::time::SystemTime;

use crate::config::{Config, Shown};
use crate::stdout::print_line;
use crate::tls::{Pair, open_key};

/// Prints every setting with where it came from, and what was ignored. Bad values are the caller's to name.
///
/// # Errors
/// They can't be printed, or the certificate can't be served.
#[expect(clippy::print_stderr, reason = "beside the command's answer")]
pub(crate) fn check(shown: &Shown, config: Option<&Config>) -> anyhow::Result<()> {
    print_line(shown.to_string().trim_end())?;
    for warning in config.iter().flat_map(|config| &config.warnings) {
        eprintln!("rowcast: warning: {warning}");
    }
    if let Some(tls) = config.and_then(|config| config.tls.as_ref()) {
        let ending = Pair::read(tls)?.ending(SystemTime::now());
        for warning in ending.into_iter().chain(open_key(tls)) {
            eprintln!("rowcast: warning: {warning}");
        }
    }
    Ok(())
}
