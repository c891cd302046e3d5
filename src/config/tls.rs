//! TLS on the listeners: `ROWCAST_TLS_CERT`, `ROWCAST_TLS_KEY`, `ROWCAST_TLS_HSTS`.
//!
//! Guarantees that certificate and key come together. The files are named here, and read by `tls`, which reads them again when they
//! change.

use std::path::PathBuf;
use std::time::Duration;

use super::jwt_values::pem_file;
use super::lookup::SettingLookup;
use super::problem::Refusal;
use super::quantity;

/// How TLS is spoken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Tls {
    /// `ROWCAST_TLS_CERT`: the file of the certificate and what leads to its authority.
    pub certificate: PathBuf,
    /// `ROWCAST_TLS_KEY`: the file of its key.
    pub key: PathBuf,
    /// `ROWCAST_TLS_HSTS`: how long browsers are to call this host by https alone.
    pub hsts: Option<Duration>,
}

/// `None`: the listeners speak plain HTTP.
pub(super) fn resolve(read: &mut SettingLookup<'_>) -> Option<Tls> {
    let certificate = read.optional("ROWCAST_TLS_CERT", pem_file);
    let key = read.optional("ROWCAST_TLS_KEY", pem_file);
    let hsts = read.optional("ROWCAST_TLS_HSTS", hsts).flatten();
    let mut lacks = |name, other: &str| {
        let why = format!("{other} is set, and there is nothing to go with it");
        read.refuse(name, &Refusal::because(why, "both, or neither"));
    };
    match (certificate, key) {
        (Some(certificate), Some(key)) => {
            return Some(Tls {
                certificate,
                key,
                hsts,
            });
        }
        (None, None) if hsts.is_some() => {
            let why = "without ROWCAST_TLS_CERT the server speaks no https";
            read.refuse("ROWCAST_TLS_HSTS", &Refusal::because(why, "off"));
        }
        (None, None) => {}
        (Some(_), None) => lacks("ROWCAST_TLS_KEY", "ROWCAST_TLS_CERT"),
        (None, Some(_)) => lacks("ROWCAST_TLS_CERT", "ROWCAST_TLS_KEY"),
    }
    None
}

fn hsts(text: &str) -> Result<Option<Duration>, Refusal> {
    if text == "off" {
        return Ok(None);
    }
    quantity::duration(text, quantity::HSTS).map(Some)
}
