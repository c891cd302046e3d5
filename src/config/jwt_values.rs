//! The values of the settings about tokens, one by one.
//!
//! Owns the secrets as [`Secret`], which prints nothing, and where keys lie ([`JwtKeys`]).

use std::fmt;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use url::{Host, Url};

use super::environment;
use super::lookup::SettingLookup;
use super::problem::Refusal;

/// The shortest secret: as long as what HS256 makes of it (RFC 7518, section 3.2).
pub(crate) const MIN_SECRET_BYTES: usize = 32;

/// Where the keys are.
#[derive(Clone, Debug)]
pub(crate) enum JwtKeys {
    /// `ROWCAST_JWT_SECRET`, and `ROWCAST_JWT_SECRET_PREVIOUS`.
    Secrets(Vec<SharedSecret>),
    /// `ROWCAST_JWT_PUBLIC_KEY`: a PEM file.
    PublicKey(PathBuf),
    /// `ROWCAST_JWT_JWKS`, a file.
    JwksFile(PathBuf),
    /// `ROWCAST_JWT_JWKS`, over HTTP, and `ROWCAST_JWT_JWKS_REFRESH`.
    JwksUrl { url: Url, refresh: Duration },
}

/// A shared secret, and the file that it was read from.
#[derive(Clone, Debug)]
pub(crate) struct SharedSecret {
    pub text: Secret,
    pub file: Option<PathBuf>,
}

/// A text that nobody sees.
#[derive(Clone)]
pub(crate) struct Secret(String);

impl Secret {
    /// Takes a secret that is long enough.
    ///
    /// # Errors
    /// How long it has to be.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text.len() >= MIN_SECRET_BYTES {
            return Ok(Self(text.to_owned()));
        }
        Err(format!("it has {} bytes", text.len()))
    }

    /// The secret itself.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(not shown)")
    }
}

pub(super) fn secret_of_before(read: &mut SettingLookup<'_>) -> Option<SharedSecret> {
    let (name, file) = (
        "ROWCAST_JWT_SECRET_PREVIOUS",
        "ROWCAST_JWT_SECRET_PREVIOUS_FILE",
    );
    secret(read, name, file)
}

pub(super) fn secret(
    read: &mut SettingLookup<'_>,
    name: &'static str,
    file_name: &'static str,
) -> Option<SharedSecret> {
    let accepted = format!(
        "at least {MIN_SECRET_BYTES} bytes that nobody can guess, such as openssl rand -base64 48 prints"
    );
    let (text, file) = read.secret(name, file_name, |text| {
        Secret::parse(text).map_err(|reason| Refusal::because(reason, &*accepted))
    })?;
    Some(SharedSecret { text, file })
}

pub(super) fn mode(text: &str) -> Result<bool, Refusal> {
    match text {
        "none" => Ok(false),
        "jwt" => Ok(true),
        _ => Err(Refusal::accepts("jwt or none")),
    }
}

pub(super) fn pem_file(text: &str) -> Result<PathBuf, Refusal> {
    if text.starts_with("-----BEGIN") {
        let accepted = "the path of the PEM file";
        return Err(Refusal::because("that is PEM itself", accepted));
    }
    environment::file(text)
}

pub(super) fn jwks(text: &str) -> Result<JwtKeys, Refusal> {
    let refused = |reason: &str| {
        Err(Refusal::because(
            reason,
            "the path of a file, or an https URL (http for this machine alone)",
        ))
    };
    if !text.contains("://") {
        return environment::file(text).map(JwtKeys::JwksFile);
    }
    let Ok(url) = Url::parse(text) else {
        return refused("it is no URL");
    };
    if !url.username().is_empty() || url.password().is_some() {
        return refused("a URL with a user would send a password");
    }
    match url.scheme() {
        "https" if url.has_host() => {}
        "http" if is_this_machine(&url) => {}
        "http" => return refused("whoever is between could put keys of their own"),
        _ => return refused("its scheme is not https"),
    }
    let refresh = Duration::ZERO;
    Ok(JwtKeys::JwksUrl { url, refresh })
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => IpAddr::V6(ip).to_canonical().is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

pub(super) fn list(text: &str) -> Result<Vec<String>, Refusal> {
    let items = text
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty());
    let items: Vec<String> = items.map(str::to_owned).collect();
    if items.is_empty() {
        return Err(Refusal::accepts("one text, or several, comma separated"));
    }
    Ok(items)
}

/// RFC 6265, section 4.1.1: a token (RFC 9110, section 5.6.2).
pub(super) fn cookie(text: &str) -> Result<String, Refusal> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if text.bytes().all(is_allowed) && text.len() <= 100 {
        Ok(text.to_owned())
    } else {
        Err(Refusal::accepts(
            "the name of a cookie, such as __Host-token",
        ))
    }
}
