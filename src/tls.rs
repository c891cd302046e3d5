//! The certificate of the listeners: read from its files, served, and read again when they change.
//!
//! Owns what is served and when that ends. Cryptography is rustls on ring: TLS 1.2 and 1.3, and HTTP/1.1 by ALPN.
//! Guarantees that a pair which can't be used stops the start, and later never takes the place of one that can; and that new
//! connections are given a renewed certificate without a restart, while those that are open go on.
//!
//! - `pair`: a certificate and its key, as they lie in two files; `validity`: when a certificate ends
//! - `keeper`: the task that reads them again; `probe`: the client side of `rowcast healthcheck`

mod keeper;
mod pair;
mod probe;
mod validity;

use std::sync::Arc;

use rustls::ServerConfig;
use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{ClientHello, NoServerSessionStorage, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use tokio::sync::watch;

pub(crate) use keeper::CertificateKeeper;
pub(crate) use pair::{Pair, open_key};
pub(crate) use probe::accept_any;

/// What is spoken inside.
const HTTP: &[u8] = b"http/1.1";

/// Gives a handshake the certificate that is served when it begins.
#[derive(Debug)]
struct Served(watch::Receiver<Arc<CertifiedKey>>);

impl ResolvesServerCert for Served {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.borrow().clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// How the listeners speak TLS, with whatever certificate is served.
fn server_config(served: watch::Receiver<Arc<CertifiedKey>>) -> anyhow::Result<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(Served(served)));
    config.alpn_protocols = vec![HTTP.to_vec()];
    // Clients that come back all at once are spared the signature, and the server the memory of their sessions.
    config.ticketer = ring::Ticketer::new()?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(config)
}
