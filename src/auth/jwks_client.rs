//! Fetches a key set over HTTP.
//!
//! Guarantees an end: in time, and in bytes. Follows no redirect, because the place of the keys is the operator's to say.
//! Certificates are checked against those that the system trusts, which `SSL_CERT_FILE` can name otherwise; they are read for each
//! fetch, and so is a renewed one of a private authority. What the server answered is not repeated in an error.

use std::time::Duration;

use axum::http::{Request, StatusCode, Uri, header};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;
use url::Url;

/// Of one fetch, from the name's address to the last byte.
const TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A set of fifty keys with their certificates has less.
const MAX_BYTES: usize = 512 * 1024;

/// Fetches the document at `url`.
///
/// # Errors
/// Why there is none, in words.
pub(super) async fn fetch(url: &Url) -> Result<Bytes, String> {
    match timeout(TIMEOUT, answer(url)).await {
        Ok(answered) => answered,
        Err(_) => Err(format!("no whole answer within {} s", TIMEOUT.as_secs())),
    }
}

async fn answer(url: &Url) -> Result<Bytes, String> {
    let uri: Uri = url
        .as_str()
        .parse()
        .map_err(|_| "the URL can't be used".to_owned())?;
    let mut connector = HttpConnector::new();
    connector.enforce_http(false);
    connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
    let connector = HttpsConnectorBuilder::new()
        .with_native_roots()
        .map_err(|error| format!("the system has no certificates to trust: {error}"))?
        .https_or_http()
        .enable_http1()
        .wrap_connector(connector);
    let client = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build(connector);
    let request = Request::get(uri)
        .header(header::ACCEPT, "application/json")
        .header(
            header::USER_AGENT,
            concat!("rowcast/", env!("CARGO_PKG_VERSION")),
        )
        .body(Empty::<Bytes>::new())
        .map_err(|_| "the URL can't be used".to_owned())?;
    let response = client.request(request).await.map_err(|e| chain(&e))?;
    match response.status() {
        StatusCode::OK => {}
        status if status.is_redirection() => {
            return Err(format!(
                "it answered {status}, and redirects are not followed: give the place itself"
            ));
        }
        status => return Err(format!("it answered {status}")),
    }
    let body = Limited::new(response.into_body(), MAX_BYTES);
    match body.collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => {
            Err(format!("its answer has more than {MAX_BYTES} bytes"))
        }
        Err(error) => Err(format!("its answer broke off: {}", chain(&*error))),
    }
}

/// An error with its causes: the innermost one says what happened.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        words = format!("{words}: {cause}");
        source = cause.source();
    }
    words
}
