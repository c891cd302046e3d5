//! By which names the server may be called, and whether through a proxy.
//!
//! **Names.** A stranger's page can have its own name point to this server (DNS rebinding). To the browser both are then one site,
//! so the page may read every answer; only the `Host` header tells. So a browser's request must name the server by an IP address,
//! by `localhost`, or by a name that the operator gave. An IP address is safe, because no DNS answer stands between it and us.
//!
//! **Browsers.** Other clients choose the name that they connect to, so they are let in by any: a health check, a back end or
//! Prometheus in the same network calls us by a service's name. What tells a browser is what all of them send and no page can take
//! away. `Origin` and `Sec-Fetch-*` alone are not enough: a page's `fetch` of its own site by GET has no `Origin`, and over plain
//! HTTP to a name there is no `Sec-Fetch-*`, which is rebinding exactly; so is a plain navigation. Those have `Accept-Language`,
//! which a page can change but not remove, and a `User-Agent` that begins with `Mozilla/`. Node's `fetch` sends
//! `Accept-Language`, too, but `Sec-Fetch-Mode` without `Sec-Fetch-Site`: no browser does that, and no page may set either.
//!
//! **Proxies.** While nobody said who may come in (`ROWCAST_AUTH`), only this machine can connect. A proxy on it would let in
//! everybody, so what one has forwarded is refused.

use std::net::Ipv6Addr;
use std::sync::Arc;

use axum::http::{HeaderMap, HeaderName, Uri, header};

use crate::config::{AllowedHosts, Origins};
use crate::quota::Sampled;

/// Of a host in the log.
const MAX_SHOWN_BYTES: usize = 100;

const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
/// Which requests may be looked at at all.
#[derive(Clone, Debug)]
pub(crate) struct HostPolicy(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    names: HostNames,
    refuse_forwarded: bool,
    refused_hosts: Sampled,
    refused_forwards: Sampled,
}

/// The names of this server.
#[derive(Clone, Debug)]
pub(crate) struct HostNames {
    /// Those of the pages' sites.
    pub origins: Origins,
    /// Those that the operator added.
    pub allowed: AllowedHosts,
    /// The one that it listens on.
    pub own: String,
}

/// Why a request is not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unwelcome {
    /// A browser was told a name that is none of ours.
    Host,
    /// A proxy has forwarded it.
    Forwarded,
}

/// An extension of a request at `/socket.io` that names a host which is none of ours: CONNECT is refused, so that the client
/// learns why, and nothing else is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct HostRefused;

impl HostPolicy {
    /// Lets browsers call the server by these names. `refuse_forwarded` refuses what a proxy has forwarded.
    pub(crate) fn new(names: HostNames, refuse_forwarded: bool) -> Self {
        Self(Arc::new(Inner {
            names,
            refuse_forwarded,
            refused_hosts: Sampled::default(),
            refused_forwards: Sampled::default(),
        }))
    }

    /// Decides on a request by its head.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn check(&self, uri: &Uri, headers: &HeaderMap) -> Result<(), Unwelcome> {
        if self.0.refuse_forwarded
            && let Some(header) = headers.keys().find(|name| is_of_a_proxy(name))
        {
            let header = header.as_str();
            if let Some(count) = self.0.refused_forwards.due() {
                tracing::warn!(
                    count,
                    header,
                    "refused a request that a proxy has forwarded ({header}): nobody is asked who it is, and a proxy may bring \
                     anybody. Set ROWCAST_AUTH=jwt, or ROWCAST_AUTH=none if everybody whom the proxy lets in may read everything"
                );
            }
            return Err(Unwelcome::Forwarded);
        }
        if is_from_browser(headers) && !self.0.names.are_named_by(uri, headers) {
            self.complain(uri, headers);
            return Err(Unwelcome::Host);
        }
        Ok(())
    }

    fn complain(&self, uri: &Uri, headers: &HeaderMap) {
        let Some(count) = self.0.refused_hosts.due() else {
            return;
        };
        let shown = self.0.names.shown(uri, headers);
        tracing::warn!(
            count,
            host = shown,
            "refused a browser that was told the name {shown:?}: if that is a name of this server, add it to ROWCAST_ALLOWED_HOSTS"
        );
    }
}

impl HostNames {
    /// Does everything in a request that names a host name this one?
    fn are_named_by(&self, uri: &Uri, headers: &HeaderMap) -> bool {
        let mut hosts = headers.get_all(header::HOST).iter();
        let host = hosts.next().and_then(|host| host.to_str().ok());
        let is_one = hosts.next().is_none();
        is_one
            && host.is_some_and(|host| self.allow(host))
            && uri.authority().is_none_or(|all| self.allow(all.as_str()))
    }

    /// What a request that is refused names: its header, or where that would do, the URI. Both are a stranger's: what is not plain text
    /// is written as escapes, and the length is bounded.
    fn shown(&self, uri: &Uri, headers: &HeaderMap) -> String {
        let host = headers.get(header::HOST);
        let is_fine = host.is_some_and(|host| host.to_str().is_ok_and(|host| self.allow(host)));
        let named = match uri.authority() {
            Some(authority) if is_fine => authority.as_str().as_bytes(),
            _ => host.map(|host| host.as_bytes()).unwrap_or_default(),
        };
        named[..named.len().min(MAX_SHOWN_BYTES)]
            .escape_ascii()
            .to_string()
    }

    /// May a request have this `Host`?
    fn allow(&self, header: &str) -> bool {
        let Some(host) = without_port(header) else {
            return false;
        };
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix('.').unwrap_or(&host);
        if host.is_empty() {
            return false;
        }
        is_address(host)
            || host == "localhost"
            || host.ends_with(".localhost")
            || host == self.own.to_ascii_lowercase()
            || self.origins.have_host(host)
            || self.allowed.allows(host)
    }
}

/// The host of a `Host` header (RFC 9110, section 7.2); `None` where it is none.
fn without_port(header: &str) -> Option<&str> {
    let is_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
    if header.starts_with('[') {
        let end = header.find(']')? + 1;
        let (host, rest) = header.split_at(end);
        return (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port)).then_some(host);
    }
    match header.split_once(':') {
        Some((host, port)) => is_port(port).then_some(host),
        None => Some(header),
    }
}

fn is_address(host: &str) -> bool {
    let ipv6 = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    match ipv6 {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => host.parse::<std::net::Ipv4Addr>().is_ok(),
    }
}

/// Whether a proxy has added this header.
fn is_of_a_proxy(name: &HeaderName) -> bool {
    let name = name.as_str();
    matches!(name, "forwarded" | "via") || name.starts_with("x-forwarded-")
}

/// Whether a proxy has forwarded a request, by its headers.
pub(crate) fn was_forwarded(headers: &HeaderMap) -> bool {
    headers.keys().any(is_of_a_proxy)
}

fn is_from_browser(headers: &HeaderMap) -> bool {
    if headers.contains_key(header::ORIGIN) || headers.contains_key(SEC_FETCH_SITE) {
        return true;
    }
    if headers.contains_key(SEC_FETCH_MODE) {
        return false;
    }
    let agent = headers.get(header::USER_AGENT);
    agent.is_some_and(|agent| agent.as_bytes().starts_with(b"Mozilla/"))
        || headers.contains_key(header::ACCEPT_LANGUAGE)
        || headers.contains_key(header::REFERER)
}

#[cfg(test)]
mod tests;
