//! Logs to stderr, as text or JSON; and, where the operator names a collector, traces over OTLP.
//!
//! Owns the process's tracing subscriber. Stdout stays free for what commands print.
//! - `stderr`: where the log goes
//! - `queue`: where spans wait; `export`: the task that takes them on; `collector`: its way there
//!
//! Logs and traces share nothing: a log line has no span in it, and a span no log line, so that a secret which a library logs goes to
//! no collector. Without a collector nothing takes spans, and their callsites are disabled.
//! Guarantees that an event is one line (`stderr`), and that libraries which log secrets in their debug output (socketioxide and engineioxide
//! the handshake's auth data, tungstenite frames, sqlx statements) stay quiet under a plain `debug`
//! or `trace`; who wants them names them in `ROWCAST_LOG`.

mod collector;
mod export;
mod queue;
mod stderr;

use std::io::IsTerminal;

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider, SpanExporter as _};
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, fmt};

use crate::config::{Log, LogFormat, Traces};
use crate::spans::TARGET;
use collector::Collector;
pub(crate) use export::SpanExport;

/// The most that a library says unless it is named. A target also covers what begins with it:
/// `hyper` is `hyper_util` as well.
const QUIET: &[(&str, LevelFilter)] = &[
    ("socketioxide", LevelFilter::INFO),
    ("engineioxide", LevelFilter::INFO),
    // It says each attempt to connect, with the address, password and all; what is wrong is told by the relay's check.
    ("async_nats", LevelFilter::OFF),
    ("sqlx", LevelFilter::WARN),
    ("hyper", LevelFilter::INFO),
    ("tungstenite", LevelFilter::INFO),
    ("tokio_tungstenite", LevelFilter::INFO),
    ("rustls", LevelFilter::INFO),
];

/// Starts logging for the rest of the process, and traces, where there is a place for them: returns what exports them. A second call
/// does nothing.
///
/// # Errors
/// Why nothing can be exported, whether the collector answers or not.
pub(crate) fn init(log: &Log, traces: Option<&Traces>) -> anyhow::Result<Option<SpanExport>> {
    let (tracer, export) = match traces.map(tracer).transpose()? {
        Some((tracer, export)) => (Some(tracer), Some(export)),
        None => (None, None),
    };
    // Fails only where a subscriber was set before, as when tests run in one process.
    drop(match tracer {
        None => tracing_subscriber::registry()
            .with(output(log))
            .with(logged(&log.filter))
            .try_init(),
        Some(tracer) => tracing_subscriber::registry()
            .with(output(log).with_filter(logged(&log.filter)))
            .with(
                tracing_opentelemetry::layer()
                    .with_tracer(tracer)
                    .with_location(false)
                    .with_threads(false)
                    .with_tracked_inactivity(false)
                    .with_target(false)
                    .with_context_activation(false)
                    .with_filter(traced()),
            )
            .try_init(),
    });
    Ok(export)
}

fn output(log: &Log) -> Box<dyn Layer<Registry> + Send + Sync> {
    let output = fmt::layer().with_writer(stderr::Stderr);
    match log.format {
        LogFormat::Json => output.json().flatten_event(true).boxed(),
        // A terminal's colours also depend on NO_COLOR, which is the library's to know.
        LogFormat::Text if std::io::stderr().is_terminal() => output.compact().boxed(),
        LogFormat::Text => output.compact().with_ansi(false).boxed(),
    }
}

/// What makes spans, and what exports them.
fn tracer(traces: &Traces) -> anyhow::Result<(SdkTracer, SpanExport)> {
    let collector = Collector::new(traces.endpoint.scheme() == "https")?;
    let mut exporter = SpanExporter::builder()
        .with_http()
        .with_protocol(Protocol::HttpBinary)
        .with_http_client(collector.clone())
        .with_endpoint(traces.endpoint.as_str())
        .with_headers(traces.headers.0.clone())
        .with_timeout(collector::TIMEOUT)
        .build()
        .context("OTEL_EXPORTER_OTLP_ENDPOINT can't be used")?;
    let resource = Resource::builder()
        .with_service_name(traces.service_name.clone())
        .with_attribute(opentelemetry::KeyValue::new(
            "service.version",
            env!("CARGO_PKG_VERSION"),
        ))
        .build();
    exporter.set_resource(&resource);
    let (queue, waiting) = queue::queue();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(queue)
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
            traces.sample_ratio,
        ))))
        .with_resource(resource)
        .build();
    let export = SpanExport {
        exporter,
        collector,
        waiting,
        is_failing: false,
    };
    Ok((provider.tracer("rowcast"), export))
}

/// What goes to the collector: spans of ours.
fn traced() -> Targets {
    Targets::new().with_target(TARGET, LevelFilter::INFO)
}

/// What is logged: whatever was asked for, but spans.
fn logged(asked: &Targets) -> Targets {
    quieted(asked).with_target(TARGET, LevelFilter::OFF)
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
    fn without_a_collector_no_span_is_enabled_whatever_is_logged() {
        for text in ["info", "trace", "rowcast=trace", "rowcast::spans=trace"] {
            let asked = text.parse().expect("a filter");
            let log = tracing_subscriber::registry()
                .with(fmt::layer().with_writer(std::io::sink))
                .with(logged(&asked));
            tracing::subscriber::with_default(log, || {
                assert!(crate::spans::join().is_disabled(), "{text}");
                assert!(crate::spans::reader_pass().is_disabled(), "{text}");
            });
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
