//! What is logged, and in which form: `ROWCAST_LOG`, `ROWCAST_LOG_FORMAT`.
//!
//! Refuses a bare word that is no level: taken as a module's name, as the library does, a misspelt
//! level would silence the log.

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;

use super::problem::{Refusal, quote};

/// What is logged, and in which form.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    /// Levels by module, as the operator gave them.
    pub filter: Targets,
    /// The form of a line.
    pub format: LogFormat,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For eyes.
    Text,
    /// One JSON object a line.
    Json,
}

impl LogFormat {
    pub(super) fn parse(text: &str) -> Result<Self, Refusal> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(Refusal::accepts("text or json")),
        }
    }
}

pub(super) fn filter(text: &str) -> Result<Targets, Refusal> {
    let mut filter = Targets::new();
    for part in text.split(',').map(str::trim) {
        let accepted = "off, error, warn, info, debug or trace, \
            alone or by module: info,rowcast=debug";
        let refusal = || Refusal::because(format!("{} is no level", quote(part)), accepted);
        let (target, level) = match part.split_once('=') {
            None => (None, part),
            Some((target, level)) => (Some(target.trim()), level.trim()),
        };
        // A digit or nothing would parse as well.
        if !level.bytes().all(|b| b.is_ascii_alphabetic()) || level.is_empty() {
            return Err(refusal());
        }
        let level: LevelFilter = level.parse().map_err(|_| refusal())?;
        filter = match target {
            None => filter.with_default(level),
            Some(target) if is_module(target) => filter.with_target(target, level),
            Some(target) => {
                let reason = format!("{} is no module", quote(target));
                return Err(Refusal::because(reason, accepted));
            }
        };
    }
    Ok(filter)
}

fn is_module(target: &str) -> bool {
    let is_name_byte = |b: u8| b.is_ascii_alphanumeric() || b"_:-.".contains(&b);
    !target.is_empty() && target.bytes().all(is_name_byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_stand_alone_or_by_module() {
        let parsed = filter("WARN, rowcast=debug,sqlx::query=trace").expect("a good filter");
        assert_eq!(parsed.default_level(), Some(LevelFilter::WARN));
        assert!(parsed.would_enable("rowcast::reader", &tracing::Level::DEBUG));
        assert!(parsed.would_enable("sqlx::query", &tracing::Level::TRACE));
        assert!(!parsed.would_enable("hyper", &tracing::Level::INFO));
    }

    #[test]
    fn a_misspelt_level_is_refused() {
        for bad in [
            "inof",
            "info,rowcast",
            "rowcast=",
            "=info",
            "3",
            "a[b]=info",
            ",",
            "a=b=info",
        ] {
            assert!(filter(bad).is_err(), "{bad}");
        }
        let refusal = filter("inof").expect_err("refused");
        assert!(
            format!("{refusal:?}").contains("is no level"),
            "{refusal:?}"
        );
    }
}
