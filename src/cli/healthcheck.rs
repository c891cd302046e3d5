//! `rowcast healthcheck`: asks the running server whether it is ready, for a container's HEALTHCHECK.
//!
//! Speaks HTTP to `HOST` and `PORT` as any client does, over TLS where the server does (`tls::accept_any`), and needs no curl in the
//! image. Never waits longer than [`PATIENCE`].

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::config::Config;
use crate::stdout::print_line;
use crate::tls;

const PATIENCE: Duration = Duration::from_secs(5);
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Asks `/readyz` on `HOST` and `PORT`.
///
/// # Errors
/// The server is not there, does not answer in time, or is not ready; the failing checks are named.
pub(crate) async fn healthcheck(config: &Config) -> anyhow::Result<()> {
    let address = format!("{}:{}", config.listen.local_host(), config.listen.port);
    let (status, body) = timeout(PATIENCE, ask(config, &address))
        .await
        .with_context(|| format!("no answer from {address} within {} s", PATIENCE.as_secs()))??;
    if status != StatusCode::OK {
        bail!("{address} is not ready: {body}");
    }
    if body.contains("degraded") {
        print_line(format_args!("ready, and something is to be mended: {body}"))
    } else {
        print_line("ready")
    }
}

async fn ask(config: &Config, address: &str) -> anyhow::Result<(StatusCode, String)> {
    let tcp = TcpStream::connect(address)
        .await
        .with_context(|| format!("nothing answers on {address}"))?;
    if config.tls.is_none() {
        return ask_on(tcp, address).await;
    }
    let connector = TlsConnector::from(Arc::new(tls::accept_any()?));
    let name = ServerName::try_from(config.listen.local_host())?;
    let stream = connector
        .connect(name, tcp)
        .await
        .with_context(|| format!("{address} does not speak TLS, or not as it should"))?;
    ask_on(stream, address).await
}

async fn ask_on(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    address: &str,
) -> anyhow::Result<(StatusCode, String)> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::get("/readyz")
        .header(header::HOST, address)
        .body(Body::empty())?;
    let exchange = async {
        let response = sender.send_request(request).await?;
        let status = response.status();
        let body = axum::body::to_bytes(Body::new(response.into_body()), MAX_ANSWER_BYTES).await?;
        anyhow::Ok((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::pin!(exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        // The connection must be driven for the exchange to go on. It ends first by failing, or together with the answer.
        ended = connection => {
            ended?;
            exchange.await.with_context(|| format!("{address} closed the connection"))
        }
    }
}
