//! The way to the collector: the HTTP client that the exporter is given.
//!
//! Guarantees an end, in time and in bytes, and that TLS is the one of the rest of the server: certificates are checked against those
//! that the system trusts. Remembers why a request failed, which the exporter leaves out of its error.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use opentelemetry_http::{HttpClient, HttpError, Request, Response};
use tokio::time::timeout;

/// Of one request, from the name's address to the last byte of the answer: the exporter's default.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// An answer says what was not taken, if anything.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// The client. Its clones share connections.
#[derive(Clone)]
pub(super) struct Collector {
    client: Client<HttpsConnector<HttpConnector>, Full<Bytes>>,
    last_failure: Arc<Mutex<String>>,
}

impl Collector {
    /// # Errors
    /// The system has no certificates to trust, and the place is an https one.
    pub(super) fn new(is_https: bool) -> anyhow::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let builder = HttpsConnectorBuilder::new();
        let builder = if is_https {
            let trusting = builder.with_native_roots();
            trusting
                .context("OTEL_EXPORTER_OTLP_ENDPOINT: the system has no certificates to trust")?
        } else {
            builder.with_tls_config(
                rustls::ClientConfig::builder()
                    .with_root_certificates(rustls::RootCertStore::empty())
                    .with_no_client_auth(),
            )
        };
        let connector = builder
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            client: Client::builder(TokioExecutor::new()).build(connector),
            last_failure: Arc::default(),
        })
    }

    /// Why the last request that failed has failed.
    pub(super) fn last_failure(&self) -> String {
        let failure = self.last_failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let response = self.client.request(request.map(Full::new)).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await?;
        Ok(Response::from_parts(parts, body.to_bytes()))
    }

    fn remember(&self, failure: String) {
        let last = self.last_failure.lock();
        *last.unwrap_or_else(PoisonError::into_inner) = failure;
    }
}

impl HttpClient for Collector {
    fn send_bytes<'a, 'f>(
        &'a self,
        request: Request<Bytes>,
    ) -> Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 'f>>
    where
        'a: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let answered = match timeout(TIMEOUT, self.send(request)).await {
                Ok(answered) => answered,
                Err(_) => Err(format!("no whole answer within {} s", TIMEOUT.as_secs()).into()),
            };
            match &answered {
                Ok(response) if response.status().is_success() => {}
                Ok(response) => self.remember(format!("it answered {}", response.status())),
                Err(error) => self.remember(with_causes(&**error)),
            }
            answered
        })
    }
}

impl fmt::Debug for Collector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Collector").finish_non_exhaustive()
    }
}

/// An error with its causes: the innermost one says what happened.
fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let words: Vec<_> = causes.map(ToString::to_string).collect();
    words.join(": ")
}
