//! A collector of traces on 127.0.0.1: takes OTLP over HTTP, and keeps what it was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, Status, span::SpanKind, status};
use prost::Message as _;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::wait::until;

/// A span as it came.
#[derive(Clone, Debug)]
pub(crate) struct Exported {
    pub(crate) name: String,
    pub(crate) kind: SpanKind,
    pub(crate) is_error: bool,
    pub(crate) trace: Vec<u8>,
    pub(crate) id: Vec<u8>,
    pub(crate) parent: Vec<u8>,
    /// The traces that it is linked to.
    pub(crate) links: Vec<Vec<u8>>,
    pub(crate) attributes: BTreeMap<String, String>,
}

impl Exported {
    /// An attribute, or nothing.
    pub(crate) fn attribute(&self, name: &str) -> &str {
        self.attributes.get(name).map_or("", String::as_str)
    }
}

/// What came.
#[derive(Default)]
struct Taken {
    spans: Vec<Exported>,
    resources: Vec<BTreeMap<String, String>>,
    headers: Vec<HeaderMap>,
    bytes: Vec<u8>,
    is_failing: bool,
}

/// The collector.
pub(crate) struct Collector {
    port: u16,
    taken: Arc<Mutex<Taken>>,
    /// Ends when it is dropped.
    _task: JoinSet<()>,
}

impl Collector {
    /// Listens on a free port.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let taken = Arc::<Mutex<Taken>>::default();
        let routes = Router::new()
            .route("/v1/traces", post(take))
            .with_state(taken.clone());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self {
            port,
            taken,
            _task: task,
        }
    }

    /// Where it is, for `OTEL_EXPORTER_OTLP_ENDPOINT`.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Whether it takes nothing from now on.
    pub(crate) fn set_failing(&self, is_failing: bool) {
        self.taken.lock().expect("unpoisoned").is_failing = is_failing;
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Exported> {
        self.taken.lock().expect("unpoisoned").spans.clone()
    }

    /// Waits for a span.
    pub(crate) async fn span(&self, what: &str, wanted: impl Fn(&Exported) -> bool) -> Exported {
        until(format!("the span of {what}"), async || {
            self.spans().into_iter().find(&wanted)
        })
        .await
    }

    /// Waits for a span after the first so many.
    pub(crate) async fn later_span(
        &self,
        what: &str,
        before: usize,
        wanted: impl Fn(&Exported) -> bool,
    ) -> Exported {
        until(format!("the span of {what}"), async || {
            self.spans().into_iter().skip(before).find(&wanted)
        })
        .await
    }

    /// The resource of the first export.
    pub(crate) fn resource(&self) -> BTreeMap<String, String> {
        self.taken.lock().expect("unpoisoned").resources[0].clone()
    }

    /// The value of a header of the first export.
    pub(crate) fn header(&self, name: &str) -> String {
        let taken = self.taken.lock().expect("unpoisoned");
        let value = taken.headers[0].get(name);
        value
            .map_or("", |value| value.to_str().expect("text"))
            .to_owned()
    }

    /// Whether this text came, in whatever place.
    pub(crate) fn has_seen(&self, text: &str) -> bool {
        let taken = self.taken.lock().expect("unpoisoned");
        taken
            .bytes
            .windows(text.len())
            .any(|at| at == text.as_bytes())
    }
}

type Response = (StatusCode, [(header::HeaderName, &'static str); 1], Vec<u8>);

async fn take(State(taken): State<Arc<Mutex<Taken>>>, headers: HeaderMap, body: Bytes) -> Response {
    let of_protobuf = [(header::CONTENT_TYPE, "application/x-protobuf")];
    let request = ExportTraceServiceRequest::decode(body.clone()).expect("OTLP");
    let mut taken = taken.lock().expect("unpoisoned");
    if taken.is_failing {
        return (StatusCode::SERVICE_UNAVAILABLE, of_protobuf, Vec::new());
    }
    taken.bytes.extend_from_slice(&body);
    taken.headers.push(headers);
    for of_resource in request.resource_spans {
        let resource = of_resource.resource.expect("a resource");
        taken.resources.push(texts(resource.attributes));
        let spans = of_resource.scope_spans.into_iter().flat_map(|it| it.spans);
        taken.spans.extend(spans.map(exported));
    }
    let answer = ExportTraceServiceResponse::default().encode_to_vec();
    (StatusCode::OK, of_protobuf, answer)
}

fn exported(span: Span) -> Exported {
    let is_error = |status: &Status| status.code() == status::StatusCode::Error;
    Exported {
        kind: span.kind(),
        is_error: span.status.as_ref().is_some_and(is_error),
        name: span.name,
        trace: span.trace_id,
        id: span.span_id,
        parent: span.parent_span_id,
        links: span.links.into_iter().map(|link| link.trace_id).collect(),
        attributes: texts(span.attributes),
    }
}

fn texts(attributes: Vec<KeyValue>) -> BTreeMap<String, String> {
    let text = |value: Option<AnyValue>| match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    };
    let texts = attributes.into_iter().map(|it| (it.key, text(it.value)));
    texts.collect()
}
