//! Logs to stderr, as text or JSON.
//!
//! Owns the process's tracing subscriber. Stdout stays free for what commands print.
//! Guarantees that an event is one line (`stderr`), and that libraries which log secrets in their debug output (socketioxide and engineioxide
//! the handshake's auth data, tungstenite frames, sqlx statements) stay quiet under a plain `debug`
//! or `trace`; who wants them names them in `ROWCAST_LOG`.

mod stderr;

use std::io::IsTerminal;

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

use crate::config::{Log, LogFormat};

/// The most that a library says unless it is named. A target also covers what begins with it:
/// `hyper` is `hyper_util` as well.
const QUIET: &[(&str, LevelFilter)] = &[
    ("socketioxide", LevelFilter::INFO),
    ("engineioxide", LevelFilter::INFO),
    ("sqlx", LevelFilter::WARN),
    ("hyper", LevelFilter::INFO),
    ("tungstenite", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
];

/// Starts logging for the rest of the process. A second call does nothing.
pub(crate) fn init(log: &Log) {
    let output = fmt::layer().with_writer(stderr::Stderr);
    let output = match log.format {
        LogFormat::Json => output.json().flatten_event(true).boxed(),
        // A terminal's colours also depend on NO_COLOR, which is the library's to know.
        LogFormat::Text if std::io::stderr().is_terminal() => output.compact().boxed(),
        LogFormat::Text => output.compact().with_ansi(false).boxed(),
    };
    let subscriber = tracing_subscriber::registry()
        .with(output)
        .with(quieted(&log.filter));
    // Fails only where a subscriber was set before, as when tests run in one process.
    drop(subscriber.try_init());
}

/// `asked`, with the libraries held down that it does not name.
fn quieted(asked: &Targets) -> Targets {
    let default = asked.default_level().unwrap_or(LevelFilter::OFF);
    QUIET
        .iter()
        .filter(|(library, _)| asked.iter().all(|(target, _)| target != *library))
        .fold(asked.clone(), |filter, (library, most)| {
            filter.with_target(*library, default.min(*most))
        })
}

#[cfg(test)]
mod tests {
    use tracing::Level;

    use super::*;

    fn filter(text: &str) -> Targets {
        quieted(&text.parse().expect("a filter"))
    }

    #[test]
    fn a_plain_debug_leaves_secret_bearing_libraries_quiet() {
        for text in ["debug", "trace", "trace,rowcast=debug"] {
            let filter = filter(text);
            assert!(filter.would_enable("rowcast::reader", &Level::DEBUG));
            for target in [
                "socketioxide::client",
                "socketioxide_core::parser",
                "engineioxide::socket",
                "engineioxide_core::packet",
                "tungstenite::protocol",
                "tokio_tungstenite",
                "hyper_util::client",
            ] {
                assert!(
                    !filter.would_enable(target, &Level::DEBUG),
                    "{text} {target}"
                );
                assert!(filter.would_enable(target, &Level::INFO), "{text} {target}");
            }
            assert!(!filter.would_enable("sqlx::query", &Level::INFO));
            assert!(filter.would_enable("sqlx::query", &Level::WARN));
        }
    }

    #[test]
    fn a_library_that_is_named_speaks() {
        let filter = filter("info,socketioxide=debug");
        assert!(filter.would_enable("socketioxide::client", &Level::DEBUG));
        assert!(!filter.would_enable("engineioxide::socket", &Level::DEBUG));
    }

    #[test]
    fn naming_a_part_of_a_library_leaves_the_rest_quiet() {
        let filter = filter("debug,socketioxide::ns=debug");
        assert!(filter.would_enable("socketioxide::ns", &Level::DEBUG));
        assert!(!filter.would_enable("socketioxide::client", &Level::DEBUG));
    }

    #[test]
    fn a_lower_level_is_not_raised() {
        let filter = filter("error");
        assert!(!filter.would_enable("socketioxide::client", &Level::WARN));
        assert!(!filter.would_enable("sqlx::query", &Level::WARN));
    }
}
