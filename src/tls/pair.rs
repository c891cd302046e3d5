//! A certificate and its key, as they lie in the files of `ROWCAST_TLS_CERT` and `ROWCAST_TLS_KEY`.
//!
//! Guarantees that the key is the certificate's, and that a refusal is one line which names the variable and shows nothing of the key.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use ring::digest::{SHA256, digest};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use super::{provider, validity};
use crate::config::Tls;

/// A certificate that ends within this time is spoken of. A renewal comes a month before the end, mostly.
const SOON: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// A certificate that can be served.
pub(crate) struct Pair {
    /// With its chain and its key.
    pub(super) key: Arc<CertifiedKey>,
    /// When it ends.
    pub(crate) not_after: SystemTime,
}

/// What lies in the two files.
pub(super) struct Files {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

impl Files {
    /// Reads both.
    ///
    /// # Errors
    /// One can't be read.
    pub(super) fn read(tls: &Tls) -> anyhow::Result<Self> {
        Ok(Self {
            certificate: read("ROWCAST_TLS_CERT", &tls.certificate)?,
            key: read("ROWCAST_TLS_KEY", &tls.key)?,
        })
    }

    /// By this they are compared: a key is not kept in memory for that.
    pub(super) fn digest(&self) -> [Vec<u8>; 2] {
        [&self.certificate, &self.key].map(|content| digest(&SHA256, content).as_ref().to_vec())
    }

    /// The pair that they are.
    ///
    /// # Errors
    /// One of them can't be used, or they don't belong together.
    pub(super) fn parse(&self, tls: &Tls) -> anyhow::Result<Pair> {
        let (certificate, key) = (tls.certificate.display(), tls.key.display());
        let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_slice_iter(&self.certificate)
            .collect::<Result<_, _>>()
            .ok()
            .filter(|chain: &Vec<_>| !chain.is_empty())
            .with_context(|| {
                format!("ROWCAST_TLS_CERT: {certificate} is no PEM file with a certificate")
            })?;
        let not_after = validity::not_after(&chain[0]).with_context(|| {
            format!("ROWCAST_TLS_CERT: {certificate} does not say when it ends")
        })?;
        let Ok(private) = PrivateKeyDer::from_pem_slice(&self.key) else {
            bail!("ROWCAST_TLS_KEY: {key} is no PEM file with a private key that has no password");
        };
        match CertifiedKey::from_der(chain, private, &provider()) {
            Ok(key) => Ok(Pair {
                key: Arc::new(key),
                not_after,
            }),
            Err(rustls::Error::InconsistentKeys(_)) => {
                bail!("ROWCAST_TLS_KEY: {key} is not the key of ROWCAST_TLS_CERT, {certificate}")
            }
            Err(error) => bail!("ROWCAST_TLS_KEY: {key} can't be used with {certificate}: {error}"),
        }
    }
}

impl Pair {
    /// Reads the files.
    ///
    /// # Errors
    /// Why they can't be used, in a line that names the variable.
    pub(crate) fn read(tls: &Tls) -> anyhow::Result<Self> {
        Files::read(tls)?.parse(tls)
    }

    /// That the certificate ends soon, or has; `None` while it is good.
    pub(crate) fn ending(&self, now: SystemTime) -> Option<String> {
        let date = humantime::format_rfc3339_seconds(self.not_after);
        let ending = if now >= self.not_after {
            format!(
                "the certificate of ROWCAST_TLS_CERT expired on {date}, and clients refuse it: renew it"
            )
        } else if now + SOON >= self.not_after {
            format!("the certificate of ROWCAST_TLS_CERT expires on {date}: renew it")
        } else {
            return None;
        };
        Some(ending)
    }
}

/// That everybody on this machine may read the key, or change it, in words.
pub(crate) fn open_key(tls: &Tls) -> Option<String> {
    let mode = std::fs::metadata(&tls.key).ok()?.permissions().mode();
    (mode & 0o027 != 0).then(|| {
        let (key, mode) = (tls.key.display(), mode & 0o777);
        let what = if mode & 0o007 == 0 {
            "its group may change"
        } else {
            "every user of this machine may use"
        };
        format!("ROWCAST_TLS_KEY: {what} {key} (mode {mode:04o}): chmod 640 {key}")
    })
}

fn read(variable: &str, file: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(file).with_context(|| format!("{variable}: {} can't be read", file.display()))
}
